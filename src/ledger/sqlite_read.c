/* SPDX-License-Identifier: Apache-2.0
 *
 * One event with all that became of it, read from the read-only handle. */
#include "ledger/store_sqlite.h"

enum {
        ATTEMPTS_LISTED = 50,
        JOBS_LISTED = 10000,
        VIEW_MAX_BYTES = 256 * 1024 * 1024, /* a body, its answer, and the details of attempts */
};

static int no_room(const Sqlite *s, Err *e) {
        return FAIL(e, -ENOMEM, "ledger %s: no memory for what was asked", s->path);
}

/* Copies a span into the arena; marks *ok when there was no room. */
static Span keep(Arena *a, Span s, bool *ok) {
        Span ret = arena_span(a, s);

        *ok = *ok && ret.p;
        return ret;
}

static bool keep_event(Arena *a, sqlite3_stmt *st, Event *ret) {
        bool ok = true;

        sqlite_event_row(st, 0, ret);
        ret->source = keep(a, ret->source, &ok);
        ret->type = keep(a, ret->type, &ok);
        ret->subject = keep(a, ret->subject, &ok);
        ret->content_type = keep(a, ret->content_type, &ok);
        ret->trace = keep(a, ret->trace, &ok);
        ret->key = keep(a, ret->key, &ok);
        ret->meta = keep(a, ret->meta, &ok);
        ret->body = keep(a, ret->body, &ok);
        return ok;
}

static bool room_for_job(EventView *v, size_t *cap) {
        if (v->n_jobs < *cap)
                return true;
        *cap = *cap ? *cap * 2 : 4;
        JobView *grown = arena_alloc(v->arena, *cap * sizeof *grown);
        if (grown && v->n_jobs)
                memcpy(grown, v->jobs, v->n_jobs * sizeof *grown);
        v->jobs = grown;
        return grown != NULL;
}

static int jobs_in(Sqlite *s, int64_t first, int64_t last, EventView *v, size_t *cap, Err *e) {
        sqlite3_stmt *st = NULL;
        bool ok = true;
        int r = sqlite_get(s, SQL_EVENT_JOBS, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, first);
        bind_int(st, 2, last);
        bind_int(st, 3, v->event.id);
        while ((r = sqlite_row(s, st, e, "read jobs")) > 0 && v->n_jobs < JOBS_LISTED) {
                ok = room_for_job(v, cap);
                if (!ok)
                        break;
                JobView *j = &v->jobs[v->n_jobs++];
                j->id = sqlite3_column_int64(st, 0);
                j->target = keep(v->arena, column_span(st, 1), &ok);
                j->state = (JobState)sqlite3_column_int(st, 2);
                j->n_attempts = (unsigned)sqlite3_column_int64(st, 3);
                j->due_ms = sqlite3_column_int64(st, 4);
                j->is_replay = sqlite3_column_int(st, 5);
        }
        sqlite3_reset(st);
        return r < 0 ? r : ok ? 0 : no_room(s, e);
}

static int by_id(const void *a, const void *b) {
        const JobView *x = a, *y = b;

        return x->id < y->id ? -1 : x->id > y->id;
}

static int jobs_of(Sqlite *s, int64_t first, int64_t last, EventView *v, Err *e) {
        size_t cap = 0, n;
        int64_t later = 0;
        int r = first ? jobs_in(s, first, last, v, &cap, e) : 0;

        n = v->n_jobs;
        while (r == 0 && (r = sqlite_later(s, v->event.id, &later, e)) > 0)
                r = jobs_in(s, later, later, v, &cap, e);
        if (v->n_jobs > n)
                qsort(v->jobs, v->n_jobs, sizeof *v->jobs, by_id);
        return r;
}

