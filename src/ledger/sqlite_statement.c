/* SPDX-License-Identifier: Apache-2.0
 *
 * Every statement that the store runs, prepared when first used and kept, and the few calls
 * through which the other files use the library. */
#include "ledger/store_sqlite.h"

#define EVENT_COLUMNS                                                                              \
        "e.id, e.received_ms, e.time_ms, n.name, e.type, e.subject, e.content_type, e.trace, "     \
        "e.key, e.meta, e.body"
#define LISTING_COLUMNS                                                                            \
        "e.id, e.received_ms, e.time_ms, n.name, e.type, e.subject, e.content_type, e.trace, "     \
        "e.key, e.meta, x'', e.first_job, e.last_job"
/* Word for word as in the index aside_lane: so SQLite sees that it serves. */
#define IN_LANE "lane = ?1 AND lane <> 0 AND (state IN (1, 2) OR (state = 0 AND holder <= 0))"

#define BY_STATE "state IN (1, 2, 4) AND state = ?3 AND event > ?1 AND event < ?2"

static const char *const texts[SQL_STATEMENTS] = {
        [SQL_BEGIN] = "BEGIN IMMEDIATE",
        [SQL_COMMIT] = "COMMIT",
        [SQL_ROLLBACK] = "ROLLBACK",
        [SQL_EVENT_ADD] = "INSERT INTO events(id, received_ms, time_ms, source, first_job,"
                          " last_job, type, subject, content_type, trace, key, meta, body)"
                          " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        [SQL_JOB_ADD] = "INSERT INTO jobs(id, event, target, state, attempts, due_ms, lane, shard,"
                        " tries_from) VALUES(?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, NULL)",
        [SQL_JOB_FIND] = "SELECT id, state FROM jobs WHERE id BETWEEN ?1 AND ?2 AND event = ?3"
                         " AND target = ?4 ORDER BY id",
        [SQL_JOB_REPLAY] =
                "INSERT INTO jobs(id, event, target, state, attempts, due_ms, lane, shard,"
                " tries_from) VALUES(?1, ?2, ?3, 0, 0, 0, ?4, ?5, 0)",
        [SQL_JOB_REVIVE] = "UPDATE jobs SET state = 0, due_ms = 0, lane = ?2, shard = ?3,"
                           " tries_from = attempts WHERE id = ?1",
        [SQL_JOB_HURRY] = "UPDATE jobs SET state = 0, due_ms = 0, tries_from = attempts"
                          " WHERE id = ?1",
        [SQL_LATER_ADD] = "INSERT INTO later(event, job) VALUES(?1, ?2)",
        [SQL_LATER_NEXT] = "SELECT job FROM later WHERE event = ?1 AND job > ?2"
                           " ORDER BY job LIMIT 1",
        [SQL_LATER_DROP] = "DELETE FROM later WHERE event = ?1",
        [SQL_JOB_SETTLE] = "UPDATE jobs SET state = ?2, attempts = ?3, due_ms = ?4 WHERE id = ?1",
        [SQL_ASIDE_PUT] = "INSERT OR REPLACE INTO aside(job, event, target, state, due_ms, lane,"
                          " shard, holder) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        [SQL_ASIDE_HAS] = "SELECT 1 FROM aside WHERE job BETWEEN ?1 AND ?2 LIMIT 1",
        [SQL_ASIDE_DROP] = "DELETE FROM aside WHERE job = ?1",
        [SQL_ATTEMPT_ADD] = "INSERT OR REPLACE INTO attempts(job, number, started_ms, took_us,"
                            " status, code, message, detail, manual) VALUES(?1, ?2, ?3, ?4, ?5,"
                            " ?6, ?7, ?8, ?9)",
        [SQL_EVENT_META] = "SELECT meta FROM events WHERE id = ?1",
        [SQL_EVENT_EXPUNGE] = "UPDATE events SET meta = ?2, body = x'' WHERE id = ?1",
        [SQL_ATTEMPT_EXPUNGE] = "UPDATE attempts SET detail = '' WHERE job = ?1 AND number = ?2"
                                " AND EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND"
                                " (event = ?3 OR ?3 = 0))",
        [SQL_ANSWER_ADD] = "INSERT OR IGNORE INTO answers(event, status, content_type, body)"
                           " SELECT ?1, ?2, ?3, ?4 WHERE EXISTS"
                           " (SELECT 1 FROM events WHERE id = ?1)",
        [SQL_ANSWER_GET] = "SELECT status, content_type, body FROM answers WHERE event = ?1",
        [SQL_LANE_BUSY] =
                "SELECT 1 FROM aside INDEXED BY aside_lane WHERE " IN_LANE " AND job < ?2 LIMIT 1",
        [SQL_LANE_FOLLOWED] =
                "SELECT 1 FROM aside INDEXED BY aside_lane WHERE " IN_LANE " AND job > ?2 LIMIT 1",
        [SQL_ENDED] = /* as event_changed_ms */
        "SELECT j.lane, j.shard, iif(e.time_ms <= e.received_ms, e.time_ms,"
        " e.received_ms - e.received_ms % 1000) FROM"
        " (SELECT * FROM jobs ORDER BY id DESC LIMIT ?1) j"
        " CROSS JOIN events e ON e.id = j.event"
        " WHERE j.state = 3 AND j.lane <> 0 AND e.time_ms <> 0",
        [SQL_LANE_FIRST] = "SELECT job, state FROM aside INDEXED BY aside_lane WHERE " IN_LANE
                           " ORDER BY job LIMIT 1",
        [SQL_JOB_WAKE] = "UPDATE jobs SET state = 1, due_ms = ?2 WHERE id = ?1",
        [SQL_ASIDE_WAKE] = "UPDATE aside SET state = 1, due_ms = ?2 WHERE job = ?1",
        [SQL_ASIDE_HURRY] = "UPDATE aside SET state = 0, due_ms = 0, holder = 0 WHERE job = ?1",
        [SQL_STRAY_ADD] = "INSERT OR IGNORE INTO strays(name, event, job) VALUES(?1, ?2, ?3)",
        [SQL_STRAY_DROP] = "DELETE FROM strays INDEXED BY strays_by_event WHERE event = ?1",
        [SQL_RUN_ADD] = "INSERT INTO runs(last, first, from_ms, to_ms) VALUES(?1, ?2, ?3, ?4)",
        [SQL_RUN_SOURCE] = "INSERT INTO by_source(run, source, n, entries) VALUES(?1, ?2, ?3, ?4)",
        [SQL_RUN_TARGET] = "INSERT INTO by_target(run, target, n, entries) VALUES(?1, ?2, ?3, ?4)",
        [SQL_RUN_WIDEN] = "UPDATE runs SET from_ms = min(from_ms, ?2), to_ms = max(to_ms, ?2)"
                          " WHERE last = (SELECT last FROM runs WHERE last >= ?1 ORDER BY last"
                          " LIMIT 1) AND first <= ?1",
        [SQL_RUN_AT] = "SELECT last, first, from_ms, to_ms FROM runs WHERE last >= ?1"
                       " ORDER BY last LIMIT 1",
        [SQL_RUN_BEFORE] = "SELECT last FROM runs WHERE last < ?1 ORDER BY last DESC LIMIT 1",
        [SQL_RUN_LEFT] = "SELECT count(*) FROM (SELECT 1 FROM events WHERE id BETWEEN ?2 AND ?1"
                         " LIMIT ?3)",
        [SQL_RUN_LEFT_EVENTS] = "INSERT OR IGNORE INTO strays(name, event, job)"
                                " SELECT source, id, 0 FROM events WHERE id BETWEEN ?2 AND ?1",
        [SQL_RUN_LEFT_JOBS] = "INSERT OR IGNORE INTO strays(name, event, job)"
                              " SELECT j.target, e.id, j.id FROM events e CROSS JOIN jobs j"
                              " WHERE e.id BETWEEN ?2 AND ?1 AND j.id BETWEEN e.first_job AND"
                              " e.last_job AND j.event = e.id",
        [SQL_RUN_LEFT_LATER] = "INSERT OR IGNORE INTO strays(name, event, job)"
                               " SELECT j.target, l.event, j.id FROM later l CROSS JOIN jobs j"
                               " WHERE l.event BETWEEN ?2 AND ?1 AND j.id = l.job",
        [SQL_RUN_DROP_SOURCES] = "DELETE FROM by_source WHERE run = ?1",
        [SQL_RUN_DROP_TARGETS] = "DELETE FROM by_target WHERE run = ?1",
        [SQL_RUN_DROP] = "DELETE FROM runs WHERE last = ?1",
        [SQL_FRESH_EVENTS] = "SELECT source, id, 0, received_ms FROM events WHERE id > ?1"
                             " ORDER BY id",
        [SQL_FRESH_JOBS] = "SELECT j.target, e.id, j.id, 0 FROM events e CROSS JOIN jobs j"
                           " WHERE e.id > ?1 AND j.id BETWEEN e.first_job AND e.last_job"
                           " AND j.event = e.id",
        [SQL_FRESH_LATER] = "SELECT j.target, l.event, j.id, 0 FROM later l CROSS JOIN jobs j"
                            " WHERE l.event > ?1 AND j.id = l.job",
        [SQL_NAME_GET] = "SELECT id FROM names WHERE name = ?1",
        [SQL_NAME_OF] = "SELECT name FROM names WHERE id = ?1",
        [SQL_NAME_ADD] = "INSERT INTO names(name) VALUES(?1)",
        [SQL_META_GET] = "SELECT value FROM meta WHERE name = ?1",
        [SQL_META_SET] = "INSERT OR REPLACE INTO meta(name, value) VALUES(?1, ?2)",
        [SQL_LIST_RUNNING] = "INSERT OR IGNORE INTO aside(job, event, target, state, due_ms, lane, "
                             "shard, holder)"
                             " SELECT id, event, target, 0, due_ms, lane, shard, ?3 FROM jobs"
                             " WHERE id > ?1 AND id <= ?2 AND state = 0",
        [SQL_ASIDE_LOSE] = "UPDATE aside INDEXED BY aside_held SET holder = ?1 WHERE state = 0 AND"
                           " holder > 0 AND job > 0",
        [SQL_KEY_ADD] = "INSERT INTO keys(id, hash, event, body, received_ms)"
                        " VALUES(?1, ?2, ?3, ?4, ?5)",
        [SQL_KEY_BLOCK] = "SELECT hash, event, body, received_ms, id FROM keys"
                          " WHERE id >= ?1 AND id < ?2 ORDER BY id DESC",
        [SQL_KEY_SCAN] = "SELECT id, hash, received_ms FROM keys WHERE id >= ?1 AND id < ?2",
        [SQL_KEY_DROP] = "DELETE FROM keys WHERE id >= ?1 AND id < ?2",
        [SQL_KEY_FORGET] = "UPDATE keys SET hash = x'' WHERE id = ?1",
        [SQL_GENERATION_SET] = "INSERT OR REPLACE INTO key_filters(generation, newest_ms, keys,"
                               " filter) VALUES(?1, ?2, ?3, ?4)",
        [SQL_GENERATION_GET] = "SELECT newest_ms, keys, filter FROM key_filters"
                               " WHERE generation = ?1",
        [SQL_GENERATION_DROP] = "DELETE FROM key_filters WHERE generation < ?1",
        [SQL_CLAIM_DUE] = "SELECT job, shard, due_ms FROM aside INDEXED BY aside_due"
                          " WHERE state = 1 AND target = ?1 AND due_ms >= ?2"
                          " ORDER BY due_ms, job",
        [SQL_CLAIM_FREE] = "SELECT job, shard, holder FROM aside INDEXED BY aside_free"
                           " WHERE state = 0 AND holder <= 0 AND target = ?1 AND job > ?2"
                           " ORDER BY job",
        [SQL_BACKLOG_NEXT] = "SELECT target FROM aside INDEXED BY aside_free WHERE state = 0 AND"
                             " holder <= 0 AND target > ?1 ORDER BY target LIMIT 1",
        [SQL_WAITING_NEXT] = "SELECT target, due_ms FROM aside INDEXED BY aside_due"
                             " WHERE state = 1 AND target > ?1 ORDER BY target, due_ms LIMIT 1",
        [SQL_CLAIM_LOAD] = "SELECT j.attempts, j.lane, t.name, j.shard, ifnull(j.tries_from, "
                           "0), j.tries_from IS NOT NULL, " EVENT_COLUMNS
                           " FROM jobs j CROSS JOIN events e ON e.id = j.event"
                           " CROSS JOIN names n ON n.id = e.source"
                           " CROSS JOIN names t ON t.id = j.target WHERE j.id = ?1",
        [SQL_CLAIM_STATE] = "UPDATE jobs SET state = ?2, attempts = ?3 WHERE id = ?1",
        [SQL_ASIDE_STATE] = "UPDATE aside SET state = ?2, holder = ?3 WHERE job = ?1",
        [SQL_TRIM_SCAN] = "SELECT id, received_ms, first_job, last_job, length(body) FROM events"
                          " WHERE id > ?1 ORDER BY id",
        [SQL_TRIM_OPEN] = "SELECT 1 FROM jobs WHERE id BETWEEN ?1 AND ?2 AND event = ?3"
                          " AND state < 3 LIMIT 1",
        [SQL_TRIM_ATTEMPTS] = "DELETE FROM attempts WHERE job = ?1",
        [SQL_TRIM_ASIDE] = "DELETE FROM aside WHERE job BETWEEN ?1 AND ?2 AND event = ?3",
        [SQL_TRIM_JOBS] = "DELETE FROM jobs WHERE id BETWEEN ?1 AND ?2 AND event = ?3",
        [SQL_TRIM_ANSWER] = "DELETE FROM answers WHERE event = ?1",
        [SQL_TRIM_EVENT] = "DELETE FROM events WHERE id = ?1",
        [SQL_OBJECT_GET] = "SELECT version FROM objects WHERE kind = ?1 AND id = ?2",
        [SQL_OBJECT_NAMED] = "SELECT id FROM objects INDEXED BY objects_by_name"
                             " WHERE kind = ?1 AND owner = ?2 AND name = ?3 AND name <> ''",
        [SQL_OBJECT_PUT] = "INSERT INTO objects(kind, id, owner, name, text, version)"
                           " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(kind, id) DO UPDATE SET"
                           " owner = ?3, name = ?4, text = ?5, version = ?6",
        [SQL_OBJECT_DROP] = "DELETE FROM objects WHERE kind = ?1 AND id = ?2",
        [SQL_OBJECT_DROP_OWNED] = "DELETE FROM objects INDEXED BY objects_by_owner"
                                  " WHERE owner = ?1 AND owner <> 0",
        [SQL_OBJECT_EACH] = "SELECT kind, id, owner, name, text, version FROM objects"
                            " ORDER BY kind, id",
        [SQL_PAGES] = "PRAGMA page_count",
        [SQL_PAGES_FREE] = "PRAGMA freelist_count",
        [SQL_EVENT_GET] = "SELECT " EVENT_COLUMNS ", e.first_job, e.last_job FROM events e"
                          " CROSS JOIN names n ON n.id = e.source WHERE e.id = ?1",
        [SQL_EVENT_HEAD] = "SELECT " LISTING_COLUMNS " FROM events e"
                           " CROSS JOIN names n ON n.id = e.source WHERE e.id = ?1",
        [SQL_EVENT_RANGE] = "SELECT first_job, last_job FROM events WHERE id = ?1",
        [SQL_EVENT_JOBS] = "SELECT j.id, n.name, j.state, j.attempts, j.due_ms,"
                           " j.tries_from IS NOT NULL FROM jobs j"
                           " CROSS JOIN names n ON n.id = j.target"
                           " WHERE j.id BETWEEN ?1 AND ?2 AND j.event = ?3 ORDER BY j.id",
        [SQL_EVENT_ATTEMPTS] = "SELECT number, started_ms, took_us, status, code, message, detail,"
                               " manual FROM attempts WHERE job = ?1 ORDER BY number DESC LIMIT ?2",
        [SQL_EVENT_JOB_IDS] = "SELECT id FROM jobs WHERE id BETWEEN ?1 AND ?2 AND event = ?3",
        [SQL_EVENT_HAS] = "SELECT 1 FROM jobs WHERE id BETWEEN ?1 AND ?2 AND event = ?3"
                          " AND (?4 = 0 OR target = ?4) AND (?5 < 0 OR state = ?5) LIMIT 1",
        [SQL_JOB_EVENT] = "SELECT event FROM jobs WHERE id = ?1",
        [SQL_JOB_HEAD] = "SELECT j.state, j.due_ms, t.name, e.type, e.meta FROM jobs j"
                         " CROSS JOIN events e ON e.id = j.event"
                         " CROSS JOIN names t ON t.id = j.target WHERE j.id = ?1",
        [SQL_JOB_STATE] = "SELECT state FROM jobs WHERE id = ?1",
        [SQL_JOB_COUNT] = "SELECT j.state, e.received_ms FROM jobs j"
                          " CROSS JOIN events e ON e.id = j.event WHERE j.id = ?1",
        [SQL_WALK_ALL] = "SELECT id, 0 FROM events WHERE id > ?1 AND id < ?2 ORDER BY id DESC",
        [SQL_WALK_ALL_UP] = "SELECT id, 0 FROM events WHERE id > ?1 AND id < ?2 ORDER BY id",
        [SQL_WALK_STATE] = "SELECT event, 0 FROM aside INDEXED BY aside_by_state WHERE " BY_STATE
                           " ORDER BY event DESC",
        [SQL_WALK_STATE_UP] = "SELECT event, 0 FROM aside INDEXED BY aside_by_state"
                              " WHERE " BY_STATE " ORDER BY event",
        [SQL_WALK_TARGET_STATE] = "SELECT event, 0 FROM aside INDEXED BY aside_by_target"
                                  " WHERE target = ?4 AND " BY_STATE " ORDER BY event DESC",
        [SQL_WALK_TARGET_STATE_UP] = "SELECT event, 0 FROM aside INDEXED BY aside_by_target"
                                     " WHERE target = ?4 AND " BY_STATE " ORDER BY event",
        [SQL_WALK_STRAYS] = "SELECT event, job FROM strays WHERE name = ?3 AND event > ?1"
                            " AND event < ?2 ORDER BY event DESC",
        [SQL_WALK_STRAYS_UP] = "SELECT event, job FROM strays WHERE name = ?3 AND event > ?1"
                               " AND event < ?2 ORDER BY event",
        [SQL_WALK_SLICE] = "SELECT id FROM events WHERE id > ?1 AND id < ?2 ORDER BY id DESC"
                           " LIMIT 1 OFFSET ?3",
        [SQL_WALK_SLICE_UP] = "SELECT id FROM events WHERE id > ?1 AND id < ?2 ORDER BY id"
                              " LIMIT 1 OFFSET ?3",
        [SQL_WALK_TAIL_SOURCE] = "SELECT id, 0 FROM events WHERE id > ?1 AND id < ?2"
                                 " AND source = ?3",
        [SQL_WALK_TAIL_TARGET] = "SELECT e.id, j.id FROM events e CROSS JOIN jobs j"
                                 " WHERE e.id > ?1 AND e.id < ?2 AND j.id BETWEEN e.first_job AND"
                                 " e.last_job AND j.event = e.id AND j.target = ?3",
        [SQL_WALK_TAIL_LATER] = "SELECT l.event, j.id FROM later l CROSS JOIN jobs j"
                                " WHERE l.event > ?1 AND l.event < ?2 AND j.id = l.job"
                                " AND j.target = ?3",
        [SQL_WALK_RUN_SOURCE] = "SELECT entries FROM by_source WHERE run = ?1 AND source = ?2",
        [SQL_WALK_RUN_TARGET] = "SELECT entries FROM by_target WHERE run = ?1 AND target = ?2",
        [SQL_COUNT_STATE] = "SELECT count(*) FROM aside INDEXED BY aside_by_state"
                            " WHERE state IN (1, 2, 4) AND state = ?1",
        [SQL_OLDEST] = "SELECT received_ms FROM events ORDER BY id LIMIT 1",
};

static int code_of(int rc) {
        switch (rc & 0xff) {
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EAGAIN;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EBADMSG;
        case SQLITE_READONLY:
                return -EROFS;
        case SQLITE_PERM:
                return -EACCES;
        case SQLITE_INTERRUPT:
                return -ETIMEDOUT;
        default:
                return -EIO;
        }
}

int sqlite_fail(Sqlite *s, int rc, Err *e, const char *what) {
        return FAIL(e, code_of(rc), "ledger %s: cannot %s: %s (%d)", s->path, what,
                    s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc), rc);
}

