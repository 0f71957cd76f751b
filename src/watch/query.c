/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/query.h"

#include "config/quantity.h"
#include "watch/outbox.h"

#include <errno.h>

#define AT(field) offsetof(QueryOptions, field)

enum { OVERLAP_MS = 5000, OVERLAP_N = 1000 }; /* when nothing is said */

static const char *const existing[] = {[QUERY_SKIP] = "skip", [QUERY_SEND] = "send", NULL};

static const Option options[] = {
        {.name = "query",
         .type = OPTION_TEXT,
         .offset = AT(name),
         .required = true,
         .shape = "name of a database",
         .help = "Which database is asked."},
        {.name = "sql",
         .type = OPTION_TEXT,
         .offset = AT(sql),
         .required = true,
         .shape = "SELECT",
         .help = "One statement that reads. Each of its rows that was not seen yet becomes an "
                 "event."},
        {.name = "key",
         .type = OPTION_NODE,
         .offset = AT(key_node),
         .required = true,
         .shape = "list of columns",
         .help = "What tells one row from the others; at most 8 of the statement's columns."},
        {.name = "cursor",
         .type = OPTION_TEXT,
         .offset = AT(cursor),
         .required = true,
         .shape = "column",
         .help = "Grows whenever a row changes: a time, a number, or a text that sorts so."},
        {.name = "overlap",
         .type = OPTION_TEXT,
         .offset = AT(overlap_text),
         .shape = "duration, or number",
         .help = "How far behind the highest cursor it looks again, for transactions that took "
                 "longer: `5s` for a cursor that is a time, `1000` for a number. Without it, "
                 "just that; a text has none."},
        {.name = "every",
         .type = OPTION_DURATION,
         .offset = AT(every_ms),
         .fallback = "5s",
         .min = 100,
         .max = 86400000,
         .help = "How long it rests between two looks."},
        {.name = "existing",
         .type = OPTION_CHOICE,
         .offset = AT(existing),
         .fallback = "skip",
         .choices = existing,
         .help = "Whether the rows that are there at the very first look become events "
                 "(`snapshot`), or only what comes later."},
        {.name = "rows",
         .type = OPTION_NUMBER,
         .offset = AT(rows),
         .fallback = "1000",
         .min = 1,
         .max = 10000,
         .help = "How many are fetched at a time; when there are more, it goes on at once."},
        {.name = "timeout",
         .type = OPTION_DURATION,
         .offset = AT(timeout_ms),
         .fallback = "10s",
         .min = 100,
         .max = 3600000,
         .help = "How long one statement may run."},
        {.name = "name",
         .type = OPTION_TEXT,
         .offset = AT(table),
         .shape = "text",
         .help = "What the rows are called in the events' type and subject. Without it, as the "
                 "source."},
        {.name = "remember",
         .type = OPTION_BOOL,
         .offset = AT(remembers),
         .fallback = "false",
         .help = "Keeps each row as it was last seen, at most 100,000 rows of at most 64 KiB, so "
                 "that an event says `insert` or `update`, what was there before, and what "
                 "changed."},
};

static int read_keys(TriggerBuild *b, QueryOptions *o) {
        const Option row = {.name = "key", .type = OPTION_TEXT};
        const Node *n = o->key_node;
        int r = 0;

        if (n->bad)
                return -EINVAL;
        if (n->kind != NODE_LIST || n->n == 0 || n->n > QUERY_KEYS_MAX)
                return problem_add(b->problems, n->place, "key: a list of 1 to %d columns",
                                   QUERY_KEYS_MAX);
        for (size_t i = 0; i < n->n; i++)
                if (option_read_one(n->items[i], &row, &o->key[i], b->arena, b->problems) < 0)
                        r = -EINVAL;
                else if (!*o->key[i] || strlen(o->key[i]) > QUERY_NAME_MAX_BYTES)
                        r = problem_add(b->problems, n->items[i]->place,
                                        "key: a name of 1 to %d bytes", QUERY_NAME_MAX_BYTES);
        o->n_key = n->n;
        return r;
}

static int read_overlap(TriggerBuild *b, QueryOptions *o) {
        const Node *n = node_get(b->map, "overlap");
        uint64_t number;

        o->has_overlap = o->overlap_text != NULL;
        o->overlap_ms = OVERLAP_MS;
        o->overlap_n = OVERLAP_N;
        if (!o->has_overlap)
                return 0;
        if (span_to_u64(span_of(o->overlap_text), INT32_MAX, &number)) {
                o->overlap_n = (int64_t)number;
                o->overlap_ms = number ? -1 : 0;
                return 0;
        }
        o->overlap_n = -1;
        if (duration_parse(span_of(o->overlap_text), &o->overlap_ms) &&
            o->overlap_ms <= 7 * INT64_C(86400000))
                return 0;
        return problem_add(b->problems, n->text_place,
                           "overlap: a duration of up to 7d, such as 5s, or a number, such as "
                           "1000");
}

static int read_sql(TriggerBuild *b, QueryOptions *o) {
        const Node *n = node_get(b->map, "sql");
        Err e = {0};
        size_t length;

        if (query_text_check(span_of(o->sql), &length, &e) < 0)
                return problem_add(b->problems, n->text_place, "sql: %s", e.text);
        o->sql = arena_text(b->arena, span_make(o->sql, length));
        return o->sql ? 0 : problem_no_room(b->problems, n->place);
}

static int prepare(TriggerBuild *b, void *into) {
        QueryOptions *o = into;
        int r = read_keys(b, o);

        if (read_overlap(b, o) < 0 || read_sql(b, o) < 0)
                r = -EINVAL;
        if (!*o->cursor || strlen(o->cursor) > QUERY_NAME_MAX_BYTES)
                r = problem_add(b->problems, node_get(b->map, "cursor")->text_place,
                                "cursor: a name of 1 to %d bytes", QUERY_NAME_MAX_BYTES);
        if (!o->table)
                o->table = b->source->name;
        else if (!*o->table || strlen(o->table) > QUERY_NAME_MAX_BYTES)
                r = problem_add(b->problems, node_get(b->map, "name")->text_place,
                                "name: of 1 to %d bytes", QUERY_NAME_MAX_BYTES);
        o->database = trigger_database(b, "query", o->name);
        return o->database ? r : -EINVAL;
}

static int run(Watch *w, const void *options_, Err *e) {
        const QueryOptions *o = options_;

        return query_rounds(w, o, o->database->is_sqlite ? &query_lite : &query_pg, e);
}

static const DatabaseConfig *database(const void *options_) {
        const QueryOptions *o = options_;

        return o->database;
}

const TriggerKind trigger_query = {
        .name = "query",
        .help = "Asks a SELECT again and again; each row that was not seen yet makes an event.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(QueryOptions),
        .prepare = prepare,
        .run = run,
        .database = database,
};

/* ---- for both ---- */

int query_column(Buf *b, const char *name) {
        int r = buf_add(b, SPAN("q."));

        return r < 0 ? r : outbox_quote(b, span_of(name));
}

int query_order(Buf *b, const QueryOptions *o, const char *after) {
        int r = query_column(b, o->cursor);

        if (r == 0)
                r = buf_add(b, span_of(after));
        for (size_t i = 0; r == 0 && i < o->n_key; i++) {
                r = buf_add(b, SPAN(", "));
                if (r == 0)
                        r = query_column(b, o->key[i]);
                if (r == 0)
                        r = buf_add(b, span_of(after));
        }
        return r;
}
