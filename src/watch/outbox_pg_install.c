/* SPDX-License-Identifier: Apache-2.0
 *
 * What an outbox needs in PostgreSQL, as SQL that a person can read before it runs, and that can
 * run twice. The triggers' function does as little as can be done: whatever fails in it would fail
 * the application's own write. */
#include "watch/outbox.h"
#include "watch/pg.h"

#include <errno.h>

static int add_table_name(Buf *b, const OutboxTable *t) {
        int r = outbox_quote(b, t->schema.n ? t->schema : SPAN("public"));

        if (r == 0)
                r = buf_add_char(b, '.');
        return r < 0 ? r : outbox_quote(b, t->name);
}

/* ---- the key ---- */

/* The columns of the primary key, as a JSON array; "[]" when there is none. */
static int find_key(Pg *p, const OutboxTable *t, Buf *ret, Err *e) {
        static const char sql[] =
                "SELECT coalesce(json_agg(a.attname ORDER BY k.n), '[]'::json)::text"
                " FROM pg_class c JOIN pg_namespace s ON s.oid=c.relnamespace"
                " LEFT JOIN pg_index i ON i.indrelid=c.oid AND i.indisprimary"
                " LEFT JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(att,n) ON true"
                " LEFT JOIN pg_attribute a ON a.attrelid=c.oid AND a.attnum=k.att"
                " WHERE s.nspname=$1 AND c.relname=$2 AND c.relkind IN ('r','p')"
                " AND (a.attname IS NOT NULL OR i.indexrelid IS NULL) GROUP BY c.oid";
        char schema[OUTBOX_NAME_MAX_BYTES + 1], name[OUTBOX_NAME_MAX_BYTES + 1];
        const char *values[] = {schema, name};
        PGresult *found;
        int r;

        (void)snprintf(schema, sizeof schema, SPAN_FMT,
                       SPAN_ARG(t->schema.n ? t->schema : SPAN("public")));
        (void)snprintf(name, sizeof name, SPAN_FMT, SPAN_ARG(t->name));
        r = pg_ask(p, sql, values, 2, &found, e);
        if (r == 0 && PQntuples(found) == 0)
                r = FAIL(e, -ENOENT, "there is no table %s.%s", schema, name);
        else if (r == 0 && strcmp(PQgetvalue(found, 0, 0), "[null]") != 0)
                r = buf_add(ret, pg_cell(found, 0, 0));
        else if (r == 0)
                r = buf_add(ret, SPAN("[]"));
        PQclear(found);
        return r;
}

static int add_names(Buf *b, const char **names, size_t n) {
        int r = buf_add_char(b, '[');

        for (size_t i = 0; r == 0 && i < n; i++) {
                if (i)
                        r = buf_add_char(b, ',');
                if (r == 0)
                        r = buf_add_json(b, span_of(names[i]));
        }
        return r < 0 ? r : buf_add_char(b, ']');
}

/* ---- what all tables share ---- */

