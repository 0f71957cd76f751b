/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of attempts, of one event or of one target, and what became of a target's jobs. */
#include "base/clock.h"
#include "ledger/query.h"
#include "ledger/sqlite_walk.h"

enum { DAY_MS = 86400000, CLOCK_EVERY = 1024 };

typedef struct Ask {
        const AttemptQuery *query;
        AttemptPlace place;
        Walk walk;
} Ask;

/* Where the page before ended. */
static int find_place(Sqlite *s, Ask *a, Err *e) {
        sqlite3_stmt *st = NULL;
        int64_t event = 0;
        int r = sqlite_get(s, SQL_JOB_EVENT, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, a->query->before_job);
        r = sqlite_row(s, st, e, "look for a job");
        if (r > 0)
                event = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
        a->place = query_place(a->query, event);
        return r < 0 ? r : 0;
}

/* 0: there can be none. */
static int choose(Sqlite *s, Ask *a, Err *e) {
        const AttemptQuery *q = a->query;
        int64_t target = 0;
        int r = q->target.n ? sqlite_name_find(s, q->target, &target, e) : 1;

        if (r <= 0)
                return r;
        r = find_place(s, a, e);
        a->walk = (Walk){.kind = q->event ? WALK_EVENT : WALK_TARGET,
                         .name = q->event ? q->event : target,
                         .at = a->place.event < INT64_MAX ? a->place.event + 1 : INT64_MAX,
                         /* An attempt comes after its event, unless a clock was put back. */
                         .to_ms = q->to_ms ? q->to_ms + DAY_MS : 0};
        return r < 0 ? r : 1;
}

/* Spans of `v` are lent until then. False when there was no room. */
static bool keep(Arena *a, AttemptView *v) {
        Span *spans[] = {&v->target, &v->attempt.code, &v->attempt.message, &v->attempt.detail};

        for (size_t i = 0; i < COUNT_OF(spans); i++) {
                *spans[i] = arena_span(a, *spans[i]);
                if (!spans[i]->p)
                        return false;
        }
        return true;
}

/* 1 when it was added, or was not wanted; 0 when the page was full before it. */
static int add_attempt(Sqlite *s, const Ask *a, const AttemptView *from, AttemptPage *p, Err *e) {
        const AttemptQuery *q = a->query;
        AttemptView v = *from;

        if (!query_is_after(&a->place, v.event, v.job, v.attempt.number) ||
            !query_wants_attempt(q, &v.attempt))
                return 1;
        if (p->n == query_page_max(q->max) || (p->n && arena_used(p->arena) > PAGE_FULL_BYTES)) {
                p->more = true;
                p->next_job = p->attempts[p->n - 1].job;
                p->next_number = p->attempts[p->n - 1].attempt.number;
                return 0;
        }
        if (!keep(p->arena, &v))
                return FAIL(e, -ENOMEM, "ledger %s: no memory for what was asked", s->path);
        p->attempts[p->n++] = v;
        return 1;
}

/* Its latest first; the job's row is in `v`. */
static int add_attempts(Sqlite *s, Ask *a, AttemptView *v, AttemptPage *p, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_EVENT_ATTEMPTS, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, v->job);
        bind_int(st, 2, -1);
        v->is_last = true;
        while ((r = sqlite_row(s, st, e, "read attempts")) > 0) {
                v->attempt = (Attempt){.number = (unsigned)sqlite3_column_int64(st, 0),
                                       .started_ms = sqlite3_column_int64(st, 1),
                                       .took_us = sqlite3_column_int64(st, 2),
                                       .status = sqlite3_column_int(st, 3),
                                       .code = column_span(st, 4),
                                       .message = column_span(st, 5),
                                       .detail = column_span(st, 6),
                                       .is_manual = sqlite3_column_int(st, 7)};
                r = add_attempt(s, a, v, p, e);
                if (r <= 0)
                        break;
                v->is_last = false;
                a->walk.cost++;
        }
        sqlite3_reset(st);
        return r < 0 ? r : !p->more;
}

