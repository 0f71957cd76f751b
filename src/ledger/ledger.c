/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger thread: takes what the loops sent, writes as much of it as one transaction may hold,
 * answers, and looks again. A record waits for no company: what arrives during a commit is the
 * next batch, so batches grow with the load and a lone event waits for nobody. (Measured: a yield
 * before each batch fills those of 16 senders from 13 to 16 and saves a fifth of their CPU, but
 * while the loops are busy it gives a whole time slice away.)
 *
 * Settles and answers that nobody waits for do wait for company, a moment: a commit of their own
 * would cost as much as that of a record, and at a quiet pace each job had three.
 *
 * Between batches: upkeep, and trimming when it is quiet or when it lags behind. */
#include "base/clock.h"
#include "ledger/reader.h"

#include <signal.h>

enum {
        STUCK_RETRY_MS = 100, /* settles that did not fit on the disk */
        TRIM_EVERY_MS = 1000,
        TRIM_SLICE_MIN = 64,
        TRIM_SLICE_MAX = 1024,
        /* Inboxes answered together; more are answered in turns. */
        HOMES_MAX = 2 * (LEDGER_ECHOES_MAX + 1),
        LATER_US = 2000,
};

struct Ledger {
        const StoreOps *ops;
        Store *store;
        Reader *reader;
        TrimRule keep;
        int64_t later_us;
        void (*on_broken)(void *arg, const Err *why);
        void *arg;
        Inbox inbox;
        Note stop;
        pthread_t thread;

        /* The thread's own. */
        Note *first, **last; /* taken and not yet answered, in the order of arrival */
        bool stopping, is_broken;
        unsigned stuck; /* batches in a row that did not fit */
        int64_t upkeep_next_ms, trim_next_ms;
        bool trim_more;
        size_t recorded; /* since the last slice of trimming */

        /* Anyone's. */
        _Atomic uint64_t waiting, waiting_bytes, waiting_jobs;
        _Atomic uint64_t batches, writes, commit_us_total, commit_us_max;
};

typedef struct Batch {
        Write *writes[LEDGER_BATCH_MAX + LEDGER_TOGETHER_MAX];
        LedgerRequest *requests[LEDGER_BATCH_MAX];
        size_t n, n_writes, bytes, jobs;
} Batch;

static size_t bytes_of_write(const Write *w) {
        switch (w->kind) {
        case WRITE_RECORD:
                return sizeof(Event) + w->record.event->body.n + w->record.event->subject.n +
                       w->record.event->meta.n;
        case WRITE_SETTLE:
                return w->settle.attempt
                               ? w->settle.attempt->detail.n + w->settle.attempt->message.n
                               : 0;
        case WRITE_ANSWER:
                return w->answer.answer.body.n;
        case WRITE_OBJECT:
                return w->object.object.text.n;
        case WRITE_REPLAY:
        case WRITE_EXPUNGE:
                return 0;
        }
        return 0;
}

static size_t bytes_of(const LedgerRequest *r) {
        size_t bytes = r->ask == ASK_WRITE ? bytes_of_write(&r->write) : 0;

        for (size_t i = 0; i < r->n_more; i++)
                bytes += bytes_of_write(&r->more[i]);
        return bytes;
}

static bool is_record(const LedgerRequest *r) {
        return r->ask == ASK_WRITE && r->write.kind == WRITE_RECORD;
}

static size_t jobs_of(const LedgerRequest *r) {
        size_t jobs = is_record(r) ? r->write.record.n_jobs : 0;

        for (size_t i = 0; i < r->n_more; i++)
                jobs += r->more[i].record.n_jobs;
        return jobs;
}

/* Outcomes of work that was done must be written; what somebody wishes may be refused. */
static bool must_be_written(const LedgerRequest *r) {
        return r->ask == ASK_WRITE &&
               (r->write.kind == WRITE_SETTLE || r->write.kind == WRITE_ANSWER);
}

static void on_answer(Note *note) {
        LedgerRequest *r = CONTAINER_OF(note, LedgerRequest, note);

        r->done(r);
}

