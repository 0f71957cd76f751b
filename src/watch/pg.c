/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/pg.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>

#define CONNECT_MS 15000
#define COMMAND_MS 30000 /* when nobody can stop it */

struct Pg {
        Watch *watch;
        PGconn *conn;
        char state[6];
        PgRefusal refusal;
};

static const char *const settings =
        "SET datestyle=ISO; SET timezone='UTC'; SET intervalstyle=iso_8601; "
        "SET extra_float_digits=3; SET bytea_output=hex; SET standard_conforming_strings=on; "
        "SET client_encoding='UTF8'";

/* In one line, without the blanks at its end. */
static int refuse(Pg *p, int code, const char *what, const char *words, Err *e) {
        char text[400];
        size_t n = 0;

        for (; words && *words && n < sizeof text - 1; words++)
                text[n++] = *words == '\n' || *words == '\t' ? ' ' : *words;
        while (n && text[n - 1] == ' ')
                n--;
        text[n] = 0;
        return FAIL(e, code, "%s: %s%s%s%s", what, text, p->state[0] ? " (SQLSTATE " : "", p->state,
                    p->state[0] ? ")" : "");
}

static int await(Pg *p, short events, int64_t ms) {
        struct pollfd fd = {PQsocket(p->conn), events, 0};
        int n;

        if (p->watch)
                return watch_poll(p->watch, PQsocket(p->conn), events, ms);
        do
                n = poll(&fd, 1, (int)ms);
        while (n < 0 && errno == EINTR);
        return n;
}

/* ---- the connection ---- */

/* What it remarks is nobody's business: "does not exist, skipping". */
static void on_notice(void *arg, const PGresult *r) {
        (void)arg;
        (void)r;
}

static int connect_now(Pg *p, Err *e) {
        int64_t until = clock_mono_ms() + CONNECT_MS;

        for (PostgresPollingStatusType s = PGRES_POLLING_WRITING; s != PGRES_POLLING_OK;
             s = PQconnectPoll(p->conn)) {
                int64_t left = until - clock_mono_ms();
                int r;

                if (s == PGRES_POLLING_FAILED)
                        return refuse(p, -ENOTCONN, "no connection", PQerrorMessage(p->conn), e);
                r = left > 0 ? await(p, s == PGRES_POLLING_READING ? POLLIN : POLLOUT, left) : 0;
                if (r < 0)
                        return r;
                if (r == 0)
                        return FAIL(e, -ENOTCONN, "no connection: no answer within %d s",
                                    CONNECT_MS / 1000);
        }
        return 0;
}

int pg_open(Watch *w, const DatabaseConfig *d, bool for_replication, Pg **ret, Err *e) {
        Pg *p = must_alloc(sizeof *p);
        Span url = secret_reveal(&d->url);
        char *dsn = must_alloc(url.n + 1);
        const char *keys[] = {"dbname",
                              "fallback_application_name",
                              "tcp_user_timeout",
                              "keepalives_idle",
                              for_replication ? "replication" : NULL,
                              NULL};
        const char *values[] = {dsn, "grapnel", "30000", "30", "database", NULL};
        int r = 0;

        memcpy(dsn, url.p, url.n);
        p->watch = w;
        p->conn = PQconnectStartParams(keys, values, 1);
        explicit_bzero(dsn, url.n);
        free(dsn);
        must(p->conn);
        (void)PQsetNoticeReceiver(p->conn, on_notice, NULL);
        if (PQstatus(p->conn) == CONNECTION_BAD)
                r = refuse(p, -ENOTCONN, "no connection", PQerrorMessage(p->conn), e);
        if (r == 0)
                r = connect_now(p, e);
        if (r == 0)
                r = PQsetnonblocking(p->conn, 1) == 0 ? 0 : FAIL(e, -EIO, "no connection");
        if (r == 0)
                r = pg_do(p, settings, e);
        if (r < 0 && r != -ECANCELED)
                err_prefix(e, "database %s", d->name);
        *ret = r == 0 ? p : pg_close(p);
        return r;
}

Pg *pg_close(Pg *p) {
        if (p) {
                PQfinish(p->conn);
                free(p);
        }
        return NULL;
}

PGconn *pg_conn(Pg *p) {
        return p->conn;
}

const char *pg_state(const Pg *p) {
        return p->state;
}

const PgRefusal *pg_refusal(const Pg *p) {
        return &p->refusal;
}

/* ---- questions ---- */

static int flush(Pg *p, Err *e) {
        for (int left; (left = PQflush(p->conn)) != 0;) {
                int r = left > 0 ? await(p, POLLOUT | POLLIN, COMMAND_MS) : -EIO;

                if (r == -ECANCELED)
                        return r;
                if (r <= 0 || !PQconsumeInput(p->conn))
                        return refuse(p, -ENOTCONN, "the connection broke", PQerrorMessage(p->conn),
                                      e);
        }
        return 0;
}

/* Stops what the server is doing for us: nobody waits for it any more. */
static void cancel(Pg *p) {
        PGcancel *c = PQgetCancel(p->conn);
        char why[256];

        if (c)
                (void)PQcancel(c, why, sizeof why);
        PQfreeCancel(c);
}

static int next_result(Pg *p, PGresult **ret, Err *e) {
        while (PQisBusy(p->conn)) {
                int r = await(p, POLLIN, p->watch ? 3600000 : COMMAND_MS);

                if (r == -ECANCELED) {
                        cancel(p);
                        return r;
                }
                if (r <= 0 && !p->watch)
                        return FAIL(e, -ETIMEDOUT, "no answer within %d s", COMMAND_MS / 1000);
                if (r < 0 || !PQconsumeInput(p->conn))
                        return refuse(p, -ENOTCONN, "the connection broke", PQerrorMessage(p->conn),
                                      e);
        }
        *ret = PQgetResult(p->conn);
        return 0;
}

