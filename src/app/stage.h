/* SPDX-License-Identifier: Apache-2.0
 *
 * A daemon without doors, for tests of flows: one loop of the real thing (listener's parser,
 * intake, ledger in memory, engine, runner, reply) on the caller's thread. Requests come through a
 * pair of sockets, calls go to a dialler, and while all that is left to do is to wait the clock
 * goes forward instead. Each play begins with an empty ledger. One stage at a time: the clock is
 * the process's. */
#pragma once

#include "app/part.h"

typedef struct Stage Stage;

/* Who plays with it. */
typedef struct StageCast {
        void *self;
        const Dialler *dialler;
        /* When the dialler has its next answer (monotonic ms; INT64_MAX: none), and: give those
         * that are due, true when there was any. */
        int64_t (*due)(void *self);
        bool (*answer)(void *self, int64_t now_ms);
        /* A run has ended; what is given is lent. */
        void (*ended)(void *self, const Job *job, const JobResult *result, const Outcome *o);
} StageCast;

/* Takes a reference of the snapshot. */
MUST_CHECK int stage_new(Snapshot *s, const StageCast *cast, Stage **ret, Err *e);
Stage *stage_free(Stage *s); /* accepts NULL, returns NULL */

/* Sends the request, whole bytes of HTTP/1.1, and goes on until it was answered and each job has
 * made `attempts` runs or has come to its end. The whole answer is appended to `answer`. -ETIMEDOUT
 * when nothing more happens. */
MUST_CHECK int stage_play(Stage *s, Span request, unsigned attempts, Buf *answer, Err *e);
/* What the wall clock says at the next play's beginning; 0: the real time. */
void stage_set_time(int64_t wall_ms);
/* The last play's event as the ledger holds it; NULL when none was recorded. The caller frees. */
EventView *stage_event(Stage *s);
/* Evaluates one program as a flow would: a new text in the arena, .p NULL for null and nothing, or
 * -EINVAL with the sentence. */
MUST_CHECK int stage_evaluate(Stage *s, const Program *p, const MapRoot *roots, size_t n, Arena *a,
                              Span *ret, Err *e);
