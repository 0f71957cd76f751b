/* SPDX-License-Identifier: Apache-2.0
 *
 * The SQLite store from inside: what its files share. One connection writes and checkpoints
 * (Sqlite with can_write); readers have their own, read-only. The file's format is documented in
 * sqlite_schema.c. */
#pragma once

#include "base/table.h"
#include "ledger/key_filter.h"
#include "ledger/store.h"
#include "ledger/view.h"

#include <sqlite3.h>

enum {
        SQLITE_PAGE_BYTES = 16384,
        WAL_CHECKPOINT_PAGES = 2000, /* 32 MB: then a checkpoint that waits for nobody */
        WAL_MAX_PAGES = 4096,        /* 64 MB: then one that waits for readers */
        MARK_EVERY_JOBS = 16384,     /* how far a restart looks back for jobs that were running */
        SCAN_MAX = 8192,             /* index entries that one claim looks at */
        CLAIM_MAX_BYTES = 16 * 1024 * 1024, /* of events loaded by one claim */
        NAMES_CACHED_MAX = 65536,
        KEY_GENERATIONS = 8,
        KEYS_PER_GENERATION = 786432, /* times eight: 6.3 million keys in 32 MB */
        HOLDER_LOST = -1,             /* aside.holder: of a process that has ended */
        INDEX_PER_RUN = 16384,        /* entries of the index that are written together */
};

/* Prepared once each and kept; the texts are in sqlite_statement.c. */
typedef enum StatementName {
        SQL_BEGIN,
        SQL_COMMIT,
        SQL_ROLLBACK,
        SQL_EVENT_ADD,
        SQL_JOB_ADD,
        SQL_JOB_FIND,
        SQL_JOB_REPLAY,
        SQL_JOB_REVIVE,
        SQL_LATER_ADD,
        SQL_LATER_NEXT,
        SQL_LATER_DROP,
        SQL_JOB_SETTLE,
        SQL_ASIDE_PUT,
        SQL_ASIDE_HAS,
        SQL_ASIDE_DROP,
        SQL_ATTEMPT_ADD,
        SQL_EVENT_META,
        SQL_EVENT_EXPUNGE,
        SQL_ATTEMPT_EXPUNGE,
        SQL_ANSWER_ADD,
        SQL_ANSWER_GET,
        SQL_LANE_BUSY,
        SQL_LANE_FOLLOWED,
        SQL_ENDED,
        SQL_LANE_FIRST,
        SQL_JOB_WAKE,
        SQL_ASIDE_WAKE,
        SQL_STRAY_ADD,
        SQL_STRAY_DROP,
        SQL_RUN_ADD,
        SQL_RUN_SOURCE,
        SQL_RUN_TARGET,
        SQL_RUN_WIDEN,
        SQL_RUN_AT,
        SQL_RUN_BEFORE,
        SQL_RUN_LEFT,
        SQL_RUN_LEFT_EVENTS,
        SQL_RUN_LEFT_JOBS,
        SQL_RUN_LEFT_LATER,
        SQL_RUN_DROP_SOURCES,
        SQL_RUN_DROP_TARGETS,
        SQL_RUN_DROP,
        SQL_FRESH_EVENTS,
        SQL_FRESH_JOBS,
        SQL_FRESH_LATER,
        SQL_NAME_GET,
        SQL_NAME_OF,
        SQL_NAME_ADD,
        SQL_META_GET,
        SQL_META_SET,
        SQL_LIST_RUNNING,
        SQL_ASIDE_LOSE,
        SQL_KEY_ADD,
        SQL_KEY_BLOCK,
        SQL_KEY_SCAN,
        SQL_KEY_DROP,
        SQL_KEY_FORGET,
        SQL_GENERATION_SET,
        SQL_GENERATION_GET,
        SQL_GENERATION_DROP,
        SQL_CLAIM_DUE,
        SQL_CLAIM_FREE,
        SQL_BACKLOG_NEXT,
        SQL_WAITING_NEXT,
        SQL_CLAIM_LOAD,
        SQL_CLAIM_STATE,
        SQL_ASIDE_STATE,
        SQL_TRIM_SCAN,
        SQL_TRIM_OPEN,
        SQL_TRIM_ATTEMPTS,
        SQL_TRIM_ASIDE,
        SQL_TRIM_JOBS,
        SQL_TRIM_ANSWER,
        SQL_TRIM_EVENT,
        SQL_OBJECT_GET,
        SQL_OBJECT_NAMED,
        SQL_OBJECT_PUT,
        SQL_OBJECT_DROP,
        SQL_OBJECT_DROP_OWNED,
        SQL_OBJECT_EACH,
        SQL_PAGES,
        SQL_PAGES_FREE,
        SQL_EVENT_GET,
        SQL_EVENT_HEAD,
        SQL_EVENT_RANGE,
        SQL_EVENT_JOBS,
        SQL_EVENT_ATTEMPTS,
        SQL_EVENT_JOB_IDS,
        SQL_EVENT_HAS,
        SQL_JOB_EVENT,
        SQL_JOB_HEAD,
        SQL_JOB_STATE,
        SQL_JOB_COUNT,
        SQL_WALK_ALL, /* down; its way up is the next one; and so the others */
        SQL_WALK_ALL_UP,
        SQL_WALK_STATE,
        SQL_WALK_STATE_UP,
        SQL_WALK_TARGET_STATE,
        SQL_WALK_TARGET_STATE_UP,
        SQL_WALK_STRAYS,
        SQL_WALK_STRAYS_UP,
        SQL_WALK_SLICE,
        SQL_WALK_SLICE_UP,
        SQL_WALK_TAIL_SOURCE,
        SQL_WALK_TAIL_TARGET,
        SQL_WALK_TAIL_LATER,
        SQL_WALK_RUN_SOURCE,
        SQL_WALK_RUN_TARGET,
        SQL_COUNT_STATE,
        SQL_OLDEST,
        SQL_STATEMENTS,
} StatementName;

