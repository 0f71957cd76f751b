/* SPDX-License-Identifier: Apache-2.0
 *
 * What a restart must know without reading every row: which jobs were in memory, how many events
 * there are, the greatest id. Fresh jobs are in no index, so every MARK_EVERY_JOBS recorded jobs a
 * mark is set, inside a batch's transaction: the jobs before the last mark that are still queued
 * are put aside (few are: they have been in memory since), and meta `low_water` says that below it
 * every queued job is aside. A start looks through at most two such spans and puts aside what it
 * finds; whatever another start of the process held is free. */
#include "ledger/store_sqlite.h"

static int put_running(Sqlite *s, int64_t after, int64_t to, int64_t holder, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_LIST_RUNNING, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, after);
        bind_int(st, 2, to);
        bind_int(st, 3, holder);
        return sqlite_run(s, st, e, "put aside the jobs in memory");
}

/* They are as many as one process holds in memory at most. */
static int lose_held(Sqlite *s, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_ASIDE_LOSE, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, HOLDER_LOST);
        return sqlite_run(s, st, e, "free the jobs of the process before");
}

static int number(Sqlite *s, const char *sql, int64_t arg, int64_t *ret, Err *e) {
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
        int r = 0;

        if (rc != SQLITE_OK)
                return sqlite_fail(s, rc, e, "read where the ledger ends");
        bind_int(st, 1, arg);
        r = sqlite_row(s, st, e, "read where the ledger ends");
        if (r > 0)
                *ret = sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        return r < 0 ? r : 0;
}

int sqlite_mark_totals(Sqlite *s, Err *e) {
        int64_t events = atomic_load_explicit(&s->events_counted, memory_order_relaxed);
        int r = sqlite_meta_set(s, "last_id", s->last_id, e);

        if (r == 0)
                r = sqlite_meta_set(s, "events", events + s->events_delta, e);
        return r < 0 ? r : sqlite_meta_set(s, "events_to", s->last_id, e);
}

int sqlite_mark(Sqlite *s, Err *e) {
        int r = put_running(s, s->low_water, s->mark_next, s->holder, e);

        if (r < 0)
                return r;
        s->low_water = s->mark_next > s->low_water ? s->mark_next : s->low_water;
        s->mark_next = s->last_id;
        s->jobs_since_mark = 0;
        r = sqlite_meta_set(s, "low_water", s->low_water, e);
        return r < 0 ? r : sqlite_mark_totals(s, e);
}

/* A mark that was rolled back is set again with the next batch. */
void sqlite_mark_end(Sqlite *s, bool committed) {
        if (committed) {
                s->low_water_committed = s->low_water;
        } else if (s->low_water != s->low_water_committed) {
                s->low_water = s->low_water_committed;
                s->jobs_since_mark = MARK_EVERY_JOBS;
        }
}

int sqlite_mark_open(Sqlite *s, Err *e) {
        int64_t last_event = 0, last_job = 0, events = 0, events_to = 0, later = 0, starts = 0;
        int r = sqlite_meta_get(s, "low_water", &s->low_water, e);

        if (r == 0)
                r = sqlite_meta_get(s, "last_id", &s->last_id, e);
        if (r == 0)
                r = sqlite_meta_get(s, "events", &events, e);
        if (r == 0)
                r = sqlite_meta_get(s, "events_to", &events_to, e);
        if (r == 0)
                r = sqlite_meta_get(s, "starts", &starts, e);
        if (r == 0)
                r = number(s, "SELECT ifnull(max(id), ?1) FROM events", 0, &last_event, e);
        if (r == 0)
                r = number(s, "SELECT ifnull(max(id), ?1) FROM jobs", 0, &last_job, e);
        if (r == 0)
                r = number(s, "SELECT count(*) FROM events WHERE id > ?1", events_to, &later, e);
        if (r == 0)
                r = put_running(s, s->low_water, INT64_MAX, HOLDER_LOST, e);
        if (r == 0)
                r = lose_held(s, e);
        if (r < 0)
                return r;
        s->last_id = last_event > s->last_id ? last_event : s->last_id;
        s->last_id = last_job > s->last_id ? last_job : s->last_id;
        s->last_id_at_open = s->low_water = s->mark_next = s->last_id;
        s->holder = starts + 1;
        atomic_store(&s->events_counted, events + later);
        r = sqlite_meta_set(s, "starts", s->holder, e);
        if (r == 0)
                r = sqlite_meta_set(s, "clean", 0, e);
        if (r == 0)
                r = sqlite_meta_set(s, "low_water", s->low_water, e);
        return r < 0 ? r : sqlite_mark_totals(s, e);
}
