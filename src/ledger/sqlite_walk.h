/* SPDX-License-Identifier: Apache-2.0
 *
 * Events, or jobs with their events, one after the other in the order of ids, found by what the
 * question names. A walk belongs to one transaction of a reader. */
#pragma once

#include "ledger/run_code.h"
#include "ledger/store_sqlite.h"

enum { WALK_COST_MAX = 10000 };

typedef enum WalkKind {
        WALK_ALL,
        WALK_STATE,        /* events with a waiting, blocked or dead job */
        WALK_TARGET_STATE, /* ... for a target */
        WALK_SOURCE,
        WALK_TARGET, /* jobs, with their events */
        WALK_EVENT,  /* the jobs of one event */
} WalkKind;

typedef struct Walk {
        /* The question. */
        WalkKind kind;
        bool is_up;             /* from the oldest on */
        int64_t at;             /* events before it (after it) are still to come */
        int64_t name;           /* number of the source or the target; of WALK_EVENT: the event */
        JobState state;         /* of WALK_STATE, WALK_TARGET_STATE */
        int64_t from_ms, to_ms; /* those received at other times may be left out; 0: no bound */

        /* Its own. */
        int64_t to; /* runs know the events up to this one */
        RunEntry *entries;
        size_t n, next, cap;
        int64_t end; /* `at`, once these have been given */
        bool is_over;
        bool is_within; /* those of now were all received from from_ms to to_ms */
        size_t cost;    /* events given, and work of that measure */
} Walk;

MUST_CHECK int walk_begin(Sqlite *s, Walk *w, Err *e);
/* 1 with the next one. 0: there is no more; or, when walk_is_tired, it has cost as much as one
 * answer may, and another walk may go on from `at`. */
MUST_CHECK int walk_next(Sqlite *s, Walk *w, RunEntry *ret, Err *e);
static inline bool walk_is_tired(const Walk *w) {
        return w->cost >= WALK_COST_MAX && !(w->is_over && w->next == w->n);
}
void walk_done(Walk *w);
