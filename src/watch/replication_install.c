/* SPDX-License-Identifier: Apache-2.0
 *
 * What replication needs in the database: a publication that names the tables. The slot is made by
 * the watch itself, as its snapshot and its beginning belong together. A publication can break the
 * application: UPDATE and DELETE fail on a table in it that has neither a primary key nor another
 * replica identity. Such a table is refused here, before that. */
#include "watch/outbox.h"
#include "watch/replication.h"

#include <errno.h>

/* COMMENT ON PUBLICATION: only what bears it is dropped again. */
#define MARK "made by grapnel trigger install for source "

/* Columns of table_sql. */
enum { C_OID, C_IDENTITY, C_HAS_KEY, C_BLIND, C_ROW_BYTES, C_IS_IN, C_READABLE };

static const char table_sql[] =
        "SELECT c.oid, c.relreplident, EXISTS (SELECT FROM pg_index i WHERE i.indrelid=c.oid"
        "   AND i.indisprimary),"
        /* A part of it that cannot tell its rows apart. */
        " (SELECT x.oid::regclass::text FROM pg_class x WHERE x.relkind='r' AND x.oid IN"
        "   (SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid))"
        "   AND (x.relreplident='n' OR (x.relreplident='d' AND NOT EXISTS"
        "    (SELECT FROM pg_index i WHERE i.indrelid=x.oid AND i.indisprimary))) LIMIT 1),"
        " CASE WHEN c.reltuples > 0 THEN (pg_table_size(c.oid) / c.reltuples)::bigint ELSE 0 END,"
        " EXISTS (SELECT FROM pg_publication_tables p WHERE p.pubname=$1 AND p.schemaname=$2"
        "   AND p.tablename=$3),"
        " has_table_privilege(c.oid, 'SELECT')"
        " FROM pg_class c JOIN pg_namespace n ON n.oid=c.relnamespace"
        " WHERE n.nspname=$2 AND c.relname=$3 AND c.relkind IN ('r', 'p')";

static int add_table(Buf *b, const ReplicationTable *t) {
        int r = outbox_quote(b, span_of(t->schema));

        if (r == 0)
                r = buf_add_char(b, '.');
        return r < 0 ? r : outbox_quote(b, span_of(t->name));
}

/* ---- the publication ---- */

typedef struct Publication {
        bool exists, is_ours;
} Publication;

static int add_mark(Buf *b, const char *source) {
        return buf_addf(b, MARK "%s", source);
}

static int find_publication(Pg *p, const ReplicationOptions *o, const char *source,
                            Publication *ret, Err *e) {
        AUTO(buf_done)
        Buf mark = BUF(256);
        const char *values[] = {o->publication};
        PGresult *got;
        int r = pg_ask(p,
                       "SELECT obj_description(oid, 'pg_publication') FROM pg_publication"
                       " WHERE pubname=$1",
                       values, 1, &got, e);

        must(add_mark(&mark, source) == 0);
        *ret = (Publication){0};
        if (r == 0 && PQntuples(got) == 1)
                *ret = (Publication){true, span_eq(pg_cell(got, 0, 0), buf_span(&mark))};
        PQclear(got);
        return r;
}

static int add_comment(Buf *b, const ReplicationOptions *o, const char *source) {
        AUTO(buf_done)
        Buf mark = BUF(256);
        int r = buf_add(b, SPAN("COMMENT ON PUBLICATION "));

        must(add_mark(&mark, source) == 0);
        if (r == 0)
                r = outbox_quote(b, span_of(o->publication));
        if (r == 0)
                r = buf_add(b, SPAN(" IS "));
        if (r == 0)
                r = outbox_literal(b, buf_span(&mark));
        return r < 0 ? r : buf_add(b, SPAN(";\n"));
}

/* ---- one table ---- */

static int refuse_table(const ReplicationTable *t, Span blind, Err *e) {
        return FAIL(e, -EINVAL,
                    "table %s.%s: " SPAN_FMT " has neither a primary key nor another replica "
                    "identity, so in a publication the application's own UPDATE and DELETE of it "
                    "would fail. Give it a primary key, or ALTER TABLE " SPAN_FMT
                    " REPLICA IDENTITY "
                    "FULL (each UPDATE and DELETE then writes the whole old row into the log), or "
                    "take it out of `tables`",
                    t->schema, t->name, SPAN_ARG(blind), SPAN_ARG(blind));
}