static void on_echo(Note *note) {
        LedgerEcho *echo = CONTAINER_OF(note, LedgerEcho, note);

        echo->heard(echo);
}

typedef struct Homes {
        struct {
                Inbox *home;
                Note *first, **last;
        } at[HOMES_MAX];
        size_t n;
} Homes;

static void homes_add(Homes *h, Inbox *home, Note *note) {
        size_t k = 0;

        while (k < h->n && h->at[k].home != home)
                k++;
        if (k == h->n) {
                must(h->n < HOMES_MAX);
                h->at[k].home = home;
                h->at[k].last = &h->at[k].first;
                h->n++;
        }
        *h->at[k].last = note;
        h->at[k].last = &note->next;
}

/* Answers in order, with one lock and one wake per home. Neither the requests nor what they lend
 * may be touched after it. */
static void answer(Ledger *l, LedgerRequest *const *requests, size_t n) {
        uint64_t records = 0, bytes = 0, jobs = 0;
        Homes homes = {.n = 0};
        size_t i;

        for (i = 0; i < n && homes.n + 1 + requests[i]->n_echoes <= HOMES_MAX; i++) {
                LedgerRequest *r = requests[i];

                if (is_record(r)) {
                        records++;
                        bytes += bytes_of(r);
                        jobs += jobs_of(r);
                }
                homes_add(&homes, r->home, &r->note);
                for (size_t k = 0; k < r->n_echoes; k++)
                        homes_add(&homes, r->echoes[k].home, &r->echoes[k].note);
        }
        atomic_fetch_sub_explicit(&l->waiting, records, memory_order_relaxed);
        atomic_fetch_sub_explicit(&l->waiting_bytes, bytes, memory_order_relaxed);
        atomic_fetch_sub_explicit(&l->waiting_jobs, jobs, memory_order_relaxed);
        for (size_t k = 0; k < homes.n; k++)
                inbox_send_all(homes.at[k].home, homes.at[k].first, homes.at[k].last);
        if (i < n)
                answer(l, requests + i, n - i);
}

static void answer_fault(Ledger *l, LedgerRequest *r, int fault, const Err *why) {
        r->result = fault;
        r->error = *why;
        answer(l, &r, 1);
}

/* Nobody can tell what the disk holds: whoever waits for an answer must not get one. */
static void break_ledger(Ledger *l, const Err *why) {
        l->is_broken = true;
        l->first = NULL;
        l->last = &l->first;
        if (l->on_broken)
                l->on_broken(l->arg, why);
}

static bool nothing_written(int fault) {
        return fault == -ENOSPC || fault == -EAGAIN;
}

static Note *pop(Ledger *l) {
        Note *n = l->first;

        l->first = n->next;
        if (!l->first)
                l->last = &l->first;
        return n;
}

static void push(Ledger *l, Note *n) {
        n->next = NULL;
        *l->last = n;
        l->last = &n->next;
}

/* Takes writes from the front, up to a claim or a question for a key: they see what was sent before
 * them. */
static void collect(Ledger *l, Batch *b) {
        b->n = b->n_writes = b->bytes = b->jobs = 0;
        while (l->first && b->n < LEDGER_BATCH_MAX && b->n_writes < LEDGER_BATCH_MAX) {
                LedgerRequest *r = CONTAINER_OF(l->first, LedgerRequest, note);
                if (r->ask != ASK_WRITE)
                        break;
                size_t bytes = bytes_of(r), jobs = jobs_of(r);
                if (b->n > 0 && (b->bytes + bytes > LEDGER_BATCH_MAX_BYTES ||
                                 b->jobs + jobs > LEDGER_BATCH_JOBS_MAX))
                        break;
                (void)pop(l);
                b->bytes += bytes;
                b->jobs += jobs;
                b->requests[b->n++] = r;
                b->writes[b->n_writes++] = &r->write;
                for (size_t i = 0; i < r->n_more; i++)
                        b->writes[b->n_writes++] = &r->more[i];
        }
}

/* There is no room. What can be refused is, wherever it stands; what must be written goes back to
 * the front and is tried again. */
