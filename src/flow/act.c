/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/act.h"

#include "base/clock.h"
#include "flow/run.h"
#include "flow/runner.h"
#include "flow/step.h"
#include "http/url.h"
#include "json/value.h"

/* How often the steps of a run are done again, since what they found had changed. */
#define REPEATS_MAX 5

/* ---- what an act sees ---- */

static size_t seen(const Act *a) {
        return a->walk->base + a->index;
}

Span act_root(const Act *a, Span name) {
        for (size_t i = seen(a); i-- > 0;)
                if (span_eq(a->walk->roots[i].name, name))
                        return a->walk->roots[i].value;
        return (Span){NULL, 0};
}

const Step *act_step_named(const Act *a, Span name) {
        size_t n = a->index;

        for (const Walk *w = a->walk; w; n = w->outer ? w->outer->list->n : 0, w = w->outer)
                for (size_t i = n; i-- > 0;)
                        if (span_eq(w->list->steps[i].name, name))
                                return &w->list->steps[i];
        return NULL;
}

Span act_tag(const Act *a, Span name) {
        size_t i = walk_find(a->walk, name);

        return i < a->index ? a->walk->tags[i] : (Span){NULL, 0};
}

bool act_again(Act *a, Span name) {
        size_t from = walk_find(a->walk, name);

        if (from >= a->index || a->is_orphan || a->run->repeats == REPEATS_MAX)
                return false;
        a->run->repeats++;
        walk_repeat(a->walk, a, from);
        return true;
}

/* ---- pauses ---- */

void act_pause(Act *a, int64_t ms, void (*then)(Act *a)) {
        a->phase = ACT_PAUSING;
        a->rested = then;
        heap_push(&a->run->runner->pauses, &a->pause, clock_mono_ms() + ms);
        runner_set_timer(a->run->runner);
}

int64_t act_time_left(const Act *a) {
        return a->run->deadline.due - clock_mono_ms();
}

Span act_keep(Act *a, Span s) {
        return arena_span(a->run->arena, s);
}

/* ---- the end ---- */

void act_done(Act *a, Span value) {
        walk_take(a->walk, a, value);
}

void act_fail_with(Act *a, const Outcome *o) {
        Walk *w = a->walk;

        if (a->is_orphan) {
                walk_take(w, a, (Span){NULL, 0});
                return;
        }
        run_act_gone(a->run, a);
        walk_fail(w, o);
}

void act_fail(Act *a, int status, const char *code, bool retryable, const char *format, ...) {
        Outcome o = {.status = status, .code = code, .retryable = retryable, .retry_after_s = -1};
        char text[1024];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(text, sizeof text, format, ap);
        va_end(ap);
        o.message = act_keep(a, span_of(text));
        act_fail_with(a, &o);
}

void act_finish(Act *a, const char *code, Span message) {
        Outcome o = {.status = 200, .code = code, .retry_after_s = -1, .message = message};
        Run *r = a->run;
        Walk *w = a->walk;

        if (a->is_orphan) {
                walk_take(w, a, (Span){NULL, 0});
                return;
        }
        o.data = r->data;
        run_act_gone(r, a);
        walk_end_all(w, &o);
}

static void no_room(Act *a) {
        act_fail(a, 422, "too-large", false, "the results of the steps are too large");
}

/* ---- evaluation ---- */

static void evaluate_next(Act *a);

static void on_mapped(MapCall *c) {
        Act *a = c->arg;
        Evaluation *v = &a->evaluation;
        Span text = program_text(c->program);

        if (c->end == MAP_OK) {
                v->values[v->at] = act_keep(a, c->output);
                if (!v->values[v->at].p) {
                        no_room(a);
                        return;
                }
                if (span_eq(v->values[v->at], SPAN("null")))
                        v->values[v->at] = (Span){NULL, 0};
                v->at++;
                evaluate_next(a);
                return;
        }
        if (c->end == MAP_EMPTY) {
                v->values[v->at++] = (Span){NULL, 0};
                evaluate_next(a);
                return;
        }
        act_fail(a, 422, c->end == MAP_LIMIT ? "mapping-limit" : "mapping-failed", false,
                 "step " SPAN_FMT ": the expression %.*s failed: %s%s%s", SPAN_ARG(a->step->name),
                 text.n > 200 ? 200 : (int)text.n, text.p,
                 c->end == MAP_UNSAFE ? "jq would round the number at " : "", c->why,
                 c->end == MAP_UNSAFE ? "; have it sent as text, or read it by a plain path" : "");
}

