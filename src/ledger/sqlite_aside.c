/* SPDX-License-Identifier: Apache-2.0
 *
 * The jobs that somebody will look for, in a table of their own: waiting, blocked, dead, and those
 * in state queued that nobody holds or that a restart must find. The many others, which go from
 * queued to done in memory, never come here and pay for no index. Lanes are found here too. */
#include "ledger/store_sqlite.h"

int sqlite_aside_put(Sqlite *s, const Job *j, JobState state, int64_t holder, Err *e) {
        sqlite3_stmt *st = NULL;
        int64_t target = 0;
        int r = sqlite_name_number(s, j->target, &target, e);

        if (r == 0)
                r = sqlite_get(s, SQL_ASIDE_PUT, &st, e);
        if (r < 0)
                return r;
        bind_int(st, 1, j->id);
        bind_int(st, 2, j->event->id);
        bind_int(st, 3, target);
        bind_int(st, 4, state);
        bind_int(st, 5, j->due_ms);
        bind_int(st, 6, (int64_t)j->lane);
        bind_int(st, 7, j->shard);
        bind_int(st, 8, holder);
        return sqlite_run(s, st, e, "put a job aside");
}

int sqlite_aside_has(Sqlite *s, int64_t first, int64_t last, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_ASIDE_HAS, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, first);
        bind_int(st, 2, last);
        r = sqlite_row(s, st, e, "look for a job aside");
        if (r > 0)
                sqlite3_reset(st);
        return r;
}

/* Looking first is cheaper than deleting nothing, which opens every index. */
int sqlite_aside_drop(Sqlite *s, int64_t job, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_aside_has(s, job, job, e);

        if (r <= 0)
                return r;
        r = sqlite_get(s, SQL_ASIDE_DROP, &st, e);
        if (r < 0)
                return r;
        bind_int(st, 1, job);
        return sqlite_run(s, st, e, "take a job from aside");
}

int sqlite_lane_busy(Sqlite *s, const Job *j, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_LANE_BUSY, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, (int64_t)j->lane);
        bind_int(st, 2, j->id);
        r = sqlite_row(s, st, e, "look at a lane");
        if (r > 0)
                sqlite3_reset(st);
        return r;
}

int sqlite_lane_followed(Sqlite *s, const Job *j, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_LANE_FOLLOWED, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, (int64_t)j->lane);
        bind_int(st, 2, j->id);
        r = sqlite_row(s, st, e, "look behind a job");
        if (r > 0)
                sqlite3_reset(st);
        return r;
}

static int wake(Sqlite *s, StatementName name, int64_t job, int64_t due_ms, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, name, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, job);
        bind_int(st, 2, due_ms);
        return sqlite_run(s, st, e, "wake a lane");
}

/* When the oldest waits, or is free, it is the one that the others are behind. */
int sqlite_lane_wake(Sqlite *s, uint64_t lane, int64_t due_ms, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_LANE_FIRST, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, (int64_t)lane);
        r = sqlite_row(s, st, e, "look at a lane");
        if (r <= 0)
                return r;
        int64_t job = sqlite3_column_int64(st, 0);
        bool is_blocked = sqlite3_column_int(st, 1) == JOB_BLOCKED;
        sqlite3_reset(st);
        if (!is_blocked)
                return 0;
        r = wake(s, SQL_JOB_WAKE, job, due_ms, e);
        if (r == 0)
                r = wake(s, SQL_ASIDE_WAKE, job, due_ms, e);
        return r < 0 ? r : 1;
}
