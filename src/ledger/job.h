/* SPDX-License-Identifier: Apache-2.0
 *
 * A job: one event for one flow or one endpoint. What is written here is what the ledger keeps;
 * the engine adds what it needs while a job is in memory. */
#pragma once

#include "base/heap.h"
#include "base/list.h"
#include "ledger/event.h"

enum { JOB_TARGET_MAX_BYTES = 128 };

/* The numbers are stored: never renumber. */
typedef enum JobState {
        JOB_QUEUED = 0,  /* fresh or claimed: a process holds it in memory, or may claim it */
        JOB_WAITING = 1, /* for due_ms, then it may be claimed */
        JOB_BLOCKED = 2, /* behind an earlier unfinished job of its lane */
        JOB_DONE = 3,
        JOB_DEAD = 4, /* will not be run again unless replayed */
        JOB_STATES = 5,
        /* In memory only; stored as queued: */
        JOB_RUNNING = 5,
} JobState;

const char *job_state_name(JobState s);

typedef struct Job {
        int64_t id;   /* ordered; "job_..." when printed */
        Event *event; /* holds a reference */
        Span target;  /* "flow:user-to-contact" or "endpoint:ep_..."; lives with the job */
        JobState state;
        unsigned attempts;   /* begun so far */
        unsigned tries_from; /* of those, how many were before it was replayed: its schedule goes by
                                the others */
        bool is_replay;      /* it was replayed; known of claimed jobs, which replayed ones are */
        int64_t due_ms;      /* wall clock, under JOB_WAITING */
        /* Jobs of one lane run one at a time, in the order of their ids; 0: no order. The hash of
         * target and subject: two subjects that share a lane by chance only wait for each other. */
        uint64_t lane;
        /* Jobs of one lane live on one loop: shard % loops. From the lane, else from the id, unless
         * whoever records it says otherwise; it keeps it from then on. */
        uint8_t shard;
        /* Set by the sender of a record or of a job handed back: nobody will hold this job in
         * memory, so any claim of queued jobs may take it. Claimed jobs have it unset. */
        bool spilled;

        /* The engine's while in memory; zero at birth. */
        Link link;
        HeapNode timer;
        void *waiter;    /* who waits for the result, or NULL */
        void *run;       /* the runner's */
        bool last_word;  /* a failure of this run is final: the source was, or will be, told so */
        bool told_again; /* ... and told to send its delivery again */
        /* Others of its lane stand behind it: those in the ledger, as a claim saw it; before a run,
         * those in memory too. */
        bool is_followed;
        bool hurries; /* others wait until its settle is confirmed */
} Job;

/* Copies the target; takes a reference of the event. */
Job *job_new(int64_t id, Event *event, Span target, uint64_t lane);
Job *job_free(Job *j); /* drops the event's reference; accepts NULL */

/* One run of a job, as the ledger keeps it. */
typedef struct Attempt {
        unsigned number;    /* 1 is the first */
        bool is_manual;     /* of a job that had been replayed; the store fills it in */
        int64_t started_ms; /* wall clock */
        int64_t took_us;
        int status;   /* as the source would hear it (DESIGN section 6); 0 unknown */
        Span code;    /* "updated", "unchanged", "target-refused", "unknown", ... */
        Span message; /* for a person */
        Span detail;  /* JSON: the calls made and what came back; may be empty */
} Attempt;
