/* SPDX-License-Identifier: Apache-2.0
 *
 * A world in a box: engines, a ledger, sources and targets under one clock that jumps from one
 * thing that happens to the next, all of it drawn from one seed. */
#pragma once

#include "engine/engine.h"
#include "rows.h"

typedef struct World World;

enum { SHARED_MAX = 2, SHARED_RATE_MAX = 20 };

typedef struct Target {
        char name[16];
        RetryRule rule;
        TargetLimits limits;
        unsigned shared;  /* which throttle it shares with others; 0: none */
        bool is_away;     /* it fails, or takes its time to fail */
        bool is_slow;     /* answers late */
        bool is_removed;  /* from the configuration */
        int away_percent; /* of the time */
} Target;

/* What some targets share, on all loops: so many runs a second. It dies with the process. */
typedef struct Shared {
        Throttle *throttle;
        uint32_t rate;
        int64_t begun[2 * SHARED_RATE_MAX + LOOPS_MAX * TARGETS_MAX]; /* when the latest did */
        uint64_t n_begun;
} Shared;

/* A run: its jobs, and what becomes of each. */
typedef struct Deal {
        size_t n;
        Job *jobs[QUEUE_BATCH_MAX];
        JobResult results[QUEUE_BATCH_MAX];
} Deal;

/* Something that will happen. */
typedef struct Deed {
        HeapNode node;
        void (*act)(World *w, struct Deed *d);
        void (*drop)(struct Deed *d); /* it will not happen: frees what it carries; may be NULL */
        unsigned loop;
        struct Deal *deal;
        struct Ask *ask;
        bool dies_with_process;
        Link link; /* on World.mortal when it does */
} Deed;

/* A request to the ledger, and its reply. */
typedef enum AskKind { ASK_RECORD, ASK_SETTLE, ASK_CLAIM } AskKind;
typedef struct Ask {
        Link link;
        AskKind kind;
        unsigned loop;
        Job *job;
        bool spilled, woke;
        RowsClaim claim;
        int fault;
} Ask;

typedef struct Loop {
        World *world;
        unsigned index;
        Engine *engine;
        Deed *step; /* when it wants to be called */
        int64_t step_at_ms, reply_at_ms;
        size_t recording, live, runs, runs_of[TARGETS_MAX];
} Loop;

typedef struct Tally {
        uint64_t accepted, refused, spilled, runs, batches, together, done, dead, crashes, stops,
                full_disks, parked, claims, crossed, given;
} Tally;

struct World {
        Rng rng;
        int64_t now_ms, end_ms;
        Heap deeds;
        List mortal;
        Rows rows;
        Loop loop[LOOPS_MAX];
        unsigned n_loops;
        Target target[TARGETS_MAX];
        unsigned n_targets;
        Shared shared[SHARED_MAX];
        EngineLimits limits;
        size_t recording_max;
        List asks; /* sent to the ledger, not yet done */
        bool is_committing, disk_is_full, keeps_settles;
        int commit_max_ms, reply_max_ms, batch_max, lane_percent;
        unsigned lanes_per_target;
        bool is_closing; /* no more arrivals or faults: everything must come to its end */
        bool is_stopping;
        int64_t stop_by_ms;
        Tally tally;
        /* The verdict: the first promise broken. */
        char failure[300];
        int64_t failed_job;
        int64_t told_job;
        uint64_t told_lane;
};

typedef struct Seed {
        uint64_t seed;
        int64_t hours;
        /* Whose story is printed; 0: none. */
        int64_t told_job;
        uint64_t told_lane; /* 0: of no lane */
} Seed;

/* False when a promise was broken: w->failure says which, w->failed_job whose. */
bool world_run(World *w, const Seed *seed);
void world_done(World *w);

/* ledger.c: sends to the ledger, which commits in batches; replies come through loops.c. */
void ledger_ask(World *w, Ask *ask);
void ask_free(Ask *ask);
/* loops.c */
void loop_start(Loop *l, bool recovers);
void loop_crash(Loop *l);
void loop_step(Loop *l);
void loop_hears(World *w, Deed *reply);
void loop_arrival(Loop *l, unsigned target, uint64_t lane);
/* judge.c: each says whether the promises hold at that moment. */
void judge_run(World *w, const Loop *l, Job *const *jobs, size_t n);
void judge_settle(World *w, const Job *job);
void judge_turn(World *w, const Loop *l);
void judge_stop(World *w); /* nothing runs, and all that was sent to the ledger came back */
void judge_end(World *w);
void broken(World *w, int64_t job, const char *format, ...) PRINTF_LIKE(3, 4);
void tell(const World *w, const Row *row, const char *format, ...) PRINTF_LIKE(3, 4);

/* world.c */
Deed *deed_at(World *w, int64_t when_ms, void (*act)(World *w, Deed *d), bool dies_with_process);
void deed_drop(World *w, Deed *d);
int64_t chance(World *w, int64_t below);
static inline bool happens(World *w, int64_t percent) {
        return chance(w, 100) < percent;
}
