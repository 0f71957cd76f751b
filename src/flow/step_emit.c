/* SPDX-License-Identifier: Apache-2.0
 *
 * emit: make an event of this one, for other flows and for endpoints. */
#include "base/id.h"
#include "flow/call.h"
#include "flow/emission.h"
#include "flow/runner.h"
#include "flow/step.h"
#include "json/value.h"

/* Of events that events cause: deeper ones are refused, so that a circle of flows ends. */
#define EMIT_DEPTH_MAX    16
#define SUBJECT_MAX_BYTES 4096

typedef struct EmitOptions {
        Expr emit, body, subject;
        const char *as, *application;
        Template type;
        const Program *programs[2]; /* body, subject */
} EmitOptions;

static const Option options[] = {
        {.name = "emit",
         .type = OPTION_TEMPLATE,
         .offset = offsetof(EmitOptions, emit),
         .required = true,
         .help = "The type of the event, such as contact.changed; holes {...} are filled."},
        {.name = "as",
         .type = OPTION_TEXT,
         .offset = offsetof(EmitOptions, as),
         .help = "The source that it comes from: flows and endpoints that are `on` it see it. One "
                 "with `verify: internal` takes nothing from outside."},
        {.name = "application",
         .type = OPTION_TEXT,
         .offset = offsetof(EmitOptions, application),
         .help = "In place of `as`: the uid or id of an application; the event is a message to its "
                 "endpoints."},
        {.name = "body",
         .type = OPTION_EXPR,
         .offset = offsetof(EmitOptions, body),
         .fallback = ".event",
         .help = "A jq expression that gives its body; that of this event by default."},
        {.name = "subject",
         .type = OPTION_EXPR,
         .offset = offsetof(EmitOptions, subject),
         .fallback = ".meta.subject",
         .help = "A jq expression that gives the entity that it is about."},
};

static int prepare(Build *b, void *into) {
        EmitOptions *o = into;
        Program *body = NULL, *subject = NULL;
        int r = build_template(b, &o->emit, &o->type);

        if (build_program(b, &o->body, &body) < 0 || build_program(b, &o->subject, &subject) < 0)
                r = -EINVAL;
        o->programs[0] = body;
        o->programs[1] = subject;
        if (!o->as == !o->application)
                return problem_add(b->problems, b->step->place,
                                   "emit: one of as (a source) and application says where to");
        if (o->as && !config_source(b->snapshot->config, span_of(o->as)))
                return problem_add(b->problems, b->step->place, "as: there is no source '%s'",
                                   o->as);
        return r;
}

/* ---- an event on its way ---- */

static void on_emitted(Emission *e, int fault, const char *why, int64_t event) {
        Act *a = e->arg;
        char id[ID_TEXT];

        free(e);
        a->phase = ACT_STEPPING;
        if (fault < 0) {
                act_fail(a, fault == -EAGAIN ? 503 : 422, "not-emitted", fault == -EAGAIN,
                         "step " SPAN_FMT ": %s", SPAN_ARG(a->step->name), why);
                return;
        }
        id_print("evt", event, id);
        a->run->emitted++;
        act_done(a, span_of(arena_printf(a->run->arena, "{\"event\":\"%s\"}", id)));
}

static int64_t depth_of(const Event *e) {
        Span depth = e->meta.n ? json_member(e->meta, SPAN("depth")) : (Span){NULL, 0};
        uint64_t n = 0;

        return depth.p && span_to_u64(json_trim(depth), 1000, &n) ? (int64_t)n : 0;
}

/* Which entity it is about; nothing is none. False when the act has failed: an event that has lost
 * its subject would be out of order. */
static bool read_subject(Act *a, Span value, Span *ret) {
        AUTO(buf_done)
        Buf text = BUF(SUBJECT_MAX_BYTES);
        int r = value.p ? json_text(value, &text) : 0;

        *ret = r == 0 && text.n ? act_keep(a, buf_span(&text)) : SPAN("");
        if (r == 0 && ret->p)
                return true;
        act_fail(a, 422, r == -EINVAL ? "mapping-failed" : "too-large", false,
                 "step " SPAN_FMT ": the subject is %s", SPAN_ARG(a->step->name),
                 r == -EINVAL ? "no text or number" : "too long");
        return false;
}

static void on_values(Act *a) {
        const EmitOptions *o = a->step->options;
        const Span *type = a->scratch;
        Run *r = a->run;
        Span body = a->evaluation.values[0], subject;
        char id[ID_TEXT];
        Emission *e;

        if (depth_of(r->job->event) >= EMIT_DEPTH_MAX) {
                act_fail(a, 422, "too-deep", false,
                         "step " SPAN_FMT ": %d events led to this one; it emits no more",
                         SPAN_ARG(a->step->name), EMIT_DEPTH_MAX);
                return;
        }
        if (!read_subject(a, a->evaluation.values[1], &subject))
                return;
        if (r->dialler) {
                r->dialler->note(r->dialler->self, a, "emit", *type, body.p ? body : SPAN("null"));
                r->emitted++;
                act_done(a, SPAN("{}"));
                return;
        }
        id_print("evt", r->job->event->id, id);
        e = must_alloc(sizeof *e);
        *e = (Emission){.source = o->as ? span_of(o->as) : SPAN(""),
                        .application = o->application ? span_of(o->application) : SPAN(""),
                        .type = *type,
                        .subject = subject,
                        .body = body.p ? body : SPAN("null"),
                        .key = span_of(arena_printf(r->arena, "%s/" SPAN_FMT "/" SPAN_FMT "/%zu",
                                                    id, SPAN_ARG(r->job->target),
                                                    SPAN_ARG(a->step->name), a->walk->item)),
                        .trace = r->job->event->trace,
                        .depth = depth_of(r->job->event) + 1,
                        .done = on_emitted,
                        .arg = a};
        a->phase = ACT_BUSY;
        r->runner->host.emit(r->runner->host.self, e);
}

static void on_type(Act *a, Span type) {
        const EmitOptions *o = a->step->options;
        Span *kept = arena_alloc(a->run->arena, sizeof *kept);

        if (!kept || type.n == 0) {
                act_fail(a, 422, "nothing-there", false, "step " SPAN_FMT ": the type is empty",
                         SPAN_ARG(a->step->name));
                return;
        }
        *kept = type;
        a->scratch = kept;
        act_evaluate(a, o->programs, 2, on_values);
}

static void run(Act *a, const Step *s) {
        const EmitOptions *o = s->options;

        act_template(a, &o->type, false, on_type);
}

const StepKind step_emit = {
        .name = "emit",
        .help = "Makes an event of this one, for other flows and for endpoints.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(EmitOptions),
        .prepare = prepare,
        .run = run,
};
