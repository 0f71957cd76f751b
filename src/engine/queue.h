/* SPDX-License-Identifier: Apache-2.0
 *
 * The jobs in memory by target: who may begin, and how many of a target may be here.
 *
 * Places for runs are shared by turns: a target may run as many jobs as there are places left:
 * alone it gets half of them, two greedy ones get a third each, and there is always a place for a
 * target that runs nothing. Memory is shared in the same way. So one that is slow or dead, with
 * however long a queue, delays nobody else: what does not fit of it lies in the ledger as its
 * *backlog*, and comes as its own queue empties. So do its jobs that waited for a time and are due:
 * however many of one target come due in one moment, those of others need not wait for them.
 *
 * A target may have a width (runs at once) and a pace (runs per second) of its own, and a throttle
 * (runs per second) that it shares with others: of those that wait for it, each gets a run in turn.
 * It may also take several jobs in one run, a *batch*: then its ready jobs are collected here, in
 * its queue, until there are enough or the first has waited long enough. What is collected has not
 * begun: it takes no place, is in nobody's way, and is given back like any ready job when the
 * process stops.
 */
#pragma once

#include "base/heap.h"
#include "base/table.h"
#include "engine/crowd.h"
#include "ledger/job.h"

enum {
        QUEUE_JOBS_MAX = 1024, /* of one target that come from its backlog before others go */
        QUEUE_BATCH_MAX = 256, /* jobs in one run; as many as one claim brings */
};

typedef struct TargetLimits {
        unsigned width; /* 0: as many as there are places */
        uint32_t rate;  /* per second; 0: no limit. One second's share may go at once */
        /* Jobs in one run, at most; 0 and 1: each has its own. Fewer go when the first of them has
         * been ready for that long, or the next one's body is beyond the bytes. */
        unsigned batch;
        size_t batch_bytes;
        int64_t batch_wait_ms;
        /* Of runs together with other targets, here and elsewhere; NULL: none. Lent: the queue
         * takes a reference. */
        Throttle *throttle;
} TargetLimits;

typedef struct Queues {
        Table *table;  /* target -> Queue */
        List turns;    /* queues that may begin a job, the next one first */
        List backlogs; /* queues with a backlog in the ledger, the one to be asked for next first */
        Heap waiting;  /* queues with jobs that wait in the ledger, by when the first is due */
        List due;      /* queues with waiting jobs that are due, the next to be asked for first */
        List idle;     /* queues with nothing in memory or in the ledger, the longest idle first */
        Heap paced;    /* queues that may begin a run later; due in ms */
        Crowds crowds; /* queues that wait for the throttle that they share with others */
        size_t n_ready;
        size_t n_running, running_max; /* runs */
        size_t n_here, here_max;       /* jobs in memory */
        size_t bytes_here, bytes_max;  /* of their events */
} Queues;

/* `targets_max` bounds the number of queues. */
void queues_init(Queues *q, size_t targets_max, size_t running_max, size_t here_max,
                 size_t bytes_max);
/* Hands back every ready job, and only those; each is to leave, now or later. */
void queues_clear(Queues *q, void (*give)(void *arg, Job *job), void *arg);
void queues_done(Queues *q);

/* May one more job of this target come into memory? */
bool queues_room(const Queues *q, const Job *job);
/* The job is in memory, from now until queues_leave, whatever becomes of it. */
void queues_enter(Queues *q, const Job *job, TargetLimits limits);
void queues_leave(Queues *q, const Job *job);

/* It becomes ready, behind those of its target. */
void queues_push(Queues *q, Job *job, int64_t now_ms);
/* One that was begun and did not go after all is ready again, before those of its target, and has
 * been since it was the first time. */
void queues_push_front(Queues *q, Job *job);
/* Takes off the jobs of the run whose turn it is, puts them behind those on `ret`, and counts it as
 * running. Returns how many they are, all of one target; 0 when none may begin. Each run ends by
 * queues_ended with any of its jobs. */
size_t queues_next(Queues *q, int64_t now_ms, List *ret);
void queues_ended(Queues *q, const Job *job);
/* When a target that is paced or collects may go on; INT64_MAX for none. */
int64_t queues_pace_ms(const Queues *q);

/* Jobs of the target that nobody holds lie in the ledger, the first of them not before `id`. */
void queues_backlog(Queues *q, Span target, int64_t id);
bool queues_has_backlog(const Queues *q, Span target);
/* The target whose backlog is to be asked for next, how many jobs may come (at least 1), and the
 * id after which to look; false when there is none with room. Its turn comes behind the others. */
bool queues_ask(Queues *q, size_t max, Span *ret_target, size_t *ret_max, int64_t *ret_after);
/* The answer: the ledger was searched up to `id`; `more`: not to its end. */
void queues_heard(Queues *q, Span target, int64_t id, bool more);

/* A job of the target waits in the ledger until then. */
void queues_due(Queues *q, Span target, int64_t due_ms);
/* The target whose waiting jobs that are due are to be asked for next, how many may come, and the
 * moment before which none of them is due; false when there is none with room. Ends by
 * queues_heard_due. */
bool queues_ask_due(Queues *q, int64_t now_ms, size_t max, Span *ret_target, size_t *ret_max,
                    int64_t *ret_from_ms);
/* The answer: of the waiting jobs left none is due before; INT64_MAX for there are none. */
void queues_heard_due(Queues *q, Span target, int64_t next_due_ms);
/* When one that waits is due next; INT64_MAX for none. */
int64_t queues_due_ms(const Queues *q);