typedef struct KeyGeneration {
        int64_t number; /* of the keys with ids [number * per_generation, ...) */
        int64_t newest_ms;
        uint32_t saved; /* keys that the filter on disk knows */
        KeyFilter *filter;
} KeyGeneration;

/* Delivery keys: see sqlite_keys.c. */
typedef struct KeyLog {
        uint64_t secret[6];
        int64_t once_ms;
        uint32_t per_generation;
        int64_t first_id, next_id; /* of the rows on disk */
        int64_t drop_below;        /* rows that may go */
        KeyGeneration
                generations[KEY_GENERATIONS]; /* by number % KEY_GENERATIONS; no filter: none */
        struct KeyTaken {
                KeyFilter *filter;
                uint32_t slot;
        } * taken; /* of the transaction that runs */
        size_t n_taken, taken_cap;
} KeyLog;

typedef struct IndexEntry {
        int64_t name; /* the number of the source, or of the target */
        int64_t event;
        int64_t job;         /* 0: of a source */
        int64_t received_ms; /* of a source */
} IndexEntry;

/* By source and by target: see sqlite_index.c. */
typedef struct Index {
        IndexEntry *fresh; /* in no run yet */
        size_t n, n_committed, cap, per_run;
        bool is_sorted; /* by event */
        int64_t to;     /* the greatest event of the latest run */
        int64_t trimmed_to,
                looked_to; /* since the start: what went, and runs that were looked at */
} Index;

typedef struct Sqlite {
        Store store;
        sqlite3 *db;
        char *path;
        int lock;
        bool can_write;
        bool broken; /* a commit's outcome is unknown: no more writing, no checkpoint */
        uint64_t device, inode;
        sqlite3_stmt *statements[SQL_STATEMENTS];
        int64_t holder; /* how often this file was opened: this process's mark on jobs it holds */
        int64_t last_id_at_open;
        unsigned char secret[32];
        Table *names; /* text -> number, as pointers */
        int wal_pages;
        KeyLog keys;
        Index index;
        int64_t low_water; /* queued jobs that are not aside have greater ids */
        int64_t low_water_committed;
        int64_t mark_next; /* the greatest job id at the last mark: the next low_water */
        int64_t last_id;   /* ever */
        size_t jobs_since_mark;
        const struct Sqlite *writer;    /* of a reader; its own of a writer */
        _Atomic int64_t events_counted; /* readers look at the writer's */
        int64_t events_delta;           /* of the transaction that runs */
        int64_t trim_after;             /* older events were looked at */
        int64_t slow_next_ms;
        int64_t deadline_ms; /* of a reader's question, monotonic */
} Sqlite;

static inline Sqlite *sqlite_of(Store *s) {
        return CONTAINER_OF(s, Sqlite, store);
}

