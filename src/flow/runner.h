/* SPDX-License-Identifier: Apache-2.0
 *
 * The runner of one loop for one snapshot: starts runs, keeps their deadlines, lets calls wait
 * for the limits of their connections. A reload makes a new runner; the old one ends with its
 * last run. */
#pragma once

#include "flow/hub.h"
#include "flow/run.h"

struct Emission; /* flow/emission.h */

struct RunnerHost {
        void *self;
        /* A run has ended: the outcome is lent, the result's attempt too. The run is gone after. */
        void (*ended)(void *self, Job *job, const JobResult *result, const Outcome *o);
        /* A step makes an event of its own; ends by its `done`. */
        void (*emit)(void *self, struct Emission *e);
};

/* The calls that wait for one connection's limit. */
typedef struct CallQueue {
        List waiting; /* for a permit in use */
        Heap paced;   /* for the rate; due in microseconds */
        Secret token; /* OAuth2: what this loop knows */
        int64_t token_until_ms;
} CallQueue;

struct Runner {
        Link link; /* in the hub */
        Hub *hub;
        Snapshot *snapshot;
        Map *map;
        RunnerHost host;
        const Dialler *dialler; /* of its runs; NULL: the network */
        List runs;
        Heap deadlines;
        Heap pauses; /* of acts, monotonic ms */
        uv_timer_t timer;
        CallQueue *queues; /* as Snapshot.targets */
        bool retired, closing;
        void (*closed)(void *arg);
        void *closed_arg;
        unsigned handles;
};

MUST_CHECK int runner_new(Hub *hub, Snapshot *s, const RunnerHost *host, Runner **ret, Err *e);
/* Begins a run of the job; `until_ms` (monotonic) bounds it. The flow must be of the snapshot. */
void runner_start(Runner *r, Job *job, const Flow *flow, int64_t until_ms);
/* A run that counts for nothing: the dialler may take its calls, and `host` hears of its end in the
 * place of the runner's. Both stay until then. */
void runner_rehearse(Runner *r, Job *job, const Flow *flow, int64_t until_ms,
                     const RunnerHost *host, const Dialler *dialler);
/* No new runs come; it closes itself when the last one has ended. */
void runner_retire(Runner *r, void (*closed)(void *arg), void *arg);
/* Every run's time is over: each ends now, as at its deadline. */
void runner_expire(Runner *r);
/* Permits may be free: looks through the queues. */
void runner_poke(Runner *r);
/* Deadlines or paces have changed: sets the timer anew. */
void runner_set_timer(Runner *r);
/* What expressions see as `.meta`; in the run's arena. */
Span runner_meta(Run *r);
/* Called by the run at its end. */
void runner_run_gone(Runner *r, Run *run);
