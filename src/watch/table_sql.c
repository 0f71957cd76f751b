/* SPDX-License-Identifier: Apache-2.0
 *
 * The statements of a table's reader. They name its columns one by one: what a row has beside the
 * payload goes along in the event's meta, and a payload is never read twice. */
#include "watch/table.h"

#include <errno.h>

#define SQL_MAX_BYTES (256 * 1024)
#define BATCH_BYTES   "8388608"

const TableColumn *table_column(const TableColumns *c, const char *name) {
        for (size_t i = 0; name && i < c->n; i++)
                if (span_eq(c->at[i].name, span_of(name)))
                        return &c->at[i];
        return NULL;
}

void table_sql_done(TableSql *s) {
        buf_done(&s->read);
        buf_done(&s->after);
        buf_done(&s->gauges);
}

/* ---- pieces ---- */

static bool is_one_of(const TableColumn *c, const char *const *types) {
        for (; *types; types++)
                if (span_eq(c->type, span_of(*types)))
                        return true;
        return false;
}

static bool is_time(const TableColumn *c) {
        static const char *const types[] = {"timestamptz", "timestamp", NULL};

        return is_one_of(c, types);
}

static int add_name(Buf *b, const TableColumn *c) {
        int r = buf_add(b, SPAN("t."));

        return r < 0 ? r : outbox_quote(b, c->name);
}

/* t."column"::text AS name */
static int add_text(Buf *b, const TableColumn *c, const char *as) {
        int r = c ? add_name(b, c) : buf_add(b, SPAN("NULL"));

        return r < 0 ? r : buf_addf(b, "::text AS %s, ", as);
}

static int add_time(Buf *b, const TableColumn *c) {
        int r;

        if (!c || !is_time(c))
                return add_text(b, c, "happened");
        r = buf_add(b, SPAN("to_char("));
        if (r == 0)
                r = add_name(b, c);
        return r < 0 ? r : buf_add(b, SPAN(", 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS happened, "));
}

static int add_table(Buf *b, const TableOptions *o) {
        int r = outbox_quote(b, o->schema);

        if (r == 0)
                r = buf_add_char(b, '.');
        if (r == 0)
                r = outbox_quote(b, o->relation);
        return r < 0 ? r : buf_add(b, SPAN(" t"));
}

/* Which rows are still to be read. */
static int add_unread(Buf *b, const TableColumn *mark) {
        int r;

        if (!mark)
                return buf_add(b, SPAN(" WHERE true"));
        r = buf_add(b, SPAN(" WHERE "));
        if (r == 0)
                r = add_name(b, mark);
        return r < 0 ? r
                     : buf_add(b, span_eq(mark->type, SPAN("bool")) ? SPAN(" IS NOT TRUE")
                                                                    : SPAN(" IS NULL"));
}

/* ---- read ---- */

/* How much a row takes on the server's disk: known without looking into it. */
static int add_stored(Buf *b, const TableColumns *c) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < c->n; i++) {
                r = buf_addf(b, "%scoalesce(pg_column_size(", i ? "+" : "");
                if (r == 0)
                        r = add_name(b, &c->at[i]);
                if (r == 0)
                        r = buf_add(b, SPAN("), 0)"));
        }
        return r;
}

/* The row without its payload, as JSON. */
static int add_rest(Buf *b, const TableOptions *o, const TableColumns *c) {
        int r = buf_add(b, SPAN("(SELECT to_json(rest) FROM (SELECT ")), n = 0;

        for (size_t i = 0; r == 0 && i < c->n; i++) {
                if (span_eq(c->at[i].name, span_of(o->payload)))
                        continue;
                if (n++)
                        r = buf_add(b, SPAN(", "));
                if (r == 0)
                        r = add_name(b, &c->at[i]);
        }
        return r < 0 ? r : buf_add(b, SPAN(") rest)::text AS rest, "));
}

/* Numbers count upwards as a rule, other ids say nothing; the next best is the time. */
static const TableColumn *order_of(const TableOptions *o, const TableColumns *c) {
        static const char *const counts[] = {"int8", "int4", "int2", NULL};
        const TableColumn *id = table_column(c, o->id);

        if (o->order)
                return table_column(c, o->order);
        return is_one_of(id, counts) ? id : table_column(c, o->time ? o->time : "timestamp");
}

static int add_order(Buf *b, const TableOptions *o, const TableColumns *c) {
        const TableColumn *order = order_of(o, c);
        int r;

        if (!order)
                return 0;
        r = buf_add(b, SPAN(" ORDER BY "));
        if (r == 0)
                r = add_name(b, order);
        if (r == 0)
                r = buf_add(b, SPAN(", "));
        return r < 0 ? r : add_name(b, table_column(c, o->id));
}

