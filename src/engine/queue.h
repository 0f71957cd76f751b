/* SPDX-License-Identifier: Apache-2.0
 *
 * The jobs that are ready to run, in one queue per target, served by turns. A target may run as
 * many jobs as there are places left: alone it gets half of them, two greedy ones get a third
 * each, and there is always a place for a target that runs nothing. So one that is slow or dead
 * delays nobody else. */
#pragma once

#include "base/table.h"
#include "ledger/job.h"

typedef struct Queues {
        Table *table; /* target -> Queue */
        List turns;   /* queues with ready jobs, the next one first */
        List idle;    /* queues without ready or running jobs, the longest idle first */
        size_t n_ready, n_running, running_max;
} Queues;

void queues_init(Queues *q, size_t targets_max, size_t running_max);
/* Hands back every ready job, and only those. */
void queues_done(Queues *q, void (*give)(void *arg, Job *job), void *arg);

/* It becomes ready, behind those of its target. */
void queues_push(Queues *q, Job *job);
/* Takes off the job whose turn it is and counts it as running; NULL when no place is free for
 * any. Each ends by queues_ended. */
Job *queues_next(Queues *q);
void queues_ended(Queues *q, const Job *job);
