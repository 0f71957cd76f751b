/* SPDX-License-Identifier: Apache-2.0
 *
 * echo: end the flow, well and visibly, when the event tells of nothing but what Grapnel itself has
 * just written there. Two systems that follow each other would go round in circles otherwise. */
#include "base/clock.h"
#include "flow/runner.h"
#include "flow/step.h"
#include "flow/writes.h"
#include "json/value.h"

typedef struct EchoOptions {
        const char *echo;
        Expr id, values;
        int64_t within_ms;
        const Program *programs[2];
} EchoOptions;

static const Option options[] = {
        {.name = "echo",
         .type = OPTION_TEXT,
         .offset = offsetof(EchoOptions, echo),
         .required = true,
         .help = "The connection at which the change happened: the one that this flow's source is "
                 "the other side of."},
        {.name = "id",
         .type = OPTION_EXPR,
         .offset = offsetof(EchoOptions, id),
         .fallback = ".event.id",
         .help = "A jq expression that gives the id of the entity that changed: the last part of "
                 "the address to which it was written, or the `id` with which it was created."},
        {.name = "values",
         .type = OPTION_EXPR,
         .offset = offsetof(EchoOptions, values),
         .help = "A jq expression that gives the values which the event brings. With it the event "
                 "is an echo only if each member that was written has that same value; without it "
                 "every event about that entity within the time counts as one."},
        {.name = "within",
         .type = OPTION_DURATION,
         .offset = offsetof(EchoOptions, within_ms),
         .fallback = "30s",
         .min = 100,
         .max = WRITES_AGE_MAX_MS,
         .help = "How long after the write an echo may come."},
};

static int prepare(Build *b, void *into) {
        EchoOptions *o = into;
        Program *id = NULL, *values = NULL;
        Config *c = b->snapshot->config;
        int r = build_program(b, &o->id, &id);

        if (build_program(b, &o->values, &values) < 0)
                r = -EINVAL;
        o->programs[0] = id;
        o->programs[1] = values;
        if (!o->echo || config_connection(c, span_of(o->echo)))
                return r;
        return build_no_connection(b, b->step->place, span_of(o->echo));
}

static void on_values(Act *a) {
        const EchoOptions *o = a->step->options;
        Span id = a->evaluation.values[0], values = a->evaluation.values[1];
        AUTO(buf_done)
        Buf text = BUF(4096);
        bool is_echo;

        if (!id.p || json_text(id, &text) < 0) {
                act_fail(a, 422, "nothing-there", false,
                         "step " SPAN_FMT ": " SPAN_FMT " gives no id", SPAN_ARG(a->step->name),
                         SPAN_ARG(o->id.text));
                return;
        }
        if (o->programs[1] && !values.p)
                values = SPAN("{}");
        is_echo = writes_has(a->run->runner->hub->writes, span_of(o->echo), buf_span(&text), values,
                             o->within_ms, clock_mono_ms());
        if (is_echo)
                act_finish(a, "echo", SPAN("This is what Grapnel wrote itself."));
        else
                act_done(a, (Span){NULL, 0});
}

static void run(Act *a, const Step *s) {
        const EchoOptions *o = s->options;

        act_evaluate(a, o->programs, 2, on_values);
}

const StepKind step_echo = {
        .name = "echo",
        .help = "Ends the flow when the event tells of what Grapnel itself has written.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(EchoOptions),
        .prepare = prepare,
        .run = run,
};