/* What its events will hold of the row before, and what more of it would cost. */
static int add_advice(Buf *b, const ReplicationTable *t, const PGresult *got) {
        bool is_full = span_eq(pg_cell(got, 0, C_IDENTITY), SPAN("f"));
        int r = buf_addf(b, "-- %s.%s: ", t->schema, t->name);

        if (r == 0 && is_full)
                r = buf_add(b, SPAN("events hold the whole row before (REPLICA IDENTITY FULL).\n"));
        else if (r == 0)
                r = buf_add(b, SPAN("of the row before, events hold the key only. For all of it:\n"
                                    "--   ALTER TABLE "));
        if (r == 0 && !is_full)
                r = add_table(b, t);
        if (r == 0 && !is_full)
                r = buf_add(b,
                            SPAN(" REPLICA IDENTITY FULL;\n"
                                 "--   Each UPDATE and DELETE then writes the whole old row into "
                                 "the log"));
        if (r == 0 && !is_full && pg_number(got, 0, C_ROW_BYTES) > 0)
                r = buf_addf(b, ", here about %" PRId64 " bytes", pg_number(got, 0, C_ROW_BYTES));
        if (r == 0 && !is_full)
                r = buf_add(b, SPAN(".\n"));
        if (r == 0 && !span_eq(pg_cell(got, 0, C_READABLE), SPAN("t")))
                r = buf_add(b, SPAN("--   This role may not read it: a snapshot needs GRANT SELECT "
                                    "to it.\n"));
        return r;
}

static int look_at_table(Buf *b, Pg *p, const ReplicationOptions *o, const ReplicationTable *t,
                         bool *ret_is_in, Err *e) {
        const char *values[] = {o->publication, t->schema, t->name};
        PGresult *got;
        int r = pg_ask(p, table_sql, values, 3, &got, e);

        if (r == 0 && PQntuples(got) == 0)
                r = FAIL(e, -ENOENT, "there is no table %s.%s", t->schema, t->name);
        if (r == 0 && pg_cell(got, 0, C_BLIND).p)
                r = refuse_table(t, pg_cell(got, 0, C_BLIND), e);
        if (r == 0) {
                *ret_is_in = span_eq(pg_cell(got, 0, C_IS_IN), SPAN("t"));
                r = add_advice(b, t, got);
        }
        PQclear(got);
        return r;
}

/* ---- the server ---- */

static int add_server(Buf *b, Pg *p, Err *e) {
        PGresult *got;
        int r = pg_ask(p,
                       "SELECT current_setting('wal_level'), (SELECT setting FROM pg_settings"
                       " WHERE name='max_slot_wal_keep_size'),"
                       " (SELECT rolsuper OR rolreplication FROM pg_roles"
                       "  WHERE rolname=current_user), quote_ident(current_user)",
                       NULL, 0, &got, e);

        if (r == 0 && !span_eq(pg_cell(got, 0, 0), SPAN("logical")))
                r = buf_addf(b,
                             "-- wal_level is " SPAN_FMT ": no slot can be made before it is "
                             "`logical`:\n"
                             "--   ALTER SYSTEM SET wal_level = 'logical';  -- and a restart\n",
                             SPAN_ARG(pg_cell(got, 0, 0)));
        if (r == 0 && pg_number(got, 0, 1) < 0)
                r = buf_add(
                        b, SPAN("-- While Grapnel is away nothing limits what the server keeps for "
                                "its slot. To limit it:\n"
                                "--   ALTER SYSTEM SET max_slot_wal_keep_size = '4GB';  -- and "
                                "SELECT pg_reload_conf()\n"));
        if (r == 0 && !span_eq(pg_cell(got, 0, 2), SPAN("t")))
                r = buf_addf(b,
                             "-- This role may not replicate:\n--   ALTER ROLE " SPAN_FMT
                             " REPLICATION;\n",
                             SPAN_ARG(pg_cell(got, 0, 3)));
        PQclear(got);
        return r;
}

