/* SPDX-License-Identifier: Apache-2.0
 *
 * Claims: jobs of a target that came due, or queued ones that nobody holds. A claim looks at a
 * bounded number of index entries; many may belong to other shards. Whoever asks remembers what
 * need not be looked at again (engine/queue.h).
 *
 * What is found is gone through by id. A job whose lane has an earlier one that nobody holds is
 * not given but blocked: that one's end will wake it. */
#include "ledger/store_sqlite.h"

typedef struct Found {
        int64_t id;
        bool is_recovered; /* held by an earlier start of this process: it may have been running */
} Found;

static int find_due(Sqlite *s, const ClaimAsk *ask, Found *found, Claim *ret, Err *e) {
        int64_t target = 0, due = ask->from_ms, before;
        sqlite3_stmt *st = NULL;
        size_t looked = 0;
        int r = sqlite_name_find(s, ask->target, &target, e);

        if (r > 0)
                r = sqlite_get(s, SQL_CLAIM_DUE, &st, e);
        if (r < 0 || !st)
                return r;
        bind_int(st, 1, target);
        bind_int(st, 2, ask->from_ms);
        while ((r = sqlite_row(s, st, e, "look for due jobs")) > 0) {
                before = due;
                due = sqlite3_column_int64(st, 2);
                /* It goes on later from a moment, so those of one moment are looked at together. */
                if (looked++ >= SCAN_MAX && due > before)
                        break;
                if ((unsigned)sqlite3_column_int(st, 1) % ask->shards != ask->shard)
                        continue;
                if (due > ask->now_ms || ret->n == ask->max)
                        break;
                found[ret->n++] = (Found){.id = sqlite3_column_int64(st, 0)};
        }
        if (r < 0)
                return r;
        ret->next_due_ms = r == 0 ? INT64_MAX : due;
        ret->more = r > 0 && due <= ask->now_ms;
        sqlite3_reset(st);
        return 0;
}

static int find_free(Sqlite *s, const ClaimAsk *ask, Found *found, Claim *ret, Err *e) {
        int64_t target = 0;
        sqlite3_stmt *st = NULL;
        size_t looked = 0;
        int r = sqlite_name_find(s, ask->target, &target, e);

        if (r > 0)
                r = sqlite_get(s, SQL_CLAIM_FREE, &st, e);
        if (r < 0 || !st)
                return r;
        bind_int(st, 1, target);
        bind_int(st, 2, ask->after_id);
        while ((r = sqlite_row(s, st, e, "look for free jobs")) > 0) {
                int64_t id = sqlite3_column_int64(st, 0);

                if (ret->n == ask->max || looked++ == SCAN_MAX) {
                        ret->more = true;
                        break;
                }
                ret->searched_to = id;
                if ((unsigned)sqlite3_column_int(st, 1) % ask->shards != ask->shard)
                        continue;
                found[ret->n++] = (Found){
                        .id = id, .is_recovered = sqlite3_column_int64(st, 2) == HOLDER_LOST};
        }
        if (r > 0)
                sqlite3_reset(st);
        return r < 0 ? r : 0;
}

void sqlite_event_row(sqlite3_stmt *st, int at, Event *ret) {
        memset(ret, 0, sizeof *ret);
        ret->id = sqlite3_column_int64(st, at);
        ret->received_ms = sqlite3_column_int64(st, at + 1);
        ret->time_ms = sqlite3_column_int64(st, at + 2);
        ret->source = column_span(st, at + 3);
        ret->type = column_span(st, at + 4);
        ret->subject = column_span(st, at + 5);
        ret->content_type = column_span(st, at + 6);
        ret->trace = column_span(st, at + 7);
        ret->key = column_span(st, at + 8);
        ret->meta = column_span(st, at + 9);
        ret->body = column_span(st, at + 10);
}

