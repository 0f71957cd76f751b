/* SPDX-License-Identifier: Apache-2.0
 *
 * Retention: old events go with their jobs, attempts and answers, a bounded slice per call, never
 * one with an unfinished job. Events are looked at in the order of ids, which is the order of
 * their arrival but for moments. A cursor in memory passes those that must stay, and goes back to
 * the start when it meets one that is young: what was unfinished then may be finished now. */
#include "ledger/store_sqlite.h"

enum { LOOK_MAX_PER_EVENT = 4, EVENT_ROWS_BYTES = 300 /* jobs, attempts: about */ };

typedef struct Old {
        int64_t id, first_job, last_job;
        bool has_later; /* jobs beyond these */
} Old;

static int pages(Sqlite *s, StatementName name, int64_t *ret, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, name, &st, e);

        if (r == 0)
                r = sqlite_row(s, st, e, "measure the file");
        if (r < 0)
                return r;
        *ret = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
        return 0;
}

/* What is used; free pages inside the file count as free. */
int sqlite_bytes(Sqlite *s, int64_t *ret, Err *e) {
        int64_t all = 0, unused = 0;
        int r = pages(s, SQL_PAGES, &all, e);

        if (r == 0)
                r = pages(s, SQL_PAGES_FREE, &unused, e);
        if (r == 0)
                *ret = (all - unused) * SQLITE_PAGE_BYTES;
        return r;
}

static int range_is_open(Sqlite *s, const Old *old, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_TRIM_OPEN, &st, e);

        if (r < 0 || old->first_job == 0)
                return r;
        bind_int(st, 1, old->first_job);
        bind_int(st, 2, old->last_job);
        bind_int(st, 3, old->id);
        r = sqlite_row(s, st, e, "look for unfinished jobs");
        if (r > 0)
                sqlite3_reset(st);
        return r;
}

/* 1 when a job of the event is not finished. */
static int is_open(Sqlite *s, Old *old, Err *e) {
        Old later = {.id = old->id};
        int r = range_is_open(s, old, e);

        while (r == 0 && (r = sqlite_later(s, old->id, &later.first_job, e)) > 0) {
                later.last_job = later.first_job;
                old->has_later = true;
                r = range_is_open(s, &later, e);
        }
        return r;
}

static int run_with(Sqlite *s, StatementName name, const Old *old, bool by_jobs, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, name, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, by_jobs ? old->first_job : old->id);
        if (by_jobs) {
                bind_int(st, 2, old->last_job);
                bind_int(st, 3, old->id);
        }
        return sqlite_run(s, st, e, "trim an event");
}

/* Job by job: "WHERE job IN (SELECT ...)" takes five times as long. */
static int drop_attempts(Sqlite *s, const Old *old, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_EVENT_JOB_IDS, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, old->first_job);
        bind_int(st, 2, old->last_job);
        bind_int(st, 3, old->id);
        while ((r = sqlite_row(s, st, e, "trim an event")) > 0) {
                Old job = {.id = sqlite3_column_int64(st, 0)};

                r = run_with(s, SQL_TRIM_ATTEMPTS, &job, false, e);
                if (r < 0)
                        break;
        }
        sqlite3_reset(st);
        return r;
}

static int drop_jobs(Sqlite *s, const Old *old, Err *e) {
        int r = sqlite_aside_has(s, old->first_job, old->last_job, e);

        if (r > 0)
                r = run_with(s, SQL_TRIM_ASIDE, old, true, e);
        if (r == 0)
                r = drop_attempts(s, old, e);
        return r < 0 ? r : run_with(s, SQL_TRIM_JOBS, old, true, e);
}

static int drop(Sqlite *s, const Old *old, Err *e) {
        Old later = {.id = old->id};
        int r = old->first_job ? drop_jobs(s, old, e) : 0;

        while (r == 0 && old->has_later &&
               (r = sqlite_later(s, old->id, &later.first_job, e)) > 0) {
                later.last_job = later.first_job;
                r = drop_jobs(s, &later, e);
        }
        if (r == 0 && old->has_later)
                r = run_with(s, SQL_LATER_DROP, old, false, e);
        if (r == 0)
                r = run_with(s, SQL_STRAY_DROP, old, false, e);
        if (r == 0)
                r = run_with(s, SQL_TRIM_ANSWER, old, false, e);
        if (r == 0)
                r = run_with(s, SQL_TRIM_EVENT, old, false, e);
        s->events_delta--;
        return r;
}

/* Fills `olds` with what may go. */
static int choose(Sqlite *s, const TrimRule *rule, int64_t excess, Old *olds, size_t *ret_n,
                  Err *e) {
        size_t n = 0, looked = 0;
        sqlite3_stmt *st = NULL;
        bool is_end = true;
        int r = sqlite_get(s, SQL_TRIM_SCAN, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, s->trim_after);
        while ((r = sqlite_row(s, st, e, "look for old events")) > 0) {
                Old old = {.id = sqlite3_column_int64(st, 0),
                           .first_job = sqlite3_column_int64(st, 2),
                           .last_job = sqlite3_column_int64(st, 3)};

                if (sqlite3_column_int64(st, 1) >= rule->before_ms && excess <= 0)
                        break;
                if (n == rule->max || looked++ == rule->max * LOOK_MAX_PER_EVENT) {
                        is_end = false;
                        break;
                }
                r = is_open(s, &old, e);
                if (r < 0)
                        break;
                s->trim_after = old.id;
                if (r > 0)
                        continue;
                olds[n++] = old;
                excess -= sqlite3_column_int64(st, 4) + EVENT_ROWS_BYTES;
        }
        sqlite3_reset(st);
        if (is_end)
                s->trim_after = 0;
        *ret_n = n;
        return r < 0 ? r : 0;
}

int sqlite_trim(Store *store, const TrimRule *rule, size_t *ret_trimmed, Err *e) {
        Sqlite *s = sqlite_of(store);
        AUTO(freep)
        Old *olds = NULL;
        int64_t excess = 0;
        size_t n = 0;
        int r;

        must(rule->max > 0);
        if (rule->bytes_max > 0) {
                r = sqlite_bytes(s, &excess, e);
                if (r < 0)
                        return r;
                excess -= rule->bytes_max;
        }
        olds = must_alloc(rule->max * sizeof *olds);
        r = choose(s, rule, excess, olds, &n, e);
        if (r < 0)
                return r;
        if (n > 0) {
                r = sqlite_begin(s, e);
                if (r < 0)
                        return r;
                for (size_t i = 0; r == 0 && i < n; i++)
                        r = drop(s, &olds[i], e);
                if (r == 0)
                        r = sqlite_mark_totals(s, e);
                r = r < 0 ? sqlite_rollback(s, r) : sqlite_commit(s, e);
                if (r < 0) {
                        s->trim_after = 0;
                        return r;
                }
                r = sqlite_index_trim(s, olds[n - 1].id, e);
        }
        *ret_trimmed = n;
        return r < 0 ? r : 0;
}
