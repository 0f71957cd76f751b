/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine of one loop: which job runs now, what becomes of it afterwards. It sees no socket,
 * SQL, jq or clock: it is told the time and given ports. One job machine serves flows and
 * endpoints.
 *
 * How a job moves. `engine_add` takes a job that was just recorded; its lane (if it has one) is
 * free, so it runs, or an earlier job of the lane is in memory, so it stands behind it. A run ends
 * by `engine_ended` with a verdict: done; dead; or retry, and then the job is settled as waiting
 * and leaves memory: it comes back by a claim when it is due. While the head of a lane waits in the
 * ledger, the lane's other jobs in memory are settled as blocked and leave too; the store wakes
 * them one by one when the head ends. Until those settles are confirmed the lane stays *parked*
 * here, so that a job whose recording crossed them on its way is parked as well and never
 * overtakes.
 *
 * Who may run is decided by turns among the targets (engine/queue.h), so that a slow target does
 * not take every place. A run is of one job, or of several where the target takes batches; each
 * job has its own end. A record, its settles and its claims travel in one order: what the engine
 * hears comes in the order in which the ledger did it (lane.c says where that matters).
 *
 * Memory is shared among the targets in the same way. A job for which there is no room is given
 * back: settled as queued and held by nobody. Then its target has a *backlog* in the ledger, which
 * the engine claims in the order of ids as that target's queue empties; until it is through, new
 * jobs of the target are given back too. When all memory is full the caller can spare the ledger
 * the way back: it asks `engine_full` before it records, and records the job as spilled. */
#pragma once

#include "engine/queue.h"
#include "engine/retry.h"
#include "ledger/job.h"

typedef struct Engine Engine;

typedef enum JobVerdict {
        JOB_RETRY = 0, /* zero is the safe one */
        JOB_SUCCEEDED,
        JOB_FAILED, /* final: a retry would not help, or nobody wants one */
        /* Nothing was sent, since the target is known to be away for `wait_hint_ms` (its breaker is
         * open). When the schedule asks for a shorter pause, or for none any more, the try does
         * not count: a blip of the target must not use up the tries of all its jobs. Longer pauses
         * go on by the schedule, so that a dead target's jobs come to their end. */
        JOB_NOT_TRIED,
        /* It had no room in its batch after all. It was not tried: nothing is written, and it is
         * ready again, before all others of its target. */
        JOB_LEFT_OUT,
} JobVerdict;

typedef struct JobResult {
        JobVerdict verdict;
        int64_t wait_hint_ms; /* Retry-After of the target, or its breaker's pause; -1 none */
        Attempt attempt; /* spans must stay until the settle is confirmed: copied by the port */
} JobResult;

/* A question to the ledger, about the jobs of one target. */
typedef struct EngineAsk {
        Span target; /* lent until the answer */
        size_t max;
        bool is_due;      /* for waiting ones that are due ... */
        int64_t from_ms;  /* ... of which none is due before; else: */
        int64_t after_id; /* for queued ones that nobody holds, with greater ids */
} EngineAsk;

/* What the engine asks of the outside. All are called from within engine_* and may call back
 * engine_* only later (never before they return), but for `run`. */
typedef struct EnginePorts {
        void *self;
        /* Begin a run of `n` jobs of one target (`jobs` is lent for the call; more than one only
         * where the limits say `batch`); ends by exactly one engine_ended, perhaps before this
         * returns. */
        void (*run)(void *self, Job *const *jobs, size_t n);
        /* Write the job's state (and the attempt, when not NULL) in a coming batch; ends by exactly
         * one engine_settled with the same job. The port copies what it needs of `attempt`. A job
         * in state queued is given back: nobody holds it (its `spilled` says so). After
         * an engine_settled with a fault the engine calls again with NULL: the port still has its
         * copy and writes that. Settles are written in the order of these calls; those of jobs that
         * hurry at once, others may wait for a batch to share. */
        void (*settle)(void *self, Job *job, const Attempt *attempt);
        /* Ends by exactly one engine_claimed. */
        void (*claim)(void *self, const EngineAsk *ask);
        /* The retry rule of the job's target; NULL: the target is gone from the configuration (the
         * job is settled dead with code "no-target"). */
        const RetryRule *(*rule)(void *self, const Job *job);
        /* How many runs of the job's target at once, how many per second, and of how many jobs. */
        TargetLimits (*limits)(void *self, const Job *job);
        /* The job has left memory for good in this process, or for now: the port frees it. */
        void (*gone)(void *self, Job *job);
} EnginePorts;

typedef struct EngineLimits {
        /* In memory, all states; 0: 10,000. Beside them up to LEDGER_PENDING_MAX that were on their
         * way: the caller sees to that. */
        size_t jobs_max;
        size_t bytes_max;   /* of their events, each counted with each of its jobs; 0: 32 MiB */
        size_t running_max; /* runs at once; 0: 1,000 */
} EngineLimits;

Engine *engine_new(const EngineLimits *limits, const EnginePorts *ports, uint64_t seed);
/* Jobs in memory are handed back by `gone` without a settle: they stay queued in the ledger. */
Engine *engine_free(Engine *e);

/* Jobs of the target wait in the ledger, none of them for less than until then: left by a process
 * that ended, or recorded as waiting. What is due before is not looked for. */
void engine_due(Engine *e, Span target, int64_t due_ms);
/* Is there no room for anyone? Then record as spilled, without engine_add, and call engine_spilled
 * once the record is committed. */
bool engine_full(const Engine *e);
/* A recorded job, state queued or blocked (a blocked one leaves memory again by `gone`). */
void engine_add(Engine *e, Job *job, int64_t now_ms);
/* Jobs of the target that nobody holds lie in the ledger, with ids from `job_id` on: spilled,
 * replayed, or left by a process that ended (then from 1). */
void engine_spilled(Engine *e, Span target, int64_t job_id);
/* A run has ended: each of its jobs has its own result. What
 * fails together and is tried again is due again in the same moment, to go together once more. */
void engine_ended(Engine *e, Job *const *jobs, const JobResult *results, size_t n, int64_t now_ms);
/* `fault` < 0: the settle was not written and will be tried again by the engine. `woke`: a blocked
 * job became due. */
void engine_settled(Engine *e, Job *job, int fault, bool woke, int64_t now_ms);
/* What a claim brought: the jobs become the engine's. */
typedef struct ClaimResult {
        Job *const *jobs;
        size_t n;
        /* Of queued jobs: */
        bool more;           /* the ledger holds more of them ... */
        int64_t searched_to; /* ... with ids above this */
        /* Of waiting jobs: none that is left is due before; INT64_MAX for none. */
        int64_t next_due_ms;
        int fault; /* < 0: nothing was claimed */
} ClaimResult;
void engine_claimed(Engine *e, const ClaimResult *r, int64_t now_ms);
/* Does what is due: starts, claims, settles to be tried again, a bounded number of each. To be
 * called at the end of every turn in which another engine_* was called; the others only take note.
 * Returns when it wants to be called next (wall clock; `now_ms`: at once, there is more),
 * INT64_MAX for not before something happens. */
int64_t engine_step(Engine *e, int64_t now_ms);
/* No new runs begin; those that run may end. All others are given back: who waits for one hears of
 * it, and the next start knows that it was not running. */
void engine_drain(Engine *e);

typedef struct EngineGauges {
        size_t in_memory, running, ready, parked_lanes, unsettled; /* jobs, and lanes */
        size_t runs;
        bool is_asking; /* a claim is on its way */
} EngineGauges;
EngineGauges engine_gauges(const Engine *e);
