/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/row_change.h"

#include "json/value.h"

enum { SUBJECT_MAX_BYTES = 512 };

/* ---- what differs ---- */

static int add_name(Buf *out, size_t *n, Span raw_key) {
        int r = ++*n > 1 ? buf_add_char(out, ',') : 0;

        return r < 0 ? r : buf_addf(out, "\"" SPAN_FMT "\"", SPAN_ARG(raw_key));
}

/* The raw member of that raw key: both sides were written by one hand. */
static Span raw_member(Span object, Span raw_key) {
        Span key, value;

        for (size_t pos = 0; json_next(object, &pos, &key, &value);)
                if (span_eq(key, raw_key))
                        return value;
        return (Span){NULL, 0};
}

int row_change_names(Span previous, Span fresh, Buf *out) {
        Span key, value;
        size_t n = 0, before = 0;
        int r = buf_add_char(out, '[');

        for (size_t pos = 0; r == 0 && json_next(fresh, &pos, &key, &value);) {
                size_t at = before;
                Span old_key, old = {NULL, 0};

                /* Usually the columns are the same, in the same order. */
                if (!json_next(previous, &at, &old_key, &old) || !span_eq(old_key, key))
                        old = raw_member(previous, key);
                else
                        before = at;
                if (!old.p || !span_eq(old, value))
                        r = add_name(out, &n, key);
        }
        for (size_t pos = 0; r == 0 && json_next(previous, &pos, &key, &value);)
                if (!raw_member(fresh, key).p)
                        r = add_name(out, &n, key);
        return r < 0 ? r : buf_add_char(out, ']');
}

/* ---- the event ---- */

static int add_text(Buf *b, const char *key, Span text) {
        int r = buf_addf(b, ",\"%s\":", key);

        return r < 0 ? r : buf_add_json(b, text);
}

static int add_raw(Buf *b, const char *key, Span json) {
        int r = buf_addf(b, ",\"%s\":", key);

        return r < 0 ? r : buf_add(b, json.p && json.n ? json : SPAN("null"));
}

static int add_rows(Buf *b, const RowChange *c) {
        int r = add_raw(b, "key", c->key);

        if (r == 0 && c->fresh.p && c->previous.p && !c->previous_missing) {
                r = buf_add(b, SPAN(",\"changed\":"));
                if (r == 0)
                        r = row_change_names(c->previous, c->fresh, b);
        } else if (r == 0)
                r = buf_add(b, SPAN(",\"changed\":null"));
        if (r == 0)
                r = add_raw(b, "new", c->fresh);
        if (r == 0)
                r = add_raw(b, "previous", c->previous);
        if (r == 0 && c->previous_missing)
                r = add_text(b, "previousMissing", span_of(c->previous_missing));
        if (r == 0 && c->missing.n)
                r = add_raw(b, "missing", c->missing);
        return r;
}

static int add_transaction(Buf *b, const RowChange *c) {
        int r;

        if (!c->transaction.n && !c->position.n)
                return buf_add(b, SPAN(",\"transaction\":null"));
        r = buf_add(b, SPAN(",\"transaction\":{\"id\":"));
        if (r == 0)
                r = c->transaction.n ? buf_add_json(b, c->transaction) : buf_add(b, SPAN("null"));
        if (r == 0 && c->position.n)
                r = add_text(b, "position", c->position);
        if (r == 0 && c->index >= 0)
                r = buf_addf(b, ",\"index\":%" PRId64, c->index);
        return r < 0 ? r : buf_add_char(b, '}');
}

static int write_body(const RowChange *c, Span id, Span type, Buf *b) {
        int r = buf_add(b, SPAN("{\"id\":"));

        if (r == 0)
                r = buf_add_json(b, id);
        if (r == 0)
                r = add_text(b, "type", type);
        if (r == 0)
                r = add_text(b, "op", span_of(c->op));
        if (r == 0)
                r = add_text(b, "time", c->time);
        if (r == 0)
                r = add_text(b, "timeIs", span_of(c->time_is));
        if (r == 0 && c->schema.n)
                r = add_text(b, "schema", c->schema);
        if (r == 0)
                r = add_text(b, "table", c->table);
        if (r == 0)
                r = add_rows(b, c);
        if (r == 0)
                r = add_transaction(b, c);
        if (r == 0)
                r = add_raw(b, "context", c->context);
        if (r == 0 && c->is_backfill)
                r = buf_add(b, SPAN(",\"backfill\":true"));
        if (r == 0 && c->more.n)
                r = buf_addf(b, "," SPAN_FMT, SPAN_ARG(c->more));
        if (r == 0)
                r = buf_addf(b, ",\"trigger\":{\"kind\":\"%s\",\"source\":\"" SPAN_FMT "\"",
                             c->kind, SPAN_ARG(c->source));
        if (r == 0 && c->database)
                r = buf_addf(b, ",\"database\":\"%s\"", c->database);
        return r < 0 ? r : buf_add(b, SPAN("}}"));
}

/* "users/U1", "order_lines/17/3": what endpoints that keep an order go by. */
static int write_subject(const RowChange *c, Buf *b) {
        Span key, value;
        int r = buf_add(b, c->table);

        for (size_t pos = 0; r == 0 && c->key.p && json_next(c->key, &pos, &key, &value);) {
                AUTO(buf_done)
                Buf text = BUF(SUBJECT_MAX_BYTES);

                r = buf_add_char(b, '/');
                if (r == 0 && json_kind(value) == JSON_STRING)
                        r = json_text(value, &text);
                else if (r == 0)
                        r = buf_add(&text, json_trim(value));
                if (r == 0)
                        r = buf_add(b, buf_span(&text));
        }
        return r;
}

