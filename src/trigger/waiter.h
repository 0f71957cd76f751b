/* SPDX-License-Identifier: Apache-2.0
 *
 * A source that waits for the result of its webhook. Its jobs may run on other loops; whoever is
 * first decides what the source hears: the first job that fails, the last that succeeds, or the
 * patience or the deadline of the source itself. What it was told is final. */
#pragma once

#include "base/heap.h"
#include "base/inbox.h"
#include "reply/outcome.h"

#include <stdatomic.h>

typedef struct Waiter {
        Note note;
        _Atomic unsigned refs;
        _Atomic bool told;
        _Atomic unsigned pending; /* jobs that have not ended */
        _Atomic unsigned running; /* of these, runs that end by until_ms by themselves */
        Inbox *home;
        Arena *arena;
        Outcome *outcome;
        HeapNode patience; /* on the source's loop */
        int64_t until_ms;  /* monotonic: the jobs' first runs end by then */
        /* On the source's loop, once, when a job decided. */
        void (*on_told)(struct Waiter *w);
        void *arg;
} Waiter;

Waiter *waiter_new(Inbox *home, unsigned jobs);
Waiter *waiter_ref(Waiter *w);
Waiter *waiter_unref(Waiter *w);
/* A job has ended, on any loop. */
typedef enum WaiterWord {
        WAITER_NOTHING, /* the source hears something else, or not yet */
        WAITER_SUCCESS, /* it will hear this outcome ... */
        WAITER_FAILURE, /* ... and this very failure: then the failure is final */
} WaiterWord;
WaiterWord waiter_decide(Waiter *w, const Outcome *o);
/* After WAITER_SUCCESS and WAITER_FAILURE, once: now the source's loop hears of it. What must be
 * on its way to the ledger before the source knows is sent between the two. */
void waiter_tell(Waiter *w);
/* A run of one of the jobs begins, which will end by until_ms. False when that is over, or somebody
 * else was told already: nobody waits for this run. */
bool waiter_begin(Waiter *w, int64_t now_ms);
/* It has ended; waiter_decide says what that means. */
void waiter_ended(Waiter *w);
/* A job leaves memory without an end: who waits hears, without an outcome, that the work goes on
 * later. Takes the job's reference; accepts NULL. */
void waiter_leave(Waiter *w);
/* The source's loop: stops waiting. False when a job was first. */
bool waiter_give_up(Waiter *w);
/* The deadline is over, and a run is about to say what kept it: that is worth a moment. */
bool waiter_is_about_to_hear(const Waiter *w, int64_t now_ms);