/* sqlite_statement.c: calls of the library, with its results as ours. */
int sqlite_fail(Sqlite *s, int rc, Err *e, const char *what); /* `what`: "write an event" */
MUST_CHECK int sqlite_get(Sqlite *s, StatementName name, sqlite3_stmt **ret, Err *e);
void bind_int(sqlite3_stmt *st, int at, int64_t v);
void bind_text(sqlite3_stmt *st, int at, Span v); /* must live until the statement ran */
void bind_blob(sqlite3_stmt *st, int at, Span v);
Span column_span(sqlite3_stmt *st, int at); /* until the next step or reset */
/* Runs a statement that gives no rows, and resets it. */
MUST_CHECK int sqlite_run(Sqlite *s, sqlite3_stmt *st, Err *e, const char *what);
/* 1 for a row, 0 for the end; a fault resets the statement. */
MUST_CHECK int sqlite_row(Sqlite *s, sqlite3_stmt *st, Err *e, const char *what);
MUST_CHECK int sqlite_exec(Sqlite *s, const char *sql, Err *e, const char *what);
/* A number of the meta table; `*ret` stays when there is none. */
MUST_CHECK int sqlite_meta_get(Sqlite *s, const char *name, int64_t *ret, Err *e);
MUST_CHECK int sqlite_meta_set(Sqlite *s, const char *name, int64_t value, Err *e);

/* sqlite_transaction.c: -EAGAIN and -ENOSPC mean that nothing was written; other faults of commit
 * mark the store broken. */
MUST_CHECK int sqlite_begin(Sqlite *s, Err *e);
MUST_CHECK int sqlite_commit(Sqlite *s, Err *e);
/* Undoes what memory knows of the transaction too; returns `fault`. */
int sqlite_rollback(Sqlite *s, int fault);
/* hook_none.c, or in builds for tests hook_skip_commit.c: true when this commit is to be lost. */
bool hook_skips_commit(void);

/* sqlite_schema.c */
MUST_CHECK int sqlite_schema_open(Sqlite *s, Err *e);

/* sqlite_aside.c: the jobs that are looked for. */
MUST_CHECK int sqlite_aside_put(Sqlite *s, const Job *j, JobState state, int64_t holder, Err *e);
MUST_CHECK int sqlite_aside_drop(Sqlite *s, int64_t job, Err *e);
/* 1 when a job with an id in [first, last] is aside. */
MUST_CHECK int sqlite_aside_has(Sqlite *s, int64_t first, int64_t last, Err *e);
/* 1 when an earlier job of the lane waits, is blocked, or lies in the store with nobody holding
 * it. */
MUST_CHECK int sqlite_lane_busy(Sqlite *s, const Job *j, Err *e);
/* Does a job stand behind this one in its lane? 1, 0, or a fault. */
MUST_CHECK int sqlite_lane_followed(Sqlite *s, const Job *j, Err *e);
/* Wakes the lane's oldest job if it is blocked: 1 when it was. */
MUST_CHECK int sqlite_lane_wake(Sqlite *s, uint64_t lane, int64_t due_ms, Err *e);

/* sqlite_names.c: sources and targets as small numbers. Writers add what is new. */
/* 1 when the name has a number. */
MUST_CHECK int sqlite_name_find(Sqlite *s, Span name, int64_t *ret, Err *e);
MUST_CHECK int sqlite_name_number(Sqlite *s, Span name, int64_t *ret, Err *e);

/* sqlite_keys.c */
typedef struct KeyKnown {
        int64_t event, row;
        bool same_body;
} KeyKnown;
MUST_CHECK int sqlite_keys_open(Sqlite *s, const StoreOptions *o, Err *e);
/* 1 when the event's key is known, 0 when it is new. */
MUST_CHECK int sqlite_keys_find(Sqlite *s, const Event *event, KeyKnown *ret, Err *e);
MUST_CHECK int sqlite_find_key(Store *s, Span source, Span key, int64_t now_ms, int64_t *ret_event,
                               Err *e);
MUST_CHECK int sqlite_keys_add(Sqlite *s, const Event *event, Err *e);
/* If the key's latest event is this one, the key is new from now on. */
MUST_CHECK int sqlite_keys_forget(Sqlite *s, const Event *event, Err *e);
void sqlite_keys_end(Sqlite *s, bool committed);
MUST_CHECK int sqlite_keys_upkeep(Sqlite *s, int64_t now_ms, bool *ret_more, Err *e);
MUST_CHECK int sqlite_keys_save(Sqlite *s, Err *e); /* in a transaction: all filters */
void sqlite_keys_done(Sqlite *s);

