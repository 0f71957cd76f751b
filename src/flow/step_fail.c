/* SPDX-License-Identifier: Apache-2.0
 *
 * fail: end the flow with a message for the person; mostly together with `when`. */
#include "flow/step.h"

typedef struct FailOptions {
        int64_t fail;
        Expr message;
        Template text;
} FailOptions;

static const Option options[] = {
        {.name = "fail",
         .type = OPTION_NUMBER,
         .offset = offsetof(FailOptions, fail),
         .required = true,
         .min = 400,
         .max = 499,
         .help = "The status that the source hears, 400 to 499."},
        {.name = "message",
         .type = OPTION_TEMPLATE,
         .offset = offsetof(FailOptions, message),
         .required = true,
         .help = "What the person reads; holes {...} are filled."},
};

static int prepare(Build *b, void *into) {
        FailOptions *o = into;

        return build_template(b, &o->message, &o->text);
}

static void on_text(Act *a, Span text) {
        const FailOptions *o = a->step->options;

        act_fail(a, (int)o->fail, "refused", false, SPAN_FMT, SPAN_ARG(text));
}

static void run(Act *a, const Step *s) {
        const FailOptions *o = s->options;

        act_template(a, &o->text, false, on_text);
}

const StepKind step_fail = {
        .name = "fail",
        .help = "Ends the flow with a status and a message.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(FailOptions),
        .prepare = prepare,
        .run = run,
};
