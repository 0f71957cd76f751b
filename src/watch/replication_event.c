/* SPDX-License-Identifier: Apache-2.0
 *
 * A change of the log as an event. What the log does not say is named, never made up: columns that
 * are stored out of line and did not change are left out of `new` and listed in `missing`, and of
 * the row before there is as much as the table's replica identity writes. */
#include "base/clock.h"
#include "watch/replication.h"

#include <errno.h>

/* 2000-01-01T00:00:00Z, PostgreSQL's beginning of time, in Unix seconds. */
#define PG_EPOCH_S INT64_C(946684800)

typedef struct Values {
        PgoutputValue *at; /* NULL: there is no such row */
} Values;

static void values_done(Values *v) {
        free(v->at);
}

static int unpack(const Shape *s, const PgoutputRow *row, Values *ret, Err *e) {
        size_t pos = 0, n = 0;

        if (!row->bytes.p)
                return 0;
        if (row->n != s->n_columns)
                return FAIL(e, -EBADMSG, "a row of %zu columns came for table " SPAN_FMT " of %zu",
                            row->n, SPAN_ARG(s->name), s->n_columns);
        ret->at = must_alloc((row->n + 1) * sizeof *ret->at);
        while (n < row->n && pgoutput_value(row, &pos, &ret->at[n]))
                n++;
        return n == row->n ? 0 : FAIL(e, -EBADMSG, "a row ends too early");
}

static int add_member(Buf *b, const ShapeColumn *c, const PgoutputValue *v) {
        int r = b->n > 1 ? buf_add_char(b, ',') : 0;

        if (r == 0)
                r = buf_add_json(b, c->name);
        if (r == 0)
                r = buf_add_char(b, ':');
        if (r < 0)
                return r;
        return v->kind == PGOUTPUT_TEXT ? pg_json_add(b, c->type, v->text)
                                        : buf_add(b, SPAN("null"));
}

/* The object of a row; with `identity_only` of what the identity holds. Values that did not come,
 * or have more than `most` bytes, are left out and named in `missing`. */
static int add_object(const Shape *s, const Values *v, bool identity_only, size_t most, Buf *b,
                      Buf *missing) {
        int r = buf_add_char(b, '{');

        for (size_t i = 0; r == 0 && i < s->n_columns; i++) {
                const ShapeColumn *c = &s->columns[i];

                if (identity_only && !c->is_identity)
                        continue;
                if (v->at[i].kind != PGOUTPUT_UNCHANGED && v->at[i].text.n <= most)
                        r = add_member(b, c, &v->at[i]);
                else if (missing) {
                        r = buf_add_char(missing, missing->n ? ',' : '[');
                        if (r == 0)
                                r = buf_add_json(missing, c->name);
                }
        }
        if (r == 0 && missing && missing->n)
                r = buf_add_char(missing, ']');
        return r < 0 ? r : buf_add_char(b, '}');
}

/* Nothing when the table has none, or when a column of it did not come. */
static int add_key(const Shape *s, const Values *v, bool identity_only, Buf *b) {
        int r = s->n_key ? buf_add_char(b, '{') : 0;

        for (size_t i = 0; r == 0 && i < s->n_key; i++) {
                size_t at = s->key[i];

                if (v->at[at].kind == PGOUTPUT_UNCHANGED ||
                    (identity_only && !s->columns[at].is_identity)) {
                        buf_clear(b);
                        return 0;
                }
                r = add_member(b, &s->columns[at], &v->at[at]);
        }
        return r < 0 || !s->n_key ? r : buf_add_char(b, '}');
}

/* What did not come with the row after is taken from the row before, when that is whole. */
static void fill(const Shape *s, Values *fresh, const Values *previous) {
        for (size_t i = 0; i < s->n_columns; i++)
                if (fresh->at[i].kind == PGOUTPUT_UNCHANGED &&
                    previous->at[i].kind != PGOUTPUT_UNCHANGED)
                        fresh->at[i] = previous->at[i];
}

static const char *why_missing(const Shape *s) {
        switch (s->identity) {
        case 'i':
                return "identity-index";
        case 'n':
                return "identity-nothing";
        default:
                return "identity-default";
        }
}

static const char *op_of(PgoutputKind kind) {
        switch (kind) {
        case PGOUTPUT_INSERT:
                return "insert";
        case PGOUTPUT_UPDATE:
                return "update";
        case PGOUTPUT_DELETE:
                return "delete";
        default:
                return "truncate";
        }
}

