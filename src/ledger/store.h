/* SPDX-License-Identifier: Apache-2.0
 *
 * A place that remembers events, jobs and attempts: the contract that every store keeps and that
 * one test (tests/unit/ledger/test_contract.c) holds each of them to. Calls block and are made by
 * one thread per handle. Nobody outside this folder calls a store: they send requests to the
 * ledger thread (ledger/ledger.h).
 *
 * A store may be shared by several nodes (PostgreSQL) or belong to one process (SQLite). So jobs
 * in state queued have an owner, the node that claimed or recorded them, and a lease; a node's
 * jobs are free again when its lease has run out, or at once when the same node starts anew. */
#pragma once

#include "ledger/event.h"
#include "ledger/job.h"
#include "ledger/object.h"

typedef struct Store Store;
struct EventView;
struct EventQuery;
struct EventPage;
struct AttemptQuery;
struct AttemptPage;
struct TargetStats;
struct LedgerStats;

/* What one write does; a batch of writes is one transaction: all or nothing. */
typedef enum WriteKind {
        WRITE_RECORD,
        WRITE_SETTLE,
        WRITE_ANSWER,
        WRITE_OBJECT,
        WRITE_REPLAY,
        WRITE_EXPUNGE,
} WriteKind;

typedef enum RecordResult {
        RECORD_NEW,
        RECORD_REPEAT,   /* the key is known and the body is the same: *known tells of the first */
        RECORD_CONFLICT, /* the key is known with another body */
} RecordResult;

/* The answer that a source heard for an event, kept for repeats of its delivery. */
typedef struct Answer {
        int status;
        Span content_type;
        Span body;
} Answer;

typedef struct Write {
        WriteKind kind;
        union {
                struct {
                        Event *event; /* its id is set */
                        /* Of this event, ids set; states queued, or waiting with due_ms set: what
                         * is delayed lies in the store until then. */
                        Job **jobs;
                        size_t n_jobs;
                        /* Out. RECORD_NEW: queued jobs whose lane has an earlier job that nobody
                         * holds (waiting, also one that is delayed; blocked; or queued and not
                         * claimed) are stored as blocked, and their state says so. So a delayed
                         * job holds the later ones of its lane until it has ended. It waits in
                         * any case, and takes its place in the lane when it is claimed. */
                        RecordResult result;
                        int64_t known_event; /* of a repeat or conflict */
                        bool has_answer;     /* of a repeat; memory from malloc, the caller's: */
                        int answer_status;
                        char *answer_type, *answer_body;
                        size_t answer_body_n;
                } record;
                struct {
                        /* The job's new state, attempts and due_ms as in *job. */
                        Job *job;
                        const Attempt *attempt; /* NULL: none to add (parked, handed back) */
                        /* The source was told to send this delivery again: its key is forgotten,
                         * so that the next one is a new event. */
                        bool forget_key;
                        /* A job that ends (done, dead) or waits frees or holds its lane: when it
                         * ends, the oldest blocked job of its lane becomes waiting, due now. */
                        bool woke; /* out: that happened */
                } settle;
                struct {
                        int64_t event;
                        Answer answer;
                } answer;
                struct {
                        /* Its version is set by the store. Removing an application removes what it
                         * owns. */
                        Object object;
                        bool removes;
                        bool must_exist;         /* a change: OBJECT_GONE when it is not there */
                        int64_t expects_version; /* 0: any */
                        ObjectResult result;     /* out; all but WRITTEN: nothing was done */
                        int64_t taken_by;        /* out, of OBJECT_NAME_TAKEN */
                } object;
                struct {
                        /* Runs a job of the event for the target once more: the one that there is
                         * if it has ended (its schedule starts anew), else a new one with the id
                         * of `job`. Either has the lane and the shard of `job` from now on, and is
                         * queued with nobody holding it: the engine of that shard is told to
                         * claim. In its lane it stands where its id says: one that ended long ago
                         * goes before all that are not running yet, and later ones are blocked
                         * behind it until it has ended; the claim blocks it in turn when an
                         * earlier one waits. */
                        Job *job;          /* event: its id alone is looked at */
                        bool only_missing; /* not when there is a job for the target already */
                        bool done;         /* out: false when the event is gone, a job is under way,
                                              or only_missing found one */
                        int64_t done_id;   /* out: of the job that will run */
                } replay;
                struct {
                        int64_t event;    /* the body goes; the event stays, its meta says
                                             "expunged": true */
                        int64_t job;      /* not 0: instead, the detail of this job's ... */
                        unsigned attempt; /* ... attempt goes */
                        bool done;        /* out: it was there */
                } expunge;
        };
} Write;

typedef struct StoreOptions {
        const char *path;  /* of the file, or the connection string */
        const char *node;  /* this node's name; stable across restarts */
        int64_t lease_ms;  /* ignored by single-process stores */
        int64_t once_ms;   /* how long delivery keys are remembered; 0: while there is room */
        int64_t bytes_max; /* the store refuses to grow beyond this: -ENOSPC; 0: no limit */
        /* SQLite: keys that share one filter in memory, fixed when the file is made; 0: the usual
         * 786,432. At most the last eight such generations are remembered, however young. */
        uint32_t keys_per_generation;
        /* SQLite: entries (of events and jobs) of the index by source and target that are written
         * together, sorted; 0: the usual 16,384. */
        uint32_t index_per_run;
} StoreOptions;