static void evaluate_next(Act *a) {
        Evaluation *v = &a->evaluation;
        const MapRoot *roots = a->walk->roots;
        size_t n_roots = seen(a);
        Err e = {0};

        for (; v->at < v->n; v->at++) {
                const Program *p = v->programs[v->at];

                v->values[v->at] = (Span){NULL, 0};
                if (!p)
                        continue;
                if (!program_is_path(p)) {
                        v->call = (MapCall){.program = p,
                                            .roots = roots,
                                            .n_roots = n_roots,
                                            .done = on_mapped,
                                            .arg = a};
                        a->phase = ACT_EVALUATING;
                        if (map_run(a->run->runner->map, &v->call, &e) < 0) {
                                a->phase = ACT_STEPPING;
                                act_fail(a, 503, "busy", true, "%s", e.text);
                        }
                        return;
                }
                Span value = program_path_get(p, roots, n_roots);
                if (value.p && json_kind(value) != JSON_NULL)
                        v->values[v->at] = value;
        }
        a->phase = ACT_STEPPING;
        v->then(a);
}

void act_evaluate(Act *a, const Program *const *programs, size_t n, void (*then)(Act *a)) {
        Evaluation *v = &a->evaluation;

        *v = (Evaluation){.programs = programs, .n = n, .then = then};
        v->values = arena_alloc(a->run->arena, (n + 1) * sizeof *v->values);
        if (!v->values)
                no_room(a);
        else
                evaluate_next(a);
}

/* ---- templates ---- */

typedef struct Filling {
        const Template *t;
        bool encode;
        void (*then)(Act *a, Span text);
        const Program **programs;
} Filling;

static int add_hole(Buf *out, Span value, bool encode) {
        AUTO(buf_done)
        Buf plain = BUF(64 * 1024);
        int r;

        if (!encode)
                return json_text(value, out);
        r = json_text(value, &plain);
        return r < 0 ? r : url_encode(out, buf_span(&plain));
}

static void on_holes(Act *a) {
        AUTO(buf_done)
        Buf out = BUF(64 * 1024);
        Filling *f = a->filling;
        size_t hole = 0;
        int e = 0;

        for (size_t i = 0; i < f->t->n && e == 0; i++) {
                const TemplatePart *part = &f->t->parts[i];
                Span value;

                if (!part->program) {
                        e = buf_add(&out, part->text);
                        continue;
                }
                value = a->evaluation.values[hole++];
                if (!value.p && f->encode) {
                        act_fail(a, 422, "nothing-there", false,
                                 "step %.*s: {%.*s} gives nothing, and the address needs it",
                                 SPAN_ARG(a->step->name), SPAN_ARG(program_text(part->program)));
                        return;
                }
                if (value.p && (e = add_hole(&out, value, f->encode)) == -EINVAL) {
                        act_fail(a, 422, "mapping-failed", false,
                                 "step %.*s: {%.*s} gives no text or number",
                                 SPAN_ARG(a->step->name), SPAN_ARG(program_text(part->program)));
                        return;
                }
        }
        Span text = e == 0 ? act_keep(a, out.n ? buf_span(&out) : SPAN("")) : (Span){NULL, 0};
        if (!text.p)
                act_fail(a, 422, "too-large", false, "step %.*s: the text is too long",
                         SPAN_ARG(a->step->name));
        else
                f->then(a, text);
}

void act_template(Act *a, const Template *t, bool encode, void (*then)(Act *a, Span text)) {
        Arena *arena = a->run->arena;
        Filling *f = arena_alloc(arena, sizeof *f);
        size_t n = 0;

        if (f)
                *f = (Filling){t, encode, then,
                               arena_alloc(arena, (t->n + 1) * sizeof *f->programs)};
        if (!f || !f->programs) {
                no_room(a);
                return;
        }
        for (size_t i = 0; i < t->n; i++)
                if (t->parts[i].program)
                        f->programs[n++] = t->parts[i].program;
        a->filling = f;
        act_evaluate(a, f->programs, n, on_holes);
}

/* ---- the beginning ---- */

static void on_when(Act *a) {
        Span v = a->evaluation.values[0];

        if (!v.p || json_kind(v) == JSON_FALSE) {
                a->is_skipped = true;
                act_done(a, (Span){NULL, 0});
        } else
                a->step->kind->run(a, a->step);
}

void act_begin(Act *a) {
        if (a->step->when) {
                a->when[0] = a->step->when;
                act_evaluate(a, a->when, 1, on_when);
        } else
                a->step->kind->run(a, a->step);
}

bool act_cancel(Act *a) {
        if (a->is_orphan)
                return false;
        switch (a->phase) {
        case ACT_EVALUATING:
                map_cancel(a->run->runner->map, &a->evaluation.call);
                return true;
        case ACT_PAUSING:
                heap_remove(&a->run->runner->pauses, &a->pause);
                return true;
        case ACT_BUSY:
                a->is_orphan = true;
                if (a->stop)
                        a->stop(a);
                return false;
        default:
                call_cancel(&a->call);
                return true;
        }
}
