/* SPDX-License-Identifier: Apache-2.0
 *
 * An event and its jobs on their way into the ledger, and from there to the engines of the loops
 * that are home to the jobs. Each of these loops hears of it in the order of the commits; so does
 * the loop that sent it. Several events that came in one call go together: all in one commit. */
#pragma once

#include "engine/engine.h"
#include "ledger/ledger.h"

struct Inlet;

typedef struct Recording {
        LedgerRequest request;
        struct Inlet *in;
        Event *event; /* the first */
        Event **events;
        size_t n_events;
        Write *more;          /* of the others */
        Job **jobs;           /* each is its home's from the send on; by event, in their order */
        unsigned char *homes; /* by job: the index of its loop */
        size_t n_jobs;
        _Atomic unsigned refs;
        /* Out, for `done`: */
        int fault; /* < 0: nothing was stored */
        /* Of the first event; recording_result tells those of all. */
        RecordResult result;
        int64_t known_event;
        bool has_answer;
        int answer_status;
        Span answer_type, answer_body;
        /* On the sender's loop, once; what is above is gone when it returns. A job may have ended
         * on another loop before. */
        void (*done)(struct Recording *r, void *arg);
        void *arg;
        LedgerEcho echoes[];
} Recording;

/* Room for `n_jobs`; takes a reference of the event. Fill jobs[] with jobs of that event, whose
 * shards are set. */
Recording *recording_new(struct Inlet *in, Event *event, size_t n_jobs);
/* The same for several events, at most EVENTS_TOGETHER_MAX: their jobs stand one behind the other.
 */
Recording *recording_new_together(struct Inlet *in, Event *const *events, size_t n_events,
                                  size_t n_jobs);
enum { EVENTS_TOGETHER_MAX = LEDGER_TOGETHER_MAX + 1 };
/* What became of the event `i`: for `done`. *ret_known is the event it repeats or is in conflict
 * with. */
RecordResult recording_result(const Recording *r, size_t i, int64_t *ret_known);
size_t recording_jobs(const Recording *r, size_t i); /* how many it has, for `done` */
/* One that is not sent: frees its jobs too. */
void recording_drop(Recording *r);
/* Jobs whose home has no room for anyone, or to which too many are on their way, are spilled; those
 * with due_ms in the future wait in the ledger. To be called once, before waiters are given to jobs
 * and before it is sent or dropped. */
void recording_place(Recording *r);
/* Sends it. -EAGAIN when too much waits to be stored: then it is still the caller's. */
MUST_CHECK int recording_send(Recording *r, void (*done)(Recording *r, void *arg), void *arg);
