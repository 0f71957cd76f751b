/* SPDX-License-Identifier: Apache-2.0
 *
 * A batch of writes as one transaction: records, settles, answers. */
#include "ledger/meta.h"
#include "ledger/store_sqlite.h"

/* The answer of a repeated delivery's first event, copied for the sender. */
static int answer_of(Sqlite *s, Write *w, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_ANSWER_GET, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, w->record.known_event);
        r = sqlite_row(s, st, e, "read an answer");
        if (r <= 0)
                return r;
        Span type = column_span(st, 1), body = column_span(st, 2);
        w->record.has_answer = true;
        w->record.answer_status = sqlite3_column_int(st, 0);
        w->record.answer_type = must_alloc(type.n + 1);
        memcpy(w->record.answer_type, type.p, type.n);
        w->record.answer_body = must_alloc(body.n + 1);
        memcpy(w->record.answer_body, body.p, body.n);
        w->record.answer_body_n = body.n;
        sqlite3_reset(st);
        return 0;
}

static int add_event(Sqlite *s, const Write *w, Err *e) {
        const Event *event = w->record.event;
        int64_t source = 0, first = 0, last = 0;
        sqlite3_stmt *st = NULL;
        int r = sqlite_name_number(s, event->source, &source, e);

        if (r == 0)
                r = sqlite_get(s, SQL_EVENT_ADD, &st, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < w->record.n_jobs; i++) {
                int64_t id = w->record.jobs[i]->id;

                first = i == 0 || id < first ? id : first;
                last = id > last ? id : last;
        }
        bind_int(st, 1, event->id);
        bind_int(st, 2, event->received_ms);
        bind_int(st, 3, event->time_ms);
        bind_int(st, 4, source);
        bind_int(st, 5, first);
        bind_int(st, 6, last);
        bind_text(st, 7, event->type);
        bind_text(st, 8, event->subject);
        bind_text(st, 9, event->content_type);
        bind_text(st, 10, event->trace);
        bind_text(st, 11, event->key);
        bind_text(st, 12, event->meta);
        bind_blob(st, 13, event->body);
        s->last_id = event->id > s->last_id ? event->id : s->last_id;
        s->events_delta++;
        r = sqlite_run(s, st, e, "write an event");
        if (r < 0)
                return r;
        IndexEntry entry = {.name = source, .event = event->id, .received_ms = event->received_ms};
        return sqlite_index_add(s, &entry, e);
}

static int add_job(Sqlite *s, Job *j, Err *e) {
        sqlite3_stmt *st = NULL;
        int64_t target = 0;
        int r = sqlite_name_number(s, j->target, &target, e);

        if (r == 0)
                r = sqlite_get(s, SQL_JOB_ADD, &st, e);
        /* One that waits takes its place in the lane when it is claimed. */
        if (r == 0 && j->lane && j->state != JOB_WAITING)
                r = sqlite_lane_busy(s, j, e);
        if (r < 0)
                return r;
        if (j->state != JOB_WAITING)
                j->state = r ? JOB_BLOCKED : JOB_QUEUED;
        bind_int(st, 1, j->id);
        bind_int(st, 2, j->event->id);
        bind_int(st, 3, target);
        bind_int(st, 4, j->state);
        bind_int(st, 5, j->state == JOB_WAITING ? j->due_ms : 0);
        bind_int(st, 6, (int64_t)j->lane);
        bind_int(st, 7, j->shard);
        s->last_id = j->id > s->last_id ? j->id : s->last_id;
        s->jobs_since_mark++;
        r = sqlite_run(s, st, e, "write a job");
        if (r == 0)
                r = sqlite_index_add(s, &(IndexEntry){target, j->event->id, j->id, 0}, e);
        /* A late id, made before others that are long recorded, is not looked for by its place. */
        bool is_late = j->id <= s->low_water;
        if (r < 0 || (j->state == JOB_QUEUED && !j->spilled && !is_late))
                return r;
        bool is_held = j->state == JOB_QUEUED && !j->spilled;
        return sqlite_aside_put(s, j, j->state, is_held ? s->holder : 0, e);
}

static int record(Sqlite *s, Write *w, Err *e) {
        const Event *event = w->record.event;
        KeyKnown known = {0};
        int r = event->key.n ? sqlite_keys_find(s, event, &known, e) : 0;

        if (r < 0)
                return r;
        w->record.result = r == 0 ? RECORD_NEW : known.same_body ? RECORD_REPEAT : RECORD_CONFLICT;
        w->record.known_event = known.event;
        w->record.has_answer = false;
        if (w->record.result == RECORD_REPEAT)
                return answer_of(s, w, e);
        if (w->record.result == RECORD_CONFLICT)
                return 0;
        r = add_event(s, w, e);
        if (r == 0 && event->key.n)
                r = sqlite_keys_add(s, event, e);
        for (size_t i = 0; r == 0 && i < w->record.n_jobs; i++)
                r = add_job(s, w->record.jobs[i], e);
        return r;
}

int sqlite_attempt_add(Sqlite *s, const Job *j, const Attempt *a, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_ATTEMPT_ADD, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, j->id);
        bind_int(st, 2, a->number);
        bind_int(st, 3, a->started_ms);
        bind_int(st, 4, a->took_us);
        bind_int(st, 5, a->status);
        bind_text(st, 6, a->code);
        bind_text(st, 7, a->message);
        bind_text(st, 8, a->detail);
        bind_int(st, 9, j->is_replay);
        return sqlite_run(s, st, e, "write an attempt");
}

