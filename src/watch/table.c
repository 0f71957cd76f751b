/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/table.h"

#include <errno.h>

#define AT(field) offsetof(TableOptions, field)

static const Option options[] = {
        {.name = "table",
         .type = OPTION_TEXT,
         .offset = AT(name),
         .required = true,
         .shape = "name of a database",
         .help = "Where the table is."},
        {.name = "name",
         .type = OPTION_TEXT,
         .offset = AT(table),
         .fallback = "outbox",
         .shape = "table, or schema.table",
         .help = "The table that the application writes its events to."},
        {.name = "id",
         .type = OPTION_TEXT,
         .offset = AT(id),
         .fallback = "id",
         .shape = "column",
         .help = "What makes a row this one and no other: the key of its event. Never null."},
        {.name = "aggregatetype",
         .type = OPTION_TEXT,
         .offset = AT(aggregate_type),
         .fallback = "aggregatetype",
         .shape = "column, or `none`",
         .help = "What the event is about, such as `order`: the first half of its subject."},
        {.name = "aggregateid",
         .type = OPTION_TEXT,
         .offset = AT(aggregate_id),
         .fallback = "aggregateid",
         .shape = "column, or `none`",
         .help = "Which of them: the second half of its subject."},
        {.name = "type",
         .type = OPTION_TEXT,
         .offset = AT(type),
         .fallback = "type",
         .shape = "column, or `none`",
         .help = "The type of the event."},
        {.name = "payload",
         .type = OPTION_TEXT,
         .offset = AT(payload),
         .fallback = "payload",
         .shape = "column",
         .help = "The body of the event: a column of type `json`, `jsonb`, `text` or `bytea` that "
                 "holds JSON."},
        {.name = "time",
         .type = OPTION_TEXT,
         .offset = AT(time),
         .shape = "column",
         .help = "When it happened. Without it, `timestamp` where the table has such a column."},
        {.name = "order",
         .type = OPTION_TEXT,
         .offset = AT(order),
         .shape = "column",
         .help = "Of the rows that are in sight, the lowest goes first. Without it, the id where "
                 "that is a whole number, else the time."},
        {.name = "after",
         .type = OPTION_TEXT,
         .offset = AT(after),
         .fallback = "delete",
         .shape = "`delete`, or `mark COLUMN`",
         .help = "What becomes of a row whose event is recorded. A column that is marked is of "
                 "type `boolean` (set to true) or a time (set to now); rows whose column is "
                 "neither true nor a time are read."},
        {.name = "notify",
         .type = OPTION_TEXT,
         .offset = AT(notify),
         .shape = "channel",
         .help = "The reader is woken by `NOTIFY` on this channel, which the application sends, "
                 "and "
                 "looks every `poll` otherwise. Without it, it looks ever more seldom, up to "
                 "`poll`."},
        {.name = "poll",
         .type = OPTION_DURATION,
         .offset = AT(poll_ms),
         .fallback = "250ms",
         .min = 5,
         .max = 60000,
         .help = "How long the reader rests at most when there was nothing."},
};

static Place place_of(const TriggerBuild *b, const char *key) {
        const Node *n = node_get(b->map, key);

        return n ? n->text_place : b->map->place;
}

static int read_table(TriggerBuild *b, TableOptions *o) {
        Span name = span_of(o->table);
        size_t dot = span_find(name, '.');

        o->schema = SPAN("public");
        if (dot < name.n) {
                o->schema = span_make(name.p, dot);
                name = span_from(name, dot + 1);
        }
        o->relation = name;
        if (name.n == 0 || o->schema.n == 0 || name.n > OUTBOX_NAME_MAX_BYTES ||
            o->schema.n > OUTBOX_NAME_MAX_BYTES || span_find(name, '.') < name.n ||
            span_find(span_of(o->table), '"') < strlen(o->table))
                return problem_add(b->problems, place_of(b, "name"),
                                   "name: a table is written as name or schema.name");
        return 0;
}

static int read_column(TriggerBuild *b, const char *key, bool may_lack, const char **column) {
        if (!*column)
                return 0;
        if (may_lack && strcmp(*column, "none") == 0) {
                *column = NULL;
                return 0;
        }
        if (**column && strlen(*column) <= OUTBOX_NAME_MAX_BYTES)
                return 0;
        return problem_add(b->problems, place_of(b, key), "%s: a column's name has 1 to %d bytes",
                           key, OUTBOX_NAME_MAX_BYTES);
}

static int read_channel(TriggerBuild *b, const TableOptions *o) {
        if (!o->notify || (*o->notify && strlen(o->notify) <= OUTBOX_NAME_MAX_BYTES))
                return 0;
        return problem_add(b->problems, place_of(b, "notify"),
                           "notify: a channel's name has 1 to %d bytes", OUTBOX_NAME_MAX_BYTES);
}

static int read_columns(TriggerBuild *b, TableOptions *o) {
        const struct {
                const char *key;
                bool may_lack;
                const char **column;
        } all[] = {{"id", false, &o->id},
                   {"aggregatetype", true, &o->aggregate_type},
                   {"aggregateid", true, &o->aggregate_id},
                   {"type", true, &o->type},
                   {"payload", false, &o->payload},
                   {"time", false, &o->time},
                   {"order", false, &o->order},
                   {"after", false, &o->mark}};
        int r = 0;

        for (size_t i = 0; i < COUNT_OF(all); i++)
                if (read_column(b, all[i].key, all[i].may_lack, all[i].column) < 0)
                        r = -EINVAL;
        return r;
}

static int read_after(TriggerBuild *b, TableOptions *o) {
        if (strcmp(o->after, "delete") == 0)
                return 0;
        if (strncmp(o->after, "mark ", 5) != 0)
                return problem_add(b->problems, place_of(b, "after"),
                                   "after: delete, or mark and the name of a column");
        o->mark = o->after + 5 + strspn(o->after + 5, " ");
        return 0;
}

static int prepare(TriggerBuild *b, void *into) {
        TableOptions *o = into;
        int r = read_after(b, o);

        if (read_table(b, o) < 0 || read_columns(b, o) < 0 || read_channel(b, o) < 0)
                r = -EINVAL;
        o->database = trigger_database(b, "table", o->name);
        if (o->database && o->database->is_sqlite)
                r = problem_add(
                        b->problems, place_of(b, "table"),
                        "table: %s is an SQLite file, and this reads PostgreSQL; `outbox` and "
                        "`query` read files",
                        o->name);
        return o->database ? r : -EINVAL;
}

static int run(Watch *w, const void *o, Err *e) {
        return table_pg_run(w, o, e);
}

static const DatabaseConfig *database(const void *options_) {
        const TableOptions *o = options_;

        return o->database;
}

const TriggerKind trigger_table = {
        .name = "table",
        .help = "An outbox that the application writes itself, read as it is: a row is an event, "
                "and is deleted or marked once that is recorded.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(TableOptions),
        .prepare = prepare,
        .run = run,
        .database = database,
};
