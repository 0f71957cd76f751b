/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs statements in PostgreSQL. What returns rows is prepared as a WITH query around it, so that
 * the server itself writes the rows as JSON, just as the outbox's trigger does. */
#include "base/clock.h"
#include "watch/pg.h"
#include "watch/statement.h"
#include "json/value.h"

#include <errno.h>
#include <poll.h>

#define EVENTS_MAX   "10000" /* that an answer names */
#define STATUS_TRIES 20
#define STATUS_MS    100

typedef enum Prepared { PREPARED_NOT, PREPARED_ROWS, PREPARED_COUNT } Prepared;

typedef struct Connection {
        const DatabaseConfig *database;
        Pg *pg;
        Prepared *prepared; /* by the statement's index */
} Connection;

/* ---- the connection ---- */

static void close_it(void *c_) {
        Connection *c = c_;

        pg_close(c->pg);
        free(c->prepared);
        free(c);
}

static int open_it(const DatabaseConfig *d, size_t n, void **ret, Err *e) {
        Connection *c = must_alloc(sizeof *c);
        int r = pg_open(NULL, d, false, &c->pg, e);

        c->database = d;
        c->prepared = must_alloc((n + 1) * sizeof *c->prepared);
        memset(c->prepared, 0, (n + 1) * sizeof *c->prepared);
        *ret = c;
        if (r < 0) {
                close_it(c);
                *ret = NULL;
        }
        return r;
}

static void *stopper_of(void *c) {
        return PQgetCancel(pg_conn(((Connection *)c)->pg));
}

static void stop(void *stopper) {
        char why[256];

        if (stopper)
                (void)PQcancel(stopper, why, sizeof why);
}

static void free_stopper(void *stopper) {
        PQfreeCancel(stopper);
}

/* ---- preparing ---- */

static void name_of(const Statement *s, char kind, char ret[32]) {
        (void)snprintf(ret, 32, "grapnel_%c%zu", kind, s->index);
}

static int prepare_rows(Connection *c, const Statement *s, Err *e) {
        AUTO(buf_done)
        Buf sql = BUF(2 * 1024 * 1024);
        PGresult *told;
        char name[32];
        int r = buf_addf(&sql,
                         "WITH grapnel_row AS (\n%s\n) SELECT to_json(grapnel_row)::text FROM "
                         "grapnel_row LIMIT %" PRId64,
                         s->sql, s->config->rows_max + 1);

        name_of(s, 's', name);
        if (r == 0)
                r = buf_add_char(&sql, 0);
        if (r == 0)
                r = pg_prepare(c->pg, name, sql.p, &told, e);
        if (r == 0)
                PQclear(told);
        return r;
}

static int attempt(void *c_, const Statement *s, Err *e) {
        Connection *c = c_;
        PGresult *told;
        char name[32];
        int r, n_columns, n_parameters;

        if (c->prepared[s->index] != PREPARED_NOT)
                return 0;
        name_of(s, 'c', name);
        r = pg_prepare(c->pg, name, s->sql, &told, e);
        if (r < 0)
                return r;
        n_columns = PQnfields(told);
        n_parameters = PQnparams(told);
        PQclear(told);
        if ((size_t)n_parameters != s->n)
                return FAIL(e, -EINVAL, "the database sees %d parameters, not %zu", n_parameters,
                            s->n);
        if (n_columns)
                r = prepare_rows(c, s, e);
        if (r == 0)
                c->prepared[s->index] = n_columns ? PREPARED_ROWS : PREPARED_COUNT;
        return r;
}

/* ---- what a refusal means ---- */

