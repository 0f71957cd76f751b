/* SPDX-License-Identifier: Apache-2.0 */
#include "trial/judge.h"

#include "trial/content.h"
#include "json/check.h"
#include "json/value.h"

static Span keep(Verdict *v, Span s) {
        if (s.n > JUDGE_TEXT_MAX_BYTES)
                s.n = JUDGE_TEXT_MAX_BYTES;
        return s.p ? arena_span(v->arena, s) : s;
}

static Miss *miss(Verdict *v) {
        if (v->n == JUDGE_MISSES_MAX) {
                v->more++;
                return NULL;
        }
        v->misses[v->n] = (Miss){0};
        return &v->misses[v->n++];
}

void verdict_add(Verdict *v, Span want, Span got, const char *what, ...) {
        Miss *m = miss(v);
        char text[256];
        va_list ap;

        if (!m)
                return;
        va_start(ap, what);
        (void)vsnprintf(text, sizeof text, what, ap);
        va_end(ap);
        m->what = keep(v, span_of(text));
        m->want = keep(v, want);
        m->got = keep(v, got);
}

/* ---- bodies and headers ---- */

typedef struct Within {
        Verdict *verdict;
        const char *what;
} Within;

static void on_difference(void *arg, Span pointer, Span want, Span got) {
        const Within *w = arg;

        verdict_add(w->verdict, want, got, "%s%s" SPAN_FMT, w->what, pointer.n ? " " : "",
                    pointer.n > 150 ? 150 : (int)pointer.n, pointer.p);
}

static void judge_body(Verdict *v, const char *what, const Content *want, Span got, bool exact) {
        Within within = {v, what};
        JsonFault fault;

        if (!want->bytes.p)
                return;
        if (!want->is_json) {
                if (!span_eq(want->bytes, got))
                        verdict_add(v, want->bytes, got, "%s", what);
        } else if (got.n == 0 || json_check(got, JSON_KEYS_MAX, &fault) < 0)
                verdict_add(v, want->bytes, got, "%s", what);
        else
                v->more += content_compare(want->bytes, got, exact, JUDGE_MISSES_MAX, on_difference,
                                           &within) > JUDGE_MISSES_MAX;
}

static Span header_in(const HttpHeader *headers, size_t n, Span name) {
        for (size_t i = 0; i < n; i++)
                if (span_eq_nocase(headers[i].name, name))
                        return headers[i].value;
        return (Span){NULL, 0};
}

static void judge_headers(Verdict *v, const char *what, const FixtureHeaders *want,
                          const HttpHeader *headers, size_t n) {
        for (size_t i = 0; i < want->n; i++) {
                const FixtureHeader *h = &want->at[i];
                Span got = header_in(headers, n, h->name);

                if (!got.p || !span_eq(got, h->value))
                        verdict_add(v, h->value, got, "%s header " SPAN_FMT, what,
                                    h->name.n > 64 ? 64 : (int)h->name.n, h->name.p);
        }
}

/* ---- calls ---- */

static Span line_of(Verdict *v, const char *method, Span to) {
        char *text = arena_printf(v->arena, "%s " SPAN_FMT, method, SPAN_ARG(to));

        return text ? span_of(text) : SPAN("(too long)");
}

static bool is_same(const WantedCall *w, const MadeCall *c) {
        return strcmp(w->method, c->method) == 0 && span_eq(span_of(w->to), c->to);
}

static void judge_call(Verdict *v, const char *what, const WantedCall *w, const MadeCall *c) {
        char part[64];

        if (!is_same(w, c)) {
                verdict_add(v, line_of(v, w->method, span_of(w->to)), line_of(v, c->method, c->to),
                            "%s", what);
                return;
        }
        (void)snprintf(part, sizeof part, "%s body", what);
        judge_body(v, part, &w->body, c->body, true);
        judge_headers(v, what, &w->headers, c->headers, c->n_headers);
}

/* In their order. */
static void judge_writes(Verdict *v, const WantedCalls *want, const Seen *seen) {
        size_t at = 0;
        char what[32];

        for (size_t i = 0; i < seen->n_calls; i++) {
                const MadeCall *c = &seen->calls[i];

                if (c->reads)
                        continue;
                (void)snprintf(what, sizeof what, "call %zu", at + 1);
                if (at < want->n)
                        judge_call(v, what, &want->at[at], c);
                else
                        verdict_add(v, (Span){NULL, 0}, line_of(v, c->method, c->to), "%s", what);
                at++;
        }
        for (; at < want->n; at++)
                verdict_add(v, line_of(v, want->at[at].method, span_of(want->at[at].to)),
                            (Span){NULL, 0}, "call %zu", at + 1);
}

