/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/outbox.h"

#include "json/value.h"

#include <errno.h>

#define AT(field) offsetof(OutboxOptions, field)

static const Option options[] = {
        {.name = "outbox",
         .type = OPTION_TEXT,
         .offset = AT(name),
         .required = true,
         .shape = "name of a database",
         .help = "Where the tables are, and the outbox."},
        {.name = "tables",
         .type = OPTION_NODE,
         .offset = AT(tables_node),
         .required = true,
         .shape = "list of tables, or map from tables to options",
         .help = "Which tables are looked at: `[users, sales.orders]`, or with "
                 "[options](#tables-of-an-outbox): `{users: {columns: [email]}}`."},
        {.name = "schema",
         .type = OPTION_TEXT,
         .offset = AT(schema),
         .fallback = "grapnel",
         .help = "PostgreSQL: the schema that holds the outbox and its function."},
        {.name = "notify",
         .type = OPTION_BOOL,
         .offset = AT(notify),
         .fallback = "false",
         .help = "PostgreSQL: each transaction wakes the reader (NOTIFY, once). Events leave "
                 "sooner, but all transactions of the server that notify commit one after the "
                 "other: not for tables with thousands of transactions per second."},
        {.name = "poll",
         .type = OPTION_DURATION,
         .offset = AT(poll_ms),
         .fallback = "250ms",
         .min = 5,
         .max = 60000,
         .help = "How long the reader rests at most when there was nothing."},
};

/* One table as written. */
typedef struct Written {
        const Node *columns, *key, *ops;
        const char *when;
} Written;

static const Option table_options[] = {
        {.name = "columns",
         .type = OPTION_NODE,
         .offset = offsetof(Written, columns),
         .shape = "list of columns",
         .help = "What an event holds, besides the key; and an UPDATE that changes none of them "
                 "makes no event. Without it, all."},
        {.name = "key",
         .type = OPTION_NODE,
         .offset = offsetof(Written, key),
         .shape = "list of columns",
         .help = "What tells one row from the others. Without it, the primary key."},
        {.name = "ops",
         .type = OPTION_NODE,
         .offset = offsetof(Written, ops),
         .shape = "list of `insert`, `update`, `delete`, `truncate`",
         .help = "What makes an event. Without it, all of them."},
        {.name = "when",
         .type = OPTION_TEXT,
         .offset = offsetof(Written, when),
         .shape = "SQL condition",
         .help = "Which rows count: `{row}.active AND {row}.role <> 'robot'`. A row that is "
                 "updated counts when it holds before or after."},
};

static const OptionGroup table_group = {
        "Tables of an outbox",
        "`tables: {users: {columns: [email, name], when: \"{row}.active\"}}`", table_options,
        COUNT_OF(table_options)};

/* ---- reading ---- */

static int read_names(TriggerBuild *b, const Node *n, const char *what, const char ***ret,
                      size_t *ret_n) {
        const Option row = {.name = what, .type = OPTION_TEXT};
        int r = 0;

        if (!n)
                return 0;
        if (n->bad)
                return -EINVAL;
        if (n->kind != NODE_LIST || n->n == 0 || n->n > OUTBOX_COLUMNS_MAX)
                return problem_add(b->problems, n->place, "%s: a list of up to %d names", what,
                                   OUTBOX_COLUMNS_MAX);
        *ret = arena_alloc(b->arena, n->n * sizeof **ret);
        if (!*ret)
                return problem_no_room(b->problems, n->place);
        for (size_t i = 0; i < n->n; i++)
                if (option_read_one(n->items[i], &row, &(*ret)[i], b->arena, b->problems) < 0)
                        r = -EINVAL;
                else if (strlen((*ret)[i]) > OUTBOX_NAME_MAX_BYTES)
                        r = problem_add(b->problems, n->items[i]->place, "%s: a name is too long",
                                        what);
        *ret_n = n->n;
        return r;
}

