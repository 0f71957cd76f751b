/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection to an application's PostgreSQL by libpq, for plain blocking code that can be told to
 * stop: whatever waits here ends with -ECANCELED when its watch is to end. These connections do not
 * pass the outbound gate (promise 8): their addresses stand in the file, no event can choose them.
 */
#pragma once

#include "watch/watch.h"

#include <libpq-fe.h>

typedef struct Pg Pg;

/* `w` NULL: nothing can stop it, and a wait has a maximum of 30 s (for commands).
 * `for_replication`: the walsender's protocol beside SQL. Times are UTC and ISO, text is UTF-8.
 * Errors never hold the password. -ENOTCONN when it is not reached, -EACCES when it refuses. */
MUST_CHECK int pg_open(Watch *w, const DatabaseConfig *d, bool for_replication, Pg **ret, Err *e);
Pg *pg_close(Pg *p);
PGconn *pg_conn(Pg *p);

/* One statement with parameters as text (NULL: null), or several without. The last result is at
 * *ret, for PQclear. -EBADMSG when the server refuses it, with its words and SQLSTATE. */
MUST_CHECK int pg_ask(Pg *p, const char *sql, const char *const *values, size_t n, PGresult **ret,
                      Err *e);
/* The same when nothing is to be read. */
MUST_CHECK int pg_do(Pg *p, const char *sql, Err *e);
/* SQLSTATE of the last refusal; "" when there was none. */
const char *pg_state(const Pg *p);
/* What the server said of the last refusal; texts are cut, "" for what it did not say. */
typedef struct PgRefusal {
        char message[400], detail[400], column[80], table[80], constraint[80];
} PgRefusal;
const PgRefusal *pg_refusal(const Pg *p);

/* Prepares one statement under a name; its description (parameters, columns) is at *ret. */
MUST_CHECK int pg_prepare(Pg *p, const char *name, const char *sql, PGresult **ret, Err *e);
/* As pg_ask, one that was prepared. */
MUST_CHECK int pg_ask_prepared(Pg *p, const char *name, const char *const *values, size_t n,
                               PGresult **ret, Err *e);
/* Waits until a notification comes, at most `ms`. 1: there was one (all are taken); 0: the time is
 * over. */
MUST_CHECK int pg_wait_notified(Pg *p, int64_t ms, Err *e);
/* A cell, lent while the result lives; .p NULL for null. */
Span pg_cell(const PGresult *r, int row, int column);
int64_t pg_number(const PGresult *r, int row, int column); /* 0 for null or what is none */