/* Jobs of one event that are claimed together share it. */
static int load(Sqlite *s, int64_t id, const Job *before, Job **ret, Err *e) {
        sqlite3_stmt *st = NULL;
        Event parts;
        int r = sqlite_get(s, SQL_CLAIM_LOAD, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, id);
        r = sqlite_row(s, st, e, "load a job");
        if (r < 0)
                return r;
        if (r == 0)
                return FAIL(e, -EBADMSG, "ledger %s: job %" PRId64 " has lost its event", s->path,
                            id);
        sqlite_event_row(st, 6, &parts);
        bool is_shared = before && before->event->id == parts.id;
        Event *event = is_shared ? event_ref(before->event) : event_new(&parts);
        *ret = job_new(id, event, column_span(st, 2), (uint64_t)sqlite3_column_int64(st, 1));
        event_unref(event);
        (*ret)->attempts = (unsigned)sqlite3_column_int64(st, 0);
        (*ret)->shard = (uint8_t)sqlite3_column_int(st, 3);
        (*ret)->tries_from = (unsigned)sqlite3_column_int64(st, 4);
        (*ret)->is_replay = sqlite3_column_int(st, 5);
        sqlite3_reset(st);
        return 0;
}

static int add_unknown(Sqlite *s, Job *j, int64_t now_ms, Err *e) {
        Attempt unknown = {
                .number = ++j->attempts,
                .started_ms = now_ms,
                .code = SPAN("unknown"),
                .message = SPAN("the process ended while this attempt may have been running"),
        };

        return sqlite_attempt_add(s, j, &unknown, e);
}

static int set_state(Sqlite *s, const Job *j, JobState state, int64_t holder, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_CLAIM_STATE, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, j->id);
        bind_int(st, 2, state);
        bind_int(st, 3, j->attempts);
        r = sqlite_run(s, st, e, "claim a job");
        if (r == 0)
                r = sqlite_get(s, SQL_ASIDE_STATE, &st, e);
        if (r < 0)
                return r;
        bind_int(st, 1, j->id);
        bind_int(st, 2, state);
        bind_int(st, 3, holder);
        return sqlite_run(s, st, e, "claim a job");
}

static int by_id(const void *a, const void *b) {
        const Found *x = a, *y = b;

        return x->id < y->id ? -1 : x->id > y->id;
}

static size_t bytes_of(const Event *e) {
        return sizeof *e + e->body.n + e->meta.n + e->subject.n + e->type.n + e->key.n;
}

/* Takes the job: 1 when this process has it from now on, 0 when it is blocked behind its lane. */
static int take(Sqlite *s, const Found *f, Job *j, int64_t now_ms, Err *e) {
        int busy = j->lane ? sqlite_lane_busy(s, j, e) : 0;
        int r = busy < 0 ? busy : 0;

        /* Behind an earlier one it was standing, not running. */
        if (r == 0 && f->is_recovered && !busy)
                r = add_unknown(s, j, now_ms, e);
        if (r == 0)
                r = set_state(s, j, busy ? JOB_BLOCKED : JOB_QUEUED, busy ? 0 : s->holder, e);
        if (r == 0 && !busy && j->lane) {
                r = sqlite_lane_followed(s, j, e);
                j->is_followed = r > 0;
        }
        return r < 0 ? r : !busy;
}

/* Takes found jobs until all are dealt with or they are too large together. Returns how many of
 * `found` were dealt with. */
static int take_all(Sqlite *s, const ClaimAsk *ask, const Found *found, size_t n, Claim *ret,
                    Err *e) {
        size_t bytes = 0, i;

        for (i = 0, ret->n = 0; i < n && bytes < CLAIM_MAX_BYTES; i++) {
                const Job *before = ret->n ? ret->jobs[ret->n - 1] : NULL;
                Job *j = NULL;
                int r = load(s, found[i].id, before, &j, e);

                if (r == 0)
                        r = take(s, &found[i], j, ask->now_ms, e);
                if (r <= 0)
                        job_free(j);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                bytes += before && before->event == j->event ? 0 : bytes_of(j->event);
                ret->jobs[ret->n++] = j;
        }
        return (int)i;
}

static void claim_done(Claim *c) {
        for (size_t i = 0; c->jobs && i < c->n; i++)
                job_free(c->jobs[i]);
        free(c->jobs);
        *c = (Claim){.next_due_ms = INT64_MAX};
}

