/* SPDX-License-Identifier: Apache-2.0
 *
 * The headers that an endpoint's requests bear beside those of the signature. Values of headers
 * that carry credentials are not shown again. */
#include "api/nouns.h"
#include "api/text.h"
#include "base/clock.h"
#include "json/text.h"
#include "json/value.h"

#define HEADERS_FIELD(nulls)                                                                       \
        {                                                                                          \
                .name = "headers", .type = FIELD_MAP, .item = FIELD_TEXT, .required = true,        \
                .item_nullable = nulls, .max = ENDPOINT_HEADERS_MAX, .item_max = 4096              \
        }

static const Field in_fields[] = {HEADERS_FIELD(false)};
static const Field patch_fields[] = {
        HEADERS_FIELD(true),
        {.name = "deleteHeaders",
         .type = FIELD_LIST,
         .item = FIELD_TEXT,
         .max = ENDPOINT_HEADERS_MAX,
         .help = "Names of headers that are taken away."},
};
static const Field out_fields[] = {
        HEADERS_FIELD(false),
        {.name = "sensitive",
         .type = FIELD_LIST,
         .item = FIELD_TEXT,
         .required = true,
         .help = "Names of headers whose values are not shown."},
};

const Schema schema_headers_in = {.name = "EndpointHeadersIn", SCHEMA_FIELDS(in_fields)};
const Schema schema_headers_patch_in = {.name = "EndpointHeadersPatchIn",
                                        SCHEMA_FIELDS(patch_fields)};
const Schema schema_headers_out = {.name = "EndpointHeadersOut", SCHEMA_FIELDS(out_fields)};

/* Names are tokens: whoever wrote one with escapes did not mean to be understood. */
static bool is_sensitive(const Op *op, Span raw_name) {
        return endpoint_hides(op->endpoint->endpoint, raw_name) ||
               span_find(raw_name, '\\') < raw_name.n;
}

void endpoint_headers_get(Op *op) {
        AUTO(put_done)
        Put p = PUT(OBJECT_TEXT_MAX_BYTES);
        Span headers = text_member(op->endpoint->object.text, "headers"), name, value;

        put_open(&p, NULL, '{');
        put_open(&p, "headers", '{');
        for (size_t pos = 0; headers.p && json_next(headers, &pos, &name, &value);)
                if (!is_sensitive(op, name))
                        put_raw_for_raw(&p, name, value);
        put_close(&p, '}');
        put_open(&p, "sensitive", '[');
        for (size_t pos = 0; headers.p && json_next(headers, &pos, &name, &value);)
                if (is_sensitive(op, name))
                        put_text(&p, NULL, name);
        put_close(&p, ']');
        put_close(&p, '}');
        op_json(op, 200, &p);
}

/* ---- writing ---- */

static void on_written(Op *op, Entry *e) {
        entry_unref(e);
        op_none(op, 204);
}

static bool names(Span map, Span raw_key) {
        Span key, value;

        for (size_t pos = 0; map.p && json_next(map, &pos, &key, &value);)
                if (span_eq_nocase(key, raw_key) || json_raw_equal(key, raw_key))
                        return true;
        return false;
}

static bool lists(Span list, Span raw_key) {
        Span key, value;

        for (size_t pos = 0; list.p && json_next(list, &pos, &key, &value);) {
                AUTO(buf_done)
                Buf name = BUF(1024);

                if (json_text(value, &name) == 0 && span_eq_nocase(buf_span(&name), raw_key))
                        return true;
        }
        return false;
}

/* `kept` (.p NULL: none), but for what `given` names and `gone` lists; then what is given. */
static void put_headers(Put *p, Span kept, Span given, Span gone) {
        Span key, value;

        put_open(p, "headers", '{');
        for (size_t pos = 0; kept.p && json_next(kept, &pos, &key, &value);)
                if (!names(given, key) && !lists(gone, key))
                        put_raw_for_raw(p, key, value);
        for (size_t pos = 0; json_next(given, &pos, &key, &value);)
                if (json_kind(value) != JSON_NULL)
                        put_raw_for_raw(p, key, value);
        put_close(p, '}');
}

static void write_it(Op *op, bool keeps) {
        AUTO(put_done)
        Put p = PUT(OBJECT_TEXT_MAX_BYTES);
        Span text = op->endpoint->object.text, key, value;

        put_open(&p, NULL, '{');
        for (size_t pos = 0; json_next(text, &pos, &key, &value);)
                if (!span_eq(key, SPAN("headers")) && !span_eq(key, SPAN("updatedAt")))
                        put_raw_for_raw(&p, key, value);
        put_headers(&p, keeps ? text_member(text, "headers") : (Span){NULL, 0},
                    value_of(&op->body, "headers"),
                    keeps ? value_of(&op->body, "deleteHeaders") : (Span){NULL, 0});
        put_int(&p, "updatedAt", clock_wall_ms());
        put_close(&p, '}');
        endpoint_write(op, p.fault ? (Span){NULL, 0} : arena_span(op->arena, put_span(&p)),
                       on_written);
}

void endpoint_headers_put(Op *op) {
        write_it(op, false);
}

void endpoint_headers_patch(Op *op) {
        write_it(op, true);
}
