/* SPDX-License-Identifier: Apache-2.0
 *
 * What an outbox needs in a SQLite file, as SQL that a person can read before it runs, and that can
 * run twice. SQLite has no function that takes a row, so the columns are named one by one: after a
 * new column it has to be installed again. Nothing in a trigger may fail, or the application's own
 * write would. */
#include "watch/lite.h"
#include "watch/outbox.h"

#include <errno.h>

enum { CHUNK_COLUMNS = 40, ARENA_BYTES = 1024 * 1024 }; /* of one json_object(): 127 arguments */

typedef struct Writing {
        const OutboxOptions *o;
        Span source;
        const OutboxTable *table;
        LiteTable shape;
        Buf *sql;
        int fault;
} Writing;

/* ---- words ---- */

static void add(Writing *w, const char *text) {
        if (w->fault == 0)
                w->fault = buf_add(w->sql, span_of(text));
}

static void add_quoted(Writing *w, Span name) {
        if (w->fault == 0)
                w->fault = outbox_quote(w->sql, name);
}

static void add_literal(Writing *w, Span text) {
        if (w->fault == 0)
                w->fault = outbox_literal(w->sql, text);
}

static void add_column(Writing *w, const char *row, Span column) {
        add(w, row);
        add(w, ".");
        add_quoted(w, column);
}

static void add_name(Writing *w, const char *op) {
        AUTO(buf_done)
        Buf name = BUF(512);

        if (w->fault == 0)
                w->fault = buf_addf(&name, "grapnel_" SPAN_FMT "_" SPAN_FMT "_%s",
                                    SPAN_ARG(w->source), SPAN_ARG(w->table->name), op);
        if (w->fault == 0)
                add_quoted(w, buf_span(&name));
}

/* ---- rows as JSON ---- */

/* JSON has neither bytes nor infinity, and json_object() fails on the first. */
static void add_value(Writing *w, const char *row, Span column) {
        add(w, "CASE typeof(");
        add_column(w, row, column);
        add(w, ") WHEN 'blob' THEN '\\x'||lower(hex(");
        add_column(w, row, column);
        add(w, ")) WHEN 'real' THEN CASE WHEN abs(");
        add_column(w, row, column);
        add(w, ")>1.7976931348623157e308 THEN CASE WHEN ");
        add_column(w, row, column);
        add(w, ">0 THEN 'Infinity' ELSE '-Infinity' END ELSE ");
        add_column(w, row, column);
        add(w, " END ELSE ");
        add_column(w, row, column);
        add(w, " END");
}

static bool is_key(const Writing *w, Span column) {
        for (size_t i = 0; i < w->table->n_key; i++)
                if (span_eq(column, span_of(w->table->key[i])))
                        return true;
        for (size_t i = 0; !w->table->n_key && i < w->shape.n_key; i++)
                if (span_eq(column, w->shape.key[i]))
                        return true;
        return false;
}

static bool is_chosen(const Writing *w, Span column) {
        for (size_t i = 0; i < w->table->n_columns; i++)
                if (span_eq_nocase(column, span_of(w->table->columns[i])))
                        return true;
        return w->table->n_columns == 0;
}

static bool has_own_key(const Writing *w) {
        return w->table->n_key || w->shape.n_key;
}

static void next_member(Writing *w, size_t *n) {
        if (*n && *n % CHUNK_COLUMNS == 0)
                add(w, "), '{}') || ',' || trim(json_object(");
        else if (*n)
                add(w, ", ");
        ++*n;
}

/* The chosen columns, in several objects that are joined, as one takes few arguments. No member's
 * value ends in a brace: they are plain numbers and texts. */
static void add_row(Writing *w, const char *row) {
        size_t n = 0;

        add(w, "'{' || trim(json_object(");
        if (!has_own_key(w) && w->shape.has_rowid) {
                next_member(w, &n);
                add(w, "'rowid', ");
                add(w, row);
                add(w, ".rowid");
        }
        for (size_t i = 0; i < w->shape.n; i++) {
                Span column = w->shape.columns[i];

                if (!is_chosen(w, column) && !is_key(w, column))
                        continue;
                next_member(w, &n);
                add_literal(w, column);
                add(w, ", ");
                add_value(w, row, column);
        }
        add(w, "), '{}') || '}'");
}