static void put_back(Ledger *l, const Batch *b, int fault, const Err *why) {
        Note *rest = l->first;

        l->first = NULL;
        l->last = &l->first;
        for (size_t i = 0; i < b->n; i++) {
                if (must_be_written(b->requests[i]))
                        push(l, &b->requests[i]->note);
                else
                        answer_fault(l, b->requests[i], fault, why);
        }
        for (Note *next; rest; rest = next) {
                LedgerRequest *r = CONTAINER_OF(rest, LedgerRequest, note);

                next = rest->next;
                if (must_be_written(r))
                        push(l, rest);
                else
                        answer_fault(l, r, fault, why);
        }
        l->stuck++;
}

static void count_commit(Ledger *l, size_t n, int64_t took_us) {
        atomic_fetch_add_explicit(&l->batches, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&l->writes, n, memory_order_relaxed);
        atomic_fetch_add_explicit(&l->commit_us_total, (uint64_t)took_us, memory_order_relaxed);
        if ((uint64_t)took_us > atomic_load_explicit(&l->commit_us_max, memory_order_relaxed))
                atomic_store_explicit(&l->commit_us_max, (uint64_t)took_us, memory_order_relaxed);
}

static void write_batch(Ledger *l, Batch *b) {
        int64_t began_us = clock_mono_us();
        Err why = {0};

        collect(l, b);
        int r = l->ops->write(l->store, b->writes, b->n_writes, &why);
        if (nothing_written(r)) {
                put_back(l, b, r, &why);
                return;
        }
        if (r < 0) {
                break_ledger(l, &why);
                return;
        }
        l->stuck = 0;
        count_commit(l, b->n_writes, clock_mono_us() - began_us);
        for (size_t i = 0; i < b->n; i++) {
                b->requests[i]->result = 0;
                l->recorded += is_record(b->requests[i]) ? 1 + b->requests[i]->n_more : 0;
        }
        answer(l, b->requests, b->n);
}

static void claim(Ledger *l) {
        LedgerRequest *r = CONTAINER_OF(pop(l), LedgerRequest, note);

        r->result = l->ops->claim(l->store, &r->claim.ask, &r->claim.ret, &r->error);
        if (r->result < 0 && !nothing_written(r->result))
                break_ledger(l, &r->error);
        else
                answer(l, &r, 1);
}

static void find_key(Ledger *l) {
        LedgerRequest *r = CONTAINER_OF(pop(l), LedgerRequest, note);

        r->result = l->ops->find_key(l->store, r->key.source, r->key.key, clock_wall_ms(),
                                     &r->key.event, &r->error);
        if (r->result < 0 && !nothing_written(r->result))
                break_ledger(l, &r->error);
        else
                answer(l, &r, 1);
}

/* Faults of housekeeping count like those of a batch: they come from the same file. */
static void upkeep(Ledger *l, int64_t now_ms) {
        int64_t next_ms = STUCK_RETRY_MS;
        Err why = {0};
        int r = l->ops->upkeep(l->store, clock_wall_ms(), &next_ms, &why);

        if (r < 0 && !nothing_written(r))
                break_ledger(l, &why);
        l->upkeep_next_ms = now_ms + next_ms;
}

/* When trimming lags, each slice is twice what was recorded since the last: it catches up without
 * ever standing in the way of a batch for long. */
static void trim(Ledger *l, int64_t now_ms) {
        size_t slice = l->first ? l->recorded * 2 : TRIM_SLICE_MAX, trimmed = 0;
        TrimRule rule = l->keep;
        Err why = {0};

        slice = slice < TRIM_SLICE_MIN ? TRIM_SLICE_MIN : slice;
        slice = slice > TRIM_SLICE_MAX ? TRIM_SLICE_MAX : slice;
        rule.before_ms = rule.before_ms > 0 ? clock_wall_ms() - rule.before_ms : 0;
        rule.max = slice;
        int r = l->ops->trim(l->store, &rule, &trimmed, &why);
        if (r < 0 && !nothing_written(r))
                break_ledger(l, &why);
        l->recorded = 0;
        l->trim_more = trimmed == slice;
        l->trim_next_ms = now_ms + TRIM_EVERY_MS;
}

