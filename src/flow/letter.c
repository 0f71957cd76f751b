/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/letter.h"

#include "base/clock.h"
#include "json/check.h"

void letter_init(Letter *l, Job *job) {
        const Event *event = job->event;

        *l = (Letter){.job = job,
                      .body = event->body,
                      .content_type = event->content_type.n ? event->content_type
                                                            : SPAN("application/json")};
        id_print("msg", event->id, l->id);
}

void letter_over(Letter *l, Arena *a, JobVerdict verdict, DeliveryCode code, const char *message) {
        l->is_over = true;
        l->verdict = verdict;
        l->code = code;
        l->message = arena_span(a, span_of(message));
        if (!l->message.p)
                l->message = SPAN("");
}

static void end(Letter *l, JobVerdict verdict, DeliveryCode code, const char *message) {
        letter_over(l, l->arena, verdict, code, message);
        l->written(l);
}

/* What its programs see: {"event": the payload, "meta": {...}}. */
static bool make_roots(Letter *l) {
        const Event *event = l->job->event;
        AUTO(buf_done)
        Buf b = BUF(8192);
        char time[CLOCK_TEXT];
        JsonFault fault;
        int r;

        clock_print(event->time_ms ? event->time_ms : event->received_ms, time);
        r = buf_addf(&b, "{\"id\":\"%s\",\"time\":\"%s\",\"attempt\":%u,\"type\":", l->id, time,
                     l->job->attempts);
        if (r == 0)
                r = buf_add_json(&b, event->type);
        if (r == 0)
                r = buf_add(&b, SPAN(",\"subject\":"));
        if (r == 0)
                r = buf_add_json(&b, event->subject);
        if (r == 0)
                r = buf_add_char(&b, '}');
        l->roots[0] = (MapRoot){SPAN("event"), event->body};
        l->roots[1] = (MapRoot){SPAN("meta"), arena_span(l->arena, buf_span(&b))};
        return r == 0 && l->roots[1].value.p && json_check(event->body, JSON_KEYS_MAX, &fault) == 0;
}

static void map(Letter *l, Span text, void (*done)(MapperRun *run)) {
        l->mapping =
                (MapperRun){.text = text, .roots = l->roots, .n_roots = 2, .done = done, .arg = l};
        mapper_run(l->mapper, &l->mapping);
}

static void fail(Letter *l, const char *what, const MapperRun *run) {
        char text[512];

        (void)snprintf(text, sizeof text, "%s: %.400s", what,
                       run->end == MAP_EMPTY ? "it gave nothing" : run->why);
        /* The same bytes would fail again; what was too busy may not be so. */
        end(l, run->end == MAP_LIMIT ? JOB_RETRY : JOB_FAILED, DELIVERY_MAPPING_FAILED, text);
}

static void on_transformed(MapperRun *run) {
        Letter *l = run->arg;

        if (run->end != MAP_OK) {
                fail(l, "the transformation failed", run);
                return;
        }
        l->body = arena_span(l->arena, run->output);
        l->content_type = SPAN("application/json");
        if (l->body.p)
                l->written(l);
        else
                end(l, JOB_FAILED, DELIVERY_MAPPING_FAILED,
                    "the transformation's result is too large");
}

static void transform(Letter *l) {
        if (l->endpoint->transform.p)
                map(l, l->endpoint->transform, on_transformed);
        else
                l->written(l);
}

static void on_filtered(MapperRun *run) {
        Letter *l = run->arg;

        if (run->end != MAP_OK && run->end != MAP_EMPTY)
                fail(l, "the filter failed", run);
        else if (run->end == MAP_EMPTY || span_eq(run->output, SPAN("false")) ||
                 span_eq(run->output, SPAN("null")))
                end(l, JOB_SUCCEEDED, DELIVERY_FILTERED, "The endpoint's filter left it out.");
        else
                transform(l);
}

void letter_write(Letter *l, const Endpoint *p, Mapper *m, Arena *a, void (*written)(Letter *l),
                  void *arg) {
        l->endpoint = p;
        l->mapper = m;
        l->arena = a;
        l->written = written;
        l->arg = arg;
        if ((p->filter.p || p->transform.p) && !make_roots(l))
                end(l, JOB_FAILED, DELIVERY_MAPPING_FAILED,
                    "the payload is no JSON, and the endpoint maps it");
        else if (p->filter.p)
                map(l, p->filter, on_filtered);
        else
                transform(l);
}
