/* SPDX-License-Identifier: Apache-2.0
 *
 * statements: SQL that the API runs by its name, in the databases of applications. What is inside
 * the SQL, and whether the source has an outbox there, is judged by src/watch. */
#include "config/tables.h"

enum { STATEMENTS_MAX = 1000 };

#define AT(field) offsetof(StatementConfig, field)

static const Option statement_options[] = {
        {.name = "database",
         .type = OPTION_TEXT,
         .offset = AT(database_name),
         .required = true,
         .shape = "name of a database",
         .help = "Where it runs."},
        {.name = "sql",
         .type = OPTION_SPAN,
         .offset = AT(sql),
         .required = true,
         .shape = "SQL",
         .help = "One statement. `:name` and `$name` are parameters: they are bound, never pasted. "
                 "What stands behind `RETURNING` is the answer."},
        {.name = "parameters",
         .type = OPTION_NODE,
         .offset = AT(parameters),
         .shape = "map from names to types",
         .help = "What a parameter has to be: `text`, `integer`, `number`, `boolean`, `json` (any "
                 "value, as JSON) or `any`. One that is not named here is `any`; null is always "
                 "taken."},
        {.name = "source",
         .type = OPTION_TEXT,
         .offset = AT(source_name),
         .shape = "name of a source",
         .help = "Whose [outbox](triggers/outbox.md) in this database is told of the change: the "
                 "answer then names the events. Needed by `emit`."},
        {.name = "emit",
         .type = OPTION_NODE,
         .offset = AT(emit_node),
         .help = "Makes an event of each row that it returns, where no trigger does: see "
                 "[emit](#statementsnameemit)."},
        {.name = "timeout",
         .type = OPTION_DURATION,
         .offset = AT(timeout_ms),
         .fallback = "5s",
         .min = 10,
         .max = 25000,
         .help = "How long a call may take, with its wait for a connection; then nothing of it "
                 "happened."},
        {.name = "rows",
         .type = OPTION_NUMBER,
         .offset = AT(rows_max),
         .fallback = "1000",
         .min = 1,
         .max = 100000,
         .help = "How many rows it may return; when there are more, nothing of it happened."},
};

static const char *const ops[] = {"insert", "update", "delete", NULL};

static const Option emit_options[] = {
        {.name = "table",
         .type = OPTION_TEXT,
         .offset = AT(emit.table),
         .required = true,
         .shape = "name",
         .help = "The event's `table`; with `op` it makes the type: `users.update`."},
        {.name = "op",
         .type = OPTION_CHOICE,
         .offset = AT(emit.op),
         .required = true,
         .choices = ops,
         .help = "What was done. The row returned is `new`, of `delete` it is `previous`."},
        {.name = "key",
         .type = OPTION_NODE,
         .offset = AT(emit.key_node),
         .required = true,
         .shape = "list of columns",
         .help = "Columns that it returns, which tell one row from the others."},
};

const OptionGroup statement_groups[] = {
        {"statements.NAME",
         "An SQL statement that [`POST /api/v1/statements/NAME`](triggers/statements.md) runs, "
         "with "
         "the change and its events in one transaction.",
         statement_options, COUNT_OF(statement_options)},
        {"statements.NAME.emit", "`emit: {table: users, op: update, key: [id]}`", emit_options,
         COUNT_OF(emit_options)},
        {0},
};

static void read_emit(Reading *r, StatementConfig *s) {
        int err = options_read(s->emit_node, emit_options, COUNT_OF(emit_options), s, r->arena,
                               r->problems);

        if (err < 0)
                return;
        s->emits = true;
        s->emit.n_key = texts_read(r, s->emit.key_node, "key", &s->emit.key, NULL);
        if (!s->source_name)
                problem_add(r->problems, s->emit_node->place,
                            "emit: whose outbox takes the event? (source: NAME)");
}

static void read_names(Reading *r, const Node *map, StatementConfig *s) {
        const Node *database = node_get(map, "database"), *source = node_get(map, "source");

        s->database = config_database(r->config, span_of(s->database_name));
        if (!s->database)
                problem_add(r->problems, database->text_place,
                            "database: there is no database '%s' (databases: %s: {url: ...})",
                            s->database_name, s->database_name);
        s->source = s->source_name ? config_source(r->config, span_of(s->source_name)) : NULL;
        if (s->source_name && !s->source)
                problem_add(r->problems, source->text_place, "source: there is no source '%s'",
                            s->source_name);
}

static void read_statement(Reading *r, const Node *map, StatementConfig *s) {
        if (options_read(map, statement_options, COUNT_OF(statement_options), s, r->arena,
                         r->problems) < 0)
                return;
        s->sql_place = node_get(map, "sql")->text_place;
        read_names(r, map, s);
        if (s->emit_node)
                read_emit(r, s);
}

void statements_read(Reading *r, const Node *map) {
        Config *config = r->config;
        void *room = NULL;
        size_t n = named_room(r, map, "statement", sizeof *config->statements, &room);

        if (n > STATEMENTS_MAX)
                problem_add(r->problems, map->place, "statements: more than %d", STATEMENTS_MAX);
        if (n == 0 || n > STATEMENTS_MAX)
                return;
        config->statements = room;
        for (size_t i = 0; i < n; i++) {
                StatementConfig *s = &config->statements[i];

                s->name = named_key(r, &map->entries[i], "statement");
                s->place = map->entries[i].key_place;
                read_statement(r, map->entries[i].value, s);
        }
        config->n_statements = n;
}
