/* SPDX-License-Identifier: Apache-2.0
 *
 * map: make a value from those found so far. */
#include "flow/step.h"

typedef struct MapOptions {
        Expr map;
        const Program *program[1];
} MapOptions;

static const Option options[] = {
        {.name = "map",
         .type = OPTION_EXPR,
         .offset = offsetof(MapOptions, map),
         .required = true,
         .help = "A jq expression; what it gives becomes the step's value."},
};

static int prepare(Build *b, void *into) {
        MapOptions *o = into;
        Program *p = NULL;
        int r = build_program(b, &o->map, &p);

        o->program[0] = p;
        return r;
}

static void on_value(Act *a) {
        act_done(a, a->evaluation.values[0]);
}

static void run(Act *a, const Step *s) {
        const MapOptions *o = s->options;

        act_evaluate(a, o->program, 1, on_value);
}

const StepKind step_map = {
        .name = "map",
        .help = "Makes a value by a jq expression.",
        .reads = true,
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(MapOptions),
        .prepare = prepare,
        .run = run,
};
