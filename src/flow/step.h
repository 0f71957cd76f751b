/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of steps: one file and one table row each. A kind brings its options, its help, how
 * it prepares (while the configuration loads) and how it runs. */
#pragma once

#include "flow/run.h"
#include "flow/snapshot.h"

struct StepKind {
        const char *name; /* the key that names the kind: {get: ...} */
        const char *help;
        const Option *options; /* all keys of the step but `when` */
        size_t n_options;
        size_t size; /* of the options' struct */
        /* Checks and compiles. 0 or -EINVAL with the problems added. Options that were wrong are
         * zero here, and told already: nothing will run then. */
        int (*prepare)(StepBuild *b, void *options);
        /* Runs; ends, now or later, in exactly one of run_next, run_fail. */
        void (*run)(Run *r, const Step *s);
};

extern const StepKind step_get, step_find, step_patch, step_post, step_request, step_map, step_log,
        step_fail;
extern const StepKind *const step_kinds[]; /* ended by NULL */

/* A flow's `answer`, as its last step; nothing when `e` was not given. 0 or -EINVAL with the
 * problems added. */
MUST_CHECK int answer_build(StepBuild *b, const Expr *e, Flow *f);

/* What every step may say, and what `missing` may. */
extern const OptionGroup step_common, step_missing;
/* The reference of all steps as Markdown, written from the tables. */
MUST_CHECK int steps_print_reference(Buf *out);