static void add_names(Writing *w) {
        AUTO(buf_done)
        Buf names = BUF(64 * 1024);
        int r = buf_add_char(&names, '[');
        size_t n = w->table->n_key ? w->table->n_key : w->shape.n_key;

        for (size_t i = 0; r == 0 && i < n; i++) {
                if (i)
                        r = buf_add_char(&names, ',');
                if (r == 0)
                        r = buf_add_json(&names, w->table->n_key ? span_of(w->table->key[i])
                                                                 : w->shape.key[i]);
        }
        if (r == 0 && n == 0 && w->shape.has_rowid)
                r = buf_add(&names, SPAN("\"rowid\""));
        if (r == 0)
                r = buf_add_char(&names, ']');
        w->fault = w->fault ? w->fault : r;
        if (r == 0)
                add_literal(w, buf_span(&names));
}

/* ---- triggers ---- */

static void add_when(Writing *w, const char *row) {
        if (w->fault == 0)
                w->fault = outbox_when(w->sql, w->table->when, row);
}

static void add_head(Writing *w, const char *op, const char *event) {
        add(w, "CREATE TRIGGER ");
        add_name(w, op);
        add(w, " ");
        add(w, event);
        add(w, " ON ");
        add_quoted(w, w->table->name);
}

/* The text of a trigger is kept as it is written, so the mark of the options may be a comment. */
static void add_begin(Writing *w) {
        char mark[DIGEST_TEXT];

        outbox_mark(w->o, w->table, mark);
        add(w, "\nBEGIN -- options ");
        add(w, mark);
        add(w, "\n");
}

/* Values of all columns of the outbox but the rows. */
static void add_insert(Writing *w, const char *op) {
        add(w, "  INSERT INTO grapnel_outbox (source, table_name, key_names, op, fresh, previous)\n"
               "  SELECT ");
        add_literal(w, w->source);
        add(w, ", ");
        add_literal(w, w->table->name);
        add(w, ", ");
        add_names(w);
        add(w, ", ");
        add(w, op);
        add(w, ",\n    ");
}

static void add_stash_key(Writing *w, const char *row) {
        add(w, "source=");
        add_literal(w, w->source);
        add(w, " AND table_name=");
        add_literal(w, w->table->name);
        add(w, " AND key=");
        add(w, "json_array(");
        for (size_t i = 0; i < w->shape.n_key; i++) {
                add(w, i ? ", " : "");
                add_value(w, row, w->shape.key[i]);
        }
        add(w, ")");
}

/* INSERT OR REPLACE takes a row away without a word, unless the writer has set recursive_triggers.
 * So what is there under the key is put by before, and whoever inserts afterwards overwrote it. */
static void add_stash(Writing *w) {
        add_head(w, "before", "BEFORE INSERT");
        add(w, "\nBEGIN\n  DELETE FROM grapnel_replaced WHERE ");
        add_stash_key(w, "NEW");
        add(w, ";\n  INSERT INTO grapnel_replaced SELECT ");
        add_literal(w, w->source);
        add(w, ", ");
        add_literal(w, w->table->name);
        add(w, ", json_array(");
        for (size_t i = 0; i < w->shape.n_key; i++) {
                add(w, i ? ", " : "");
                add_value(w, "NEW", w->shape.key[i]);
        }
        add(w, "), ");
        add_row(w, "there");
        add(w, " FROM ");
        add_quoted(w, w->table->name);
        add(w, " AS there WHERE ");
        for (size_t i = 0; i < w->shape.n_key; i++) {
                add(w, i ? " AND " : "");
                add_column(w, "there", w->shape.key[i]);
                add(w, " = ");
                add_column(w, "NEW", w->shape.key[i]);
        }
        add(w, ";\nEND;\n");
}