static int wake_lane(Sqlite *s, Write *w, Err *e) {
        const Attempt *a = w->settle.attempt;
        int64_t now_ms = a ? a->started_ms + a->took_us / 1000 : 0;
        int r = sqlite_lane_wake(s, w->settle.job->lane, now_ms, e);

        w->settle.woke = r > 0;
        return r < 0 ? r : 0;
}

static int settle(Sqlite *s, Write *w, Err *e) {
        const Job *j = w->settle.job;
        JobState state = j->state == JOB_RUNNING ? JOB_QUEUED : j->state;
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_JOB_SETTLE, &st, e);

        if (r < 0)
                return r;
        w->settle.woke = false;
        bind_int(st, 1, j->id);
        bind_int(st, 2, state);
        bind_int(st, 3, j->attempts);
        bind_int(st, 4, j->due_ms);
        r = sqlite_run(s, st, e, "settle a job");
        /* An unknown job leaves no attempt behind that nothing would ever trim. */
        if (r < 0 || sqlite3_changes(s->db) == 0)
                return r;
        bool is_held = state == JOB_QUEUED && !j->spilled;
        r = state == JOB_DONE ? sqlite_aside_drop(s, j->id, e)
                              : sqlite_aside_put(s, j, state, is_held ? s->holder : 0, e);
        if (r == 0 && w->settle.attempt)
                r = sqlite_attempt_add(s, j, w->settle.attempt, e);
        if (r == 0 && w->settle.forget_key)
                r = sqlite_keys_forget(s, j->event, e);
        if (r == 0 && j->lane && (state == JOB_DONE || state == JOB_DEAD))
                r = wake_lane(s, w, e);
        return r;
}

static int answer(Sqlite *s, const Write *w, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_ANSWER_ADD, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, w->answer.event);
        bind_int(st, 2, w->answer.answer.status);
        bind_text(st, 3, w->answer.answer.content_type);
        bind_blob(st, 4, w->answer.answer.body);
        return sqlite_run(s, st, e, "write an answer");
}

static int expunge_body(Sqlite *s, Write *w, Err *e) {
        AUTO(buf_done)
        Buf meta = BUF(META_MAX_BYTES);
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_EVENT_META, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, w->expunge.event);
        r = sqlite_row(s, st, e, "look for an event");
        if (r <= 0)
                return r;
        meta_expunged(column_span(st, 0), &meta);
        sqlite3_reset(st);
        r = sqlite_get(s, SQL_EVENT_EXPUNGE, &st, e);
        if (r < 0)
                return r;
        bind_int(st, 1, w->expunge.event);
        bind_text(st, 2, buf_span(&meta));
        r = sqlite_run(s, st, e, "expunge an event's body");
        w->expunge.done = r == 0;
        return r;
}

static int expunge(Sqlite *s, Write *w, Err *e) {
        sqlite3_stmt *st = NULL;
        int r;

        w->expunge.done = false;
        if (!w->expunge.job)
                return expunge_body(s, w, e);
        r = sqlite_get(s, SQL_ATTEMPT_EXPUNGE, &st, e);
        if (r < 0)
                return r;
        bind_int(st, 1, w->expunge.job);
        bind_int(st, 2, w->expunge.attempt);
        bind_int(st, 3, w->expunge.event);
        r = sqlite_run(s, st, e, "expunge an attempt");
        w->expunge.done = r == 0 && sqlite3_changes(s->db) > 0;
        return r;
}

/* What a transaction told its senders before it failed is taken back. */
static void forget(Write *w) {
        if (w->kind == WRITE_SETTLE)
                w->settle.woke = false;
        if (w->kind != WRITE_RECORD)
                return;
        if (w->record.has_answer) {
                free(TAKE(w->record.answer_type));
                free(TAKE(w->record.answer_body));
        }
        w->record.has_answer = false;
        w->record.result = RECORD_NEW;
        w->record.known_event = 0;
        for (size_t i = 0; i < w->record.n_jobs; i++)
                if (w->record.jobs[i]->state == JOB_BLOCKED)
                        w->record.jobs[i]->state = JOB_QUEUED;
}

static int write_any(Sqlite *s, Write *w, Err *e) {
        switch (w->kind) {
        case WRITE_RECORD:
                return record(s, w, e);
        case WRITE_SETTLE:
                return settle(s, w, e);
        case WRITE_ANSWER:
                return answer(s, w, e);
        case WRITE_OBJECT:
                return sqlite_object_write(s, w, e);
        case WRITE_REPLAY:
                return sqlite_replay(s, w, e);
        case WRITE_EXPUNGE:
                return expunge(s, w, e);
        }
        return FAIL(e, -ENOTSUP, "an unknown kind of write");
}

int sqlite_write(Store *store, Write *const *writes, size_t n, Err *e) {
        Sqlite *s = sqlite_of(store);
        size_t i;
        int r = sqlite_begin(s, e);

        if (r < 0)
                return r;
        for (i = 0; i < n && r == 0; i++)
                r = write_any(s, writes[i], e);
        if (r == 0 && s->jobs_since_mark >= MARK_EVERY_JOBS)
                r = sqlite_mark(s, e);
        r = r < 0 ? sqlite_rollback(s, r) : sqlite_commit(s, e);
        for (size_t k = 0; r < 0 && k < i; k++)
                forget(writes[k]);
        return r;
}