int sqlite_get(Sqlite *s, StatementName name, sqlite3_stmt **ret, Err *e) {
        sqlite3_stmt **st = &s->statements[name];

        if (!*st) {
                int rc = sqlite3_prepare_v3(s->db, texts[name], -1, SQLITE_PREPARE_PERSISTENT, st,
                                            NULL);
                if (rc != SQLITE_OK)
                        return sqlite_fail(s, rc, e, "prepare a statement");
        }
        *ret = *st;
        return 0;
}

/* Binding numbers and borrowed bytes allocates nothing, so it fails only by our own mistake. */
void bind_int(sqlite3_stmt *st, int at, int64_t v) {
        must(sqlite3_bind_int64(st, at, v) == SQLITE_OK);
}

void bind_text(sqlite3_stmt *st, int at, Span v) {
        must(sqlite3_bind_text64(st, at, v.n ? v.p : "", v.n, SQLITE_STATIC, SQLITE_UTF8) ==
             SQLITE_OK);
}

void bind_blob(sqlite3_stmt *st, int at, Span v) {
        must(sqlite3_bind_blob64(st, at, v.n ? v.p : "", v.n, SQLITE_STATIC) == SQLITE_OK);
}

Span column_span(sqlite3_stmt *st, int at) {
        const void *p = sqlite3_column_blob(st, at);

        return (Span){p ? p : "", (size_t)sqlite3_column_bytes(st, at)};
}