static int read_ops(TriggerBuild *b, const Node *n, unsigned *ret) {
        static const char *const names[] = {"insert", "update", "delete", "truncate", NULL};
        const Option row = {.name = "ops", .type = OPTION_CHOICE, .choices = names};
        int r = 0;

        *ret = n ? 0 : OUTBOX_INSERT | OUTBOX_UPDATE | OUTBOX_DELETE | OUTBOX_TRUNCATE;
        if (!n)
                return 0;
        if (n->kind != NODE_LIST || n->n == 0)
                return problem_add(b->problems, n->place,
                                   "ops: a list of insert, update, delete, truncate");
        for (size_t i = 0; i < n->n; i++) {
                int op = 0;

                if (option_read_one(n->items[i], &row, &op, b->arena, b->problems) < 0)
                        r = -EINVAL;
                else
                        *ret |= 1U << op;
        }
        return r;
}

static int read_name(TriggerBuild *b, Span name, Place at, OutboxTable *ret) {
        size_t dot = span_find(name, '.');

        ret->place = at;
        if (dot < name.n) {
                ret->schema = span_make(name.p, dot);
                name = span_from(name, dot + 1);
        }
        ret->name = name;
        if (name.n == 0 || name.n > OUTBOX_NAME_MAX_BYTES ||
            ret->schema.n > OUTBOX_NAME_MAX_BYTES || span_find(name, '.') < name.n ||
            span_find(name, '"') < name.n)
                return problem_add(b->problems, at, "a table is written as name or schema.name");
        return 0;
}

static int read_table(TriggerBuild *b, Span name, Place at, const Node *map, OutboxTable *ret) {
        Node none = {.kind = NODE_MAP};
        Written w = {0};
        int r = read_name(b, name, at, ret);

        if (options_read(map && !node_is_null(map) ? map : &none, table_options,
                         COUNT_OF(table_options), &w, b->arena, b->problems) < 0)
                return -EINVAL;
        ret->when = w.when;
        if (read_names(b, w.columns, "columns", &ret->columns, &ret->n_columns) < 0 ||
            read_names(b, w.key, "key", &ret->key, &ret->n_key) < 0 ||
            read_ops(b, w.ops, &ret->ops) < 0)
                return -EINVAL;
        return r;
}

static int read_tables(TriggerBuild *b, const Node *n, OutboxOptions *o) {
        int r = 0;

        if (n->bad)
                return -EINVAL;
        if (n->kind == NODE_SCALAR || n->n == 0 || n->n > OUTBOX_TABLES_MAX)
                return problem_add(b->problems, n->place,
                                   "tables: from 1 to %d tables, as a list or a map",
                                   OUTBOX_TABLES_MAX);
        o->tables = arena_alloc(b->arena, n->n * sizeof *o->tables);
        if (!o->tables)
                return problem_no_room(b->problems, n->place);
        for (size_t i = 0; i < n->n; i++) {
                bool is_list = n->kind == NODE_LIST;
                const Node *item = is_list ? n->items[i] : n->entries[i].value;

                if (is_list && item->kind != NODE_SCALAR)
                        r = problem_add(b->problems, item->place,
                                        "tables: a name is expected here; options go into a map: "
                                        "tables: {users: {...}}");
                else if (read_table(b, is_list ? item->text : n->entries[i].key,
                                    is_list ? item->text_place : n->entries[i].key_place,
                                    is_list ? NULL : item, &o->tables[i]) < 0)
                        r = -EINVAL;
        }
        o->n_tables = n->n;
        return r;
}

static int prepare(TriggerBuild *b, void *into) {
        OutboxOptions *o = into;
        int r = read_tables(b, o->tables_node, o);

        o->database = trigger_database(b, "outbox", o->name);
        if (o->database && !o->database->is_sqlite &&
            strlen(b->source->name) > OUTBOX_SOURCE_MAX_BYTES)
                r = problem_add(b->problems, b->map->place,
                                "outbox: the source's name has a part in those of its triggers "
                                "and its channel, and PostgreSQL takes no longer one than %d bytes",
                                OUTBOX_SOURCE_MAX_BYTES);
        return o->database ? r : -EINVAL;
}

/* ---- the row ---- */

static int run(Watch *w, const void *options_, Err *e) {
        const OutboxOptions *o = options_;

        return o->database->is_sqlite ? outbox_lite_run(w, o, e) : outbox_pg_run(w, o, e);
}

static const DatabaseConfig *database(const void *options_) {
        const OutboxOptions *o = options_;

        return o->database;
}