static bool is_fine(const PGresult *r) {
        switch (PQresultStatus(r)) {
        case PGRES_TUPLES_OK:
        case PGRES_COMMAND_OK:
        case PGRES_EMPTY_QUERY:
        case PGRES_COPY_BOTH:
        case PGRES_COPY_OUT:
        case PGRES_COPY_IN:
                return true;
        default:
                return false;
        }
}

static bool is_copy(const PGresult *r) {
        ExecStatusType s = PQresultStatus(r);

        return s == PGRES_COPY_BOTH || s == PGRES_COPY_OUT || s == PGRES_COPY_IN;
}

static void keep_field(const PGresult *r, int code, char *ret, size_t n) {
        const char *text = PQresultErrorField(r, code);

        (void)snprintf(ret, n, "%s", text ? text : "");
}

static void keep_refusal(Pg *p, const PGresult *r) {
        PgRefusal *f = &p->refusal;

        keep_field(r, PG_DIAG_SQLSTATE, p->state, sizeof p->state);
        keep_field(r, PG_DIAG_MESSAGE_PRIMARY, f->message, sizeof f->message);
        keep_field(r, PG_DIAG_MESSAGE_DETAIL, f->detail, sizeof f->detail);
        keep_field(r, PG_DIAG_COLUMN_NAME, f->column, sizeof f->column);
        keep_field(r, PG_DIAG_TABLE_NAME, f->table, sizeof f->table);
        keep_field(r, PG_DIAG_CONSTRAINT_NAME, f->constraint, sizeof f->constraint);
}

static int collect(Pg *p, PGresult **ret, Err *e) {
        PGresult *last = NULL, *one = NULL;
        int r;

        while ((r = next_result(p, &one, e)) == 0 && one) {
                bool was_refused = last && !is_fine(last);

                if (was_refused) {
                        PQclear(one); /* the first refusal says why */
                        continue;
                }
                PQclear(last);
                last = one;
                if (is_copy(one))
                        break; /* it goes on behind this */
        }
        if (r == 0 && !last)
                r = FAIL(e, -EIO, "the server gave no answer");
        if (r == 0 && !is_fine(last)) {
                keep_refusal(p, last);
                r = refuse(p, PQstatus(p->conn) == CONNECTION_BAD ? -ENOTCONN : -EBADMSG,
                           "the database refuses", PQresultErrorMessage(last), e);
        }
        *ret = last;
        if (r < 0) {
                PQclear(last);
                *ret = NULL;
        }
        return r;
}

static int answer(Pg *p, int sent, PGresult **ret, Err *e) {
        int r;

        p->state[0] = 0;
        p->refusal = (PgRefusal){0};
        *ret = NULL;
        if (!sent)
                return refuse(p, -ENOTCONN, "the connection broke", PQerrorMessage(p->conn), e);
        r = flush(p, e);
        return r < 0 ? r : collect(p, ret, e);
}

int pg_ask(Pg *p, const char *sql, const char *const *values, size_t n, PGresult **ret, Err *e) {
        int sent = n ? PQsendQueryParams(p->conn, sql, (int)n, NULL, values, NULL, NULL, 0)
                     : PQsendQuery(p->conn, sql);

        return answer(p, sent, ret, e);
}

int pg_ask_prepared(Pg *p, const char *name, const char *const *values, size_t n, PGresult **ret,
                    Err *e) {
        int sent = PQsendQueryPrepared(p->conn, name, (int)n, values, NULL, NULL, 0);

        return answer(p, sent, ret, e);
}

int pg_prepare(Pg *p, const char *name, const char *sql, PGresult **ret, Err *e) {
        int r = answer(p, PQsendPrepare(p->conn, name, sql, 0, NULL), ret, e);

        if (r < 0)
                return r;
        PQclear(*ret);
        return answer(p, PQsendDescribePrepared(p->conn, name), ret, e);
}

int pg_do(Pg *p, const char *sql, Err *e) {
        PGresult *result;
        int r = pg_ask(p, sql, NULL, 0, &result, e);

        PQclear(result);
        return r;
}

/* ---- notifications ---- */

static bool take_notifications(Pg *p) {
        PGnotify *n;
        bool any = false;

        while ((n = PQnotifies(p->conn))) {
                any = true;
                PQfreemem(n);
        }
        return any;
}

int pg_wait_notified(Pg *p, int64_t ms, Err *e) {
        int64_t until = clock_mono_ms() + ms;

        for (;;) {
                int64_t left = until - clock_mono_ms();
                int r;

                if (take_notifications(p))
                        return 1;
                r = await(p, POLLIN, left > 0 ? left : 0);
                if (r <= 0)
                        return r;
                if (!PQconsumeInput(p->conn))
                        return refuse(p, -ENOTCONN, "the connection broke", PQerrorMessage(p->conn),
                                      e);
        }
}

/* ---- cells ---- */

Span pg_cell(const PGresult *r, int row, int column) {
        return PQgetisnull(r, row, column)
                       ? (Span){NULL, 0}
                       : span_make(PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column));
}

int64_t pg_number(const PGresult *r, int row, int column) {
        return PQgetisnull(r, row, column) ? 0 : strtoll(PQgetvalue(r, row, column), NULL, 10);
}