/* In any order: each one that is wanted takes one that was made. */
static void judge_reads(Verdict *v, const WantedCalls *want, const Seen *seen) {
        bool *taken = arena_alloc(v->arena, (seen->n_calls + 1) * sizeof *taken);

        must(taken);
        for (size_t k = 0; k < want->n; k++) {
                const WantedCall *w = &want->at[k];
                size_t i = 0;

                while (i < seen->n_calls &&
                       (taken[i] || !seen->calls[i].reads || !is_same(w, &seen->calls[i])))
                        i++;
                if (i < seen->n_calls)
                        taken[i] = true;
                else
                        verdict_add(v, line_of(v, w->method, span_of(w->to)), (Span){NULL, 0},
                                    "read %zu", k + 1);
        }
        for (size_t i = 0; i < seen->n_calls; i++)
                if (seen->calls[i].reads && !taken[i])
                        verdict_add(v, (Span){NULL, 0},
                                    line_of(v, seen->calls[i].method, seen->calls[i].to),
                                    "another read");
}

/* ---- what has no mock ---- */

/* The key of the mock's method, in lower case. */
static const char *key_of(const char *method, char ret[16]) {
        size_t i = 0;

        for (; method[i] && i < 15; i++)
                ret[i] = (char)(method[i] | 0x20);
        ret[i] = 0;
        return ret;
}

static void judge_mocks(Verdict *v, const Seen *seen) {
        for (size_t i = 0; i < seen->n_calls; i++) {
                const MadeCall *c = &seen->calls[i];
                bool was_told = !c->is_unmocked;
                char key[16];

                for (size_t k = 0; k < i && !was_told; k++)
                        was_told = seen->calls[k].is_unmocked &&
                                   strcmp(seen->calls[k].method, c->method) == 0 &&
                                   span_eq(seen->calls[k].to, c->to);
                if (was_told)
                        continue;
                verdict_add(v, (Span){NULL, 0}, line_of(v, c->method, c->to),
                            "step " SPAN_FMT " calls, and no mock answers", SPAN_ARG(c->step));
                char *advice = arena_printf(v->arena, "- %s: '" SPAN_FMT "'\n  body: {}\n",
                                            key_of(c->method, key), SPAN_ARG(c->to));
                if (advice && v->n && !v->more)
                        v->misses[v->n - 1].advice = span_of(advice);
        }
}

/* ---- outcomes ---- */

static const SeenRun *last_of(const Seen *seen, const char *flow) {
        const SeenRun *last = NULL;

        for (size_t i = 0; i < seen->n_runs; i++)
                if (strcmp(seen->runs[i].flow, flow) == 0)
                        last = &seen->runs[i];
        return last;
}

static void judge_outcome(Verdict *v, const char *flow, const char *want, const SeenRun *got) {
        if (got && strcmp(got->code, want) == 0)
                return;
        char *text =
                got ? arena_printf(v->arena, "%s: " SPAN_FMT, got->code, SPAN_ARG(got->message))
                    : NULL;
        verdict_add(v, span_of(want), span_of(text), "outcome of flow %s", flow);
}

static bool is_wanted(const Fixture *f, const char *flow) {
        for (size_t i = 0; i < f->n_outcomes; i++)
                if (f->outcomes[i].flow && strcmp(f->outcomes[i].flow, flow) == 0)
                        return true;
        return false;
}

static void judge_outcomes(Verdict *v, const Fixture *f, const Seen *seen) {
        bool of_all = f->n_outcomes == 1 && !f->outcomes[0].flow;

        if (!f->no_outcome && f->n_outcomes == 0)
                return;
        for (size_t i = 0; !of_all && i < f->n_outcomes; i++)
                judge_outcome(v, f->outcomes[i].flow, f->outcomes[i].code,
                              last_of(seen, f->outcomes[i].flow));
        for (size_t i = 0; i < seen->n_runs; i++) {
                const SeenRun *r = &seen->runs[i];

                if (last_of(seen, r->flow) != r)
                        continue;
                if (of_all)
                        judge_outcome(v, r->flow, f->outcomes[0].code, r);
                else if (!is_wanted(f, r->flow))
                        verdict_add(v, (Span){NULL, 0}, span_of(r->code), "outcome of flow %s",
                                    r->flow);
        }
        if (of_all && seen->n_runs == 0)
                verdict_add(v, span_of(f->outcomes[0].code), (Span){NULL, 0},
                            "outcome: no flow ran");
}

/* ---- all of it ---- */

static Span number(Verdict *v, int n) {
        char *text = arena_printf(v->arena, "%d", n);

        return text ? span_of(text) : SPAN("");
}

void judge_play(const Fixture *f, const Seen *seen, Verdict *v) {
        judge_mocks(v, seen);
        if (f->status && f->status != seen->status)
                verdict_add(v, number(v, (int)f->status), number(v, seen->status), "reply status");
        judge_headers(v, "reply", &f->reply_headers, seen->headers, seen->n_headers);
        judge_body(v, "reply body", &f->reply, seen->body, f->is_exact);
        judge_outcomes(v, f, seen);
        if (f->reads.is_given)
                judge_reads(v, &f->reads, seen);
        if (f->calls.is_given)
                judge_writes(v, &f->calls, seen);
}
