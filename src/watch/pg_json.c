/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/pg_json.h"

#include "json/check.h"

enum { ARRAY_DEPTH_MAX = 6 }; /* PostgreSQL's own */

/* OIDs that are the same in every PostgreSQL (src/include/catalog/pg_type.dat). */
enum {
        BOOL = 16,
        INT8 = 20,
        INT2 = 21,
        INT4 = 23,
        JSON = 114,
        FLOAT4 = 700,
        FLOAT8 = 701,
        TIMESTAMP = 1114,
        TIMESTAMPTZ = 1184,
        NUMERIC = 1700,
        JSONB = 3802,
};

/* NaN and Infinity are no JSON. */
static int add_number(Buf *b, Span text) {
        JsonFault fault;
        bool is_number = text.n && (text.p[0] == '-' || (text.p[0] >= '0' && text.p[0] <= '9')) &&
                         json_check(text, 1, &fault) == 0;

        return is_number ? buf_add(b, text) : buf_add_json(b, text);
}

/* "2026-01-02 03:04:05.6+00" -> "2026-01-02T03:04:05.6+00:00"; "infinity" and whatever else has no
 * time of day stay as they are. */
static int add_time(Buf *b, Span text, bool has_zone) {
        size_t blank = span_find(text, ' ');
        Span clock = blank < text.n ? span_from(text, blank + 1) : SPAN("");
        size_t zone = span_find(clock, '+');
        Span hours = zone < clock.n ? span_from(clock, zone + 1) : SPAN("");
        bool is_short = has_zone && hours.n >= 2 && (hours.n == 2 || hours.p[2] == ' ');
        AUTO(buf_done)
        Buf iso = BUF(128);
        int r;

        if (blank >= text.n || text.n > 64)
                return buf_add_json(b, text);
        r = buf_addf(&iso, SPAN_FMT "T", (int)blank, text.p);
        if (r == 0 && is_short)
                r = buf_addf(&iso, SPAN_FMT ":00" SPAN_FMT, (int)(zone + 3), clock.p,
                             SPAN_ARG(span_from(clock, zone + 3)));
        else if (r == 0)
                r = buf_add(&iso, clock);
        return r < 0 ? r : buf_add_json(b, buf_span(&iso));
}

static int add_plain(Buf *b, uint32_t type, Span text) {
        switch (type) {
        case BOOL:
                return buf_add(b, span_eq(text, SPAN("t")) ? SPAN("true") : SPAN("false"));
        case INT2:
        case INT4:
        case INT8:
        case FLOAT4:
        case FLOAT8:
        case NUMERIC:
                return add_number(b, text);
        case JSON:
        case JSONB:
                return buf_add(b, text.n ? text : SPAN("null"));
        case TIMESTAMP:
                return add_time(b, text, false);
        case TIMESTAMPTZ:
                return add_time(b, text, true);
        default:
                return buf_add_json(b, text);
        }
}

/* ---- arrays: {1,NULL,"a \"b\""}, {{1,2},{3,4}}, [0:1]={1,2} ---- */

typedef struct Array {
        const char *p, *end;
        uint32_t element;
        Buf item; /* one element without its quotes */
} Array;

/* One element that is no array. 0; 1: that is no array after all. */
static int add_element(Array *a, Buf *b) {
        bool is_quoted = a->p < a->end && *a->p == '"';
        int r = 0;

        buf_clear(&a->item);
        a->p += is_quoted;
        while (r == 0 && a->p < a->end &&
               (is_quoted ? *a->p != '"' : *a->p != ',' && *a->p != '}')) {
                if (*a->p == '\\' && ++a->p == a->end)
                        return 1;
                r = buf_add_char(&a->item, *a->p++);
        }
        if (r < 0)
                return r;
        if (a->p == a->end || (!is_quoted && a->item.n == 0))
                return 1;
        a->p += is_quoted;
        if (!is_quoted && span_eq(buf_span(&a->item), SPAN("NULL")))
                return buf_add(b, SPAN("null"));
        return add_plain(b, a->element, a->item.n ? buf_span(&a->item) : SPAN(""));
}

/* From its '{' to behind its '}'. */
static int add_list(Array *a, Buf *b, int depth) {
        int r = buf_add_char(b, '['), n = 0;

        if (a->p == a->end || *a->p != '{' || depth > ARRAY_DEPTH_MAX)
                return 1;
        a->p++;
        while (r == 0 && a->p < a->end && *a->p != '}') {
                if (n++ && *a->p++ != ',')
                        return 1;
                if (n > 1)
                        r = buf_add_char(b, ',');
                if (r == 0)
                        r = a->p < a->end && *a->p == '{' ? add_list(a, b, depth + 1)
                                                          : add_element(a, b);
        }
        if (r != 0)
                return r;
        if (a->p == a->end)
                return 1;
        a->p++;
        return buf_add_char(b, ']');
}

static int add_array(Buf *b, uint32_t element, Span text) {
        size_t bounds = text.n && text.p[0] == '[' ? span_find(text, '=') + 1 : 0;
        Span list = span_from(text, bounds);
        Array a = {list.p, list.p + list.n, element, BUF(text.n)};
        size_t before = b->n;
        int r = add_list(&a, b, 1);

        if (r == 1 || (r == 0 && a.p != a.end)) {
                b->n = before;
                r = buf_add_json(b, text);
        }
        buf_done(&a.item);
        return r;
}

int pg_json_add(Buf *b, PgType type, Span text) {
        return type.element ? add_array(b, type.element, text) : add_plain(b, type.oid, text);
}
