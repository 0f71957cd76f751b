/* SPDX-License-Identifier: Apache-2.0 */
#include "api/schema.h"

#include "base/clock.h"
#include "http/url.h"
#include "json/text.h"

#define ITEM_MAX_BYTES 256

size_t schema_count(const Schema *s) {
        return (s->base ? schema_count(s->base) : 0) + s->n;
}

const Field *schema_field(const Schema *s, size_t i) {
        size_t before = s->base ? schema_count(s->base) : 0;

        return i < before ? schema_field(s->base, i) : &s->fields[i - before];
}

static size_t index_of(const Schema *s, const char *name) {
        size_t n = schema_count(s);

        for (size_t i = 0; i < n; i++)
                if (strcmp(schema_field(s, i)->name, name) == 0)
                        return i;
        return SIZE_MAX;
}

static bool answers_to(const Field *f, Span raw_key) {
        return json_raw_is(raw_key, span_of(f->name)) ||
               (f->alias && json_raw_is(raw_key, span_of(f->alias)));
}

/* ---- texts ---- */

const char *field_choice(const Field *f, size_t i) {
        return f->choice ? f->choice(i) : f->choices ? f->choices[i] : NULL;
}

static bool is_choice(const Field *f, Span text) {
        const char *one;

        for (size_t i = 0; (one = field_choice(f, i)); i++)
                if (span_eq(text, span_of(one)))
                        return true;
        return false;
}

static void complain_choices(const Field *f, const Where *at, Complaints *c) {
        AUTO(buf_done)
        Buf all = BUF(400);

        for (size_t i = 0; field_choice(f, i); i++)
                if (buf_addf(&all, "%s%s", i ? ", " : "", field_choice(f, i)) < 0)
                        break;
        complain(c, at, "value_error.const", "must be one of " SPAN_FMT, SPAN_ARG(buf_span(&all)));
}

static bool has_control(Span text) {
        for (size_t i = 0; i < text.n; i++)
                if ((unsigned char)text.p[i] <= 8)
                        return true;
        return false;
}

static void check_text(const Field *f, Span text, int64_t min, int64_t max, const Where *at,
                       Complaints *c) {
        if (field_choice(f, 0)) {
                if (!is_choice(f, text))
                        complain_choices(f, at, c);
        } else if (text.n < (size_t)min)
                complain(c, at, "value_error.any_str.min_length",
                         min == 1 ? "must not be empty" : "must have at least %" PRId64 " bytes",
                         min);
        else if (text.n > (size_t)max)
                complain(c, at, "value_error.any_str.max_length",
                         "must have at most %" PRId64 " bytes", max);
        else if (has_control(text))
                complain(c, at, "value_error", "must not hold control characters");
        else if (f->form && !f->form->fits(text))
                complain(c, at, "value_error.str.regex", "must be %s", f->form->says);
}

static void check_url(Span text, const Where *at, Complaints *c) {
        Err e = {0};
        Url url;

        if (url_parse(text, &url, &e) < 0)
                complain(c, at, "value_error.url", "%s", e.text);
}

static void check_time(Span text, const Where *at, Complaints *c) {
        int64_t ms;

        if (!clock_parse(text, &ms))
                complain(c, at, "value_error.datetime",
                         "must be a time as RFC 3339 writes it, such as 2024-05-01T12:00:00Z");
}

/* The decoded text of a field that is a text in some way. */
static void check_texts(const Field *f, FieldType type, bool is_item, Span text, const Where *at,
                        Complaints *c) {
        int64_t max = is_item ? f->item_max ? f->item_max : ITEM_MAX_BYTES : f->max;

        check_text(f, text, is_item ? 0 : f->min, max ? max : SCHEMA_TEXT_MAX_BYTES, at, c);
        if (type == FIELD_URL)
                check_url(text, at, c);
        else if (type == FIELD_TIME)
                check_time(text, at, c);
}

static void check_string(const Field *f, FieldType type, bool is_item, Span value, const Where *at,
                         Complaints *c) {
        AUTO(buf_done)
        Buf text = BUF(value.n); /* it does not grow */

        if (json_kind(value) != JSON_STRING)
                complain(c, at, "type_error.str", "must be a text");
        else if (json_text(value, &text) < 0)
                complain(c, at, "value_error", "must be a text of Unicode characters");
        else
                check_texts(f, type, is_item, text.n ? buf_span(&text) : SPAN(""), at, c);
}

/* ---- numbers ---- */

static bool read_int(Span text, int64_t *ret) {
        bool is_negative = text.n && text.p[0] == '-';
        uint64_t n;

        if (!span_to_u64(span_from(text, is_negative), INT64_MAX, &n))
                return false;
        *ret = is_negative ? -(int64_t)n : (int64_t)n;
        return true;
}

static void check_int(const Field *f, bool is_item, Span text, const Where *at, Complaints *c) {
        int64_t n, min = is_item ? 0 : f->min, limit = is_item ? f->item_max : f->max;
        int64_t max = limit ? limit : INT64_MAX;

        if (!read_int(text, &n))
                complain(c, at, "type_error.integer", "must be a whole number");
        else if (n < min)
                complain(c, at, "value_error.number.not_ge", "must be at least %" PRId64, min);
        else if (n > max)
                complain(c, at, "value_error.number.not_le", "must be at most %" PRId64, max);
}

