/* SPDX-License-Identifier: Apache-2.0
 *
 * Events as CloudEvents 1.0, byte by byte: the SDKs forgive what the specification does not. */
#include "flow/cloudevent.h"

#include "unit.h"
#include "json/check.h"

#include <jansson.h>

static const Event usual = {
        .id = 9,
        .received_ms = 1764000000123,
        .time_ms = 1763999999000,
        .source = {"app_1", 5},
        .type = {"user.updated", 12},
        .subject = {"user-1", 6},
        .content_type = {"application/json", 16},
        .body = {"{\"a\": 1}", 8},
};

typedef struct Headers {
        Arena *arena;
        HttpHeader at[CLOUDEVENT_HEADERS];
        int n;
} Headers;

static Headers headers_of(const Event *event) {
        Headers h = {.arena = arena_new(64 * 1024)};

        h.n = cloudevent_headers(event, SPAN("msg_1"), h.arena, h.at);
        return h;
}

static Span header(const Headers *h, const char *name) {
        for (int i = 0; i < h->n; i++)
                if (span_eq(h->at[i].name, span_of(name)))
                        return h->at[i].value;
        return (Span){NULL, 0};
}

static void is(Span s, const char *text) {
        if (!span_eq(s, span_of(text)))
                fail_msg("'%.*s' is not '%s'", SPAN_ARG(s), text);
}

static void attributes_are_headers(void **state) {
        Headers h = headers_of(&usual);

        (void)state;
        assert_int_equal(h.n, 6);
        is(header(&h, "ce-specversion"), "1.0");
        is(header(&h, "ce-id"), "msg_1");
        is(header(&h, "ce-source"), "/app_1");
        is(header(&h, "ce-type"), "user.updated");
        is(header(&h, "ce-time"), "2025-11-24T15:59:59.000Z");
        is(header(&h, "ce-subject"), "user-1");
        arena_free(h.arena);
        /* The data's type is Content-Type alone; a time that was not said is that of receipt; no
         * attribute is empty. */
        Event event = usual;
        event.time_ms = 0;
        event.subject = (Span){NULL, 0};
        h = headers_of(&event);
        assert_int_equal(h.n, 5);
        assert_null(header(&h, "ce-datacontenttype").p);
        is(header(&h, "ce-time"), "2025-11-24T16:00:00.123Z");
        assert_null(header(&h, "ce-subject").p);
        arena_free(h.arena);
}

