/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of one job: walks through the steps of its flow (flow/walk.h), keeps what they found, and
 * ends in one outcome. When it fails, what its steps did is undone first where they say how, latest
 * first. Lives on one loop; its memory is one arena. */
#pragma once

#include "engine/engine.h"
#include "flow/walk.h"
#include "reply/outcome.h"

enum { RUN_ARENA_MAX_BYTES = 64 * 1024 * 1024 };

typedef struct Runner Runner;
typedef struct RunnerHost RunnerHost;

typedef enum RunPhase {
        RUN_WALKING,
        RUN_UNDOING,
        RUN_ENDED,
} RunPhase;

/* A step that has ended and says how it is undone. */
typedef struct Undo {
        struct Undo *earlier;
        Walk *walk;
        const Step *step;
} Undo;

struct Run {
        Runner *runner;
        Job *job;
        const Flow *flow;
        const RunnerHost *host;
        const Dialler *dialler; /* answers its calls; NULL: the network does */
        Arena *arena, *spent;   /* what undoes has an arena of its own */
        RunPhase phase;
        Link link;
        HeapNode deadline; /* monotonic ms; of the steps, then of undoing them */
        int64_t until_ms;  /* of all of it */
        int64_t started_ms, started_us;
        unsigned repeats;
        bool is_going; /* run_go is on the stack */
        bool is_late;  /* the time for undoing is over too */
        List ready;    /* walks that have something to do */
        List acts, spare;
        Walk *walk; /* the flow's own, or the one that undoes */
        Undo *undo; /* the latest */

        Buf story;                  /* JSON array of the calls made: the attempt's detail */
        unsigned emitted;           /* events */
        unsigned writes, unchanged; /* PATCHes and the like sent; left out as nothing differed */
        const char *told_verb;      /* of the last write: "Updated"; NULL: it was a program */
        Span told_target;
        Span told_fields;         /* what was written, for the message */
        Span data;                /* what the first get fetched, or the flow's answer */
        bool is_answer;           /* it is the flow's answer */
        const Outcome *partly;    /* what failed without ending the run, which fails in the end */
        const Outcome *unsettled; /* an item that failed, and whose for_each is not through */
        Outcome outcome;
};

/* ---- what steps call ---- */

/* Nobody but its host hears of it, as if the source waited. */
bool run_is_rehearsed(const Run *r);
/* Appends a call to the story; a story too long loses its end. */
void run_tell(const Act *a, const char *method, Span url, const ClientAnswer *answer);
/* Something failed and the steps go on all the same: when they have ended well, the run ends with
 * this outcome, and nothing is undone. The outcome is copied. */
void run_partly(Run *r, const Outcome *o);
/* The same, said beforehand of one item (from 1 on) of a step: it counts when another step ends the
 * flow before run_partly has told of all items. */
void run_item_failed(Run *r, Span step, size_t item, const Outcome *o);
/* Goes on with what can go on; the last thing that a caller does, since the run may be gone. */
void run_go(Run *r);

/* ---- the runner's side ---- */

/* `until_ms` (monotonic) bounds all of it. */
void run_begin(Run *r, int64_t until_ms);
/* Its deadline has come. */
void run_expire(Run *r);

/* ---- the walks' side ---- */

/* An act for the step; NULL when there was no room, and the walk has failed. */
Act *run_act(Walk *w, size_t index);
/* It has ended well: what it did may have to be undone. */
void run_did(Act *a);
/* It has ended; it will be used again. */
void run_act_gone(Run *r, Act *a);
/* The flow's own walk has ended before its last step, and nothing is on its way. */
void run_broke_off(Run *r, const Outcome *o);
