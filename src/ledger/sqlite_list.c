/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of events, newest first, and totals. Waiting, blocked and dead jobs are found by an index;
 * other questions walk back through the events and give up after a bounded number, with a page
 * that says where to go on. */
#include "ledger/store_sqlite.h"

enum { WALK_MAX = 10000, PAGE_MAX_BYTES = 16 * 1024 * 1024 };

static bool wanted(const EventQuery *q, const EventView *v) {
        if (q->source.n && !span_eq(q->source, v->event.source))
                return false;
        for (size_t i = 0; q->state >= 0 && i < v->n_jobs; i++)
                if ((int)v->jobs[i].state == q->state)
                        return true;
        return q->state < 0;
}

/* The event's row is at `st`. */
static int add_row(Sqlite *s, const EventQuery *q, sqlite3_stmt *st, EventPage *p, Err *e) {
        EventView *v = NULL;

        if (q->source.n && !span_eq(q->source, column_span(st, 3)))
                return 0;
        int r = sqlite_view_row(s, p->arena, st, &v, e);
        if (r < 0 || !wanted(q, v))
                return r;
        v->arena = NULL; /* the page's */
        p->events[p->n++] = v;
        return 0;
}

static int walk(Sqlite *s, const EventQuery *q, size_t max, EventPage *p, Err *e) {
        sqlite3_stmt *st = NULL;
        size_t looked = 0;
        int64_t last = 0;
        int r = sqlite_get(s, SQL_PAGE_WALK, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, q->before_id ? q->before_id : INT64_MAX);
        while ((r = sqlite_row(s, st, e, "list events")) > 0) {
                if (p->n == max || looked++ == WALK_MAX) {
                        p->more = true;
                        p->next_before_id = last;
                        break;
                }
                last = sqlite3_column_int64(st, 0);
                r = add_row(s, q, st, p, e);
                if (r < 0)
                        break;
        }
        sqlite3_reset(st);
        return r < 0 ? r : 0;
}

/* The ids of events with a job in that state, then each event's row. */
static int by_state(Sqlite *s, const EventQuery *q, size_t max, EventPage *p, Err *e) {
        sqlite3_stmt *ids = NULL, *st = NULL;
        size_t looked = 0;
        int64_t last = 0;
        int r = sqlite_get(s, SQL_PAGE_BY_STATE, &ids, e);

        if (r == 0)
                r = sqlite_get(s, SQL_EVENT_HEAD, &st, e);
        if (r < 0)
                return r;
        bind_int(ids, 1, q->before_id ? q->before_id : INT64_MAX);
        bind_int(ids, 2, q->state);
        while ((r = sqlite_row(s, ids, e, "list events")) > 0) {
                if (p->n == max || looked++ == WALK_MAX) {
                        p->more = true;
                        p->next_before_id = last;
                        break;
                }
                last = sqlite3_column_int64(ids, 0);
                bind_int(st, 1, last);
                r = sqlite_row(s, st, e, "list events");
                if (r > 0)
                        r = add_row(s, q, st, p, e);
                sqlite3_reset(st);
                if (r < 0)
                        break;
        }
        sqlite3_reset(ids);
        return r < 0 ? r : 0;
}

int sqlite_list_events(Store *store, const EventQuery *q, EventPage **ret, Err *e) {
        Sqlite *s = sqlite_of(store);
        AUTO(arena_freep)
        Arena *a = arena_new(PAGE_MAX_BYTES);
        size_t max = q->max == 0 || q->max > EVENT_PAGE_MAX ? EVENT_PAGE_MAX : q->max;
        EventPage *p = arena_alloc(a, sizeof *p);

        must(p);
        p->arena = a;
        p->events = arena_alloc(a, max * sizeof(EventView *));
        must(p->events);
        sqlite_question_begin(s);
        int r = sqlite_exec(s, "BEGIN", e, "begin reading");
        if (r < 0)
                return r;
        bool is_indexed =
                q->state == JOB_WAITING || q->state == JOB_BLOCKED || q->state == JOB_DEAD;
        r = is_indexed ? by_state(s, q, max, p, e) : walk(s, q, max, p, e);
        sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
        if (r < 0)
                return r;
        (void)TAKE(a);
        *ret = p;
        return 0;
}

static int count(Sqlite *s, JobState state, int64_t *ret, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_COUNT_STATE, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, state);
        r = sqlite_row(s, st, e, "count jobs");
        if (r > 0)
                *ret = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
        return r < 0 ? r : 0;
}

int sqlite_stats(Store *store, LedgerStats *ret, Err *e) {
        Sqlite *s = sqlite_of(store);
        LedgerStats n = {0};
        sqlite3_stmt *st = NULL;

        sqlite_question_begin(s);
        /* Counting ten million rows takes seconds; the writer keeps count. */
        n.events = atomic_load_explicit(&s->writer->events_counted, memory_order_relaxed);
        int r = count(s, JOB_WAITING, &n.jobs_waiting, e);
        if (r == 0)
                r = count(s, JOB_BLOCKED, &n.jobs_blocked, e);
        if (r == 0)
                r = count(s, JOB_DEAD, &n.jobs_dead, e);
        if (r == 0)
                r = sqlite_bytes(s, &n.bytes, e);
        if (r == 0)
                r = sqlite_get(s, SQL_OLDEST, &st, e);
        if (r < 0)
                return r;
        r = sqlite_row(s, st, e, "find the oldest event");
        if (r > 0)
                n.oldest_ms = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
        if (r >= 0)
                *ret = n;
        return r < 0 ? r : 0;
}