static void keep_house(Ledger *l) {
        int64_t now_ms = clock_mono_ms();
        bool trims = l->keep.before_ms > 0 || l->keep.bytes_max > 0;

        upkeep(l, now_ms);
        if (!l->is_broken && trims && (l->trim_more || now_ms >= l->trim_next_ms))
                trim(l, now_ms);
}

/* How long to sleep when nothing arrives; < 0: for ever. */
static int64_t patience_ms(const Ledger *l) {
        int64_t now_ms = clock_mono_ms(), until_ms = l->upkeep_next_ms;

        if (l->is_broken)
                return -1;
        if (l->stuck > 1)
                return STUCK_RETRY_MS;
        if (l->first || l->trim_more)
                return 0;
        if ((l->keep.before_ms > 0 || l->keep.bytes_max > 0) && l->trim_next_ms < until_ms)
                until_ms = l->trim_next_ms;
        return until_ms > now_ms ? until_ms - now_ms : 0;
}

static void take(Ledger *l) {
        int64_t wait_ms = l->stopping ? 0 : patience_ms(l);

        for (Note *n = wait_ms ? inbox_gather(&l->inbox, wait_ms, l->later_us)
                               : inbox_take(&l->inbox),
                  *next;
             n; n = next) {
                next = n->next;
                if (n == &l->stop)
                        l->stopping = true;
                else if (!l->is_broken)
                        push(l, n);
        }
}

/* At the end what still does not fit is told so. */
static void refuse_rest(Ledger *l) {
        Err why = {0};
        int fault = FAIL(&why, -ENOSPC, "the ledger closed before there was room for this");

        while (l->first)
                answer_fault(l, CONTAINER_OF(pop(l), LedgerRequest, note), fault, &why);
}

static void do_first(Ledger *l, Batch *b) {
        switch (CONTAINER_OF(l->first, LedgerRequest, note)->ask) {
        case ASK_CLAIM:
                claim(l);
                break;
        case ASK_KEY:
                find_key(l);
                break;
        default:
                write_batch(l, b);
        }
}

static void *run(void *arg) {
        Ledger *l = arg;
        AUTO(freep)
        Batch *b = must_alloc(sizeof *b);

        for (;;) {
                take(l);
                if (l->stopping && (!l->first || l->stuck > 1))
                        break;
                if (l->first)
                        do_first(l, b);
                if (!l->is_broken)
                        keep_house(l);
        }
        if (!l->is_broken)
                refuse_rest(l);
        return NULL;
}

static void ledger_free(Ledger *l) {
        reader_stop(l->reader);
        if (l->store)
                l->ops->close(l->store);
        inbox_done(&l->inbox);
        free(l);
}

int ledger_open(const LedgerOptions *o, Ledger **ret, Err *e) {
        size_t colon = span_find(o->url, ':');
        Span scheme = {o->url.p, colon}, rest = span_from(o->url, colon + 1);
        const StoreOps *ops = o->ops ? o->ops : store_find(scheme);
        StoreOptions options = o->store;
        AUTO(freep)
        char *path = must_alloc(rest.n + 1);
        sigset_t all, before;

        if (!ops)
                return FAIL(e, -EINVAL, "ledger '" SPAN_FMT "': no such kind of ledger",
                            SPAN_ARG(o->url));
        if (rest.n)
                memcpy(path, rest.p, rest.n);
        if (!options.path)
                options.path = path;
        Ledger *l = must_alloc(sizeof *l);
        l->ops = ops;
        l->keep = o->keep;
        l->later_us = o->later_us ? o->later_us : LATER_US;
        l->on_broken = o->broken;
        l->arg = o->arg;
        l->last = &l->first;
        inbox_init(&l->inbox, NULL, NULL);
        int r = ops->open(&options, &l->store, e);
        if (r == 0)
                r = reader_start(ops, l->store, &l->reader, e);
        if (r < 0) {
                ledger_free(l);
                return r;
        }
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        must(pthread_create(&l->thread, NULL, run, l) == 0);
        (void)pthread_setname_np(l->thread, "ledger");
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        *ret = l;
        return 0;
}

