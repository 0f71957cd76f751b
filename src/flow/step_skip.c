/* SPDX-License-Identifier: Apache-2.0
 *
 * skip: end the flow well before its last step, and say so; mostly together with `when`. That an
 * event was left alone is an outcome of its own, never the same as "done". */
#include "flow/step.h"

typedef struct SkipOptions {
        Expr skip;
        Template text;
} SkipOptions;

static const Option options[] = {
        {.name = "skip",
         .type = OPTION_TEMPLATE,
         .offset = offsetof(SkipOptions, skip),
         .required = true,
         .help = "Why, for whoever reads it; holes {...} are filled."},
};

static int prepare(Build *b, void *into) {
        SkipOptions *o = into;

        return build_template(b, &o->skip, &o->text);
}

static void on_text(Act *a, Span text) {
        act_finish(a, "skipped", text);
}

static void run(Act *a, const Step *s) {
        const SkipOptions *o = s->options;

        act_template(a, &o->text, false, on_text);
}

const StepKind step_skip = {
        .name = "skip",
        .help = "Ends the flow without doing the rest.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(SkipOptions),
        .prepare = prepare,
        .run = run,
};