int sqlite_view_row(Sqlite *s, Arena *a, sqlite3_stmt *st, bool with_jobs, EventView **ret,
                    Err *e) {
        EventView *v = arena_alloc(a, sizeof *v);

        if (!v || !keep_event(a, st, &v->event))
                return no_room(s, e);
        v->arena = a;
        *ret = v;
        if (!with_jobs)
                return 0;
        return jobs_of(s, sqlite3_column_int64(st, EVENT_COLUMNS_N),
                       sqlite3_column_int64(st, EVENT_COLUMNS_N + 1), v, e);
}

static int attempts_of(Sqlite *s, JobView *j, Arena *a, Err *e) {
        sqlite3_stmt *st = NULL;
        bool ok = true;
        int r = sqlite_get(s, SQL_EVENT_ATTEMPTS, &st, e);

        if (r < 0)
                return r;
        j->attempts = arena_alloc(a, ATTEMPTS_LISTED * sizeof *j->attempts);
        if (!j->attempts)
                return no_room(s, e);
        bind_int(st, 1, j->id);
        bind_int(st, 2, ATTEMPTS_LISTED);
        while ((r = sqlite_row(s, st, e, "read attempts")) > 0) {
                Attempt *t = &j->attempts[j->n_listed++];

                t->number = (unsigned)sqlite3_column_int64(st, 0);
                t->started_ms = sqlite3_column_int64(st, 1);
                t->took_us = sqlite3_column_int64(st, 2);
                t->status = sqlite3_column_int(st, 3);
                t->code = keep(a, column_span(st, 4), &ok);
                t->message = keep(a, column_span(st, 5), &ok);
                t->detail = keep(a, column_span(st, 6), &ok);
                t->is_manual = sqlite3_column_int(st, 7);
        }
        /* The newest were read first; people read the oldest first. */
        for (size_t i = 0; i < j->n_listed / 2; i++) {
                Attempt swap = j->attempts[i];

                j->attempts[i] = j->attempts[j->n_listed - 1 - i];
                j->attempts[j->n_listed - 1 - i] = swap;
        }
        return r < 0 ? r : ok ? 0 : no_room(s, e);
}

static int answer_of(Sqlite *s, EventView *v, Err *e) {
        sqlite3_stmt *st = NULL;
        bool ok = true;
        int r = sqlite_get(s, SQL_ANSWER_GET, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, v->event.id);
        r = sqlite_row(s, st, e, "read an answer");
        if (r <= 0)
                return r;
        v->has_answer = true;
        v->answer_status = sqlite3_column_int(st, 0);
        v->answer_type = keep(v->arena, column_span(st, 1), &ok);
        v->answer_body = keep(v->arena, column_span(st, 2), &ok);
        sqlite3_reset(st);
        return ok ? 0 : no_room(s, e);
}

static int read_event(Sqlite *s, int64_t id, Arena *a, EventView **ret, Err *e) {
        sqlite3_stmt *st = NULL;
        EventView *v = NULL;
        int r = sqlite_get(s, SQL_EVENT_GET, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, id);
        r = sqlite_row(s, st, e, "read an event");
        if (r <= 0)
                return r;
        r = sqlite_view_row(s, a, st, true, &v, e);
        sqlite3_reset(st);
        for (size_t i = 0; r == 0 && i < v->n_jobs; i++)
                r = attempts_of(s, &v->jobs[i], a, e);
        if (r == 0)
                r = answer_of(s, v, e);
        if (r == 0)
                *ret = v;
        return r;
}

int sqlite_find_event(Store *store, int64_t id, EventView **ret, Err *e) {
        Sqlite *s = sqlite_of(store);
        AUTO(arena_freep)
        Arena *a = arena_new(VIEW_MAX_BYTES);
        EventView *v = NULL;

        sqlite_question_begin(s);
        /* One snapshot for the event, its jobs and attempts. */
        int r = sqlite_exec(s, "BEGIN", e, "begin reading");
        if (r == 0) {
                r = read_event(s, id, a, &v, e);
                sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
        }
        if (r < 0)
                return r;
        if (v)
                (void)TAKE(a);
        *ret = v;
        return 0;
}
