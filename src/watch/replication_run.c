/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of the trigger: is the database ready, is there a slot, and then the stream until it
 * breaks or is to stop. What only a person can mend is told so, with what to do. */
#include "watch/replication.h"

#include <errno.h>

#define VERSION_MIN 150000

void replication_words(const char *words, char ret[REPLICATION_WORDS]) {
        size_t n = 0;

        for (; words && *words && n < REPLICATION_WORDS - 1; words++)
                ret[n++] = *words == '\n' || *words == '\t' ? ' ' : *words;
        while (n && ret[n - 1] == ' ')
                n--;
        ret[n] = 0;
}

static const char *source_of(const Replication *r) {
        return watch_trigger(r->watch)->source->name;
}

/* ---- is the database ready? ---- */

static int judge_server(Replication *r, const PGresult *got, Err *e) {
        const char *name = r->o->name;

        if (pg_number(got, 0, 0) < VERSION_MIN)
                return FAIL(e, -ENOTRECOVERABLE,
                            "database %s is PostgreSQL " SPAN_FMT "; replication needs 15 or newer",
                            name, SPAN_ARG(pg_cell(got, 0, 5)));
        if (span_eq(pg_cell(got, 0, 2), SPAN("t")))
                return FAIL(e, -ENOTRECOVERABLE,
                            "database %s is a standby; replication is read from the primary", name);
        if (!span_eq(pg_cell(got, 0, 1), SPAN("logical")))
                return FAIL(e, -ENOTRECOVERABLE,
                            "the server of database %s has wal_level = " SPAN_FMT
                            ": set wal_level = logical in its configuration and restart it",
                            name, SPAN_ARG(pg_cell(got, 0, 1)));
        if (!pg_cell(got, 0, 3).p)
                return FAIL(e, -ENOTRECOVERABLE,
                            "database %s has no publication %s: run grapnel trigger install %s",
                            name, r->o->publication, source_of(r));
        if (r->publication[0] && !span_eq(pg_cell(got, 0, 3), span_of(r->publication)))
                return FAIL(e, -ENOTCONN, "publication %s was made anew", r->o->publication);
        (void)snprintf(r->publication, sizeof r->publication, SPAN_FMT,
                       SPAN_ARG(pg_cell(got, 0, 3)));
        r->has_server_cap = pg_number(got, 0, 4) >= 0;
        return 0;
}

static int look_at_server(Replication *r, Err *e) {
        static const char sql[] =
                "SELECT current_setting('server_version_num'), current_setting('wal_level'),"
                " pg_is_in_recovery(), (SELECT oid FROM pg_publication WHERE pubname=$1),"
                " (SELECT setting FROM pg_settings WHERE name='max_slot_wal_keep_size'),"
                " current_setting('server_version')";
        const char *values[] = {r->o->publication};
        PGresult *got;
        int err = pg_ask(r->pg, sql, values, 1, &got, e);

        if (err == 0)
                err = judge_server(r, got, e);
        PQclear(got);
        return err;
}

static int look_at_table(Replication *r, const ReplicationTable *t, Err *e) {
        static const char sql[] =
                "SELECT (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON "
                "n.oid=c.relnamespace"
                "  WHERE n.nspname=$2 AND c.relname=$3 AND c.relkind IN ('r', 'p')),"
                " (SELECT count(*) FROM pg_publication_tables"
                "  WHERE pubname=$1 AND schemaname=$2 AND tablename=$3)";
        const char *values[] = {r->o->publication, t->schema, t->name};
        PGresult *got;
        int err = pg_ask(r->pg, sql, values, 3, &got, e);

        if (err == 0 && pg_number(got, 0, 0) == 0)
                err = FAIL(e, -ENOTRECOVERABLE, "database %s has no table %s.%s", r->o->name,
                           t->schema, t->name);
        else if (err == 0 && pg_number(got, 0, 1) == 0)
                err = FAIL(e, -ENOTRECOVERABLE,
                           "table %s.%s is not in publication %s: run grapnel trigger install %s",
                           t->schema, t->name, r->o->publication, source_of(r));
        PQclear(got);
        return err;
}

int replication_look(Replication *r, Err *e) {
        int err = look_at_server(r, e);

        for (size_t i = 0; err == 0 && i < r->o->n_tables; i++)
                err = look_at_table(r, &r->o->tables[i], e);
        return err;
}

/* ---- the connections ---- */

/* Intervals as they are in the JSON that the server itself makes. A snapshot takes as long as it
 * takes, whatever the role's limits are; and row security that hides rows from it is an error. */
static int settle(Pg *p, Err *e) {
        return pg_do(p,
                     "SET intervalstyle=postgres; SET row_security=off; SET statement_timeout=0;"
                     " SET idle_in_transaction_session_timeout=0",
                     e);
}

/* A role that may not replicate is refused before it can ask why. */
static int explain_refusal(Replication *r, int fault, Err *e) {
        PGresult *got;
        int err = pg_ask(r->pg,
                         "SELECT current_user, rolsuper OR rolreplication FROM pg_roles"
                         " WHERE rolname=current_user",
                         NULL, 0, &got, NULL);

        if (err == 0 && PQntuples(got) == 1 && span_eq(pg_cell(got, 0, 1), SPAN("f"))) {
                *e = (Err){0};
                fault = FAIL(e, -ENOTRECOVERABLE,
                             "role " SPAN_FMT " may not replicate: ALTER ROLE " SPAN_FMT
                             " REPLICATION",
                             SPAN_ARG(pg_cell(got, 0, 0)), SPAN_ARG(pg_cell(got, 0, 0)));
        }
        PQclear(got);
        return fault;
}

int replication_open(Replication *r, bool replicates, Pg **ret, Err *e) {
        int err = pg_open(r->watch, r->o->database, replicates, ret, e);

        if (err == 0)
                err = settle(*ret, e);
        /* It waits while a snapshot is read. */
        if (err == 0)
                return pg_do(*ret, "SET idle_session_timeout=0", e);
        return err == -ECANCELED ? err : explain_refusal(r, err, e);
}

/* ---- the whole ---- */

static int go(Replication *r, Err *e) {
        int err = settle(r->pg, e);

        if (err == 0)
                err = replication_look(r, e);
        if (err == 0)
                err = replication_open(r, true, &r->walsender, e);
        if (err == 0)
                err = replication_slot(r, e);
        return err == 0 ? replication_stream(r, 0, e) : err;
}

int replication_run(Watch *w, const ReplicationOptions *o, Err *e) {
        Replication r = {.watch = w, .o = o, .shapes = shapes_new()};
        int err = pg_open(w, o->database, false, &r.pg, e);

        if (err == 0) {
                err = go(&r, e);
                if (err < 0 && err != -ECANCELED)
                        err = replication_give_up(&r, err, e);
        }
        shapes_free(r.shapes);
        pg_close(r.walsender);
        pg_close(r.pg);
        return err == -ECANCELED ? 0 : err;
}