/* RFC 3339 with microseconds, as PostgreSQL has them. */
static Span time_of(Arena *a, int64_t micros) {
        int64_t ms = micros / 1000 - (micros % 1000 < 0);
        int rest = (int)(micros - ms * 1000);
        char text[CLOCK_TEXT];

        clock_print(PG_EPOCH_S * 1000 + ms, text);
        text[CLOCK_TEXT - 2] = 0; /* its Z */
        return span_of(arena_printf(a, "%s%03dZ", text, rest));
}

/* ---- the whole ---- */

typedef struct Parts {
        Buf fresh, previous, missing, key;
} Parts;

static void parts_done(Parts *p) {
        buf_done(&p->fresh);
        buf_done(&p->previous);
        buf_done(&p->missing);
        buf_done(&p->key);
}

static int write_parts(const Shape *s, const PgoutputMessage *m, size_t most, Parts *p, Err *e) {
        AUTO(values_done)
        Values fresh = {0};
        AUTO(values_done)
        Values previous = {0};
        int r = unpack(s, &m->fresh, &fresh, e);

        if (r == 0)
                r = unpack(s, &m->previous, &previous, e);
        if (r < 0)
                return r;
        if (fresh.at && previous.at && !m->is_key_only)
                fill(s, &fresh, &previous);
        if (fresh.at)
                r = add_object(s, &fresh, false, most, &p->fresh, &p->missing);
        if (r == 0 && previous.at)
                r = add_object(s, &previous, m->is_key_only, most, &p->previous, NULL);
        if (r == 0 && fresh.at)
                r = add_key(s, &fresh, false, &p->key);
        else if (r == 0 && previous.at)
                r = add_key(s, &previous, m->is_key_only, &p->key);
        return r < 0 ? FAIL(e, r, "a row of table " SPAN_FMT " is too large for an event",
                            SPAN_ARG(s->name))
                     : 0;
}

static Span part(const Buf *b) {
        return b->n ? buf_span(b) : (Span){NULL, 0};
}

static int write_event(Replication *r, const Shape *s, const PgoutputMessage *m,
                       const ReplicationPlace *at, size_t most, Arena *a, EnvelopeEvent *ret,
                       Err *e) {
        AUTO(parts_done)
        Parts p = {BUF(ROW_CHANGE_MAX_BYTES), BUF(ROW_CHANGE_MAX_BYTES), BUF(1024 * 1024),
                   BUF(1024 * 1024)};
        char id[64], position[24], xid[16];
        bool had_previous = m->kind == PGOUTPUT_UPDATE || m->kind == PGOUTPUT_DELETE;
        int err = m->kind == PGOUTPUT_TRUNCATE ? 0 : write_parts(s, m, most, &p, e);

        if (err < 0)
                return err;
        (void)snprintf(position, sizeof position, LSN_FMT, LSN_ARG(at->lsn));
        (void)snprintf(xid, sizeof xid, "%" PRIu32, at->xid);
        /* A database that was put back to an older state writes the same positions once more. */
        (void)snprintf(id, sizeof id, "%s-%" PRId64 "-%" PRId64, position, at->index, at->micros);
        RowChange c = {.source = span_of(watch_trigger(r->watch)->source->name),
                       .kind = "replication",
                       .database = r->o->name,
                       .schema = s->schema,
                       .table = s->name,
                       .op = op_of(m->kind),
                       .fresh = part(&p.fresh),
                       .previous = part(&p.previous),
                       .previous_missing = had_previous && (!p.previous.n || m->is_key_only)
                                                   ? why_missing(s)
                                           : p.previous.n && most < SIZE_MAX ? "too-large"
                                                                             : NULL,
                       .missing = buf_span(&p.missing),
                       .key = part(&p.key),
                       .transaction = span_of(xid),
                       .position = span_of(position),
                       .index = at->index,
                       .time = time_of(a, at->micros),
                       .time_is = "commit",
                       .context = at->context,
                       .id = span_of(id)};

        return c.time.p && row_change_event(&c, a, ret)
                       ? 0
                       : FAIL(e, -EMSGSIZE, "the change %s is too large for an event", id);
}

/* What stands in the log comes again and again, so that a row that is too large would be the last
 * one: it goes without its large values. */
int replication_event(Replication *r, const Shape *s, const PgoutputMessage *m,
                      const ReplicationPlace *at, Arena *a, EnvelopeEvent *ret, Err *e) {
        Err ignored = {0};
        int err = write_event(r, s, m, at, SIZE_MAX, a, ret, &ignored);

        if (err == -EMSGSIZE)
                return write_event(r, s, m, at, ROW_CHANGE_LARGE_BYTES, a, ret, e);
        if (err < 0)
                *e = ignored;
        return err;
}