/* ---- lists, maps, objects ---- */

static void check_value(const Field *f, FieldType type, bool is_item, Span value, const Where *at,
                        Complaints *c);

static bool size_fits(const Field *f, size_t n, const Where *at, Complaints *c) {
        size_t max = f->max ? (size_t)f->max : SCHEMA_ITEMS_MAX;

        if (n < (size_t)f->min)
                complain(c, at, "value_error.list.min_items",
                         "must have at least %" PRId64 " items, or be null", f->min);
        else if (n > max)
                complain(c, at, "value_error.list.max_items", "must have at most %zu items", max);
        else
                return true;
        return false;
}

static bool came_before(Span container, size_t end, Span key, Span value, bool by_key) {
        Span k, v;

        for (size_t pos = 0; json_next(container, &pos, &k, &v) && pos < end;)
                if (by_key ? json_raw_equal(k, key) : json_equal(v, value))
                        return true;
        return false;
}

static void check_list(const Field *f, Span list, const Where *at, Complaints *c) {
        Span key, item;
        size_t i = 0;
        char place[24];

        if (json_kind(list) != JSON_ARRAY) {
                complain(c, at, "type_error.list", "must be a list");
                return;
        }
        if (!size_fits(f, json_length(list), at, c))
                return;
        for (size_t pos = 0; json_next(list, &pos, &key, &item); i++) {
                Where here = {at, {place, 0}};

                here.word.n = (size_t)snprintf(place, sizeof place, "[%zu]", i);
                if (f->unique && came_before(list, pos, key, item, false))
                        complain(c, &here, "value_error.list.unique_items", "is there twice");
                else
                        check_value(f, f->item, true, item, &here, c);
        }
}

static void check_map(const Field *f, Span map, const Where *at, Complaints *c) {
        Span key, value;

        if (json_kind(map) != JSON_OBJECT) {
                complain(c, at, "type_error.dict", "must be an object");
                return;
        }
        if (!size_fits(f, json_length(map), at, c))
                return;
        for (size_t pos = 0; json_next(map, &pos, &key, &value);) {
                Where here = {at, key};

                if (came_before(map, pos, key, value, true))
                        complain(c, &here, "value_error", "is there twice");
                else if (!f->item_nullable || json_kind(value) != JSON_NULL)
                        check_value(f, f->item, true, value, &here, c);
        }
}

static void check_object(const Field *f, Span value, const Where *at, Complaints *c) {
        Values inner;

        if (f->of)
                schema_read(f->of, value, at, &inner, c);
        else if (json_kind(value) != JSON_OBJECT)
                complain(c, at, "type_error.dict", "must be an object");
}

static void check_value(const Field *f, FieldType type, bool is_item, Span value, const Where *at,
                        Complaints *c) {
        switch (type) {
        case FIELD_TEXT:
        case FIELD_URL:
        case FIELD_TIME:
                check_string(f, type, is_item, value, at, c);
                break;
        case FIELD_BOOL:
                if (json_kind(value) != JSON_TRUE && json_kind(value) != JSON_FALSE)
                        complain(c, at, "type_error.bool", "must be true or false");
                break;
        case FIELD_INTEGER:
                if (json_kind(value) != JSON_NUMBER)
                        complain(c, at, "type_error.integer", "must be a whole number");
                else
                        check_int(f, is_item, json_trim(value), at, c);
                break;
        case FIELD_OBJECT:
                check_object(f, value, at, c);
                break;
        case FIELD_LIST:
                check_list(f, value, at, c);
                break;
        case FIELD_MAP:
                check_map(f, value, at, c);
                break;
        case FIELD_ANY:
                break;
        }
}

/* ---- bodies ---- */

static void take(const Schema *s, Span raw_key, Span value, const Where *at, Values *ret,
                 Complaints *c) {
        Where here = {at, raw_key};
        size_t n = schema_count(s);

        for (size_t i = 0; i < n; i++) {
                const Field *f = schema_field(s, i);

                if (!answers_to(f, raw_key))
                        continue;
                if (ret->at[i].p) {
                        complain(c, &here, "value_error", "is there twice");
                        return;
                }
                ret->at[i] = json_trim(value);
                if (!f->nullable || json_kind(value) != JSON_NULL)
                        check_value(f, f->type, false, ret->at[i], &here, c);
                return;
        }
        if (s->strict)
                complain(c, &here, "value_error.extra", "is not known here");
}

void schema_read(const Schema *s, Span value, const Where *at, Values *ret, Complaints *c) {
        Span key, member;
        size_t n = schema_count(s);

        must(n <= SCHEMA_FIELDS_MAX);
        *ret = (Values){.schema = s};
        if (json_kind(value) != JSON_OBJECT) {
                complain(c, at, "type_error.dict", "must be an object");
                return;
        }
        for (size_t pos = 0; json_next(value, &pos, &key, &member);)
                take(s, key, member, at, ret, c);
        for (size_t i = 0; i < n && !s->partial; i++) {
                const Field *f = schema_field(s, i);
                Where here = {at, span_of(f->name)};

                if (f->required && !ret->at[i].p)
                        complain(c, &here, "value_error.missing", "is required");
        }
}