int sqlite_claim(Store *store, const ClaimAsk *ask, Claim *ret, Err *e) {
        Sqlite *s = sqlite_of(store);
        AUTO(freep)
        Found *found = must_alloc((ask->max + 1) * sizeof *found);
        int r;

        must(ask->shard < ask->shards && ask->max > 0);
        *ret = (Claim){.next_due_ms = INT64_MAX, .searched_to = ask->after_id};
        r = ask->is_due ? find_due(s, ask, found, ret, e) : find_free(s, ask, found, ret, e);
        if (r < 0)
                return r;
        size_t n = ret->n, taken = 0;
        ret->n = 0;
        if (n > 0) {
                /* Several jobs of a lane reach the engine in their order. */
                qsort(found, n, sizeof *found, by_id);
                ret->jobs = must_alloc(n * sizeof(Job *));
                r = sqlite_begin(s, e);
                if (r == 0) {
                        r = take_all(s, ask, found, n, ret, e);
                        taken = r < 0 ? 0 : (size_t)r;
                        r = r < 0 ? sqlite_rollback(s, r) : sqlite_commit(s, e);
                }
                if (r < 0) {
                        claim_done(ret);
                        return r;
                }
        }
        if (taken < n) {
                /* Too large together: what was found and not taken is found again. */
                ret->more = true;
                ret->searched_to = found[taken].id - 1;
                ret->next_due_ms = ask->from_ms;
        }
        return 0;
}

/* The next target in `name`'s index: 1, or 0 for no more. */
static int next_target(Sqlite *s, StatementName name, int64_t *target, int64_t *ret_due_ms,
                       Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, name, &st, e);

        if (r < 0)
                return r;
        bind_int(st, 1, *target);
        r = sqlite_row(s, st, e, "look for targets with jobs");
        if (r <= 0)
                return r;
        *target = sqlite3_column_int64(st, 0);
        *ret_due_ms = name == SQL_WAITING_NEXT ? sqlite3_column_int64(st, 1) : STORE_NOW;
        sqlite3_reset(st);
        return 1;
}

static int each_target(Sqlite *s, StatementName name,
                       void (*each)(void *arg, Span target, int64_t due_ms), void *arg, Err *e) {
        sqlite3_stmt *st = NULL;
        int64_t target = 0, due_ms;
        int r;

        while ((r = next_target(s, name, &target, &due_ms, e)) > 0) {
                r = sqlite_get(s, SQL_NAME_OF, &st, e);
                if (r < 0)
                        break;
                bind_int(st, 1, target);
                r = sqlite_row(s, st, e, "read the name of a target");
                if (r <= 0)
                        break;
                each(arg, column_span(st, 0), due_ms);
                sqlite3_reset(st);
        }
        return r;
}

int sqlite_each_change(Store *store, size_t max, void (*each)(void *arg, const Change *c),
                       void *arg, Err *e) {
        Sqlite *s = sqlite_of(store);
        sqlite3_stmt *st = NULL;
        int r;

        sqlite_question_begin(s);
        r = sqlite_get(s, SQL_ENDED, &st, e);
        if (r < 0)
                return r;
        bind_int(st, 1, (int64_t)max);
        while ((r = sqlite_row(s, st, e, "look at the latest jobs")) > 0)
                each(arg, &(Change){.lane = (uint64_t)sqlite3_column_int64(st, 0),
                                    .shard = (uint8_t)sqlite3_column_int(st, 1),
                                    .time_ms = sqlite3_column_int64(st, 2)});
        return r;
}

int sqlite_each_backlog(Store *store, void (*each)(void *arg, Span target, int64_t due_ms),
                        void *arg, Err *e) {
        Sqlite *s = sqlite_of(store);
        int r;

        sqlite_question_begin(s);
        r = each_target(s, SQL_BACKLOG_NEXT, each, arg, e);
        return r < 0 ? r : each_target(s, SQL_WAITING_NEXT, each, arg, e);
}