static const char shared[] =
        "CREATE SCHEMA IF NOT EXISTS %1$s;\n"
        "CREATE TABLE IF NOT EXISTS %1$s.outbox (\n"
        "  source text NOT NULL,          -- in Grapnel's configuration\n"
        "  xid xid8 NOT NULL DEFAULT pg_current_xact_id(), -- before a number is drawn\n"
        "  id bigint GENERATED ALWAYS AS IDENTITY,\n"
        "  at timestamptz NOT NULL DEFAULT clock_timestamp(),\n"
        "  op text NOT NULL,              -- INSERT, UPDATE, DELETE, TRUNCATE\n"
        "  schema_name text NOT NULL,\n"
        "  table_name text NOT NULL,\n"
        "  key_names text NOT NULL,       -- JSON array\n"
        "  fresh text,                    -- the row after, as JSON\n"
        "  previous text,                 -- the row before\n"
        "  context text,                  -- what the transaction said: SET LOCAL "
        "grapnel.context\n"
        "  bytes bigint NOT NULL,\n"
        "  PRIMARY KEY (source, id)\n"
        ");\n"
        "\n"
        "-- Arguments: source, schema, table, key columns, columns ('' for all); then a mark of "
        "the\n"
        "-- options, by which Grapnel notices that they are others now.\n"
        "CREATE OR REPLACE FUNCTION %1$s.capture() RETURNS trigger\n"
        "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $grapnel$\n"
        "DECLARE\n"
        "  fresh json;\n"
        "  previous json;\n"
        "BEGIN\n"
        "  IF TG_LEVEL = 'ROW' AND TG_OP <> 'DELETE' THEN fresh := to_json(NEW); END IF;\n"
        "  IF TG_LEVEL = 'ROW' AND TG_OP <> 'INSERT' THEN previous := to_json(OLD); END IF;\n"
        "  IF TG_ARGV[4] <> '' THEN\n"
        "    SELECT json_object_agg(key, value) INTO fresh FROM json_each(fresh)\n"
        "      WHERE TG_ARGV[4]::jsonb ? key;\n"
        "    SELECT json_object_agg(key, value) INTO previous FROM json_each(previous)\n"
        "      WHERE TG_ARGV[4]::jsonb ? key;\n"
        "  END IF;\n"
        "  INSERT INTO %1$s.outbox\n"
        "    (source, op, schema_name, table_name, key_names, fresh, previous, context, bytes)\n"
        "  VALUES (TG_ARGV[0], TG_OP, TG_ARGV[1], TG_ARGV[2], TG_ARGV[3], fresh::text,\n"
        "    previous::text, nullif(current_setting('grapnel.context', true), ''),\n"
        "    coalesce(octet_length(fresh::text), 0) + coalesce(octet_length(previous::text), "
        "0));\n"
        "  RETURN NULL;\n"
        "END $grapnel$;\n"
        "\n"
        "CREATE OR REPLACE FUNCTION %1$s.wake() RETURNS trigger\n"
        "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $grapnel$\n"
        "BEGIN\n"
        "  PERFORM pg_notify('grapnel_' || TG_ARGV[0], '');\n"
        "  RETURN NULL;\n"
        "END $grapnel$;\n"
        "REVOKE ALL ON FUNCTION %1$s.capture(), %1$s.wake() FROM PUBLIC;\n";

