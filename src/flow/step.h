/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of steps: one file and one table row each. A kind brings its options, its help, how
 * it prepares (while the configuration loads) and how it runs. */
#pragma once

#include "flow/build.h"
#include "flow/run.h"

struct StepKind {
        const char *name; /* the key that names the kind: {get: ...} */
        const char *help;
        bool reads;            /* changes nothing anywhere; `prepare` may say so of one step */
        const Option *options; /* all keys of the step but those of every step */
        size_t n_options;
        const OptionGroup *more; /* the keys of an option that is a map; NULL for none */
        size_t size;             /* of the options' struct */
        /* Checks and compiles. 0 or -EINVAL with the problems added. Options that were wrong are
         * zero here, and told already: nothing will run then. */
        int (*prepare)(Build *b, void *options);
        /* Does it; ends, now or later, in exactly one of act_done, act_fail. */
        void (*run)(Act *a, const Step *s);
};

extern const StepKind step_get, step_find, step_patch, step_post, step_request, step_map, step_log,
        step_emit, step_exec, step_echo, step_skip, step_fail, step_put, step_delete, step_upsert,
        step_for_each;
extern const StepKind *const step_kinds[]; /* ended by NULL */

/* What every step may say, and what `missing` may. */
extern const OptionGroup step_common, step_missing;

/* The manual, as Markdown written from the tables: of one kind, for its own page; of what all kinds
 * may say; and one line for each kind, with a link to its page. */
MUST_CHECK int step_print_reference(const StepKind *k, Buf *out);
MUST_CHECK int steps_print_shared(Buf *out);
MUST_CHECK int steps_print_index(Buf *out);
