/* SPDX-License-Identifier: Apache-2.0
 *
 * An event that a step makes of another one. Who runs the flows sees to it: it goes the way of all
 * events from its recording on (trigger/emission.c). */
#pragma once

#include "base/base.h"

typedef struct Emission {
        /* One of the two: as an event of that source, for flows and endpoints that look at it; or
         * as a message of the application with that uid or id, for its endpoints. */
        Span source, application;
        Span type, subject; /* may be empty */
        Span body;          /* JSON */
        Span key;           /* the same once more is the same event: a run that is made again emits
                               nothing new */
        Span trace;         /* traceparent; may be empty */
        int64_t depth;      /* how many events led to it */
        /* Called once, on the loop's thread: perhaps before the request returns. `fault` 0, or what
         * it was (-EAGAIN: try again), with a sentence. `event` is the one that was made or known.
         */
        void (*done)(struct Emission *e, int fault, const char *why, int64_t event);
        void *arg;
} Emission;
