/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/runner.h"

#include "base/clock.h"
#include "base/id.h"
#include "flow/view.h"
#include "json/value.h"

#define META_MAX_BYTES (96 * 1024)

static void on_timer(uv_timer_t *t) {
        Runner *r = t->data;

        for (HeapNode *n; (n = heap_pop_due(&r->deadlines, clock_mono_ms()));)
                run_expire(CONTAINER_OF(n, Run, deadline));
        for (HeapNode *n; (n = heap_pop_due(&r->pauses, clock_mono_ms()));) {
                Act *a = CONTAINER_OF(n, Act, pause);

                a->phase = ACT_STEPPING;
                a->rested(a);
        }
        runner_poke(r);
        runner_set_timer(r);
}

void runner_set_timer(Runner *r) {
        int64_t now = clock_mono_ms(), next = INT64_MAX;
        HeapNode *n = heap_first(&r->deadlines);

        if (r->closing)
                return;
        if (n)
                next = n->due;
        n = heap_first(&r->pauses);
        if (n && n->due < next)
                next = n->due;
        for (size_t i = 0; i < r->snapshot->config->n_connections; i++) {
                n = heap_first(&r->queues[i].paced);
                if (n && n->due / 1000 + 1 < next)
                        next = n->due / 1000 + 1;
        }
        if (next == INT64_MAX)
                (void)uv_timer_stop(&r->timer);
        else if (!uv_is_active((uv_handle_t *)&r->timer) ||
                 (int64_t)uv_timer_get_due_in(&r->timer) > next - now)
                (void)uv_timer_start(&r->timer, on_timer, next > now ? (uint64_t)(next - now) : 0,
                                     0);
}

void runner_poke(Runner *r) {
        for (size_t i = 0; i < r->snapshot->config->n_connections; i++)
                call_poke_queue(&r->queues[i], clock_mono_us());
}

int runner_new(Hub *hub, Snapshot *s, const RunnerHost *host, Runner **ret, Err *e) {
        Runner *r = must_alloc(sizeof *r);
        MapLimits limits = {.helpers = 1};
        int err = map_new(&hub->loop->uv, s->programs, &limits, &r->map, e);

        if (err < 0) {
                free(r);
                return err;
        }
        r->hub = hub;
        r->snapshot = snapshot_ref(s);
        r->host = *host;
        list_init(&r->runs);
        r->queues = must_alloc((s->config->n_connections + 1) * sizeof *r->queues);
        for (size_t i = 0; i < s->config->n_connections; i++)
                list_init(&r->queues[i].waiting);
        must(uv_timer_init(&hub->loop->uv, &r->timer) == 0);
        r->timer.data = r;
        list_push(&hub->runners, &r->link);
        *ret = r;
        return 0;
}

/* What expressions see as `.meta`. */
Span runner_meta(Run *r) {
        /* Of what the event's maker knew beside the body. */
        static const char *const shown[] = {"headers", "cloudevent",    "depth",
                                            "outbox",  "outboxMissing", "statement"};
        AUTO(buf_done)
        Buf b = BUF(META_MAX_BYTES);
        const Event *ev = r->job->event;
        char id[ID_TEXT], received[CLOCK_TEXT], time[CLOCK_TEXT];
        int e;

        id_print("evt", ev->id, id);
        clock_print(ev->received_ms, received);
        e = buf_addf(&b, "{\"id\":\"%s\",\"received\":\"%s\",\"attempt\":%u,\"source\":", id,
                     received, r->job->attempts);
        if (e == 0)
                e = buf_add_json(&b, ev->source);
        if (e == 0)
                e = buf_add(&b, SPAN(",\"type\":"));
        if (e == 0)
                e = buf_add_json(&b, ev->type);
        if (e == 0)
                e = buf_add(&b, SPAN(",\"subject\":"));
        if (e == 0)
                e = buf_add_json(&b, ev->subject);
        for (size_t i = 0; e == 0 && i < COUNT_OF(shown); i++) {
                Span v = ev->meta.n ? json_member(ev->meta, span_of(shown[i])) : (Span){NULL, 0};

                if (v.p)
                        e = buf_addf(&b, ",\"%s\":" SPAN_FMT, shown[i], SPAN_ARG(v));
        }
        clock_print(ev->time_ms, time);
        if (e == 0)
                e = ev->time_ms ? buf_addf(&b, ",\"time\":\"%s\"}", time)
                                : buf_add(&b, SPAN(",\"time\":null}"));
        return e == 0 ? arena_span(r->arena, buf_span(&b)) : SPAN("null");
}

void runner_rehearse(Runner *runner, Job *job, const Flow *flow, int64_t until_ms,
                     const RunnerHost *host, const Dialler *dialler) {
        Run *r = must_alloc(sizeof *r);

        r->runner = runner;
        r->job = job;
        r->flow = flow;
        r->host = host;
        r->dialler = dialler;
        r->arena = arena_new(RUN_ARENA_MAX_BYTES);
        r->story = BUF(16 * 1024);
        r->started_ms = clock_wall_ms();
        r->started_us = clock_mono_us();
        must(buf_add_char(&r->story, '[') == 0);
        link_init(&r->link);
        list_push(&runner->runs, &r->link);
        run_begin(r, until_ms);
}

void runner_start(Runner *r, Job *job, const Flow *flow, int64_t until_ms) {
        runner_rehearse(r, job, flow, until_ms, &r->host, r->dialler);
}

/* ---- the end ---- */

static void done(Runner *r) {
        if (--r->handles > 0)
                return;
        if (r->closed)
                r->closed(r->closed_arg);
        for (size_t i = 0; i < r->snapshot->config->n_connections; i++) {
                secret_done(&r->queues[i].token);
                heap_done(&r->queues[i].paced);
        }
        heap_done(&r->deadlines);
        heap_done(&r->pauses);
        free(r->queues);
        snapshot_unref(r->snapshot);
        free(r);
}

static void on_timer_closed(uv_handle_t *h) {
        done(h->data);
}

static void on_map_closed(void *arg) {
        done(arg);
}

static void close_when_empty(Runner *r) {
        if (!r->retired || r->closing || r->runs.n)
                return;
        r->closing = true;
        r->handles = 2;
        list_remove(&r->hub->runners, &r->link);
        uv_close((uv_handle_t *)&r->timer, on_timer_closed);
        map_close(r->map, on_map_closed, r);
}

void runner_retire(Runner *r, void (*closed)(void *arg), void *arg) {
        r->retired = true;
        r->closed = closed;
        r->closed_arg = arg;
        close_when_empty(r);
}

void runner_expire(Runner *r) {
        LIST_EACH(&r->runs, it)
        run_expire(CONTAINER_OF(it, Run, link));
}

void runner_run_gone(Runner *r, Run *run) {
        free(run);
        close_when_empty(r);
}