static void add_insert_trigger(Writing *w) {
        bool stashes = w->shape.n_key > 0;

        if (stashes)
                add_stash(w);
        add_head(w, "insert", "AFTER INSERT");
        if (w->table->when) {
                add(w, " WHEN ");
                add_when(w, "NEW");
        }
        add_begin(w);
        if (!stashes) {
                add_insert(w, "'INSERT'");
                add_row(w, "NEW");
                add(w, ", NULL;\nEND;\n");
                return;
        }
        add_insert(w, "CASE WHEN r.previous IS NULL THEN 'INSERT' ELSE 'UPDATE' END");
        add_row(w, "NEW");
        add(w, ",\n    r.previous FROM (SELECT 1) LEFT JOIN grapnel_replaced r ON ");
        add_stash_key(w, "NEW");
        add(w, ";\n  DELETE FROM grapnel_replaced WHERE ");
        add_stash_key(w, "NEW");
        add(w, ";\nEND;\n");
}

/* By their bytes: whether two texts are the same to a column's collation does not count. */
static void add_differs(Writing *w) {
        size_t n = 0;

        add(w, "(");
        for (size_t i = 0; i < w->shape.n; i++) {
                if (!is_chosen(w, w->shape.columns[i]))
                        continue;
                add(w, n++ ? " OR " : "");
                add_column(w, "OLD", w->shape.columns[i]);
                add(w, " IS NOT ");
                add_column(w, "NEW", w->shape.columns[i]);
                add(w, " COLLATE BINARY");
        }
        add(w, n ? ")" : "0)");
}

static void add_update_trigger(Writing *w) {
        add_head(w, "update", "AFTER UPDATE");
        add(w, " WHEN ");
        add_differs(w);
        if (w->table->when) {
                add(w, " AND ((");
                add_when(w, "OLD");
                add(w, ") OR (");
                add_when(w, "NEW");
                add(w, "))");
        }
        add_begin(w);
        add_insert(w, "'UPDATE'");
        add_row(w, "NEW");
        add(w, ",\n    ");
        add_row(w, "OLD");
        add(w, ";\nEND;\n");
}

static void add_delete_trigger(Writing *w) {
        add_head(w, "delete", "AFTER DELETE");
        if (w->table->when) {
                add(w, " WHEN ");
                add_when(w, "OLD");
        }
        add_begin(w);
        add_insert(w, "'DELETE'");
        add(w, "NULL, ");
        add_row(w, "OLD");
        if (w->shape.n_key) {
                add(w, ";\n  DELETE FROM grapnel_replaced WHERE ");
                add_stash_key(w, "OLD");
        }
        add(w, ";\nEND;\n");
}

static const struct {
        unsigned op;
        const char *name;
        void (*add)(Writing *w);
} triggers[] = {{OUTBOX_INSERT, "insert", add_insert_trigger},
                {OUTBOX_UPDATE, "update", add_update_trigger},
                {OUTBOX_DELETE, "delete", add_delete_trigger},
                {0, "before", NULL}};

static void add_drops(Writing *w) {
        for (size_t i = 0; i < COUNT_OF(triggers); i++) {
                add(w, "DROP TRIGGER IF EXISTS ");
                add_name(w, triggers[i].name);
                add(w, ";\n");
        }
}

/* ---- all of it ---- */

static const char shared[] =
        "CREATE TABLE IF NOT EXISTS grapnel_outbox (\n"
        "  seq INTEGER PRIMARY KEY AUTOINCREMENT,\n"
        "  source TEXT NOT NULL,          -- in Grapnel's configuration\n"
        "  at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),\n"
        "  op TEXT NOT NULL,              -- INSERT, UPDATE, DELETE\n"
        "  table_name TEXT NOT NULL,\n"
        "  key_names TEXT NOT NULL,       -- JSON array\n"
        "  fresh TEXT,                    -- the row after, as JSON\n"
        "  previous TEXT                  -- the row before\n"
        ");\n"
        "-- What INSERT OR REPLACE is about to take away.\n"
        "CREATE TABLE IF NOT EXISTS grapnel_replaced (\n"
        "  source TEXT NOT NULL, table_name TEXT NOT NULL, key TEXT NOT NULL, previous TEXT,\n"
        "  PRIMARY KEY (source, table_name, key)\n"
        ") WITHOUT ROWID;\n";

