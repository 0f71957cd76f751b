/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/run.h"

#include "base/clock.h"
#include "flow/runner.h"
#include "flow/step.h"
#include "http/url.h"
#include "json/value.h"

#define STORY_MAX_BYTES (16 * 1024)

static void run_go(Run *r);

/* ---- what steps call ---- */

Span run_root(const Run *r, Span name) {
        for (size_t i = r->n_roots; i-- > 0;)
                if (span_eq(r->roots[i].name, name))
                        return r->roots[i].value;
        return (Span){NULL, 0};
}

static Span step_name(const Run *r) {
        return r->current ? r->current->name : SPAN("?");
}

static Span keep(Run *r, Span s) {
        Span kept = arena_span(r->arena, s);

        return kept;
}

void run_tell(Run *r, const char *method, Span url, const ClientAnswer *a) {
        size_t before = r->story.n;
        int e = buf_addf(&r->story, "%s{\"step\":\"" SPAN_FMT "\",\"method\":\"%s\",\"url\":",
                         before > 1 ? "," : "", SPAN_ARG(step_name(r)), method);

        if (e == 0)
                e = buf_add_json(&r->story, url);
        if (e == 0)
                e = buf_addf(&r->story, ",\"end\":\"%s\",\"status\":%d,\"us\":%" PRId64,
                             client_end_name(a->end), a->status, a->total_us);
        if (e == 0 && a->address[0])
                e = buf_addf(&r->story, ",\"address\":\"%s\"", a->address);
        if (e == 0 && a->why[0]) {
                e = buf_add(&r->story, SPAN(",\"why\":"));
                if (e == 0)
                        e = buf_add_json(&r->story, span_of(a->why));
        }
        if (e == 0)
                e = buf_add_char(&r->story, '}');
        if (e < 0)
                r->story.n = before;
}

void run_next(Run *r, Span value) {
        must(r->phase != RUN_ENDED);
        if (r->n_roots < RUN_ROOTS_MAX)
                r->roots[r->n_roots++] =
                        (MapRoot){r->current->name, value.p ? value : SPAN("null")};
        r->step++;
        r->phase = RUN_STEPPING;
        r->ready = true;
        run_go(r);
}

void run_fail_with(Run *r, const Outcome *o) {
        must(r->phase != RUN_ENDED);
        r->outcome = *o;
        r->phase = RUN_ENDED;
        r->ready = true;
        run_go(r);
}

void run_fail(Run *r, int status, const char *code, bool retryable, const char *format, ...) {
        Outcome o = {.status = status, .code = code, .retryable = retryable, .retry_after_s = -1};
        char text[1024];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(text, sizeof text, format, ap);
        va_end(ap);
        o.message = keep(r, span_of(text));
        run_fail_with(r, &o);
}

/* ---- evaluation ---- */

static void evaluate_next(Run *r);

static void on_mapped(MapCall *c) {
        Run *r = c->arg;
        Evaluation *v = &r->evaluation;
        Span text = program_text(c->program);

        if (c->end == MAP_OK) {
                v->values[v->at] = keep(r, c->output);
                if (!v->values[v->at].p)
                        run_fail(r, 422, "too-large", false,
                                 "the results of the steps are too large");
                else {
                        if (span_eq(v->values[v->at], SPAN("null")))
                                v->values[v->at] = (Span){NULL, 0};
                        v->at++;
                        evaluate_next(r);
                }
                return;
        }
        if (c->end == MAP_EMPTY) {
                v->values[v->at++] = (Span){NULL, 0};
                evaluate_next(r);
                return;
        }
        run_fail(r, 422, c->end == MAP_LIMIT ? "mapping-limit" : "mapping-failed", false,
                 "step " SPAN_FMT ": the expression %.*s failed: %s%s%s", SPAN_ARG(step_name(r)),
                 text.n > 200 ? 200 : (int)text.n, text.p,
                 c->end == MAP_UNSAFE ? "jq would round the number at " : "", c->why,
                 c->end == MAP_UNSAFE ? "; have it sent as text, or read it by a plain path" : "");
}

static void evaluate_next(Run *r) {
        Evaluation *v = &r->evaluation;
        Err e = {0};

        for (; v->at < v->n; v->at++) {
                const Program *p = v->programs[v->at];

                v->values[v->at] = (Span){NULL, 0};
                if (!p)
                        continue;
                if (!program_is_path(p)) {
                        v->call = (MapCall){.program = p,
                                            .roots = r->roots,
                                            .n_roots = r->n_roots,
                                            .done = on_mapped,
                                            .arg = r};
                        r->phase = RUN_EVALUATING;
                        if (map_run(r->runner->map, &v->call, &e) < 0)
                                run_fail(r, 503, "busy", true, "%s", e.text);
                        return;
                }
                Span value = program_path_get(p, r->roots, r->n_roots);
                if (value.p && json_kind(value) != JSON_NULL)
                        v->values[v->at] = value;
        }
        r->phase = RUN_STEPPING;
        v->then(r);
}

void run_evaluate(Run *r, const Program *const *programs, size_t n, void (*then)(Run *r)) {
        Evaluation *v = &r->evaluation;

        *v = (Evaluation){.programs = programs, .n = n, .then = then};
        v->values = arena_alloc(r->arena, (n + 1) * sizeof *v->values);
        if (!v->values)
                run_fail(r, 422, "too-large", false, "the results of the steps are too large");
        else
                evaluate_next(r);
}

/* ---- templates ---- */

