/* SPDX-License-Identifier: Apache-2.0
 *
 * The clock that generator and target share. It is the machine's, so one of them may subtract what
 * the other has read. */
#pragma once

#include "base/base.h"

#include <time.h>

static inline int64_t now_ns(void) {
        struct timespec t;

        must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