/* Without those that are too large. */
static int add_but(Buf *b, const TableColumn *id) {
        int r = buf_add(b, SPAN(" AND "));

        if (r == 0)
                r = add_name(b, id);
        return r < 0 ? r : buf_addf(b, " <> ALL($2::" SPAN_FMT "[])", SPAN_ARG(id->cast));
}

/* Of the table that these very rows are read from. */
static int add_oid(Buf *b, const TableOptions *o) {
        AUTO(buf_done)
        Buf name = BUF(512);
        int r = outbox_quote(&name, o->schema);

        if (r == 0)
                r = buf_add_char(&name, '.');
        if (r == 0)
                r = outbox_quote(&name, o->relation);
        if (r == 0)
                r = outbox_literal(b, buf_span(&name));
        return r < 0 ? r : buf_add(b, SPAN("::regclass::oid"));
}

/* From the inside: so many rows; of these, as many as take so many bytes on disk; what they hold,
 * once (OFFSET 0 keeps the planner from asking for it again); of these, as many as are so many
 * bytes in the answer, one at least. */
static int write_read(const TableOptions *o, const TableColumns *c, Buf *b) {
        int r = buf_add(b, SPAN("SELECT id, type, kind, entity, happened, rest, bytes, CASE WHEN "
                                "bytes <= "));

        if (r == 0)
                r = buf_addf(b, "%d THEN body END, ", TABLE_ROW_MAX_BYTES);
        if (r == 0)
                r = add_oid(b, o);
        if (r == 0)
                r = buf_add(b, SPAN(" FROM (SELECT *, sum(bytes) OVER (ORDER BY n) - bytes AS"
                                    " before FROM (SELECT *, coalesce(octet_length(body), 0) + "
                                    "octet_length(rest) AS bytes FROM (SELECT "));
        if (r == 0)
                r = add_text(b, table_column(c, o->id), "id");
        if (r == 0)
                r = add_text(b, table_column(c, o->type), "type");
        if (r == 0)
                r = add_text(b, table_column(c, o->aggregate_type), "kind");
        if (r == 0)
                r = add_text(b, table_column(c, o->aggregate_id), "entity");
        if (r == 0)
                r = add_time(b, table_column(c, o->time ? o->time : "timestamp"));
        if (r == 0)
                r = add_rest(b, o, c);
        if (r == 0)
                r = add_text(b, table_column(c, o->payload), "body");
        if (r == 0)
                r = buf_add(b, SPAN("grapnel_n AS n FROM (SELECT t.*, sum(grapnel_stored) OVER "
                                    "(ORDER BY grapnel_n) - grapnel_stored AS grapnel_before FROM "
                                    "(SELECT t.*, row_number() OVER ("));
        if (r == 0)
                r = add_order(b, o, c);
        if (r == 0)
                r = buf_add(b, SPAN(") AS grapnel_n, "));
        if (r == 0)
                r = add_stored(b, c);
        if (r == 0)
                r = buf_add(b, SPAN(" AS grapnel_stored FROM (SELECT * FROM "));
        if (r == 0)
                r = add_table(b, o);
        if (r == 0)
                r = add_unread(b, table_column(c, o->mark));
        if (r == 0)
                r = add_but(b, table_column(c, o->id));
        if (r == 0)
                r = add_order(b, o, c);
        return r < 0 ? r
                     : buf_add(b, SPAN(" LIMIT $1) t) t) t WHERE grapnel_before < " BATCH_BYTES
                                       " OFFSET 0) rows) sizes) batch WHERE before < " BATCH_BYTES
                                       " ORDER BY n"));
}

/* ---- after, gauges ---- */

static int write_after(const TableOptions *o, const TableColumns *c, Buf *b) {
        const TableColumn *id = table_column(c, o->id), *mark = table_column(c, o->mark);
        int r = buf_add(b, mark ? SPAN("UPDATE ") : SPAN("DELETE FROM "));

        if (r == 0)
                r = add_table(b, o);
        if (r == 0 && mark)
                r = buf_add(b, SPAN(" SET "));
        if (r == 0 && mark)
                r = outbox_quote(b, mark->name);
        if (r == 0 && mark)
                r = buf_add(b, span_eq(mark->type, SPAN("bool")) ? SPAN("=true")
                                                                 : SPAN("=clock_timestamp()"));
        if (r == 0)
                r = add_unread(b, mark);
        if (r == 0)
                r = buf_add(b, SPAN(" AND "));
        if (r == 0)
                r = add_name(b, id);
        return r < 0 ? r : buf_addf(b, " = ANY($1::" SPAN_FMT "[])", SPAN_ARG(id->cast));
}