static StatementResult meaning(const Pg *p, int r) {
        const char *s = pg_state(p);
        static const struct {
                const char *state; /* or how it begins */
                StatementResult result;
        } all[] = {{"23502", STATEMENT_INVALID}, {"23514", STATEMENT_INVALID},
                   {"23", STATEMENT_CONFLICT},   {"22", STATEMENT_INVALID},
                   {"P0001", STATEMENT_INVALID}, {"44", STATEMENT_INVALID},
                   {"57014", STATEMENT_LATE},    {"55P03", STATEMENT_AGAIN},
                   {"40", STATEMENT_AGAIN},      {"57P", STATEMENT_AWAY},
                   {"53", STATEMENT_AWAY},       {"08", STATEMENT_AWAY},
                   {"25006", STATEMENT_AWAY}};

        if (r == -ETIMEDOUT)
                return STATEMENT_LATE;
        if (r != -EBADMSG && s[0] == 0)
                return r == -EINVAL || r == -EMSGSIZE ? STATEMENT_BROKEN : STATEMENT_AWAY;
        for (size_t i = 0; i < COUNT_OF(all); i++)
                if (strncmp(s, all[i].state, strlen(all[i].state)) == 0)
                        return all[i].result;
        return STATEMENT_BROKEN;
}

/* "Key (email)=(x) already exists.": in every language the column stands so. */
static void find_column(const char *detail, char *ret, size_t n) {
        const char *open = strchr(detail, '('), *shut = open ? strstr(open, ")=(") : NULL;

        if (shut)
                (void)snprintf(ret, n, "%.*s", (int)(shut - open - 1), open + 1);
}

static void tell(Connection *c, StatementCall *call, int r, const Err *e) {
        const PgRefusal *f = pg_refusal(c->pg);

        call->result = meaning(c->pg, r);
        (void)snprintf(call->message, sizeof call->message, "%s",
                       f->message[0] ? f->message : e->text);
        (void)snprintf(call->column, sizeof call->column, "%s", f->column);
        (void)snprintf(call->table, sizeof call->table, "%s", f->table);
        (void)snprintf(call->constraint, sizeof call->constraint, "%s", f->constraint);
        if (!call->column[0] && call->result == STATEMENT_CONFLICT)
                find_column(f->detail, call->column, sizeof call->column);
        /* Somebody altered the table since it was prepared: another connection prepares it anew. */
        call->is_untouched = strcmp(pg_state(c->pg), "0A000") == 0;
}

/* ---- one call ---- */

typedef struct Running {
        Connection *c;
        StatementCall *call;
        const Statement *s;
        char schema[2 * OUTBOX_NAME_MAX_BYTES + 3]; /* quoted */
        char before[24]; /* the last id in the outbox that was there already */
} Running;

static int refuse_outbox(Running *r, Err *e, int err) {
        const char *state = pg_state(r->c->pg);

        if (err == -EBADMSG && (strcmp(state, "42P01") == 0 || strcmp(state, "3F000") == 0))
                (void)snprintf(e->text, sizeof e->text,
                               "database %s has no outbox: run grapnel trigger install %s",
                               r->c->database->name, r->s->config->source->name);
        return err;
}

static int begin(Running *r, Err *e) {
        const StatementCall *call = r->call;
        int64_t left = call->until_ms - clock_mono_ms();
        char sql[256];

        (void)snprintf(sql, sizeof sql, "BEGIN; SET LOCAL statement_timeout=%" PRId64,
                       left > 1 ? left : 1);
        return pg_do(r->c->pg, sql, e);
}

static int begin_context(Running *r, Err *e) {
        const char *values[] = {r->call->context ? r->call->context : "",
                                r->s->outbox ? r->s->config->source->name : NULL};
        char sql[512];
        PGresult *got;
        int err;

        if (!r->s->outbox) {
                err = pg_ask(r->c->pg, "SELECT set_config('grapnel.context', $1, true)", values, 1,
                             &got, e);
        } else {
                (void)snprintf(sql, sizeof sql,
                               "SELECT set_config('grapnel.context', $1, true),"
                               " (SELECT coalesce(max(id), 0) FROM %s.outbox WHERE source=$2)",
                               r->schema);
                err = refuse_outbox(r, e, pg_ask(r->c->pg, sql, values, 2, &got, e));
        }
        if (err == 0 && r->s->outbox)
                (void)snprintf(r->before, sizeof r->before, "%s", PQgetvalue(got, 0, 1));
        PQclear(got);
        return err;
}

