/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs statements in a SQLite file, one transaction each. The outbox has no context there. */
#include "base/clock.h"
#include "watch/lite.h"
#include "watch/statement.h"
#include "json/value.h"

#include <errno.h>
#include <math.h>

enum { STEPS_BETWEEN_LOOKS = 1000, EVENTS_MAX = 10000 };

typedef struct Connection {
        const DatabaseConfig *database;
        sqlite3 *db;
        sqlite3_stmt **prepared; /* by the statement's index */
        size_t n;
        int64_t until_ms;
} Connection;

/* ---- the connection ---- */

static void close_it(void *c_) {
        Connection *c = c_;

        for (size_t i = 0; i < c->n; i++)
                sqlite3_finalize(c->prepared[i]);
        lite_close(c->db);
        free(c->prepared);
        free(c);
}

static int is_over(void *c) {
        return clock_mono_ms() >= ((Connection *)c)->until_ms;
}

static int open_it(const DatabaseConfig *d, size_t n, void **ret, Err *e) {
        Connection *c = must_alloc(sizeof *c);
        int r = lite_open(d, &c->db, e);

        c->database = d;
        c->n = n;
        c->prepared = must_alloc((n + 1) * sizeof(sqlite3_stmt *));
        memset(c->prepared, 0, (n + 1) * sizeof(sqlite3_stmt *));
        c->until_ms = INT64_MAX;
        if (r == 0) {
                sqlite3_progress_handler(c->db, STEPS_BETWEEN_LOOKS, is_over, c);
                /* A key to another table that was declared is meant. */
                (void)sqlite3_exec(c->db, "PRAGMA foreign_keys=ON", NULL, NULL, NULL);
        }
        *ret = c;
        if (r < 0) {
                close_it(c);
                *ret = NULL;
        }
        return r;
}

static void *stopper_of(void *c) {
        return ((Connection *)c)->db;
}

static void stop(void *stopper) {
        sqlite3_interrupt(stopper);
}

static void free_stopper(void *stopper) {
        (void)stopper;
}

static int attempt(void *c_, const Statement *s, Err *e) {
        Connection *c = c_;
        sqlite3_stmt **st = &c->prepared[s->index];

        if (*st)
                return 0;
        if (sqlite3_prepare_v3(c->db, s->sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL) != SQLITE_OK)
                return lite_fault(c->db, c->database, "asked", e);
        if (*st && (size_t)sqlite3_bind_parameter_count(*st) == s->n)
                return 0;
        sqlite3_finalize(*st);
        *st = NULL;
        return FAIL(e, -EINVAL, "parameters have names here: :name or $name, not ? or @name");
}

/* ---- what a refusal means ---- */

static StatementResult meaning(int code) {
        switch (code) {
        case SQLITE_CONSTRAINT_UNIQUE:
        case SQLITE_CONSTRAINT_PRIMARYKEY:
        case SQLITE_CONSTRAINT_ROWID:
        case SQLITE_CONSTRAINT_FOREIGNKEY:
                return STATEMENT_CONFLICT;
        default:
                break;
        }
        switch (code & 0xff) {
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
        case SQLITE_TOOBIG:
                return STATEMENT_INVALID;
        case SQLITE_INTERRUPT:
                return STATEMENT_LATE;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return STATEMENT_AGAIN;
        case SQLITE_ERROR:
        case SQLITE_AUTH:
        case SQLITE_RANGE:
        case SQLITE_MISUSE:
                return STATEMENT_BROKEN;
        default:
                return STATEMENT_AWAY;
        }
}

/* "UNIQUE constraint failed: users.email, users.name": the first. */
static void find_column(StatementCall *call) {
        const char *at = strstr(call->message, "constraint failed: "), *dot;
        size_t n;

        if (!at || strncmp(call->message, "CHECK", 5) == 0)
                return;
        at += strlen("constraint failed: ");
        n = strcspn(at, ",");
        dot = memchr(at, '.', n);
        if (!dot)
                return;
        (void)snprintf(call->table, sizeof call->table, "%.*s", (int)(dot - at), at);
        (void)snprintf(call->column, sizeof call->column, "%.*s", (int)(at + n - dot - 1), dot + 1);
}

static void tell(Connection *c, StatementCall *call) {
        call->result = meaning(sqlite3_extended_errcode(c->db));
        (void)snprintf(call->message, sizeof call->message, "%s", sqlite3_errmsg(c->db));
        find_column(call);
}

/* ---- one call ---- */

