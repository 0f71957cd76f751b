/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/step.h"

const StepKind *const step_kinds[] = {
        &step_get,    &step_find,    &step_upsert, &step_patch,    &step_put,  &step_post,
        &step_delete, &step_request, &step_map,    &step_for_each, &step_emit, &step_log,
        &step_exec,   &step_echo,    &step_skip,   &step_fail,     NULL,
};

int step_print_reference(const StepKind *k, Buf *out) {
        int r = option_print_group(&(OptionGroup){"Options", k->help, k->options, k->n_options},
                                   out);

        return r < 0 || !k->more ? r : option_print_group(k->more, out);
}

int steps_print_shared(Buf *out) {
        int r = option_print_group(&step_common, out);

        return r < 0 ? r : option_print_group(&step_missing, out);
}

/* A heading for each, so that a link to one leads somewhere for ever. */
int steps_print_index(Buf *out) {
        int r = 0;

        for (const StepKind *const *k = step_kinds; *k && r == 0; k++)
                r = buf_addf(out,
                             "### %s\n\n%s [Options, an example, what goes wrong](steps/%s.md)\n\n",
                             (*k)->name, (*k)->help, (*k)->name);
        return r;
}