static int keep_rows(Running *r, const PGresult *got) {
        StatementCall *call = r->call;
        int n = PQntuples(got), err = 0;

        call->count = n;
        if (n > r->s->config->rows_max)
                return -E2BIG;
        for (int i = 0; err == 0 && i < n; i++) {
                err = i ? buf_add_char(&call->rows, ',') : 0;
                if (err == 0)
                        err = buf_add(&call->rows, pg_cell(got, i, 0));
        }
        return err < 0 ? -E2BIG : 0;
}

static int ask(Running *r, Err *e) {
        const char *values[STATEMENT_PARAMETERS_MAX];
        bool has_rows = r->c->prepared[r->s->index] == PREPARED_ROWS;
        PGresult *got;
        char name[32];
        int err;

        for (size_t i = 0; i < r->s->n; i++)
                values[i] = r->call->values[i].text;
        name_of(r->s, has_rows ? 's' : 'c', name);
        err = pg_ask_prepared(r->c->pg, name, values, r->s->n, &got, e);
        if (err == 0 && has_rows)
                err = keep_rows(r, got);
        else if (err == 0)
                r->call->count = strtoll(PQcmdTuples(got), NULL, 10);
        PQclear(got);
        return err;
}

/* One row of the outbox for each that was returned. */
static int emit(Running *r, Err *e) {
        static const char *const ops[] = {"INSERT", "UPDATE", "DELETE"};
        const struct StatementEmit *m = &r->s->config->emit;
        AUTO(buf_done)
        Buf rows = BUF(STATEMENT_ANSWER_MAX_BYTES + 16);
        char sql[1024];
        PGresult *got;
        int err;

        if (!r->s->key_names || r->call->rows.n == 0)
                return 0;
        if (!statement_has_key(r->call))
                return -EPROTO; /* it has said why */
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO %s.outbox (source, op, schema_name, table_name, key_names,"
                       " fresh, previous, context, bytes) SELECT $1, $2, '', $3, $4,"
                       " CASE WHEN $2<>'DELETE' THEN v::text END,"
                       " CASE WHEN $2='DELETE' THEN v::text END,"
                       " nullif(current_setting('grapnel.context', true), ''),"
                       " octet_length(v::text) FROM json_array_elements($5::json)"
                       " WITH ORDINALITY AS t(v, n) ORDER BY n",
                       r->schema);
        err = buf_addf(&rows, "[" SPAN_FMT "]", SPAN_ARG(buf_span(&r->call->rows)));
        if (err == 0)
                err = buf_add_char(&rows, 0);
        const char *values[] = {r->s->config->source->name, ops[m->op], m->table, r->s->key_names,
                                rows.p};

        if (err == 0)
                err = pg_ask(r->c->pg, sql, values, 5, &got, e);
        if (err == 0)
                PQclear(got);
        if (err == 0 && r->s->outbox->notify) {
                err = pg_ask(r->c->pg, "SELECT pg_notify('grapnel_' || $1, '')", values, 1, &got,
                             e);
                PQclear(err == 0 ? got : NULL);
        }
        return err;
}

/* Their ids, as the reader of the outbox will make them. */
static int name_events(Running *r, Err *e) {
        const char *values[] = {r->before, r->s->outbox ? r->s->config->source->name : NULL};
        char sql[512];
        PGresult *got;
        int err;

        if (!r->s->outbox)
                return 0;
        (void)snprintf(sql, sizeof sql,
                       "SELECT id, (extract(epoch FROM at) * 1000000)::bigint FROM %s.outbox"
                       " WHERE source=$2 AND id>$1::bigint AND xid=pg_current_xact_id()"
                       " ORDER BY id LIMIT " EVENTS_MAX,
                       r->schema);
        err = pg_ask(r->c->pg, sql, values, 2, &got, e);
        for (int i = 0; err == 0 && i < PQntuples(got); i++)
                err = buf_addf(&r->call->events, "%s\"%s/%s-%s\"", i ? "," : "",
                               r->s->config->source->name, PQgetvalue(got, i, 0),
                               PQgetvalue(got, i, 1));
        PQclear(got);
        return err;
}

