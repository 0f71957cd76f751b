/* SPDX-License-Identifier: Apache-2.0
 *
 * Replays: a job that ended lies free in the store again, or a new one does. Both are aside, for
 * the next claim of queued jobs; a claim also says what is behind its lane. */
#include "ledger/store_sqlite.h"

typedef struct Known {
        int64_t id;     /* 0: there is none */
        JobState state; /* one that is open is known before any other */
} Known;

int sqlite_later(Sqlite *s, int64_t event, int64_t *job, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_LATER_NEXT, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, event);
        bind_int(st, 2, *job);
        r = sqlite_row(s, st, e, "look for the jobs of a replay");
        if (r > 0) {
                *job = sqlite3_column_int64(st, 0);
                sqlite3_reset(st);
        }
        return r;
}

/* The latest job of the event for the target among those with ids in [first, last]. */
static int find_in(Sqlite *s, const Job *j, int64_t first, int64_t last, Known *ret, Err *e) {
        sqlite3_stmt *st = NULL;
        int64_t target = 0;
        int r = sqlite_name_number(s, j->target, &target, e);

        if (r == 0)
                r = sqlite_get(s, SQL_JOB_FIND, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, first);
        bind_int(st, 2, last);
        bind_int(st, 3, j->event->id);
        bind_int(st, 4, target);
        while ((r = sqlite_row(s, st, e, "look for an event's job")) > 0) {
                if (ret->state < JOB_DONE)
                        continue;
                ret->id = sqlite3_column_int64(st, 0);
                ret->state = (JobState)sqlite3_column_int(st, 1);
        }
        return r;
}

static int revive(Sqlite *s, const Job *from, int64_t id, Err *e) {
        sqlite3_stmt *st = NULL;
        Job revived = *from;
        int r = sqlite_get(s, SQL_JOB_REVIVE, &st, e);

        if (r < 0)
                return r;
        revived.id = id;
        revived.due_ms = 0;
        bind_int(st, 1, id);
        bind_int(st, 2, (int64_t)from->lane);
        bind_int(st, 3, from->shard);
        r = sqlite_run(s, st, e, "replay a job");
        return r < 0 ? r : sqlite_aside_put(s, &revived, JOB_QUEUED, 0, e);
}

/* It waits: its lane and shard stay, so that those behind it go on waiting for its end. */
static int hurry(Sqlite *s, int64_t id, Err *e) {
        static const StatementName names[] = {SQL_JOB_HURRY, SQL_ASIDE_HURRY};

        for (size_t i = 0; i < COUNT_OF(names); i++) {
                sqlite3_stmt *st = NULL;
                int r = sqlite_get(s, names[i], &st, e);

                if (r < 0)
                        return r;
                bind_int(st, 1, id);
                if ((r = sqlite_run(s, st, e, "make a waiting job due")) < 0)
                        return r;
        }
        return 0;
}

static int add_later(Sqlite *s, const Job *j, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_LATER_ADD, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, j->event->id);
        bind_int(st, 2, j->id);
        return sqlite_run(s, st, e, "write a job of a replay");
}

static int add(Sqlite *s, const Job *j, bool is_later, Err *e) {
        sqlite3_stmt *st = NULL;
        int64_t target = 0;
        int r = sqlite_name_number(s, j->target, &target, e);

        if (r == 0)
                r = sqlite_get(s, SQL_JOB_REPLAY, &st, e);
        if (r < 0)
                return r;
        bind_int(st, 1, j->id);
        bind_int(st, 2, j->event->id);
        bind_int(st, 3, target);
        bind_int(st, 4, (int64_t)j->lane);
        bind_int(st, 5, j->shard);
        r = sqlite_run(s, st, e, "write a job of a replay");
        if (r == 0)
                r = sqlite_index_add(s, &(IndexEntry){target, j->event->id, j->id, 0}, e);
        if (r == 0 && is_later)
                r = add_later(s, j, e);
        s->last_id = j->id > s->last_id ? j->id : s->last_id;
        return r < 0 ? r : sqlite_aside_put(s, j, JOB_QUEUED, 0, e);
}

int sqlite_event_range(Sqlite *s, int64_t event, int64_t *first, int64_t *last, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_EVENT_RANGE, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, event);
        r = sqlite_row(s, st, e, "look for an event");
        if (r > 0) {
                *first = sqlite3_column_int64(st, 0);
                *last = sqlite3_column_int64(st, 1);
                sqlite3_reset(st);
        }
        return r;
}

int sqlite_replay(Sqlite *s, Write *w, Err *e) {
        const Job *j = w->replay.job;
        int64_t first = 0, last = 0, later = 0;
        Known known = {0, JOB_STATES};
        bool is_waiting;
        int r = sqlite_event_range(s, j->event->id, &first, &last, e);

        w->replay.done = false;
        w->replay.found = JOB_STATES;
        if (r <= 0)
                return r;
        r = first ? find_in(s, j, first, last, &known, e) : 0;
        while (r == 0 && (r = sqlite_later(s, j->event->id, &later, e)) > 0)
                r = find_in(s, j, later, later, &known, e);
        if (r < 0)
                return r;
        w->replay.found = known.state;
        is_waiting = known.state == JOB_WAITING && w->replay.even_waiting;
        if ((known.state < JOB_DONE && !is_waiting) || (known.id && w->replay.only_missing))
                return 0;
        w->replay.done = true;
        w->replay.done_id = known.id ? known.id : j->id;
        if (is_waiting)
                return hurry(s, known.id, e);
        return known.id ? revive(s, j, known.id, e) : add(s, j, j->id < first || j->id > last, e);
}