static void bind_one(sqlite3_stmt *st, int i, const StatementValue *v) {
        char *end = NULL;
        long long n;

        if (!v->text) {
                (void)sqlite3_bind_null(st, i);
                return;
        }
        if (v->kind == JSON_TRUE || v->kind == JSON_FALSE) {
                (void)sqlite3_bind_int(st, i, v->kind == JSON_TRUE);
                return;
        }
        if (v->kind != JSON_NUMBER) {
                (void)sqlite3_bind_text64(st, i, v->text, v->n, SQLITE_STATIC, SQLITE_UTF8);
                return;
        }
        errno = 0;
        n = strtoll(v->text, &end, 10);
        if (errno == 0 && *end == 0)
                (void)sqlite3_bind_int64(st, i, n);
        else
                (void)sqlite3_bind_double(st, i, strtod(v->text, NULL));
}

/* As the outbox writes them. */
static int add_value(Buf *b, sqlite3_stmt *st, int i) {
        double d;
        int r;

        switch (sqlite3_column_type(st, i)) {
        case SQLITE_NULL:
                return buf_add(b, SPAN("null"));
        case SQLITE_INTEGER:
                return buf_addf(b, "%lld", sqlite3_column_int64(st, i));
        case SQLITE_FLOAT:
                d = sqlite3_column_double(st, i);
                return isfinite(d)
                               ? buf_addf(b, "%.17g", d)
                               : buf_add(b, d > 0 ? SPAN("\"Infinity\"") : SPAN("\"-Infinity\""));
        case SQLITE_TEXT:
                return buf_add_json(b, lite_cell(st, i));
        default: {
                const unsigned char *p = sqlite3_column_blob(st, i);
                int n = sqlite3_column_bytes(st, i);

                r = buf_add(b, SPAN("\"\\\\x"));
                for (int k = 0; r == 0 && k < n; k++)
                        r = buf_addf(b, "%02x", p[k]);
                return r < 0 ? r : buf_add_char(b, '"');
        }
        }
}

static int add_row(StatementCall *call, sqlite3_stmt *st) {
        Buf *b = &call->rows;
        int r = call->count++ ? buf_add_char(b, ',') : 0;

        if (r == 0)
                r = buf_add_char(b, '{');
        for (int i = 0; r == 0 && i < sqlite3_column_count(st); i++) {
                r = i ? buf_add_char(b, ',') : 0;
                if (r == 0)
                        r = buf_add_json(b, span_of(sqlite3_column_name(st, i)));
                if (r == 0)
                        r = buf_add_char(b, ':');
                if (r == 0)
                        r = add_value(b, st, i);
        }
        return r < 0 ? r : buf_add_char(b, '}');
}

/* 0; -EIO: ask the database; -E2BIG. */
static int ask(Connection *c, StatementCall *call) {
        const Statement *s = call->statement;
        sqlite3_stmt *st = c->prepared[s->index];
        int step, r = 0;

        for (size_t i = 0; i < s->n; i++)
                bind_one(st, (int)i + 1, &call->values[i]);
        while (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW)
                if (call->count >= s->config->rows_max || add_row(call, st) < 0)
                        r = -E2BIG;
        if (r == 0 && step != SQLITE_DONE) {
                r = -EIO;
                tell(c, call);
        }
        if (r == 0 && sqlite3_column_count(st) == 0)
                call->count = sqlite3_changes64(c->db);
        sqlite3_reset(st);
        sqlite3_clear_bindings(st);
        return r;
}

static int last_of_outbox(Connection *c, StatementCall *call, int64_t *ret) {
        sqlite3_stmt *st;
        int r = 0;

        if (!call->statement->outbox)
                return 0;
        if (sqlite3_prepare_v2(c->db, "SELECT coalesce(max(seq), 0) FROM grapnel_outbox", -1, &st,
                               NULL) != SQLITE_OK) {
                tell(c, call);
                if (call->result == STATEMENT_BROKEN)
                        (void)snprintf(call->message, sizeof call->message,
                                       "database %s has no outbox: run grapnel trigger install %s",
                                       c->database->name, call->statement->config->source->name);
                return -EIO;
        }
        if (sqlite3_step(st) == SQLITE_ROW)
                *ret = sqlite3_column_int64(st, 0);
        else {
                tell(c, call);
                r = -EIO;
        }
        sqlite3_finalize(st);
        return r;
}

