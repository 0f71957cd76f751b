/* SPDX-License-Identifier: Apache-2.0
 *
 * Lanes: the order of the jobs of one subject, for those in the memory of one engine. Knows
 * nothing of runs and settles; answers where a job stands and whose turn it is. */
#pragma once

#include "base/table.h"
#include "ledger/job.h"

typedef struct Lanes {
        Table *table;    /* lane number -> Lane, while it has a job in memory */
        size_t n_parked; /* lanes with a parking or giving that is not confirmed */
} Lanes;

typedef enum LanePlace {
        LANE_HEAD,  /* its turn: make it ready */
        LANE_STAND, /* it stands in the lane's list until lane_* names it */
        LANE_PARK,  /* settle it as blocked; ends by lane_parked */
        LANE_GIVE,  /* give it back to the ledger, as an earlier one is; ends by lane_given */
} LanePlace;

void lanes_init(Lanes *l, size_t max);
/* Hands back every job that stands, and only those. */
void lanes_done(Lanes *l, void (*give)(void *arg, Job *job), void *arg);

/* A job, queued, comes into memory, recorded or claimed. */
LanePlace lane_add(Lanes *l, Job *job);
/* The same, but there is no room: it is given back to the ledger. Ends by lane_given. */
void lane_give(Lanes *l, Job *job);
/* The head, which has not begun, is given back too. Ends by lane_given. */
void lane_give_head(Lanes *l, Job *head);
/* So are all that stand: calls give for each, which ends by lane_given. */
void lanes_give_standing(Lanes *l, void (*give)(void *arg, Job *job), void *arg);
/* That nobody holds the job is in the ledger. */
void lane_given(Lanes *l, Job *job);
/* Does any job in memory wait for this one, the head? */
bool lane_is_awaited(const Lanes *l, const Job *head);
/* The head's end (done, dead) is in the ledger. Returns whose turn it is now, or NULL. */
Job *lane_ended(Lanes *l, Job *head);
/* That the head waits is in the ledger: calls park for each job that stands behind it, to be
 * settled as blocked, in order. Returns whose turn it is now, or NULL. */
Job *lane_waits(Lanes *l, Job *head, void (*park)(void *arg, Job *job), void *arg);
/* That the job is blocked is in the ledger. Returns whose turn it is now, or NULL. */
Job *lane_parked(Lanes *l, Job *job);