/* 1 to go on, 0 when the page is full. */
static int add_job(Sqlite *s, Ask *a, const RunEntry *entry, AttemptPage *p, Err *e) {
        const AttemptQuery *q = a->query;
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_JOB_HEAD, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, entry->job);
        r = sqlite_row(s, st, e, "read a job");
        if (r <= 0) /* It was trimmed since it was indexed. */
                return r < 0 ? r : 1;
        AttemptView v = {.job = entry->job,
                         .event = entry->event,
                         .state = (JobState)sqlite3_column_int(st, 0),
                         .due_ms = sqlite3_column_int64(st, 1),
                         .target = column_span(st, 2)};
        Event event = {.type = column_span(st, 3), .meta = column_span(st, 4)};
        if ((q->target.n == 0 || span_eq(q->target, v.target)) &&
            query_wants_attempts_of(q, &event))
                r = add_attempts(s, a, &v, p, e);
        sqlite3_reset(st);
        return r;
}

static int fill_page(Sqlite *s, Ask *a, AttemptPage *p, Err *e) {
        RunEntry entry = {0};
        int r = walk_begin(s, &a->walk, e);

        while (r == 0 && (r = walk_next(s, &a->walk, &entry, e)) > 0) {
                r = add_job(s, a, &entry, p, e);
                if (r < 0 || p->more)
                        break;
                r = 0;
        }
        if (r < 0 || p->more || !walk_is_tired(&a->walk))
                return r < 0 ? r : 0;
        /* After the first attempt of this job, which is its last one here; or, where there was no
         * job for long, from an event on. */
        bool is_at_job = entry.event == a->walk.at;
        p->more = true;
        p->next_job = is_at_job ? entry.job : a->walk.at;
        p->next_number = is_at_job ? 1 : PLACE_IS_EVENT;
        return 0;
}

int sqlite_list_attempts(Store *store, const AttemptQuery *q, AttemptPage **ret, Err *e) {
        Sqlite *s = sqlite_of(store);
        AUTO(arena_freep)
        Arena *a = arena_new(PAGE_MAX_BYTES);
        Ask ask = {.query = q};
        AttemptPage *p = arena_alloc(a, sizeof *p);

        must(p);
        p->arena = a;
        p->attempts = arena_alloc(a, query_page_max(q->max) * sizeof *p->attempts);
        must(p->attempts);
        sqlite_question_begin(s);
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

/* A look at the event's row costs as much as all the rest. */
static int count_job(Sqlite *s, const Walk *w, const RunEntry *entry, TargetStats *ret, Err *e) {
        const EventQuery q = {.state = -1, .from_ms = w->from_ms, .to_ms = w->to_ms};
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, w->is_within ? SQL_JOB_STATE : SQL_JOB_COUNT, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, entry->job);
        r = sqlite_row(s, st, e, "count a target's jobs");
        if (r <= 0)
                return r;
        int state = sqlite3_column_int(st, 0);
        Event event = {.received_ms = w->is_within ? 0 : sqlite3_column_int64(st, 1)};
        if (state >= 0 && state < JOB_STATES && (w->is_within || query_wants_event(&q, &event)))
                ret->jobs[state]++;
        sqlite3_reset(st);
        return 0;
}

static int count_jobs(Sqlite *s, Walk *w, TargetStats *ret, Err *e) {
        RunEntry entry;
        size_t n = 0;
        int r = walk_begin(s, w, e);

        while (r == 0) {
                r = walk_next(s, w, &entry, e);
                if (r < 0 || (r == 0 && !walk_is_tired(w)))
                        break;
                w->cost = 0; /* the clock is the measure */
                r = r > 0 ? count_job(s, w, &entry, ret, e) : 0;
                if (r == 0 && ++n % CLOCK_EVERY == 0 && clock_mono_ms() > s->deadline_ms)
                        r = FAIL(e, -ETIMEDOUT, "ledger %s: too many jobs to count", s->path);
        }
        return r;
}

int sqlite_target_stats(Store *store, Span target, int64_t from_ms, int64_t to_ms, TargetStats *ret,
                        Err *e) {
        Sqlite *s = sqlite_of(store);
        Walk w = {.kind = WALK_TARGET, .from_ms = from_ms, .to_ms = to_ms};
        int r;

        *ret = (TargetStats){0};
        sqlite_question_begin(s);
        r = sqlite_exec(s, "BEGIN", e, "begin reading");
        if (r < 0)
                return r;
        r = sqlite_name_find(s, target, &w.name, e);
        if (r > 0)
                r = count_jobs(s, &w, ret, e);
        walk_done(&w);
        sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
        return r;
}
