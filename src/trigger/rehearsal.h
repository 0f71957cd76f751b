/* SPDX-License-Identifier: Apache-2.0
 *
 * A recorded event once more, as if: the flows of the configuration as it is now run with it, what
 * they read is read, and what they would write is shown and not sent. A write is answered as if the
 * target had taken it: 200 with the body that would have been sent, 204 where there is none.
 * Nothing of it is recorded; a line for a file is shown too. */
#pragma once

#include "trigger/inlet.h"

enum {
        REHEARSAL_MAX_MS = 30000, /* of a flow for which no source waits */
        REHEARSAL_MAX_BYTES = 16 * 1024 * 1024,
};

/* On the runner's loop. `done` hears the result once, later: JSON, lent; .p NULL when it became too
 * large. The event's spans are copied. -ENOENT when its source is no longer configured. */
MUST_CHECK int rehearsal_start(Runner *runner, const Event *event,
                               void (*done)(void *arg, Span json), void *arg);
/* The same for one flow of the runner's snapshot alone, whatever its `match` says. */
MUST_CHECK int rehearsal_start_one(Runner *runner, const Event *event, const Flow *flow,
                                   void (*done)(void *arg, Span json), void *arg);
