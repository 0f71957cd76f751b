/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/reader.h"

#include <signal.h>

struct Reader {
        const StoreOps *ops;
        Store *store;
        Inbox inbox;
        Note stop;
        pthread_t thread;
};

static void answer(Reader *r, LedgerRequest *q) {
        switch (q->ask) {
        case ASK_EVENT:
                q->event.ret = NULL;
                q->result = r->ops->find_event(r->store, q->event.id, &q->event.ret, &q->error);
                break;
        case ASK_EVENTS:
                q->events.ret = NULL;
                q->result =
                        r->ops->list_events(r->store, &q->events.query, &q->events.ret, &q->error);
                break;
        case ASK_ATTEMPTS:
                q->attempts.ret = NULL;
                q->result = r->ops->list_attempts(r->store, &q->attempts.query, &q->attempts.ret,
                                                  &q->error);
                break;
        case ASK_TARGET:
                q->result = r->ops->target_stats(r->store, q->target.target, q->target.from_ms,
                                                 q->target.to_ms, &q->target.ret, &q->error);
                break;
        case ASK_STATS:
                q->result = r->ops->stats(r->store, &q->stats, &q->error);
                break;
        case ASK_WRITE:
        case ASK_CLAIM:
        case ASK_KEY:
                must(!"a question for the writer");
        }
        inbox_send(q->home, &q->note);
}

static void *run(void *arg) {
        Reader *r = arg;

        for (bool stopping = false; !stopping;) {
                for (Note *n = inbox_wait(&r->inbox, -1), *next; n; n = next) {
                        next = n->next;
                        if (n == &r->stop)
                                stopping = true;
                        else
                                answer(r, CONTAINER_OF(n, LedgerRequest, note));
                }
        }
        return NULL;
}

int reader_start(const StoreOps *ops, Store *writer, Reader **ret, Err *e) {
        Reader *r = must_alloc(sizeof *r);
        sigset_t all, before;

        r->ops = ops;
        int result = ops->open_reader(writer, &r->store, e);
        if (result < 0) {
                free(r);
                return result;
        }
        inbox_init(&r->inbox, NULL, NULL);
        /* Signals are the main thread's. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        must(pthread_create(&r->thread, NULL, run, r) == 0);
        (void)pthread_setname_np(r->thread, "ledger-reader");
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        *ret = r;
        return 0;
}

void reader_send(Reader *r, LedgerRequest *request) {
        inbox_send(&r->inbox, &request->note);
}

void reader_stop(Reader *r) {
        if (!r)
                return;
        inbox_send(&r->inbox, &r->stop);
        must(pthread_join(r->thread, NULL) == 0);
        inbox_done(&r->inbox);
        r->ops->close(r->store);
        free(r);
}
