/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/pages.h"
#include "flow/step.h"

const StepKind *const step_kinds[] = {
        &step_get,    &step_find,    &step_upsert, &step_patch,    &step_put, &step_post,
        &step_delete, &step_request, &step_map,    &step_for_each, &step_log, &step_exec,
        &step_echo,   &step_skip,    &step_fail,   NULL,
};

int steps_print_reference(Buf *out) {
        int r = 0;

        for (size_t i = 0; step_kinds[i] && r == 0; i++) {
                const StepKind *k = step_kinds[i];

                r = option_print_group(&(OptionGroup){k->name, k->help, k->options, k->n_options},
                                       out);
        }
        if (r == 0)
                r = option_print_group(&step_missing, out);
        if (r == 0)
                r = option_print_group(&step_pages, out);
        return r < 0 ? r : option_print_group(&step_common, out);
}
