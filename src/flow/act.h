/* SPDX-License-Identifier: Apache-2.0
 *
 * One act: a step being done for a run. It asks for at most one thing at a time (an evaluation, a
 * call, something of its own) and is called back on the same loop, never from within its request.
 * Several acts of one run may be on their way, where their steps do not depend on each other
 * (flow/walk.h). Acts are used again: nobody may keep one beyond its end. */
#pragma once

#include "flow/call.h"

typedef struct Run Run;
typedef struct Walk Walk;

typedef enum ActPhase {
        ACT_STEPPING,   /* within its step's own code, or its call */
        ACT_EVALUATING, /* a jq helper has its expression */
        ACT_PAUSING,    /* for a time */
        ACT_BUSY,       /* with something that ends by itself: a cancelled one is waited for */
} ActPhase;

typedef struct Evaluation {
        MapCall call;
        const Program *const *programs;
        Span *values; /* out: JSON text in the run's arena; .p NULL for null and nothing */
        size_t n, at;
        void (*then)(Act *a);
} Evaluation;

struct Act {
        Run *run;
        Walk *walk;
        const Step *step;
        size_t index; /* of the step in its list */
        Link link;    /* in the run's acts, or in its spare ones */
        ActPhase phase;
        bool is_orphan;       /* cancelled while busy: whatever it ends with counts no more */
        bool is_skipped;      /* its `when` said so */
        void (*stop)(Act *a); /* while busy: hurry up; NULL where nothing can be hurried */
        struct Undo *undo;    /* room to remember it, where its step can be undone */
        Evaluation evaluation;
        const Program *when[1];

        /* Of the exchange (flow/exchange.h). */
        Call call;
        const Address *to;
        const struct Missing *missing;
        const struct Send *sending;
        const struct ChangeTo *changing;
        const Program *mapping; /* that made the body */
        Span had;               /* the entity as it is, where the step knows it; for a dialler */
        int64_t keep_ms; /* an answer that came within this time may be used again; 0: none */
        Span if_match;   /* the tag that the entity must still have; .p NULL: any */
        Span seen_by;    /* the step that saw that tag */
        HttpHeader match_header;
        void (*addressed)(Act *a, const char *url);
        void (*answered)(Act *a, const ClientAnswer *answer);
        bool (*refused)(Act *a, const ClientAnswer *answer); /* asked first; NULL: nobody is */

        HeapNode pause; /* monotonic ms */
        void (*rested)(Act *a);
        Span tag;              /* out: the entity tag of the value */
        struct Judging *fresh; /* flow/fresh.c's own */
        void *filling;         /* of act_template */
        void *scratch;         /* the step's own, in the run's arena */
};

/* Evaluates `n` programs against what the act sees; then `then` is called with
 * a->evaluation.values, or the act has failed. `programs` must stay. A NULL program gives an empty
 * value. */
void act_evaluate(Act *a, const Program *const *programs, size_t n, void (*then)(Act *a));
/* Makes the text of a template: literals and the holes' texts, percent-encoded when `encode`.
 * Calls then(a, text). */
void act_template(Act *a, const Template *t, bool encode, void (*then)(Act *a, Span text));
/* The step has ended well: `value` (JSON text; .p NULL for null) is kept under its name. Bytes
 * must live in the run's arena or as long. */
void act_done(Act *a, Span value);
/* It has failed: status, a stable code, whether a retry may help, and the message. */
void act_fail(Act *a, int status, const char *code, bool retryable, const char *format, ...)
        PRINTF_LIKE(5, 6);
/* The same with an outcome that the step has filled. */
void act_fail_with(Act *a, const Outcome *o);
/* Nothing more shall be done: the run ends well with that outcome, and what is on its way beside
 * this act is let go. */
void act_finish(Act *a, const char *code, Span message);
/* The value that a name has for this act; .p NULL when there is none. */
Span act_root(const Act *a, Span name);
/* The step of that name whose value this act sees; NULL when there is none. */
const Step *act_step_named(const Act *a, Span name);
/* The entity tag (RFC 9110 section 8.8.3) that came with the value of that step, from the same
 * walk; .p NULL when there was none. */
Span act_tag(const Act *a, Span name);
/* The entity is not as that step saw it: does the steps from it up to this one again, those that
 * only read. The act is gone then. False, and nothing happens, when that cannot help: the step is
 * of another walk, or it was done too often. */
bool act_again(Act *a, Span name);
/* Calls then(a) after that time, unless the run ends before. */
void act_pause(Act *a, int64_t ms, void (*then)(Act *a));
/* How long until the steps have to be done, in ms; <= 0 when it is too late. */
int64_t act_time_left(const Act *a);
/* Copies to the run's arena; .p NULL when that is full. */
Span act_keep(Act *a, Span s);

/* ---- the walk's side ---- */

/* Does the step, `when` first. */
void act_begin(Act *a);
/* Ends what it waits for. True: it is over; false: it is busy, an orphan from now on. */
MUST_CHECK bool act_cancel(Act *a);