static int add_shared(Buf *b, const char *schema) {
        AUTO(buf_done)
        Buf quoted = BUF(256);
        int r = outbox_quote(&quoted, span_of(schema));

        if (r == 0)
                r = buf_add_char(&quoted, 0);
                /* The format is ours, its one argument is used several times. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        return r < 0 ? r : buf_addf(b, shared, quoted.p);
#pragma GCC diagnostic pop
}

/* ---- one table ---- */

/* ROW(OLD."a", OLD."b"), or OLD. */
static int add_row(Buf *b, const OutboxTable *t, const char *row) {
        int r = t->n_columns ? buf_add(b, SPAN("ROW(")) : buf_add(b, span_of(row));

        for (size_t i = 0; r == 0 && i < t->n_columns; i++) {
                r = buf_addf(b, "%s%s.", i ? ", " : "", row);
                if (r == 0)
                        r = outbox_quote(b, span_of(t->columns[i]));
        }
        return r < 0 || !t->n_columns ? r : buf_add_char(b, ')');
}

/* What a row trigger asks before it does anything. Images are compared, not values: types without
 * an equality (json) can be compared so, and nothing of it can fail. */
static int add_condition(Buf *b, const OutboxTable *t, const char *op) {
        bool is_update = strcmp(op, "update") == 0;
        int r = 0;

        if (!is_update && !t->when)
                return 0;
        r = buf_add(b, SPAN("\n  WHEN ("));
        if (r == 0 && is_update) {
                r = buf_add(b, SPAN("record_image_ne("));
                if (r == 0)
                        r = add_row(b, t, "OLD");
                if (r == 0)
                        r = buf_add(b, SPAN(", "));
                if (r == 0)
                        r = add_row(b, t, "NEW");
                if (r == 0)
                        r = buf_add_char(b, ')');
                if (r == 0 && t->when)
                        r = buf_add(b, SPAN(" AND (("));
        }
        if (r == 0 && t->when)
                r = outbox_when(b, t->when, strcmp(op, "insert") == 0 ? "NEW" : "OLD");
        if (r == 0 && t->when && is_update) {
                r = buf_add(b, SPAN(") OR ("));
                if (r == 0)
                        r = outbox_when(b, t->when, "NEW");
                if (r == 0)
                        r = buf_add(b, SPAN("))"));
        }
        return r < 0 ? r : buf_add_char(b, ')');
}

static int add_arguments(Buf *b, const OutboxOptions *o, Span source, const OutboxTable *t,
                         Span key) {
        AUTO(buf_done)
        Buf columns = BUF(64 * 1024);
        char mark[DIGEST_TEXT];
        int r = 0;

        outbox_mark(o, t, mark);

        if (t->n_columns) {
                /* The key is held too, whatever the columns are. */
                r = buf_add(&columns, key);
                if (r == 0)
                        columns.n--; /* its ']' */
                for (size_t i = 0; r == 0 && i < t->n_columns; i++) {
                        if (columns.n > 1)
                                r = buf_add_char(&columns, ',');
                        if (r == 0)
                                r = buf_add_json(&columns, span_of(t->columns[i]));
                }
                if (r == 0)
                        r = buf_add_char(&columns, ']');
        }
        const Span all[] = {source, t->schema.n ? t->schema : SPAN("public"),  t->name,
                            key,    columns.n ? buf_span(&columns) : SPAN(""), span_of(mark)};

        for (size_t i = 0; r == 0 && i < COUNT_OF(all); i++) {
                if (i)
                        r = buf_add(b, SPAN(", "));
                if (r == 0)
                        r = outbox_literal(b, all[i]);
        }
        return r;
}

static int add_drop(Buf *b, Span source, const OutboxTable *t, const char *op) {
        int r = buf_add(b, SPAN("DROP TRIGGER IF EXISTS "));

        if (r == 0)
                r = outbox_trigger_name(b, source, op);
        if (r == 0)
                r = buf_add(b, SPAN(" ON "));
        if (r == 0)
                r = add_table_name(b, t);
        return r < 0 ? r : buf_add(b, SPAN(";\n"));
}

static int add_trigger(Buf *b, const OutboxOptions *o, Span source, const OutboxTable *t,
                       const char *op, const char *upper, Span key) {
        bool is_statement = strcmp(op, "truncate") == 0;
        int r = buf_add(b, SPAN("CREATE TRIGGER "));

        if (r == 0)
                r = outbox_trigger_name(b, source, op);
        if (r == 0)
                r = buf_addf(b, " AFTER %s ON ", upper);
        if (r == 0)
                r = add_table_name(b, t);
        if (r == 0)
                r = buf_addf(b, " FOR EACH %s", is_statement ? "STATEMENT" : "ROW");
        if (r == 0 && !is_statement)
                r = add_condition(b, t, op);
        if (r == 0)
                r = buf_add(b, SPAN("\n  EXECUTE FUNCTION "));
        if (r == 0)
                r = outbox_quote(b, span_of(o->schema));
        if (r == 0)
                r = buf_add(b, SPAN(".capture("));
        if (r == 0)
                r = add_arguments(b, o, source, t, key);
        return r < 0 ? r : buf_add(b, SPAN(");\n"));
}

static int add_wake(Buf *b, const OutboxOptions *o, Span source, const OutboxTable *t) {
        int r = buf_add(b, SPAN("CREATE TRIGGER "));

        if (r == 0)
                r = outbox_trigger_name(b, source, "wake");
        if (r == 0)
                r = buf_add(b, SPAN(" AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "));
        if (r == 0)
                r = add_table_name(b, t);
        if (r == 0)
                r = buf_add(b, SPAN(" FOR EACH STATEMENT\n  EXECUTE FUNCTION "));
        if (r == 0)
                r = outbox_quote(b, span_of(o->schema));
        if (r == 0)
                r = buf_add(b, SPAN(".wake("));
        if (r == 0)
                r = outbox_literal(b, source);
        return r < 0 ? r : buf_add(b, SPAN(");\n"));
}

static const struct {
        unsigned op;
        const char *name, *upper;
} ops[] = {{OUTBOX_INSERT, "insert", "INSERT"},
           {OUTBOX_UPDATE, "update", "UPDATE"},
           {OUTBOX_DELETE, "delete", "DELETE"},
           {OUTBOX_TRUNCATE, "truncate", "TRUNCATE"}};

static int add_drops(Buf *b, Span source, const OutboxTable *t) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < COUNT_OF(ops); i++)
                r = add_drop(b, source, t, ops[i].name);
        return r < 0 ? r : add_drop(b, source, t, "wake");
}

static int add_table(Buf *b, const OutboxOptions *o, Span source, const OutboxTable *t, Pg *p,
                     Err *e) {
        AUTO(buf_done)
        Buf key = BUF(16 * 1024);
        int r = t->n_key ? add_names(&key, t->key, t->n_key) : find_key(p, t, &key, e);

        if (r == 0)
                r = buf_add_char(b, '\n');
        if (r == 0)
                r = add_drops(b, source, t);
        for (size_t i = 0; r == 0 && i < COUNT_OF(ops); i++)
                if (t->ops & ops[i].op)
                        r = add_trigger(b, o, source, t, ops[i].name, ops[i].upper, buf_span(&key));
        return r == 0 && o->notify ? add_wake(b, o, source, t) : r;
}

