/* SPDX-License-Identifier: Apache-2.0
 *
 * The sealed process that runs programs for one loop. */
#pragma once

#include "map/jq.h"

/* Enters the cage and serves requests from `fd` until it closes. Never returns. */
_Noreturn void helper_main(int fd, JqProgram *const *programs, size_t n);