int sqlite_run(Sqlite *s, sqlite3_stmt *st, Err *e, const char *what) {
        int rc = sqlite3_step(st);
        int r = rc == SQLITE_DONE ? 0 : sqlite_fail(s, rc, e, what);

        sqlite3_reset(st);
        return r;
}

int sqlite_row(Sqlite *s, sqlite3_stmt *st, Err *e, const char *what) {
        int rc = sqlite3_step(st);

        if (rc == SQLITE_ROW)
                return 1;
        int r = rc == SQLITE_DONE ? 0 : sqlite_fail(s, rc, e, what);
        sqlite3_reset(st);
        return r;
}

int sqlite_exec(Sqlite *s, const char *sql, Err *e, const char *what) {
        int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

        return rc == SQLITE_OK ? 0 : sqlite_fail(s, rc, e, what);
}

int sqlite_meta_get(Sqlite *s, const char *name, int64_t *ret, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_META_GET, &st, e);

        if (r < 0)
                return r;
        bind_text(st, 1, span_of(name));
        r = sqlite_row(s, st, e, "read the meta table");
        if (r > 0)
                *ret = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
        return r < 0 ? r : 0;
}

int sqlite_meta_set(Sqlite *s, const char *name, int64_t value, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_META_SET, &st, e);

        if (r < 0)
                return r;
        bind_text(st, 1, span_of(name));
        bind_int(st, 2, value);
        return sqlite_run(s, st, e, "write the meta table");
}
