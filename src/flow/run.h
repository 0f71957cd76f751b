/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of one job: goes through the steps of its flow, keeps what they found under their
 * names, and ends in one outcome. Lives on one loop; its memory is one arena.
 *
 * A step asks for at most one thing at a time (an evaluation, a call, a write to a log) and is
 * called back on the same loop, never from within its request. */
#pragma once

#include "engine/engine.h"
#include "flow/call.h"
#include "flow/snapshot.h"
#include "reply/outcome.h"

enum { RUN_ARENA_MAX_BYTES = 64 * 1024 * 1024, RUN_ROOTS_MAX = STEPS_MAX + 2 };

typedef struct Runner Runner;

typedef enum RunPhase {
        RUN_STEPPING,
        RUN_EVALUATING,
        RUN_LOGGING,
        RUN_ENDED,
} RunPhase;

typedef struct Evaluation {
        MapCall call;
        const Program *const *programs;
        Span *values; /* out: JSON text in the run's arena; .p NULL for null and nothing */
        size_t n, at;
        void (*then)(Run *r);
} Evaluation;

struct Run {
        Runner *runner;
        Job *job;
        const Flow *flow;
        Arena *arena;
        RunPhase phase;
        size_t step; /* index of the current step */
        MapRoot roots[RUN_ROOTS_MAX];
        size_t n_roots;
        Link link;
        HeapNode deadline; /* monotonic ms */
        int64_t started_ms, started_us;
        bool advancing; /* run_go is on the stack */
        bool ready;     /* the next step may begin */

        Evaluation evaluation;
        Call call;
        const Step *current;
        const Address *to; /* of the current exchange */
        const struct Missing *missing;
        const struct Sending *sending;
        const Program *mapping; /* that made its body */
        void (*answered)(Run *r, const ClientAnswer *a);
        void *scratch; /* the current step's own, in the arena */
        Span when_value;
        const Program *when_program;

        struct Asked { /* which step asked which connection */
                Span step;
                const Target *target;
        } asked[STEPS_MAX];
        size_t n_asked;

        Buf story;                  /* JSON array of the calls made: the attempt's detail */
        unsigned writes, unchanged; /* PATCHes and the like sent; left out as nothing differed */
        Span told_target;           /* of the last write */
        Span told_fields;           /* what was written, for the message */
        Span data;                  /* what the first get fetched, or the flow's answer */
        bool is_answer;             /* it is the flow's answer */
        Outcome outcome;
};

/* ---- what steps call ---- */

/* Evaluates `n` programs against the roots; then `then` is called with r->evaluation.values, or
 * the run has failed. `programs` must stay. A NULL program gives an empty value. */
void run_evaluate(Run *r, const Program *const *programs, size_t n, void (*then)(Run *r));
/* Makes the text of a template: literals and the holes' texts, percent-encoded when `encode`.
 * Calls then(r, text). */
void run_template(Run *r, const Template *t, bool encode, void (*then)(Run *r, Span text));
/* The step has ended well: `value` (JSON text; .p NULL for null) is kept under its name. Bytes
 * must live in the run's arena or as long. */
void run_next(Run *r, Span value);
/* The run ends: status, a stable code, whether a retry may help, and the message. */
void run_fail(Run *r, int status, const char *code, bool retryable, const char *format, ...)
        PRINTF_LIKE(5, 6);
/* The same with an outcome that the step has filled. */
void run_fail_with(Run *r, const Outcome *o);
/* The value of a root by name; .p NULL when there is none. */
Span run_root(const Run *r, Span name);
/* Appends to the story; a story too long loses its end. */
void run_tell(Run *r, const char *method, Span url, const ClientAnswer *a);

/* ---- the runner's side ---- */
void run_begin(Run *r);
/* Its deadline has come. */
void run_expire(Run *r);
