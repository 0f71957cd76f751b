/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/step.h"

const StepKind *const step_kinds[] = {
        &step_get, &step_find, &step_patch, &step_post, &step_request,
        &step_map, &step_log,  &step_fail,  NULL,
};