static int emit(Connection *c, StatementCall *call) {
        static const char *const ops[] = {"INSERT", "UPDATE", "DELETE"};
        const Statement *s = call->statement;
        AUTO(buf_done)
        Buf rows = BUF(STATEMENT_ANSWER_MAX_BYTES + 16);
        Span key, row;
        sqlite3_stmt *st;
        int r = 0;

        if (!s->key_names || call->rows.n == 0)
                return 0;
        if (!statement_has_key(call))
                return -EIO;
        if (buf_addf(&rows, "[" SPAN_FMT "]", SPAN_ARG(buf_span(&call->rows))) < 0)
                return -E2BIG;
        if (sqlite3_prepare_v2(c->db,
                               "INSERT INTO grapnel_outbox (source, op, table_name, key_names,"
                               " fresh, previous) VALUES (?1, ?2, ?3, ?4,"
                               " CASE WHEN ?2<>'DELETE' THEN ?5 END,"
                               " CASE WHEN ?2='DELETE' THEN ?5 END)",
                               -1, &st, NULL) != SQLITE_OK) {
                tell(c, call);
                return -EIO;
        }
        (void)sqlite3_bind_text(st, 1, s->config->source->name, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(st, 2, ops[s->config->emit.op], -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(st, 3, s->config->emit.table, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(st, 4, s->key_names, -1, SQLITE_STATIC);
        for (size_t pos = 0; r == 0 && json_next(buf_span(&rows), &pos, &key, &row);) {
                (void)sqlite3_bind_text(st, 5, row.p, (int)row.n, SQLITE_STATIC);
                if (sqlite3_step(st) != SQLITE_DONE) {
                        tell(c, call);
                        r = -EIO;
                }
                sqlite3_reset(st);
        }
        sqlite3_finalize(st);
        return r;
}

static int name_events(Connection *c, StatementCall *call, int64_t before) {
        const Statement *s = call->statement;
        sqlite3_stmt *st;
        int r = 0, n = 0, step = SQLITE_DONE;

        if (!s->outbox)
                return 0;
        if (sqlite3_prepare_v2(c->db,
                               "SELECT seq, at FROM grapnel_outbox WHERE source=?1 AND seq>?2"
                               " ORDER BY seq LIMIT ?3",
                               -1, &st, NULL) != SQLITE_OK) {
                tell(c, call);
                return -EIO;
        }
        (void)sqlite3_bind_text(st, 1, s->config->source->name, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(st, 2, before);
        (void)sqlite3_bind_int(st, 3, EVENTS_MAX);
        while (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW)
                r = buf_addf(&call->events, "%s\"%s/%lld-" SPAN_FMT "\"", n++ ? "," : "",
                             s->config->source->name, sqlite3_column_int64(st, 0),
                             SPAN_ARG(lite_cell(st, 1)));
        if (r < 0)
                r = -E2BIG;
        else if (step != SQLITE_DONE) {
                tell(c, call);
                r = -EIO;
        }
        sqlite3_finalize(st);
        return r;
}

static int simply(Connection *c, StatementCall *call, const char *sql) {
        if (sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK)
                return 0;
        tell(c, call);
        return -EIO;
}

static int carry_out(Connection *c, StatementCall *call) {
        bool reads = sqlite3_stmt_readonly(c->prepared[call->statement->index]) != 0;
        int64_t before = 0;
        int r = simply(c, call, reads && !call->statement->key_names ? "BEGIN" : "BEGIN IMMEDIATE");

        if (r == 0)
                r = last_of_outbox(c, call, &before);
        if (r == 0)
                r = ask(c, call);
        if (r == 0)
                r = emit(c, call);
        if (r == 0)
                r = name_events(c, call, before);
        return r < 0 ? r : simply(c, call, "COMMIT");
}

static bool run(void *c_, StatementCall *call) {
        Connection *c = c_;
        int64_t left = call->until_ms - clock_mono_ms();
        Err e = {0};
        int r;

        if (lite_check_place(c->db, c->database, &e) < 0) {
                call->result = STATEMENT_AWAY;
                call->is_untouched = true;
                (void)snprintf(call->message, sizeof call->message, "%s", e.text);
                return false;
        }
        sqlite3_busy_timeout(c->db, left > 1 ? (int)left : 1);
        c->until_ms = call->until_ms;
        r = attempt(c, call->statement, &e);
        if (r == -EINVAL)
                call->result = STATEMENT_BROKEN;
        else if (r < 0)
                call->result = meaning(sqlite3_extended_errcode(c->db));
        if (r < 0)
                (void)snprintf(call->message, sizeof call->message, "%s", e.text);
        else
                r = carry_out(c, call);
        if (r == -E2BIG)
                call->result = STATEMENT_TOO_MANY;
        if (r == 0)
                call->result = STATEMENT_DONE;
        c->until_ms = INT64_MAX;
        if (!sqlite3_get_autocommit(c->db))
                (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
        return call->result != STATEMENT_AWAY && sqlite3_get_autocommit(c->db);
}

const StatementWay statement_lite = {.open = open_it,
                                     .close = close_it,
                                     .stopper = stopper_of,
                                     .stop = stop,
                                     .stopper_free = free_stopper,
                                     .run = run,
                                     .attempt = attempt};
