/* SPDX-License-Identifier: Apache-2.0
 *
 * One loop: a thread, its libuv loop, and the inbox by which the other threads tell it things.
 * Everything that a loop owns is touched by its thread alone. */
#pragma once

#include "base/inbox.h"

#include <uv.h>

typedef struct Loop {
        uv_loop_t uv;
        int bell_fd; /* an eventfd */
        uv_poll_t bell;
        Inbox inbox;
        unsigned index;
} Loop;

MUST_CHECK int loop_init(Loop *l, unsigned index, Err *e);
/* Runs until loop_stop and until every handle is closed. */
void loop_run(Loop *l);
/* Closes the bell; loop_run returns once the other handles are closed too. The loop's thread. */
void loop_stop(Loop *l);
void loop_done(Loop *l);