static int install(const Trigger *t, bool removes, TriggerScript *ret, Err *e) {
        const OutboxOptions *o = t->options;

        ret->database = o->database;
        return o->database->is_sqlite ? outbox_lite_install(t, o, removes, &ret->sql, e)
                                      : outbox_pg_install(t, o, removes, &ret->sql, e);
}

const TriggerKind trigger_outbox = {
        .name = "outbox",
        .help = "Triggers in the application's database write each change into an outbox, in the "
                "transaction that makes it; Grapnel empties it.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(OutboxOptions),
        .more = &table_group,
        .prepare = prepare,
        .run = run,
        .database = database,
        .install = install,
};

/* ---- for both ---- */

int outbox_quote(Buf *b, Span name) {
        int r = buf_add_char(b, '"');

        for (size_t i = 0; r == 0 && i < name.n; i++) {
                if (name.p[i] == '"')
                        r = buf_add_char(b, '"');
                if (r == 0)
                        r = buf_add_char(b, name.p[i]);
        }
        return r < 0 ? r : buf_add_char(b, '"');
}

int outbox_literal(Buf *b, Span text) {
        int r = buf_add_char(b, '\'');

        for (size_t i = 0; r == 0 && i < text.n; i++) {
                if (text.p[i] == '\'')
                        r = buf_add_char(b, '\'');
                if (r == 0)
                        r = buf_add_char(b, text.p[i]);
        }
        return r < 0 ? r : buf_add_char(b, '\'');
}

/* Names of sources are [a-z0-9-]. */
int outbox_trigger_name(Buf *b, Span source, const char *op) {
        return buf_addf(b, "\"grapnel_" SPAN_FMT "_%s\"", SPAN_ARG(source), op);
}

void outbox_mark(const OutboxOptions *o, const OutboxTable *t, char ret[DIGEST_TEXT]) {
        Span parts[2 * OUTBOX_COLUMNS_MAX + 3];
        char numbers[64];
        size_t n = 0;
        Digest d;

        (void)snprintf(numbers, sizeof numbers, "%u %d %zu", t->ops, o->notify, t->n_columns);
        parts[n++] = span_of(numbers);
        parts[n++] = t->when ? span_of(t->when) : SPAN("");
        for (size_t i = 0; i < t->n_columns; i++)
                parts[n++] = span_of(t->columns[i]);
        for (size_t i = 0; i < t->n_key; i++)
                parts[n++] = span_of(t->key[i]);
        digest_texts(parts, n, &d);
        digest_print(&d, ret);
}

void outbox_remark(const Trigger *trigger, const OutboxTable *t, char ret[OUTBOX_REMARK]) {
        (void)snprintf(ret, OUTBOX_REMARK,
                       "table " SPAN_FMT
                       " was installed with other options, or by an older Grapnel: "
                       "run grapnel trigger install %s again",
                       SPAN_ARG(t->name), trigger->source->name);
}

int outbox_when(Buf *b, const char *when, const char *row) {
        static const char hole[] = "{row}";
        int r = 0;

        for (const char *at; r == 0 && (at = strstr(when, hole)); when = at + sizeof hole - 1) {
                r = buf_add(b, span_make(when, (size_t)(at - when)));
                if (r == 0)
                        r = buf_add(b, span_of(row));
        }
        return r < 0 ? r : buf_add(b, span_of(when));
}

int outbox_key(Buf *b, Span names, Span row) {
        Span key, name;
        int r = buf_add_char(b, '{'), n = 0;

        for (size_t pos = 0; r == 0 && json_next(names, &pos, &key, &name);) {
                AUTO(buf_done)
                Buf text = BUF(1024);
                Span value;

                r = json_text(name, &text);
                value = r == 0 ? json_member(row, buf_span(&text)) : (Span){NULL, 0};
                if (r == 0 && !value.p)
                        return -EINVAL;
                if (r == 0)
                        r = buf_addf(b, "%s" SPAN_FMT ":" SPAN_FMT, n++ ? "," : "",
                                     SPAN_ARG(json_trim(name)), SPAN_ARG(value));
        }
        return r < 0 ? r : buf_add_char(b, '}');
}