/* ---- queries ---- */

/* As forms write it: '+' is a blank. */
static Span decode(Span raw, Arena *a) {
        AUTO(buf_done)
        Buf text = BUF(16 * 1024);

        if (url_decode(&text, raw) < 0)
                return (Span){NULL, 0};
        return arena_span(a, text.n ? buf_span(&text) : SPAN(""));
}

static void check_query_item(const Field *f, FieldType type, bool is_item, Span text,
                             const Where *at, Complaints *c) {
        switch (type) {
        case FIELD_INTEGER:
                check_int(f, is_item, text, at, c);
                break;
        case FIELD_BOOL:
                if (!span_eq(text, SPAN("true")) && !span_eq(text, SPAN("false")))
                        complain(c, at, "type_error.bool", "must be true or false");
                break;
        case FIELD_LIST:
                for (Span rest = text; rest.n;) {
                        Span item = {rest.p, span_find(rest, ',')};

                        check_query_item(f, f->item, true, item, at, c);
                        rest = span_from(rest, item.n + 1);
                }
                break;
        default:
                check_texts(f, type, is_item, text, at, c);
        }
}

static void take_query(const Schema *s, Span name, Span value, Arena *a, Values *ret,
                       Complaints *c) {
        Where query = {NULL, SPAN("query")}, here = {&query, name};
        size_t n = schema_count(s);

        for (size_t i = 0; i < n; i++) {
                const Field *f = schema_field(s, i);
                Span text;

                if (!span_eq(name, span_of(f->name)))
                        continue;
                text = decode(value, a);
                if (!text.p) {
                        complain(c, &here, "value_error", "cannot be decoded");
                        return;
                }
                if (ret->at[i].p && f->type == FIELD_LIST)
                        text = span_of(arena_printf(a, SPAN_FMT "," SPAN_FMT, SPAN_ARG(ret->at[i]),
                                                    SPAN_ARG(text)));
                else if (ret->at[i].p) {
                        complain(c, &here, "value_error", "is there twice");
                        return;
                }
                ret->at[i] = text;
                return;
        }
}

void schema_read_query(const Schema *s, Span query, Arena *a, Values *ret, Complaints *c) {
        Where top = {NULL, SPAN("query")};
        size_t n = schema_count(s);

        *ret = (Values){.schema = s, .is_query = true};
        while (query.n) {
                Span pair = {query.p, span_find(query, '&')};
                size_t equals = span_find(pair, '=');

                take_query(s, (Span){pair.p, equals}, span_from(pair, equals + 1), a, ret, c);
                query = span_from(query, pair.n + 1);
        }
        for (size_t i = 0; i < n; i++) {
                const Field *f = schema_field(s, i);
                Where here = {&top, span_of(f->name)};

                if (ret->at[i].p)
                        check_query_item(f, f->type, false, ret->at[i], &here, c);
                else if (f->required)
                        complain(c, &here, "value_error.missing", "is required");
        }
}

/* ---- asking ---- */

Span value_of(const Values *v, const char *name) {
        size_t i = v->schema ? index_of(v->schema, name) : SIZE_MAX;

        must(i != SIZE_MAX);
        return v->at[i];
}

bool value_is_null(const Values *v, const char *name) {
        Span at = value_of(v, name);

        return at.p && !v->is_query && json_kind(at) == JSON_NULL;
}

static bool has(const Values *v, const char *name, Span *ret) {
        *ret = value_of(v, name);
        return ret->p && (v->is_query || json_kind(*ret) != JSON_NULL);
}

Span value_text(const Values *v, const char *name, Arena *a) {
        AUTO(buf_done)
        Buf text = BUF(SIZE_MAX);
        Span at;

        if (!has(v, name, &at))
                return (Span){NULL, 0};
        text.max = at.n; /* it does not grow */
        if (v->is_query)
                return at;
        if (memchr(at.p, '\\', at.n) == NULL)
                return (Span){at.p + 1, at.n - 2};
        return json_text(at, &text) == 0 ? arena_span(a, text.n ? buf_span(&text) : SPAN(""))
                                         : (Span){NULL, 0};
}

int64_t value_int(const Values *v, const char *name, int64_t fallback) {
        int64_t n;
        Span at;

        return has(v, name, &at) && read_int(at, &n) ? n : fallback;
}

bool value_bool(const Values *v, const char *name, bool fallback) {
        Span at;

        return has(v, name, &at) ? span_eq(at, SPAN("true")) : fallback;
}

int64_t value_time(const Values *v, const char *name) {
        int64_t ms;
        Span at;

        if (!has(v, name, &at))
                return 0;
        if (!v->is_query)
                at = (Span){at.p + 1, at.n - 2};
        return clock_parse(at, &ms) ? ms : 0;
}