static void check_names(Writing *w, Err *e) {
        const struct {
                const char **names;
                size_t n;
        } lists[] = {{w->table->columns, w->table->n_columns}, {w->table->key, w->table->n_key}};

        for (size_t l = 0; l < COUNT_OF(lists); l++)
                for (size_t i = 0; w->fault == 0 && i < lists[l].n; i++) {
                        bool is_there = false;

                        for (size_t k = 0; k < w->shape.n; k++)
                                is_there |= span_eq_nocase(w->shape.columns[k],
                                                           span_of(lists[l].names[i]));
                        if (!is_there)
                                w->fault = FAIL(e, -ENOENT, "table " SPAN_FMT " has no column %s",
                                                SPAN_ARG(w->table->name), lists[l].names[i]);
                }
}

static int add_table(Writing *w, sqlite3 *db, bool removes, Err *e) {
        AUTO(arena_freep)
        Arena *a = arena_new(ARENA_BYTES);

        if (!removes)
                w->fault = lite_table(db, w->o->database, w->table->name, a, &w->shape, e);
        if (!removes && w->fault == 0)
                check_names(w, e);
        add(w, "\n");
        add_drops(w);
        for (size_t i = 0; !removes && i < COUNT_OF(triggers); i++)
                if (w->table->ops & triggers[i].op)
                        triggers[i].add(w);
        return w->fault;
}

/* Those of tables that are no longer among them would go on to fill the outbox. */
static int add_left_over(Writing *w, sqlite3 *db, Err *e) {
        char like[128];
        sqlite3_stmt *st;
        int step, r = lite_prepare(db, w->o->database,
                                   "SELECT name FROM sqlite_schema WHERE type='trigger' AND"
                                   " name GLOB ?1 ORDER BY name",
                                   &st, e);

        if (r < 0)
                return r;
        (void)snprintf(like, sizeof like, "grapnel_" SPAN_FMT "_*", SPAN_ARG(w->source));
        must(sqlite3_bind_text(st, 1, like, -1, SQLITE_STATIC) == SQLITE_OK);
        while ((step = sqlite3_step(st)) == SQLITE_ROW) {
                add(w, "DROP TRIGGER IF EXISTS ");
                add_quoted(w, lite_cell(st, 0));
                add(w, ";\n");
        }
        r = step == SQLITE_DONE ? w->fault : lite_fault(db, w->o->database, "read", e);
        sqlite3_finalize(st);
        return r;
}

int outbox_lite_install(const Trigger *t, const OutboxOptions *o, bool removes, Buf *sql, Err *e) {
        Writing w = {.o = o, .source = span_of(t->source->name), .sql = sql};
        sqlite3 *db = NULL;
        int r = lite_open(o->database, &db, e);

        if (r == 0)
                r = buf_addf(
                        sql,
                        "-- %s the outbox of source %s, database %s. Runs as a whole or not at "
                        "all.\nBEGIN IMMEDIATE;\n",
                        removes ? "Removes" : "Makes", t->source->name, o->database->name);
        if (r == 0 && !removes)
                r = buf_add(sql, span_of(shared));
        if (r == 0)
                r = add_left_over(&w, db, e);
        for (size_t i = 0; r == 0 && i < o->n_tables; i++) {
                w.table = &o->tables[i];
                r = add_table(&w, db, removes, e);
        }
        if (r == 0 && removes) {
                add(&w, "DELETE FROM grapnel_outbox WHERE source=");
                add_literal(&w, w.source);
                add(&w, ";\nDELETE FROM grapnel_replaced WHERE source=");
                add_literal(&w, w.source);
                add(&w, ";\n-- When no other source has its changes there:\n"
                        "-- DROP TABLE grapnel_outbox; DROP TABLE grapnel_replaced;\n");
                r = w.fault;
        }
        if (r == 0)
                r = buf_add(sql, SPAN("COMMIT;\n"));
        lite_close(db);
        return r == -EMSGSIZE ? FAIL(e, r, "the script is too large") : r;
}