/* The worked example of the HTTP protocol binding, section 3.1.3.2. */
static void values_are_percent_encoded(void **state) {
        Event event = usual;

        (void)state;
        event.subject = SPAN("Euro \xe2\x82\xac \xf0\x9f\x98\x80");
        Headers h = headers_of(&event);
        is(header(&h, "ce-subject"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        arena_free(h.arena);
        event.subject = SPAN("a\r\nX: 1\t\"%41\"\x7f\0/?#~!{}");
        event.type = SPAN("t\nu");
        h = headers_of(&event);
        is(header(&h, "ce-subject"), "a%0D%0AX:%201%09%22%2541%22%7F%00/?#~!{}");
        is(header(&h, "ce-type"), "t%0Au");
        arena_free(h.arena);
}

static void every_byte_is_plain_or_encoded(void **state) {
        char all[256];
        Event event = usual;

        (void)state;
        for (int c = 0; c < 256; c++)
                all[c] = (char)c;
        event.subject = span_make(all, sizeof all);
        Headers h = headers_of(&event);
        Span value = header(&h, "ce-subject");
        size_t at = 0;
        for (int c = 0; c < 256; c++) {
                char want[4];
                bool plain = c >= 0x21 && c <= 0x7e && c != '"' && c != '%';

                (void)snprintf(want, sizeof want, plain ? "%c" : "%%%02X", c);
                assert_true(span_starts(span_from(value, at), span_of(want)));
                at += strlen(want);
        }
        assert_int_equal(at, value.n);
        arena_free(h.arena);
}

static void what_is_too_long_for_headers_is_said(void **state) {
        AUTO(freep)
        char *much = must_alloc(16 * 1024);
        Event event = usual;

        (void)state;
        memset(much, ' ', 16 * 1024);
        event.subject = span_make(much, EVENT_SUBJECT_MAX_BYTES);
        event.source = span_make(much, EVENT_WORD_MAX_BYTES);
        Headers h = headers_of(&event);
        assert_int_equal(header(&h, "ce-subject").n, 3 * EVENT_SUBJECT_MAX_BYTES);
        assert_int_equal(header(&h, "ce-source").n, 1 + 3 * EVENT_WORD_MAX_BYTES);
        arena_free(h.arena);
        event.subject = span_make(much, 16 * 1024);
        h = headers_of(&event);
        assert_int_equal(h.n, -EMSGSIZE);
        arena_free(h.arena);
        h.arena = arena_new(64);
        assert_int_equal(cloudevent_headers(&usual, SPAN("msg_1"), h.arena, h.at), -EMSGSIZE);
        arena_free(h.arena);
}

/* ---- structured ---- */

static void printed(const Event *event, const char *text) {
        AUTO(buf_done)
        Buf b = BUF(64 * 1024);
        JsonFault fault;

        assert_int_equal(cloudevent_print(event, SPAN("msg_1"), &b), 0);
        is(buf_span(&b), text);
        assert_int_equal(json_check(buf_span(&b), JSON_KEYS_MAX, &fault), 0);
}

#define BEFORE                                                                                     \
        "{\"specversion\":\"1.0\",\"id\":\"msg_1\",\"source\":\"/app_1\","                         \
        "\"type\":\"user.updated\",\"time\":\"2025-11-24T15:59:59.000Z\","                         \
        "\"subject\":\"user-1\",\"datacontenttype\":"

static void json_data_stays_as_it_is(void **state) {
        Event event = usual;

        (void)state;
        event.body = SPAN(" {\"a\" : 9007199254740993, \"a\":1e400,\"\\u0000\":[] }\n");
        printed(&event, BEFORE "\"application/json\",\"data\": {\"a\" : 9007199254740993, "
                               "\"a\":1e400,\"\\u0000\":[] }\n}");
        event.body = SPAN("null");
        event.content_type = SPAN("application/vnd.x+json;charset=utf-8");
        printed(&event, BEFORE "\"application/vnd.x+json;charset=utf-8\",\"data\":null}");
        event.content_type = SPAN("application/json ; charset=utf-8");
        printed(&event, BEFORE "\"application/json ; charset=utf-8\",\"data\":null}");
        event.content_type = SPAN("APPLICATION/JSON");
        printed(&event, BEFORE "\"APPLICATION/JSON\",\"data\":null}");
}

static void other_data_is_base64(void **state) {
        static const char *const types[] = {"text/plain",
                                            "application/xml",
                                            "application/jsonp",
                                            "application/json-seq",
                                            "+json",
                                            "json",
                                            "x/+json/",
                                            "application/json; charset=utf-16"};
        Event event = usual;

        (void)state;
        for (size_t i = 0; i < COUNT_OF(types); i++) {
                char want[512];

                event.content_type = span_of(types[i]);
                (void)snprintf(want, sizeof want, BEFORE "\"%s\",\"data_base64\":\"eyJhIjogMX0=\"}",
                               types[i]);
                printed(&event, want);
        }
        event.content_type = SPAN("application/octet-stream");
        event.body = SPAN("\0\xff\"");
        printed(&event, BEFORE "\"application/octet-stream\",\"data_base64\":\"AP8i\"}");
        event.body = SPAN("");
        printed(&event, BEFORE "\"application/octet-stream\",\"data_base64\":\"\"}");
        /* Nobody said what it is. */
        event.content_type = (Span){NULL, 0};
        event.body = SPAN("x");
        printed(&event, "{\"specversion\":\"1.0\",\"id\":\"msg_1\",\"source\":\"/app_1\","
                        "\"type\":\"user.updated\",\"time\":\"2025-11-24T15:59:59.000Z\","
                        "\"subject\":\"user-1\",\"data_base64\":\"eA==\"}");
}

/* A body that lies about its type must not break the document, or end it early. */
static void what_says_json_and_is_none_is_base64(void **state) {
        static const char *const bodies[] = {"",    "{",      "1,\"id\":\"x\"", "{} {}",
                                             "NaN", "'text'", "\"\xff\"",       "{}}",
                                             "01",  "[1,2,]", "// x",           "\xef\xbb\xbf{}"};
        Event event = usual;

        (void)state;
        for (size_t i = 0; i < COUNT_OF(bodies); i++) {
                AUTO(buf_done)
                Buf b = BUF(64 * 1024);
                json_error_t why;

                event.body = span_of(bodies[i]);
                assert_int_equal(cloudevent_print(&event, SPAN("msg_1"), &b), 0);
                json_t *doc = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, &why);
                assert_non_null(doc);
                assert_null(json_object_get(doc, "data"));
                assert_true(json_is_string(json_object_get(doc, "data_base64")));
                assert_string_equal(json_string_value(json_object_get(doc, "id")), "msg_1");
                json_decref(doc);
        }
}

static void hostile_attributes_stay_texts(void **state) {
        Event event = usual;
        json_error_t why;
        AUTO(buf_done)
        Buf b = BUF(64 * 1024);

        (void)state;
        event.subject = SPAN("\",\"id\":\"evil\",\"x\":\"\r\n\x01\\");
        event.type = SPAN("\xff\xfe\"}");
        event.source = SPAN("a\"b");
        assert_int_equal(cloudevent_print(&event, SPAN("msg_1"), &b), 0);
        json_t *doc = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, &why);
        assert_non_null(doc);
        assert_string_equal(json_string_value(json_object_get(doc, "id")), "msg_1");
        assert_string_equal(json_string_value(json_object_get(doc, "subject")),
                            "\",\"id\":\"evil\",\"x\":\"\r\n\x01\\");
        assert_string_equal(json_string_value(json_object_get(doc, "type")),
                            "\xef\xbf\xbd\xef\xbf\xbd\"}");
        assert_string_equal(json_string_value(json_object_get(doc, "source")), "/a\"b");
        json_decref(doc);
}

static void what_does_not_fit_is_said(void **state) {
        AUTO(buf_done)
        Buf b = BUF(100);

        (void)state;
        assert_int_equal(cloudevent_print(&usual, SPAN("msg_1"), &b), -EMSGSIZE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(attributes_are_headers),
                cmocka_unit_test(values_are_percent_encoded),
                cmocka_unit_test(every_byte_is_plain_or_encoded),
                cmocka_unit_test(what_is_too_long_for_headers_is_said),
                cmocka_unit_test(json_data_stays_as_it_is),
                cmocka_unit_test(other_data_is_base64),
                cmocka_unit_test(what_says_json_and_is_none_is_base64),
                cmocka_unit_test(hostile_attributes_stay_texts),
                cmocka_unit_test(what_does_not_fit_is_said),
        };

        return cmocka_run_group_tests_name("cloudevent", tests, NULL, NULL);
}