static int write_gauges(const TableOptions *o, const TableColumns *c, Buf *b) {
        const TableColumn *time = table_column(c, o->time ? o->time : "timestamp");
        bool has_time = time && is_time(time);
        int r = buf_add(b, SPAN("SELECT count(*), "));

        if (r == 0 && has_time)
                r = buf_add(b, SPAN("coalesce(extract(epoch FROM clock_timestamp()-min(happened))"
                                    "*1000, 0)::bigint FROM (SELECT "));
        if (r == 0 && has_time)
                r = add_name(b, time);
        if (r == 0 && !has_time)
                r = buf_add(b, SPAN("NULL FROM (SELECT NULL"));
        if (r == 0)
                r = buf_add(b, SPAN(" AS happened FROM "));
        if (r == 0)
                r = add_table(b, o);
        if (r == 0)
                r = add_unread(b, table_column(c, o->mark));
        return r < 0 ? r : buf_add(b, SPAN(" LIMIT 100000) rows"));
}

/* ---- is the table as the options say? ---- */

static int want(const TableOptions *o, const TableColumns *c, const char *key, const char *name,
                const char *more, Err *e) {
        if (!name || table_column(c, name))
                return 0;
        return FAIL(e, -ENOTRECOVERABLE,
                    "table " SPAN_FMT "." SPAN_FMT " has no column %s: name the one that it has, "
                    "%s: COLUMN%s",
                    SPAN_ARG(o->schema), SPAN_ARG(o->relation), name, key, more);
}

static int want_type(const TableOptions *o, const TableColumn *c, const char *const *types,
                     const char *wanted, Err *e) {
        if (is_one_of(c, types))
                return 0;
        return FAIL(e, -ENOTRECOVERABLE,
                    "column " SPAN_FMT " of table " SPAN_FMT "." SPAN_FMT " is of type " SPAN_FMT
                    "; %s is expected",
                    SPAN_ARG(c->name), SPAN_ARG(o->schema), SPAN_ARG(o->relation),
                    SPAN_ARG(c->type), wanted);
}

static int look_at_columns(const TableOptions *o, const TableColumns *c, Err *e) {
        const struct {
                const char *key, *name, *more;
        } all[] = {{"id", o->id, ""},
                   {"aggregatetype", o->aggregate_type, " or none"},
                   {"aggregateid", o->aggregate_id, " or none"},
                   {"type", o->type, " or none"},
                   {"payload", o->payload, ""},
                   {"time", o->time, ""},
                   {"order", o->order, ""},
                   {"after: mark COLUMN", o->mark, ""}};
        int r = 0;

        for (size_t i = 0; r == 0 && i < COUNT_OF(all); i++)
                r = want(o, c, all[i].key, all[i].name, all[i].more, e);
        return r;
}

static int look_at_types(const TableOptions *o, const TableColumns *c, Err *e) {
        static const char *const payloads[] = {"json",   "jsonb", "text", "varchar",
                                               "bpchar", "bytea", NULL};
        static const char *const marks[] = {"bool", "timestamptz", "timestamp", NULL};
        int r = want_type(o, table_column(c, o->payload), payloads, "json, jsonb, text or bytea",
                          e);

        if (r == 0 && o->mark)
                r = want_type(o, table_column(c, o->mark), marks, "boolean or timestamp", e);
        if (r == 0 && !table_column(c, o->id)->is_never_null)
                r = FAIL(e, -ENOTRECOVERABLE,
                         "column %s of table " SPAN_FMT "." SPAN_FMT " may be null, and a row "
                         "without it could not be told from others: ALTER TABLE ... ALTER COLUMN "
                         "%s SET NOT NULL",
                         o->id, SPAN_ARG(o->schema), SPAN_ARG(o->relation), o->id);
        if (r == 0 && !table_column(c, o->id)->is_unique)
                r = FAIL(
                        e, -ENOTRECOVERABLE,
                        "column %s of table " SPAN_FMT "." SPAN_FMT " has no unique index, and two "
                        "rows with the same id would be one event: CREATE UNIQUE INDEX ON " SPAN_FMT
                        "." SPAN_FMT " (%s)",
                        o->id, SPAN_ARG(o->schema), SPAN_ARG(o->relation), SPAN_ARG(o->schema),
                        SPAN_ARG(o->relation), o->id);
        return r;
}

static int finish(int r, Buf *b) {
        return r < 0 ? r : buf_add_char(b, 0);
}

int table_sql(const TableOptions *o, const TableColumns *c, TableSql *ret, Err *e) {
        int r = look_at_columns(o, c, e);

        if (r == 0)
                r = look_at_types(o, c, e);
        if (r < 0)
                return r;
        ret->read = ret->after = ret->gauges = BUF(SQL_MAX_BYTES);
        r = finish(write_read(o, c, &ret->read), &ret->read);
        if (r == 0)
                r = finish(write_after(o, c, &ret->after), &ret->after);
        if (r == 0)
                r = finish(write_gauges(o, c, &ret->gauges), &ret->gauges);
        return r < 0 ? FAIL(e, -ENOTRECOVERABLE, "the table has too many columns") : 0;
}
