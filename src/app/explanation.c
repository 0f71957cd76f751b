/* SPDX-License-Identifier: Apache-2.0 */
#include "app/explanation.h"

#include "base/clock.h"
#include "flow/view.h"
#include "json/check.h"
#include "json/value.h"

#define UNSAID_ID "msg_explained" /* signed where the request has no id */

/* The request once more, with a signature that holds: what comes behind the verification sees it
 * as if it had passed. */
static int play(Explaining *x, Seen *ret, Err *e) {
        Fixture *f = arena_alloc(x->arena, sizeof *f);

        must(f);
        *f = (Fixture){.source = x->source->config->name,
                       .body = {.bytes = x->body},
                       .attempts = 1,
                       .id = UNSAID_ID};
        f->headers.at = arena_alloc(x->arena, (x->n_headers + 1) * sizeof *f->headers.at);
        must(f->headers.at);
        for (size_t i = 0; i < x->n_headers; i++) {
                Span name = x->headers[i].name;
                bool is_proof = span_eq_nocase(name, SPAN("host")) ||
                                span_eq_nocase(name, SPAN("connection")) ||
                                span_eq_nocase(name, SPAN("expect")) ||
                                span_eq_nocase(name, SPAN("content-length")) ||
                                span_eq_nocase(name, SPAN("transfer-encoding"));

                for (size_t k = 0; k < x->proof.n; k++)
                        is_proof |= span_eq_nocase(name, span_of(x->proof.names[k]));
                if (!is_proof && f->headers.n < FIXTURE_HEADERS_MAX)
                        f->headers.at[f->headers.n++] =
                                (FixtureHeader){name, x->headers[i].value, {0}};
        }
        if (x->proof.id.n)
                f->id = arena_text(x->arena, x->proof.id);
        return player_play(x->player, f, NULL, x->arena, ret, e);
}

static void explain_when(Explaining *x, const Flow *f, EventView *v) {
        Job *job = job_new(1, event_new(&v->event), span_of(f->target), 0);
        Run run = {.job = job, .flow = f, .arena = x->arena};
        const MapRoot roots[] = {{SPAN("event"), x->body}, {SPAN("meta"), runner_meta(&run)}};
        char of[128], rule[512];

        event_unref(job->event); /* the job has one of its own */
        (void)snprintf(of, sizeof of, "flow %s", f->config->name);
        for (size_t i = 0; i < f->steps.n; i++) {
                const Step *s = &f->steps.steps[i];
                Span value, text;
                Err e = {0};

                if (!s->when)
                        continue;
                text = program_text(s->when);
                (void)snprintf(rule, sizeof rule, SPAN_FMT ": %.*s", SPAN_ARG(s->name),
                               text.n > 300 ? 300 : (int)text.n, text.p);
                if (!reasons_is_early(f, i, s->when))
                        rows_add(x->rows, of, "when", rule, ROW_TELLS,
                                 SPAN("known only when earlier steps have run"));
                else if (stage_evaluate(player_stage(x->player), s->when, roots, COUNT_OF(roots),
                                        x->arena, &value, &e) < 0)
                        rows_add(x->rows, of, "when", rule, ROW_FAILS, span_of(e.text));
                else
                        rows_add(x->rows, of, "when", rule,
                                 value.p && json_kind(value) > JSON_FALSE ? ROW_HOLDS : ROW_FAILS,
                                 value);
        }
        job_free(job);
}

static Span subject_of(Explaining *x, const Flow *f, Err *e) {
        const MapRoot root = {SPAN(""), x->body};
        Span value = {NULL, 0};

        if (f->subject &&
            stage_evaluate(player_stage(x->player), f->subject, &root, 1, x->arena, &value, e) < 0)
                return span_of(e->text);
        return value;
}

static bool explain_flow(Explaining *x, const Flow *f, EventView *v) {
        char of[128], rule[256];
        bool wants = !v || reasons_type(f, v->event.type, x->rows);
        bool runs = reasons_match(f, x->body, x->rows) && wants;
        Err e = {0};

        (void)snprintf(of, sizeof of, "flow %s", f->config->name);
        if (f->config->subject.text.p) {
                (void)snprintf(rule, sizeof rule, "%.*s",
                               f->config->subject.text.n > 200 ? 200
                                                               : (int)f->config->subject.text.n,
                               f->config->subject.text.p);
                rows_add(x->rows, of, "subject", rule, ROW_TELLS, subject_of(x, f, &e));
        }
        if (v)
                explain_when(x, f, v);
        reasons_reply(f, x->source, x->rows);
        rows_add(x->rows, of, "runs", "", runs ? ROW_HOLDS : ROW_FAILS,
                 runs ? SPAN("it runs") : SPAN("a rule does not hold"));
        return runs;
}

static bool comes_from(const Flow *f, const Source *s) {
        for (size_t i = 0; i < f->config->n_on; i++)
                if (strcmp(f->config->on[i], s->config->name) == 0)
                        return true;
        return false;
}

static void explain_flows(Explaining *x, EventView *v) {
        for (size_t i = 0; i < x->snapshot->config->n_flows; i++) {
                const Flow *f = &x->snapshot->flows[i];

                if (comes_from(f, x->source) && (!x->only || f == x->only))
                        (void)explain_flow(x, f, v);
        }
}

/* What the listener says before any flow runs. */
static void explain_refusal(Explaining *x, int status, Span body) {
        char of[128], rule[32];
        Span detail = json_member(body, SPAN("detail"));

        (void)snprintf(of, sizeof of, "source %s", x->source->config->name);
        (void)snprintf(rule, sizeof rule, "answer %d", status);
        rows_add(x->rows, of, "refused", rule, ROW_FAILS, detail.p ? detail : body);
        x->refused = status;
}

int explain(Explaining *x, Err *e) {
        JsonFault fault;
        Seen seen;
        int r;

        if (x->is_recorded)
                x->proof.holds = true;
        else
                reasons_verify(x->source->config, x->headers, x->n_headers, x->body,
                               clock_wall_ms(), x->rows, &x->proof);
        if (!x->proof.holds)
                x->refused = 401;
        r = play(x, &seen, e);
        if (r < 0)
                return r;
        EventView *v = stage_event(player_stage(x->player));
        if (v)
                reasons_event(x->source->config, &v->event,
                              x->proof.id.p ? x->proof.id : span_of(UNSAID_ID), x->proof.id,
                              x->rows);
        else if (seen.status >= 400)
                explain_refusal(x, seen.status,
                                json_check(seen.body, JSON_KEYS_MAX, &fault) == 0 ? seen.body
                                                                                  : SPAN("\"\""));
        /* What was recorded is what flows see: one event of an envelope, a form as JSON. */
        if (v)
                x->body = view_of_event(&v->event, x->arena);
        if (json_check(x->body, JSON_KEYS_MAX, &fault) == 0)
                explain_flows(x, v);
        event_view_free(v);
        return 0;
}

bool explain_recorded(Explaining *x, Span event, const char **ret_source) {
        JsonFault fault;
        Span source, body;

        if (json_check(event, SIZE_MAX, &fault) < 0)
                return false;
        source = json_member(event, SPAN("source"));
        body = json_member(event, SPAN("body"));
        if (!source.p || !body.p || source.n < 2)
                return false;
        x->body = body;
        x->is_recorded = true;
        *ret_source = arena_text(x->arena, (Span){source.p + 1, source.n - 2});
        return *ret_source;
}
