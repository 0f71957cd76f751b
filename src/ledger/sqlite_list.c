/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of events, and totals. A page gives up after a bounded number of events that it looked at,
 * and says where to go on. */
#include "ledger/query.h"
#include "ledger/sqlite_walk.h"

typedef struct Ask {
        const EventQuery *query;
        int64_t target; /* its number; 0: all */
        Walk walk;
} Ask;

/* How the events are found: by what leaves the fewest of them. 0: there can be none. */
static int choose(Sqlite *s, Ask *a, Err *e) {
        const EventQuery *q = a->query;
        bool is_aside = q->state == JOB_WAITING || q->state == JOB_BLOCKED || q->state == JOB_DEAD;
        int64_t source = 0;
        int r = q->target.n ? sqlite_name_find(s, q->target, &a->target, e) : 1;

        if (r > 0 && q->source.n)
                r = sqlite_name_find(s, q->source, &source, e);
        a->walk = (Walk){.kind = a->target && is_aside ? WALK_TARGET_STATE
                                 : is_aside            ? WALK_STATE
                                 : a->target           ? WALK_TARGET
                                 : source              ? WALK_SOURCE
                                                       : WALK_ALL,
                         .is_up = q->oldest_first,
                         .at = q->before_id,
                         .name = a->target ? a->target : source,
                         .state = (JobState)q->state,
                         .from_ms = q->from_ms,
                         .to_ms = q->to_ms};
        return r;
}

static int has_job_in(Sqlite *s, const Ask *a, int64_t event, int64_t first, int64_t last, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_EVENT_HAS, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, first);
        bind_int(st, 2, last);
        bind_int(st, 3, event);
        bind_int(st, 4, a->target);
        bind_int(st, 5, a->query->state);
        r = sqlite_row(s, st, e, "look for a job");
        if (r > 0)
                sqlite3_reset(st);
        return r;
}

/* 1 when the event, whose row is at `st`, is one of those that are asked for. */
static int wanted(Sqlite *s, const Ask *a, sqlite3_stmt *st, Err *e) {
        int64_t first = sqlite3_column_int64(st, EVENT_COLUMNS_N), later = 0;
        int64_t last = sqlite3_column_int64(st, EVENT_COLUMNS_N + 1);
        Event event;
        int r;

        sqlite_event_row(st, 0, &event);
        if (!query_wants_event(a->query, &event))
                return 0;
        if (!query_asks_for_jobs(a->query))
                return 1;
        r = first ? has_job_in(s, a, event.id, first, last, e) : 0;
        while (r == 0 && (r = sqlite_later(s, event.id, &later, e)) > 0)
                r = has_job_in(s, a, event.id, later, later, e);
        return r;
}

static int read_row(Sqlite *s, StatementName name, int64_t id, sqlite3_stmt **ret, Err *e) {
        int r = sqlite_get(s, name, ret, e);

        if (r < 0)
                return r;
        bind_int(*ret, 1, id);
        return sqlite_row(s, *ret, e, "list events");
}

/* 1 when it was added, or was not wanted; 0 when the page was full before it. */
static int add(Sqlite *s, const Ask *a, int64_t id, EventPage *p, Err *e) {
        const EventQuery *q = a->query;
        sqlite3_stmt *st = NULL;
        EventView *v = NULL;
        int r = read_row(s, SQL_EVENT_HEAD, id, &st, e);

        if (r <= 0) /* It was trimmed since it was indexed. */
                return r < 0 ? r : 1;
        r = wanted(s, a, st, e);
        bool is_full =
                p->n == query_page_max(q->max) || (p->n && arena_used(p->arena) > PAGE_FULL_BYTES);
        if (r > 0 && !is_full && q->with_body) {
                sqlite3_reset(st);
                r = read_row(s, SQL_EVENT_GET, id, &st, e);
        }
        if (r > 0 && !is_full)
                r = sqlite_view_row(s, p->arena, st, q->with_jobs, &v, e);
        else if (r > 0)
                p->more = true;
        sqlite3_reset(st);
        if (r < 0)
                return r;
        if (v) {
                v->arena = NULL; /* the page's */
                p->events[p->n++] = v;
        }
        return !p->more;
}

static int fill_page(Sqlite *s, Ask *a, EventPage *p, Err *e) {
        RunEntry entry;
        int64_t before = 0;
        int r = walk_begin(s, &a->walk, e);

        while (r == 0 && (r = walk_next(s, &a->walk, &entry, e)) > 0) {
                if (entry.event != before)
                        r = add(s, a, entry.event, p, e);
                before = entry.event;
                if (r < 0 || p->more)
                        break;
                r = 0;
        }
        if (r < 0)
                return r;
        if (p->more) {
                p->next_before_id = p->events[p->n - 1]->event.id;
        } else if (walk_is_tired(&a->walk)) {
                p->more = true;
                p->next_before_id = a->walk.at;
        }
        return 0;
}

int sqlite_list_events(Store *store, const EventQuery *q, EventPage **ret, Err *e) {
        Sqlite *s = sqlite_of(store);
        AUTO(arena_freep)
        Arena *a = arena_new(PAGE_MAX_BYTES);
        Ask ask = {.query = q};
        EventPage *p = arena_alloc(a, sizeof *p);

        must(p);
        p->arena = a;
        p->events = arena_alloc(a, query_page_max(q->max) * sizeof(EventView *));
        must(p->events);
        sqlite_question_begin(s);
        /* One snapshot for all that is looked at. */
        int r = sqlite_exec(s, "BEGIN", e, "begin reading");
        if (r < 0)
                return r;
        r = choose(s, &ask, e);
        if (r > 0)
                r = fill_page(s, &ask, p, e);
        walk_done(&ask.walk);
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