void ledger_close(Ledger *l) {
        if (!l)
                return;
        inbox_send(&l->inbox, &l->stop);
        must(pthread_join(l->thread, NULL) == 0);
        ledger_free(l);
}

/* One more record, if there is room for it; however large, when nothing else waits. */
static bool admit(Ledger *l, size_t bytes, size_t jobs) {
        uint64_t n = atomic_fetch_add_explicit(&l->waiting, 1, memory_order_relaxed);
        uint64_t m = atomic_fetch_add_explicit(&l->waiting_bytes, bytes, memory_order_relaxed);
        uint64_t k = atomic_fetch_add_explicit(&l->waiting_jobs, jobs, memory_order_relaxed);

        if (n < LEDGER_PENDING_MAX && (m == 0 || m + bytes <= LEDGER_PENDING_MAX_BYTES) &&
            (k == 0 || k + jobs <= LEDGER_PENDING_JOBS_MAX))
                return true;
        atomic_fetch_sub_explicit(&l->waiting, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&l->waiting_bytes, bytes, memory_order_relaxed);
        atomic_fetch_sub_explicit(&l->waiting_jobs, jobs, memory_order_relaxed);
        return false;
}

int ledger_send(Ledger *l, LedgerRequest *r) {
        must(r->n_echoes <= LEDGER_ECHOES_MAX);
        must(r->n_more == 0 || (is_record(r) && r->n_more <= LEDGER_TOGETHER_MAX));
        for (size_t i = 0; i < r->n_echoes; i++) {
                r->echoes[i].note.read = on_echo;
                r->echoes[i].of = r;
        }
        r->note.read = on_answer;
        r->result = 0;
        r->error.code = 0;
        if (r->ask != ASK_WRITE && r->ask != ASK_CLAIM && r->ask != ASK_KEY) {
                reader_send(l->reader, r);
                return 0;
        }
        if (is_record(r) && !admit(l, bytes_of(r), jobs_of(r)))
                return -EAGAIN;
        if (r->can_wait)
                inbox_send_later(&l->inbox, &r->note);
        else
                inbox_send(&l->inbox, &r->note);
        return 0;
}

/* The threads use the other readers. */
int ledger_each_object(Ledger *l, void (*each)(void *arg, const Object *o), void *arg, Err *e) {
        Store *reader = NULL;
        int r = l->ops->open_reader(l->store, &reader, e);

        if (r < 0)
                return r;
        r = l->ops->each_object(reader, each, arg, e);
        l->ops->close(reader);
        return r;
}

int ledger_each_backlog(Ledger *l, void (*each)(void *arg, Span target, int64_t due_ms), void *arg,
                        Err *e) {
        Store *reader = NULL;
        int r = l->ops->open_reader(l->store, &reader, e);

        if (r < 0)
                return r;
        r = l->ops->each_backlog(reader, each, arg, e);
        l->ops->close(reader);
        return r;
}

int ledger_each_change(Ledger *l, size_t max, void (*each)(void *arg, const Change *c), void *arg,
                       Err *e) {
        Store *reader = NULL;
        int r = l->ops->open_reader(l->store, &reader, e);

        if (r < 0)
                return r;
        r = l->ops->each_change(reader, max, each, arg, e);
        l->ops->close(reader);
        return r;
}

int64_t ledger_last_id(const Ledger *l) {
        return l->ops->last_id(l->store);
}

void ledger_secret(const Ledger *l, const char *purpose, unsigned char ret[32]) {
        l->ops->secret(l->store, purpose, ret);
}

LedgerGauges ledger_gauges(const Ledger *l) {
        return (LedgerGauges){
                .batches = atomic_load_explicit(&l->batches, memory_order_relaxed),
                .writes = atomic_load_explicit(&l->writes, memory_order_relaxed),
                .waiting = atomic_load_explicit(&l->waiting, memory_order_relaxed),
                .waiting_bytes = atomic_load_explicit(&l->waiting_bytes, memory_order_relaxed),
                .commit_us_total = atomic_load_explicit(&l->commit_us_total, memory_order_relaxed),
                .commit_us_max = atomic_load_explicit(&l->commit_us_max, memory_order_relaxed),
        };
}