typedef struct Filling {
        const Template *t;
        bool encode;
        void (*then)(Run *r, Span text);
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

static void on_holes(Run *r) {
        AUTO(buf_done)
        Buf out = BUF(64 * 1024);
        Filling *f = r->scratch;
        size_t hole = 0;
        int e = 0;

        for (size_t i = 0; i < f->t->n && e == 0; i++) {
                const TemplatePart *part = &f->t->parts[i];
                Span value;

                if (!part->program) {
                        e = buf_add(&out, part->text);
                        continue;
                }
                value = r->evaluation.values[hole++];
                if (!value.p && f->encode) {
                        run_fail(r, 422, "nothing-there", false,
                                 "step %.*s: {%.*s} gives nothing, and the address needs it",
                                 SPAN_ARG(step_name(r)), SPAN_ARG(program_text(part->program)));
                        return;
                }
                if (value.p && (e = add_hole(&out, value, f->encode)) == -EINVAL) {
                        run_fail(r, 422, "mapping-failed", false,
                                 "step %.*s: {%.*s} gives no text or number",
                                 SPAN_ARG(step_name(r)), SPAN_ARG(program_text(part->program)));
                        return;
                }
        }
        Span text = e == 0 ? keep(r, out.n ? buf_span(&out) : SPAN("")) : (Span){NULL, 0};
        if (!text.p)
                run_fail(r, 422, "too-large", false, "step %.*s: the text is too long",
                         SPAN_ARG(step_name(r)));
        else
                f->then(r, text);
}

void run_template(Run *r, const Template *t, bool encode, void (*then)(Run *r, Span text)) {
        Filling *f = arena_alloc(r->arena, sizeof *f);
        size_t n = 0;

        must(f);
        *f = (Filling){t, encode, then, arena_alloc(r->arena, (t->n + 1) * sizeof *f->programs)};
        must(f->programs);
        for (size_t i = 0; i < t->n; i++)
                if (t->parts[i].program)
                        f->programs[n++] = t->parts[i].program;
        r->scratch = f;
        run_evaluate(r, f->programs, n, on_holes);
}

/* ---- the way through the steps ---- */

static void on_when(Run *r) {
        Span v = r->evaluation.values[0];

        if (!v.p || json_kind(v) == JSON_FALSE)
                run_next(r, (Span){NULL, 0});
        else
                r->current->kind->run(r, r->current);
}

static void begin_step(Run *r) {
        r->current = &r->flow->steps[r->step];
        if (r->current->when) {
                r->when_program = r->current->when;
                run_evaluate(r, &r->when_program, 1, on_when);
        } else
                r->current->kind->run(r, r->current);
}

static void succeed(Run *r) {
        Outcome *o = &r->outcome;

        *o = (Outcome){
                .status = 200, .retry_after_s = -1, .data = r->data, .is_answer = r->is_answer};
        if (r->writes) {
                o->code = "updated";
                o->message = keep(r, span_of(arena_printf(r->arena, "Updated in %.*s%s%.*s.",
                                                          SPAN_ARG(r->told_target),
                                                          r->told_fields.n ? ": " : "",
                                                          SPAN_ARG(r->told_fields))));
        } else if (r->unchanged) {
                o->code = "unchanged";
                o->message = keep(r, span_of(arena_printf(r->arena, "Nothing to change in %.*s.",
                                                          SPAN_ARG(r->told_target))));
        } else {
                o->code = "done";
                o->message = SPAN("Done.");
        }
        r->phase = RUN_ENDED;
}

static void end(Run *r) {
        Runner *runner = r->runner;
        const Outcome *o = &r->outcome;
        JobResult result = {.verdict = o->status < 300 ? JOB_SUCCEEDED
                                       : o->not_tried  ? JOB_NOT_TRIED
                                       : o->retryable  ? JOB_RETRY
                                                       : JOB_FAILED,
                            .wait_hint_ms = o->retry_after_s >= 0 ? o->retry_after_s * 1000 : -1};

        if (buf_add_char(&r->story, ']') < 0)
                r->story.n = 0;
        result.attempt = (Attempt){.started_ms = r->started_ms,
                                   .took_us = clock_mono_us() - r->started_us,
                                   .status = o->status,
                                   .code = span_of(o->code),
                                   .message = o->message,
                                   .detail = buf_span(&r->story)};
        heap_remove(&runner->deadlines, &r->deadline);
        list_remove(&runner->runs, &r->link);
        runner->host.ended(runner->host.self, r->job, &result, o);
        buf_done(&r->story);
        arena_free(r->arena);
        runner_run_gone(runner, r);
}

/* One loop for all steps: a step that ends at once does not deepen the stack. */
static void run_go(Run *r) {
        if (r->advancing)
                return;
        r->advancing = true;
        while (r->ready) {
                r->ready = false;
                if (r->phase == RUN_ENDED)
                        break;
                if (r->step < r->flow->n_steps) {
                        begin_step(r);
                } else {
                        succeed(r);
                        break;
                }
        }
        r->advancing = false;
        if (r->phase == RUN_ENDED)
                end(r);
}

void run_begin(Run *r) {
        r->ready = true;
        run_go(r);
}

void run_expire(Run *r) {
        if (r->phase == RUN_ENDED)
                return;
        if (r->phase == RUN_EVALUATING)
                map_cancel(r->runner->map, &r->evaluation.call);
        if (r->phase == RUN_LOGGING)
                return; /* the disk answers soon, whatever it says */
        call_cancel(&r->call);
        run_fail(r, 424, "timeout", true,
                 "%.*s did not answer in time. Nothing is certain; try again later.",
                 r->call.target ? (int)strlen(r->call.target->config->name) : 10,
                 r->call.target ? r->call.target->config->name : "The system");
}