/* ---- tables that are no longer among them ---- */

static bool is_listed(const OutboxOptions *o, Span schema, Span name) {
        for (size_t i = 0; i < o->n_tables; i++)
                if (span_eq(name, o->tables[i].name) &&
                    span_eq(schema, o->tables[i].schema.n ? o->tables[i].schema : SPAN("public")))
                        return true;
        return false;
}

/* Else they would go on to fill the outbox, and nobody would know why. */
static int add_left_over(Buf *b, const OutboxOptions *o, const char *source, Pg *p, Err *e) {
        static const char sql[] =
                "SELECT n.nspname, c.relname, g.tgname FROM pg_trigger g"
                " JOIN pg_class c ON c.oid=g.tgrelid JOIN pg_namespace n ON n.oid=c.relnamespace"
                " JOIN pg_proc f ON f.oid=g.tgfoid JOIN pg_namespace m ON m.oid=f.pronamespace"
                " WHERE NOT g.tgisinternal AND g.tgparentid=0 AND m.nspname=$2 AND g.tgname=ANY"
                " (SELECT 'grapnel_' || $1 || '_' || op FROM"
                "  unnest('{insert,update,delete,truncate,wake}'::text[]) op) ORDER BY 1, 2, 3";
        const char *values[] = {source, o->schema};
        PGresult *got;
        int r = pg_ask(p, sql, values, 2, &got, e);

        for (int i = 0; r == 0 && i < PQntuples(got); i++) {
                const OutboxTable t = {.schema = pg_cell(got, i, 0), .name = pg_cell(got, i, 1)};

                if (is_listed(o, t.schema, t.name))
                        continue;
                r = buf_add(b, SPAN("DROP TRIGGER IF EXISTS "));
                if (r == 0)
                        r = outbox_quote(b, pg_cell(got, i, 2));
                if (r == 0)
                        r = buf_add(b, SPAN(" ON "));
                if (r == 0)
                        r = add_table_name(b, &t);
                if (r == 0)
                        r = buf_add(b, SPAN("; -- no longer one of its tables\n"));
        }
        PQclear(got);
        return r;
}

/* ---- all of it ---- */

static int add_removal(Buf *b, const OutboxOptions *o, Span source) {
        AUTO(buf_done)
        Buf schema = BUF(256);
        int r = outbox_quote(&schema, span_of(o->schema));

        for (size_t i = 0; r == 0 && i < o->n_tables; i++)
                r = add_drops(b, source, &o->tables[i]);
        if (r == 0)
                r = buf_addf(b, "DELETE FROM " SPAN_FMT ".outbox WHERE source=",
                             SPAN_ARG(buf_span(&schema)));
        if (r == 0)
                r = outbox_literal(b, source);
        return r < 0 ? r
                     : buf_addf(b,
                                ";\n-- When no other source has its changes there:\n"
                                "-- DROP SCHEMA " SPAN_FMT " CASCADE;\n",
                                SPAN_ARG(buf_span(&schema)));
}

int outbox_pg_install(const Trigger *t, const OutboxOptions *o, bool removes, Buf *sql, Err *e) {
        Span source = span_of(t->source->name);
        Pg *p = NULL;
        int r = buf_addf(sql,
                         "-- %s the outbox of source %s, database %s. Runs as a whole or not "
                         "at all.\nBEGIN;\n",
                         removes ? "Removes" : "Makes", t->source->name, o->database->name);

        if (r == 0)
                r = pg_open(NULL, o->database, false, &p, e);
        if (r == 0)
                r = add_left_over(sql, o, t->source->name, p, e);
        if (r == 0 && removes)
                r = add_removal(sql, o, source);
        if (r == 0 && !removes)
                r = add_shared(sql, o->schema);
        for (size_t i = 0; r == 0 && !removes && i < o->n_tables; i++)
                r = add_table(sql, o, source, &o->tables[i], p, e);
        if (r == 0)
                r = buf_add(sql, SPAN("COMMIT;\n"));
        pg_close(p);
        return r == -EMSGSIZE ? FAIL(e, r, "the script is too large") : r;
}