static Span keep(Arena *a, const Buf *b, bool *fits) {
        Span s = arena_span(a, b->n ? buf_span(b) : SPAN(""));

        *fits &= s.p != NULL;
        return s;
}

/* Whoever writes because of a delivery says so in the context: the change is one further than that
 * (trigger/message.h has the limit). A number, or a header's text as it came. */
static Span depth_meta(const RowChange *c, Arena *a, bool *fits) {
        AUTO(buf_done)
        Buf b = BUF(64);
        Span depth =
                c->context.n ? json_trim(json_member(c->context, SPAN("depth"))) : (Span){NULL, 0};
        uint64_t n;

        if (depth.n >= 2 && depth.p[0] == '"')
                depth = (Span){depth.p + 1, depth.n - 2};
        if (!depth.n || !span_to_u64(depth, UINT32_MAX, &n))
                return (Span){NULL, 0};
        *fits &= buf_addf(&b, "\"depth\":%" PRIu64, n + 1) == 0;
        return keep(a, &b, fits);
}

static int write_head(const RowChange *c, Buf *id, Buf *type) {
        int r = buf_addf(id, SPAN_FMT "/" SPAN_FMT, SPAN_ARG(c->source), SPAN_ARG(c->id));

        return r < 0 ? r : buf_addf(type, SPAN_FMT ".%s", SPAN_ARG(c->table), c->op);
}

/* ---- what is too large ---- */

static int begin_missing(Buf *b, Span missing) {
        return missing.n > 2 ? buf_add(b, span_make(missing.p, missing.n - 1))
                             : buf_add_char(b, '[');
}

/* The members whose values are not large; the names of the others go to `missing`. */
static int add_small(Span object, Buf *b, Buf *missing, size_t *n_missing) {
        Span key, value;
        int r = buf_add_char(b, '{'), n = 0;

        for (size_t pos = 0; r == 0 && json_next(object, &pos, &key, &value);) {
                if (value.n <= ROW_CHANGE_LARGE_BYTES) {
                        r = buf_addf(b, "%s\"" SPAN_FMT "\":" SPAN_FMT, n++ ? "," : "",
                                     SPAN_ARG(key), SPAN_ARG(value));
                        continue;
                }
                ++*n_missing;
                if (missing)
                        r = buf_addf(missing, "%s\"" SPAN_FMT "\"", missing->n > 1 ? "," : "",
                                     SPAN_ARG(key));
        }
        return r < 0 ? r : buf_add_char(b, '}');
}

static int write_small(const RowChange *c, Span id, Span type, Buf *body) {
        AUTO(buf_done)
        Buf fresh = BUF(ROW_CHANGE_MAX_BYTES);
        AUTO(buf_done)
        Buf previous = BUF(ROW_CHANGE_MAX_BYTES);
        AUTO(buf_done)
        Buf missing = BUF(1024 * 1024);
        size_t n_fresh = 0, n_previous = 0;
        RowChange small = *c;
        int r = begin_missing(&missing, c->missing);

        if (r == 0 && c->fresh.p)
                r = add_small(c->fresh, &fresh, &missing, &n_fresh);
        if (r == 0 && c->previous.p)
                r = add_small(c->previous, &previous, NULL, &n_previous);
        if (r == 0)
                r = buf_add_char(&missing, ']');
        if (r < 0)
                return r;
        if (c->fresh.p)
                small.fresh = buf_span(&fresh);
        if (c->previous.p)
                small.previous = buf_span(&previous);
        if (n_fresh)
                small.missing = buf_span(&missing);
        /* Of values that are not there nobody can say whether they changed. */
        if (c->previous.p && (n_previous || n_fresh) && !c->previous_missing)
                small.previous_missing = "too-large";
        if (c->context.n > ROW_CHANGE_LARGE_BYTES)
                small.context = (Span){NULL, 0};
        buf_clear(body);
        return write_body(&small, id, type, body);
}

bool row_change_event(const RowChange *c, Arena *a, EnvelopeEvent *ret) {
        AUTO(buf_done)
        Buf id = BUF(1024);
        AUTO(buf_done)
        Buf type = BUF(256);
        AUTO(buf_done)
        Buf subject = BUF(SUBJECT_MAX_BYTES);
        AUTO(buf_done)
        Buf body = BUF(ROW_CHANGE_MAX_BYTES);
        bool fits = true;

        if (write_head(c, &id, &type) < 0)
                return false;
        if (write_body(c, buf_span(&id), buf_span(&type), &body) < 0 &&
            write_small(c, buf_span(&id), buf_span(&type), &body) < 0)
                return false;
        /* A key beyond all measure orders nothing; the table alone does not mislead. */
        if (write_subject(c, &subject) < 0) {
                buf_clear(&subject);
                (void)!buf_add(&subject, c->table);
        }
        *ret = (EnvelopeEvent){.body = keep(a, &body, &fits),
                               .type = keep(a, &type, &fits),
                               .subject = keep(a, &subject, &fits),
                               .time = c->time,
                               .key = keep(a, &id, &fits),
                               .meta = depth_meta(c, a, &fits)};
        return fits;
}