/* ---- all of it ---- */

/* " "public"."users", ..." of those that are not in it yet; how many. */
static int add_tables(Buf *advice, Buf *list, Pg *p, const ReplicationOptions *o, Err *e) {
        int n = 0, r = 0;

        for (size_t i = 0; r == 0 && i < o->n_tables; i++) {
                bool is_in = false;

                r = look_at_table(advice, p, o, &o->tables[i], &is_in, e);
                if (r == 0 && !is_in) {
                        r = buf_add(list, n++ ? SPAN(", ") : SPAN(" "));
                        if (r == 0)
                                r = add_table(list, &o->tables[i]);
                }
        }
        return r < 0 ? r : n;
}

static int add_publication(Buf *sql, const ReplicationOptions *o, const char *source,
                           const Publication *p, Span tables) {
        int r = 0;

        if (tables.n) {
                r = buf_add(sql,
                            p->exists ? SPAN("ALTER PUBLICATION ") : SPAN("CREATE PUBLICATION "));
                if (r == 0)
                        r = outbox_quote(sql, span_of(o->publication));
                if (r == 0)
                        r = buf_addf(sql, " %s TABLE" SPAN_FMT "%s;\n", p->exists ? "ADD" : "FOR",
                                     SPAN_ARG(tables),
                                     p->exists ? ""
                                               : "\n  WITH (publish_via_partition_root = true)");
        }
        return r == 0 && !p->exists ? add_comment(sql, o, source) : r;
}

static int add_all(Buf *sql, Pg *p, const ReplicationOptions *o, const char *source, Err *e) {
        AUTO(buf_done)
        Buf tables = BUF(256 * 1024);
        Publication found;
        int r = find_publication(p, o, source, &found, e);

        if (r == 0)
                r = add_server(sql, p, e);
        if (r == 0)
                r = add_tables(sql, &tables, p, o, e);
        if (r >= 0)
                r = add_publication(sql, o, source, &found,
                                    tables.n ? buf_span(&tables) : SPAN(""));
        return r < 0 ? r
                     : buf_addf(sql,
                                "-- The replication slot %s is made by Grapnel when it starts.\n",
                                o->slot);
}

static int add_removal(Buf *sql, Pg *p, const ReplicationOptions *o, const char *source, Err *e) {
        Publication found;
        int r = find_publication(p, o, source, &found, e);

        if (r == 0 && found.exists && !found.is_ours)
                r = buf_addf(
                        sql,
                        "-- Publication %s was not made by grapnel trigger install: it stays.\n",
                        o->publication);
        else if (r == 0) {
                r = buf_add(sql, SPAN("DROP PUBLICATION IF EXISTS "));
                if (r == 0)
                        r = outbox_quote(sql, span_of(o->publication));
                if (r == 0)
                        r = buf_add(sql, SPAN(";\n"));
        }
        return r < 0 ? r
                     : buf_addf(sql,
                                "SELECT pg_drop_replication_slot(slot_name) FROM "
                                "pg_replication_slots\n"
                                "  WHERE slot_name='%s' AND database=current_database();\n",
                                o->slot);
}

int replication_install(const Trigger *t, const ReplicationOptions *o, bool removes, Buf *sql,
                        Err *e) {
        Pg *p = NULL;
        int r = buf_addf(sql,
                         "-- %s the replication of source %s, database %s. Runs as a whole or "
                         "not at all.\nBEGIN;\n",
                         removes ? "Removes" : "Makes", t->source->name, o->database->name);

        if (r == 0)
                r = pg_open(NULL, o->database, false, &p, e);
        if (r == 0)
                r = removes ? add_removal(sql, p, o, t->source->name, e)
                            : add_all(sql, p, o, t->source->name, e);
        if (r == 0)
                r = buf_add(sql, SPAN("COMMIT;\n"));
        pg_close(p);
        return r == -EMSGSIZE ? FAIL(e, r, "the script is too large") : r;
}
