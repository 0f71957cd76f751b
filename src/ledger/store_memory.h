/* SPDX-License-Identifier: Apache-2.0
 *
 * The store without a disk, from inside: lists and tables under one lock, which the reader shares.
 * For simulations and tests: what it holds ends with it. */
#pragma once

#include "base/table.h"
#include "ledger/store.h"
#include "ledger/view.h"

#include <pthread.h>

enum { MEMORY_ROWS_MAX = 1 << 22 };

typedef struct MemoryJob {
        Link link; /* on `open` while unfinished, in the order of ids */
        struct MemoryEvent *event;
        int64_t id, due_ms;
        uint64_t lane;
        char *target;
        JobState state;
        unsigned n_attempts, tries_from;
        bool is_replay;
        uint8_t shard;
        bool is_free;      /* queued, and nobody holds it */
        Attempt *attempts; /* their spans are one allocation, at .code.p */
        size_t n_listed;
} MemoryJob;

typedef struct MemoryEvent {
        Link link; /* in the order of ids */
        Event *event;
        MemoryJob **jobs;
        size_t n_jobs, bytes;
        bool has_answer;
        int answer_status;
        char *answer; /* type, then body */
        size_t answer_type_n, answer_body_n;
} MemoryEvent;

typedef struct MemoryKey {
        Link link; /* in the order of arrival */
        int64_t event, received_ms;
        uint64_t body;
        size_t n;
        char key[];
} MemoryKey;

typedef struct MemoryObject {
        Link link; /* in the order of ids */
        Object object;
        char bytes[];
} MemoryObject;

typedef struct Memory {
        Store store;
        struct Memory *writer; /* itself, or whom this reader reads */
        pthread_mutex_t lock;
        List events, open, keys;
        List objects[OBJECT_KINDS]; /* of each kind, by id */
        int64_t objects_version;
        Table *events_by_id, *jobs_by_id, *by_key;
        int64_t once_ms, bytes_max, last_id;
        size_t bytes;
        unsigned char secret[32];
} Memory;

static inline Memory *memory_of(Store *s) {
        return CONTAINER_OF(s, Memory, store);
}

/* memory_write.c */
MUST_CHECK int memory_write(Store *s, Write *const *writes, size_t n, Err *e);
MemoryEvent *memory_event(Memory *m, int64_t id);
MemoryJob *memory_job(Memory *m, int64_t id);
/* Not yet among the event's. */
MemoryJob *memory_job_new(Memory *m, MemoryEvent *event, const Job *from, JobState state);
/* Unfinished jobs are on the open list, which claims and lanes walk. */
void memory_move(Memory *m, MemoryJob *j, JobState state);
/* The first job of a lane that waits, is blocked or is held by nobody; NULL: none. */
MemoryJob *memory_lane_first(Memory *m, uint64_t lane);
void memory_key_drop(Memory *m, MemoryKey *k);

/* memory_replay.c */
void memory_replay(Memory *m, Write *w);
void memory_expunge(Memory *m, Write *w);

/* memory_object.c */
void memory_object_write(Memory *m, Write *w);
MUST_CHECK int memory_each_change(Store *s, size_t max, void (*each)(void *arg, const Change *c),
                                  void *arg, Err *e);
MUST_CHECK int memory_each_backlog(Store *s, void (*each)(void *arg, Span target, int64_t due_ms),
                                   void *arg, Err *e);
MUST_CHECK int memory_each_object(Store *s, void (*each)(void *arg, const Object *o), void *arg,
                                  Err *e);
void memory_objects_done(Memory *m);

/* memory_write.c, memory_claim.c, memory_read.c, memory_list.c */
MUST_CHECK int memory_find_key(Store *s, Span source, Span key, int64_t now_ms, int64_t *ret_event,
                               Err *e);
MUST_CHECK int memory_claim(Store *s, const ClaimAsk *ask, Claim *ret, Err *e);
/* Without attempts and answer. */
EventView *memory_view(Arena *a, const MemoryEvent *m, bool with_body, bool with_jobs);
MUST_CHECK int memory_find_event(Store *s, int64_t id, EventView **ret, Err *e);
MUST_CHECK int memory_list_events(Store *s, const struct EventQuery *q, EventPage **ret, Err *e);
MUST_CHECK int memory_list_attempts(Store *s, const struct AttemptQuery *q, AttemptPage **ret,
                                    Err *e);
MUST_CHECK int memory_target_stats(Store *s, Span target, int64_t from_ms, int64_t to_ms,
                                   struct TargetStats *ret, Err *e);
MUST_CHECK int memory_stats(Store *s, LedgerStats *ret, Err *e);
