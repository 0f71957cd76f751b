/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/replication.h"

#define AT(field) offsetof(ReplicationOptions, field)

static const Option options[] = {
        {.name = "replication",
         .type = OPTION_TEXT,
         .offset = AT(name),
         .required = true,
         .shape = "name of a database",
         .help = "Where the tables are: PostgreSQL 15 or newer with `wal_level = logical`."},
        {.name = "tables",
         .type = OPTION_NODE,
         .offset = AT(tables_node),
         .required = true,
         .shape = "list of tables",
         .help = "Whose changes are told: `[users, sales.orders]`. A partitioned table stands for "
                 "all of its partitions."},
        {.name = "snapshot",
         .type = OPTION_BOOL,
         .offset = AT(snapshot),
         .fallback = "false",
         .help = "When the slot is made, each row that is there becomes an event first (`op` is "
                 "`snapshot`); what is changed from then on follows, without a gap."},
        {.name = "max_lag",
         .type = OPTION_SIZE,
         .offset = AT(max_lag),
         .min = 1024 * 1024,
         .max = INT64_C(1) << 50,
         .help = "How much of its log the server may keep for this trigger while it cannot go on; "
                 "beyond, the trigger gives its slot up and is `broken`. Required where the "
                 "server's own cap, `max_slot_wal_keep_size`, is off."},
        {.name = "slot",
         .type = OPTION_TEXT,
         .offset = AT(slot),
         .shape = "lower-case letters, digits and `_`",
         .help = "The replication slot's name. Without it, `grapnel_` and the name of the source."},
        {.name = "publication",
         .type = OPTION_TEXT,
         .offset = AT(publication),
         .help = "The publication's name. Without it, as the slot's."},
        {.name = "heartbeat",
         .type = OPTION_DURATION,
         .offset = AT(heartbeat_ms),
         .fallback = "30s",
         .min = 100,
         .max = 3600000,
         .help = "How often a message is sent through the log, so that the slot moves on while "
                 "nothing is changed, and a standstill is seen."},
};

/* ---- tables ---- */

static int read_table(TriggerBuild *b, const Node *item, ReplicationTable *ret) {
        const Option row = {.name = "tables", .type = OPTION_SPAN};
        Span text, schema = SPAN("public");
        size_t dot;

        if (option_read_one(item, &row, &text, b->arena, b->problems) < 0)
                return -EINVAL;
        dot = span_find(text, '.');
        if (dot < text.n) {
                schema = span_make(text.p, dot);
                text = span_from(text, dot + 1);
        }
        if (text.n == 0 || schema.n == 0 || text.n > REPLICATION_NAME_MAX_BYTES ||
            schema.n > REPLICATION_NAME_MAX_BYTES || span_find(text, '.') < text.n ||
            span_find(text, '"') < text.n || span_find(schema, '"') < schema.n)
                return problem_add(b->problems, item->place,
                                   "a table is written as name or schema.name");
        *ret = (ReplicationTable){arena_text(b->arena, schema), arena_text(b->arena, text),
                                  item->place};
        return ret->schema && ret->name ? 0 : problem_no_room(b->problems, item->place);
}

static int read_tables(TriggerBuild *b, ReplicationOptions *o) {
        const Node *n = o->tables_node;
        int r = 0;

        if (!n || n->bad)
                return -EINVAL;
        if (n->kind != NODE_LIST || n->n == 0 || n->n > REPLICATION_TABLES_MAX)
                return problem_add(b->problems, n->place, "tables: a list of from 1 to %d tables",
                                   REPLICATION_TABLES_MAX);
        o->tables = arena_alloc(b->arena, n->n * sizeof *o->tables);
        if (!o->tables)
                return problem_no_room(b->problems, n->place);
        for (size_t i = 0; i < n->n; i++)
                if (read_table(b, n->items[i], &o->tables[i]) < 0)
                        r = -EINVAL;
        o->n_tables = n->n;
        return r;
}

bool replication_has(const ReplicationOptions *o, Span schema, Span table) {
        for (size_t i = 0; i < o->n_tables; i++)
                if (span_eq(table, span_of(o->tables[i].name)) &&
                    span_eq(schema, span_of(o->tables[i].schema)))
                        return true;
        return false;
}

/* ---- names ---- */

/* Names of sources are [a-z0-9-], those of slots [a-z0-9_]. */
static const char *own_name(TriggerBuild *b) {
        char *name = arena_printf(b->arena, "grapnel_%s", b->source->name);

        for (char *c = name; c && *c; c++)
                if (*c == '-')
                        *c = '_';
        return name;
}

static Place place_of(const TriggerBuild *b, const char *key) {
        const Node *n = node_get(b->map, key);

        return n ? n->text_place : b->map->place;
}

static int check_names(TriggerBuild *b, ReplicationOptions *o) {
        static const char slot_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

        if (!o->slot)
                o->slot = own_name(b);
        if (!o->slot)
                return problem_no_room(b->problems, b->map->place);
        if (!o->publication)
                o->publication = o->slot;
        if (!*o->slot || strlen(o->slot) > REPLICATION_NAME_MAX_BYTES ||
            o->slot[strspn(o->slot, slot_bytes)])
                return problem_add(b->problems, place_of(b, "slot"),
                                   "slot: a name of lower-case letters, digits and _, at most %d, "
                                   "not '%s'",
                                   REPLICATION_NAME_MAX_BYTES, o->slot);
        if (!*o->publication || strlen(o->publication) > REPLICATION_NAME_MAX_BYTES ||
            strpbrk(o->publication, "\"',"))
                return problem_add(b->problems, place_of(b, "publication"),
                                   "publication: a name of at most %d bytes, without quotes and "
                                   "commas",
                                   REPLICATION_NAME_MAX_BYTES);
        return 0;
}

static int prepare(TriggerBuild *b, void *into) {
        ReplicationOptions *o = into;
        int tables = read_tables(b, o), names = check_names(b, o);

        o->database = trigger_database(b, "replication", o->name);
        if (o->database && o->database->is_sqlite)
                return problem_add(
                        b->problems, place_of(b, "replication"),
                        "replication: database '%s' is SQLite; only PostgreSQL has a log "
                        "that can be read (outbox works with both)",
                        o->name);
        return o->database && tables == 0 ? names : -EINVAL;
}

/* ---- the row ---- */

static int run(Watch *w, const void *options_, Err *e) {
        return replication_run(w, options_, e);
}

static const DatabaseConfig *database(const void *options_) {
        const ReplicationOptions *o = options_;

        return o->database;
}

static int install(const Trigger *t, bool removes, TriggerScript *ret, Err *e) {
        const ReplicationOptions *o = t->options;

        ret->database = o->database;
        return replication_install(t, o, removes, &ret->sql, e);
}

const TriggerKind trigger_replication = {
        .name = "replication",
        .help = "Changes are read from the write-ahead log of a PostgreSQL database (logical "
                "decoding): nothing is written for them, and nothing is added to the tables.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(ReplicationOptions),
        .prepare = prepare,
        .run = run,
        .database = database,
        .install = install,
};
