/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/inlet.h"

#include "base/clock.h"

/* How soon it is looked again whether a run has said what it was about to say. */
#define LAST_WORD_MS 20

static void on_patience(uv_timer_t *t);

void inlet_set_timer(Inlet *in) {
        HeapNode *n = heap_first(&in->patience);
        int64_t now = clock_mono_ms();

        if (n && !uv_is_closing((uv_handle_t *)&in->timer))
                (void)uv_timer_start(&in->timer, on_patience,
                                     n->due > now ? (uint64_t)(n->due - now) : 0, 0);
}

static void on_patience(uv_timer_t *t) {
        Inlet *in = t->data;
        int64_t now = clock_mono_ms();

        for (HeapNode *n; (n = heap_pop_due(&in->patience, now));) {
                Waiter *w = CONTAINER_OF(n, Waiter, patience);

                if (waiter_is_about_to_hear(w, now))
                        heap_push(&in->patience, n, now + LAST_WORD_MS);
                else if (waiter_give_up(w))
                        w->on_told(w); /* without an outcome: the source hears 202 */
        }
        inlet_set_timer(in);
}

void inlet_init(Inlet *in, Loop *loop, Ledger *ledger, Engine *engine, Registry *registry,
                Inlet *all, unsigned n) {
        unsigned char secret[32];

        in->loop = loop;
        in->ledger = ledger;
        in->engine = engine;
        in->registry = registry;
        in->all = all;
        in->n = n;
        id_maker_init(&in->ids, loop->index, ledger_last_id(ledger));
        ledger_secret(ledger, "lanes", secret);
        memcpy(in->lane_key, secret, sizeof in->lane_key);
        ledger_secret(ledger, "event-urls", secret);
        memcpy(in->url_key, secret, sizeof in->url_key);
        must(uv_timer_init(&loop->uv, &in->timer) == 0);
        in->timer.data = in;
        jwks_init(&in->jwks);
}

void inlet_close(Inlet *in) {
        heap_done(&in->patience);
        jwks_close(in);
        uv_close((uv_handle_t *)&in->timer, NULL);
}

typedef struct Wake {
        Note note;
        Inlet *home;
        int64_t job_id;
        size_t n;
        char target[JOB_TARGET_MAX_BYTES];
} Wake;

static void on_wake(Note *n) {
        Wake *w = CONTAINER_OF(n, Wake, note);

        engine_spilled(w->home->engine, (Span){w->target, w->n}, w->job_id);
        free(w);
}

void inlet_wake(Inlet *in, unsigned shard, Span target, int64_t job_id) {
        Inlet *home = &in->all[shard % in->n];
        Wake *w = must_alloc(sizeof *w);

        must(target.n <= sizeof w->target);
        *w = (Wake){.note = {.read = on_wake}, .home = home, .job_id = job_id, .n = target.n};
        memcpy(w->target, target.p, target.n);
        inbox_send(&home->loop->inbox, &w->note);
}

/* ---- routes ---- */

static bool on_head(void *self, Exchange *x) {
        Inlet *in = self;
        const HttpHead *h = x->head;

        if (span_starts(h->path, SPAN("/in/"))) {
                if (h->method != HTTP_POST &&
                    !webhook_greets(in, span_from(h->path, 4), h->method)) {
                        HttpHeader allow = {SPAN("Allow"), SPAN("POST")};
                        exchange_answer(
                                x, &(HttpAnswer){.status = 405, .headers = &allow, .n_headers = 1});
                        return false;
                }
                return webhook_head(in, x, span_from(h->path, 4));
        }
        if (span_starts(h->path, SPAN("/events/")) && h->method == HTTP_GET)
                return true;
        answer_problem(x, 404, "not-found", "nothing is here: webhooks are POSTed to /in/{source}");
        return false;
}

static void on_request(void *self, Exchange *x) {
        Inlet *in = self;

        if (x->arg)
                webhook_request(in, x);
        else
                status_request(in, x, span_from(x->head->path, 8));
}

ServerHandler inlet_handler(Inlet *in) {
        return (ServerHandler){.self = in, .head = on_head, .request = on_request};
}