static int name_transaction(Running *r, Err *e) {
        PGresult *got;
        int err =
                pg_ask(r->c->pg, "SELECT pg_current_xact_id_if_assigned()::text", NULL, 0, &got, e);

        if (err == 0)
                (void)snprintf(r->call->transaction, sizeof r->call->transaction, "%s",
                               PQgetvalue(got, 0, 0));
        PQclear(got);
        return err;
}

/* The connection broke while it committed: the server remembers what became of it. */
static StatementResult look_what_became(Running *r) {
        const char *values[] = {r->call->transaction};
        StatementResult result = STATEMENT_UNKNOWN;
        Pg *p = NULL;

        if (!r->call->transaction[0])
                return STATEMENT_AWAY; /* it wrote nothing */
        if (pg_open(NULL, r->c->database, false, &p, NULL) < 0)
                return result;
        for (int i = 0; result == STATEMENT_UNKNOWN && i < STATUS_TRIES; i++) {
                PGresult *got;

                if (pg_ask(p, "SELECT pg_xact_status($1::xid8)", values, 1, &got, NULL) < 0)
                        break;
                if (strcmp(PQgetvalue(got, 0, 0), "committed") == 0)
                        result = STATEMENT_DONE;
                else if (strcmp(PQgetvalue(got, 0, 0), "aborted") == 0)
                        result = STATEMENT_AWAY;
                else
                        (void)poll(NULL, 0, STATUS_MS);
                PQclear(got);
        }
        pg_close(p);
        return result;
}

static int commit(Running *r, Err *e) {
        int err = pg_do(r->c->pg, "COMMIT", e);

        /* One that is told to end (57P..) may have committed just before. */
        if (err == 0 || (pg_state(r->c->pg)[0] && strncmp(pg_state(r->c->pg), "57P", 3) != 0))
                return err;
        r->call->result = look_what_became(r);
        return r->call->result == STATEMENT_DONE ? -EALREADY : -EINPROGRESS;
}

static int carry_out(Running *r, Err *e) {
        int err = begin_context(r, e);

        if (err == 0)
                err = ask(r, e);
        if (err == 0)
                err = emit(r, e);
        if (err == 0)
                err = name_events(r, e);
        if (err == 0)
                err = name_transaction(r, e);
        return err < 0 ? err : commit(r, e);
}

static void quote_schema(Running *r) {
        AUTO(buf_done)
        Buf b = BUF(sizeof r->schema - 1);

        if (r->s->outbox && outbox_quote(&b, span_of(r->s->outbox->schema)) == 0)
                (void)snprintf(r->schema, sizeof r->schema, SPAN_FMT, SPAN_ARG(buf_span(&b)));
}

static bool run(void *c_, StatementCall *call) {
        Running r = {.c = c_, .call = call, .s = call->statement};
        Err e = {0};
        int err;

        quote_schema(&r);
        /* Before the transaction: what cannot be prepared would only break it. */
        err = attempt(c_, r.s, &e);
        if (err == 0)
                err = begin(&r, &e);
        if (err < 0) {
                tell(c_, call, err, &e);
                call->is_untouched = call->result == STATEMENT_AWAY;
                return err == -EBADMSG && PQstatus(pg_conn(r.c->pg)) == CONNECTION_OK;
        }
        err = carry_out(&r, &e);
        if (err == 0) {
                call->result = STATEMENT_DONE;
                return true;
        }
        if (err == -EALREADY || err == -EINPROGRESS) {
                (void)snprintf(call->message, sizeof call->message, "%s", e.text);
                return false;
        }
        if (err == -E2BIG)
                call->result = STATEMENT_TOO_MANY;
        else if (err != -EPROTO)
                tell(c_, call, err, &e);
        return pg_do(r.c->pg, "ROLLBACK", NULL) == 0 && !call->is_untouched;
}

const StatementWay statement_pg = {.open = open_it,
                                   .close = close_it,
                                   .stopper = stopper_of,
                                   .stop = stop,
                                   .stopper_free = free_stopper,
                                   .run = run,
                                   .attempt = attempt};