/* sqlite_index.c */
MUST_CHECK int sqlite_index_open(Sqlite *s, const StoreOptions *o, Err *e);
MUST_CHECK int sqlite_index_add(Sqlite *s, const IndexEntry *entry, Err *e);
void sqlite_index_end(Sqlite *s, bool committed);
MUST_CHECK int sqlite_index_upkeep(Sqlite *s, int64_t now_ms, Err *e);
/* After events up to this one were trimmed: also what the index has of them goes, in time. */
MUST_CHECK int sqlite_index_trim(Sqlite *s, int64_t trimmed_to, Err *e);
void sqlite_index_done(Sqlite *s);

/* sqlite_mark.c: what a restart needs to know without looking at every row. */
MUST_CHECK int sqlite_mark_open(Sqlite *s, Err *e);
/* Both in a transaction: a new mark; and the totals alone. */
MUST_CHECK int sqlite_mark(Sqlite *s, Err *e);
MUST_CHECK int sqlite_mark_totals(Sqlite *s, Err *e);
void sqlite_mark_end(Sqlite *s, bool committed);

/* sqlite_upkeep.c */
MUST_CHECK int sqlite_checkpoint(Sqlite *s, int mode, Err *e);
MUST_CHECK int sqlite_upkeep(Store *s, int64_t now_ms, int64_t *ret_next_ms, Err *e);

/* sqlite_replay.c */
MUST_CHECK int sqlite_replay(Sqlite *s, Write *w, Err *e);
/* Begins with *job = 0; each call gives the next of the jobs that replays made beyond the event's
 * range: 1, or 0 for no more. */
MUST_CHECK int sqlite_later(Sqlite *s, int64_t event, int64_t *job, Err *e);
/* 1 with the bounds of its first jobs' ids (0: it has none), 0 when there is no such event. */
MUST_CHECK int sqlite_event_range(Sqlite *s, int64_t event, int64_t *first, int64_t *last, Err *e);

/* sqlite_object.c */
MUST_CHECK int sqlite_object_write(Sqlite *s, Write *w, Err *e);
MUST_CHECK int sqlite_each_change(Store *s, size_t max, void (*each)(void *arg, const Change *c),
                                  void *arg, Err *e);
MUST_CHECK int sqlite_each_backlog(Store *s, void (*each)(void *arg, Span target, int64_t due_ms),
                                   void *arg, Err *e);
MUST_CHECK int sqlite_each_object(Store *s, void (*each)(void *arg, const Object *o), void *arg,
                                  Err *e);

/* sqlite_write.c, sqlite_claim.c, sqlite_trim.c, sqlite_read.c, sqlite_list.c */
MUST_CHECK int sqlite_write(Store *s, Write *const *writes, size_t n, Err *e);
MUST_CHECK int sqlite_attempt_add(Sqlite *s, const Job *j, const Attempt *a, Err *e);
MUST_CHECK int sqlite_claim(Store *s, const ClaimAsk *ask, Claim *ret, Err *e);
MUST_CHECK int sqlite_trim(Store *s, const TrimRule *rule, size_t *ret_trimmed, Err *e);
MUST_CHECK int sqlite_bytes(Sqlite *s, int64_t *ret, Err *e);
MUST_CHECK int sqlite_find_event(Store *s, int64_t id, EventView **ret, Err *e);
MUST_CHECK int sqlite_list_events(Store *s, const struct EventQuery *q, EventPage **ret, Err *e);
MUST_CHECK int sqlite_list_attempts(Store *s, const struct AttemptQuery *q, AttemptPage **ret,
                                    Err *e);
MUST_CHECK int sqlite_target_stats(Store *s, Span target, int64_t from_ms, int64_t to_ms,
                                   TargetStats *ret, Err *e);
MUST_CHECK int sqlite_stats(Store *s, LedgerStats *ret, Err *e);
enum { EVENT_COLUMNS_N = 11 };
/* Columns `at` and on: id, received_ms, time_ms, source's name, type, subject, content_type,
 * trace, key, meta, body; spans are lent by the row. */
void sqlite_event_row(sqlite3_stmt *st, int at, Event *ret);
/* sqlite_read.c, for sqlite_list.c: a row of the event's columns, first_job and last_job becomes
 * a view, without attempts, in `a`. */
MUST_CHECK int sqlite_view_row(Sqlite *s, Arena *a, sqlite3_stmt *st, bool with_jobs,
                               EventView **ret, Err *e);
/* sqlite_open.c: from now on the reader's statements may take READ_MAX_MS. */
void sqlite_question_begin(Sqlite *s);