/* Jobs of a target: either the waiting ones that are due, by their time; or the queued ones that
 * nobody holds (spilled, given back, replayed, recovered), by their ids. What is found is gone
 * through by id: a job whose lane has an earlier one that nobody holds (waiting, blocked, or queued
 * and not claimed) is blocked instead of given. */
typedef struct ClaimAsk {
        int64_t now_ms;
        unsigned shard, shards; /* jobs with job.shard % shards == shard */
        size_t max;
        Span target;
        bool is_due;      /* the waiting ones ... */
        int64_t from_ms;  /* ... of which whoever asks knows that none is due before; else: */
        int64_t after_id; /* of the queued ones those with a greater id: 0 from the start */
} ClaimAsk;

/* A change of one subject that was applied. */
typedef struct Change {
        uint64_t lane;
        uint8_t shard;
        int64_t time_ms; /* when it happened */
} Change;

typedef struct Claim {
        Job **jobs; /* events loaded; in the order of id; the caller frees all */
        size_t n;
        bool more; /* max was reached, or all of it is more than a claim may carry */
        /* Of a claim for what is due: no waiting job left of the target and for this shard is due
         * earlier; INT64_MAX for none. */
        int64_t next_due_ms;
        /* Of a claim for queued ones: none of this shard that could be claimed has an id in
         * (after_id, searched_to] any more. */
        int64_t searched_to;
} Claim;

#define STORE_NOW INT64_MIN

typedef struct TrimRule {
        int64_t before_ms; /* finished events received earlier go; 0: no limit by age */
        int64_t bytes_max; /* oldest finished events go while the store is larger; 0: none */
        size_t max;        /* events per call: a bounded slice */
} TrimRule;

typedef struct StoreOps {
        const char *scheme; /* "sqlite", "memory"; as in `ledger: sqlite:grapnel.db` */
        /* Opens or makes the store and takes this node's jobs back (they become free). -EBUSY
         * when another process holds it; -ENOTSUP for a newer schema. */
        int (*open)(const StoreOptions *o, Store **ret, Err *e);
        /* All writes in one durable transaction, however many the ledger gives (a few more than a
         * batch's maximum when the last request brought several). A fault means: nothing is known
         * of the outcome (promise 3) unless it is -ENOSPC (no room) or -EAGAIN (another program
         * holds a lock for too long), which mean that nothing was written. */
        int (*write)(Store *s, Write *const *writes, size_t n, Err *e);
        int (*claim)(Store *s, const ClaimAsk *ask, Claim *ret, Err *e);
        int (*trim)(Store *s, const TrimRule *rule, size_t *ret_trimmed, Err *e);
        /* The event that a delivery key of this source stands for, while it is remembered; 0 when
         * it is not. Of the writer. */
        int (*find_key)(Store *s, Span source, Span key, int64_t now_ms, int64_t *ret_event,
                        Err *e);
        /* All objects, by kind and id; what is told is lent for the call, which may not ask the
         * store for anything. */
        int (*each_object)(Store *reader, void (*each)(void *arg, const Object *o), void *arg,
                           Err *e);
        /* The targets that have jobs to be claimed: each once for its queued ones which nobody
         * holds, with STORE_NOW, and once for its waiting ones, with when the first is due. Lent
         * for the call, which may not ask the store for anything. */
        int (*each_backlog)(Store *reader, void (*each)(void *arg, Span target, int64_t due_ms),
                            void *arg, Err *e);
        /* The changes that were applied: jobs in state done among the `max` latest, of those that
         * have a lane and whose event says when it happened; in any order. Lent for the call, which
         * may not ask the store for anything. */
        int (*each_change)(Store *reader, size_t max, void (*each)(void *arg, const Change *c),
                           void *arg, Err *e);
        /* The greatest id ever stored: id makers go on above it. */
        int64_t (*last_id)(Store *s);
        /* Housekeeping that the writer does between batches: checkpoint, sealing of key
         * segments, lease renewal. Bounded work; returns ms until it wants to be called again. */
        int (*upkeep)(Store *s, int64_t now_ms, int64_t *ret_next_ms, Err *e);
        /* A random value made once per store, for keyed hashes: `n` bytes of it, same ever after.
         */
        void (*secret)(Store *s, const char *purpose, unsigned char ret[32]);
        void (*close)(Store *s);

        /* Readers: a separate, read-only handle, used by the reader thread alone. */
        int (*open_reader)(Store *writer, Store **ret, Err *e);
        int (*find_event)(Store *reader, int64_t id, struct EventView **ret, Err *e);
        int (*list_events)(Store *reader, const struct EventQuery *q, struct EventPage **ret,
                           Err *e);
        int (*list_attempts)(Store *reader, const struct AttemptQuery *q, struct AttemptPage **ret,
                             Err *e);
        int (*target_stats)(Store *reader, Span target, int64_t from_ms, int64_t to_ms,
                            struct TargetStats *ret, Err *e);
        int (*stats)(Store *reader, struct LedgerStats *ret, Err *e);
} StoreOps;

struct Store {
        const StoreOps *ops;
};

extern const StoreOps *const stores[]; /* ended by NULL */
const StoreOps *store_find(Span scheme);
