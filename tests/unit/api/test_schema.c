/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of fields as judges of bodies and queries. */
#include "api/schema.h"

#include "unit.h"
#include "json/check.h"

static const char *const colours[] = {"red", "blue", NULL};

static const Field inner_fields[] = {
        {.name = "x", .type = FIELD_INTEGER, .required = true, .min = 1, .max = 9},
};
static const Schema inner = {.name = "Inner", SCHEMA_FIELDS(inner_fields), .strict = true};

static const Field fields[] = {
        {.name = "name", .type = FIELD_TEXT, .required = true, .min = 1, .max = 5},
        {.name = "uid", .alias = "id", .type = FIELD_TEXT, .nullable = true, .form = &form_name},
        {.name = "type", .type = FIELD_TEXT, .form = &form_type_filter},
        {.name = "colour", .type = FIELD_TEXT, .choices = colours},
        {.name = "size", .type = FIELD_INTEGER, .nullable = true, .min = -2, .max = 65535},
        {.name = "on", .type = FIELD_BOOL},
        {.name = "when", .type = FIELD_TIME},
        {.name = "url", .type = FIELD_URL},
        {.name = "list",
         .type = FIELD_LIST,
         .item = FIELD_TEXT,
         .unique = true,
         .min = 1,
         .max = 3,
         .item_max = 4,
         .form = &form_name},
        {.name = "pauses", .type = FIELD_LIST, .item = FIELD_INTEGER, .max = 2, .item_max = 100},
        {.name = "map", .type = FIELD_MAP, .item = FIELD_TEXT, .max = 2, .item_nullable = true},
        {.name = "inner", .type = FIELD_OBJECT, .of = &inner, .nullable = true},
        {.name = "any", .type = FIELD_OBJECT},
};
static const Schema schema = {.name = "Outer", SCHEMA_FIELDS(fields)};
static const Schema patch = {.name = "Patch", SCHEMA_FIELDS(fields), .partial = true};

/* How many complaints; what they say is in `said`. */
static size_t judge(const Schema *s, const char *text, Values *v, char *said, size_t room) {
        AUTO(complaints_done)
        Complaints all = COMPLAINTS;
        AUTO(buf_done)
        Buf b = BUF(65536);
        Where body = {NULL, SPAN("body")};
        JsonFault fault;

        assert_int_equal(json_check(span_of(text), SIZE_MAX, &fault), 0);
        schema_read(s, span_of(text), &body, v, &all);
        assert_int_equal(complaints_print(&all, &b), 0);
        assert_int_equal(json_check(buf_span(&b), SIZE_MAX, &fault), 0);
        (void)snprintf(said, room, SPAN_FMT, SPAN_ARG(buf_span(&b)));
        return all.n;
}

static void each_fault_is_told_at_its_place(void **state) {
        static const struct {
                const char *body, *place, *type;
        } cases[] = {
                {"{}", "[\"body\",\"name\"]", "value_error.missing"},
                {"[]", "[\"body\"]", "type_error.dict"},
                {"{\"name\":1}", "[\"body\",\"name\"]", "type_error.str"},
                {"{\"name\":null}", "[\"body\",\"name\"]", "type_error.str"},
                {"{\"name\":\"\"}", "[\"body\",\"name\"]", "value_error.any_str.min_length"},
                {"{\"name\":\"123456\"}", "[\"body\",\"name\"]", "value_error.any_str.max_length"},
                {"{\"name\":\"a\\u0000\"}", "[\"body\",\"name\"]", "value_error"},
                {"{\"name\":\"\\ud800\"}", "[\"body\",\"name\"]", "value_error"},
                {"{\"name\":\"a\",\"name\":\"b\"}", "[\"body\",\"name\"]", "value_error"},
                {"{\"name\":\"a\",\"n\\u0061me\":\"b\"}", "[\"body\",\"n\\\\u0061me\"]",
                 "value_error"},
                {"{\"name\":\"a\",\"uid\":\"a b\"}", "[\"body\",\"uid\"]", "value_error.str.regex"},
                {"{\"name\":\"a\",\"uid\":\"\"}", "[\"body\",\"uid\"]", "value_error.str.regex"},
                {"{\"name\":\"a\",\"id\":\"x/y\"}", "[\"body\",\"id\"]", "value_error.str.regex"},
                {"{\"name\":\"a\",\"uid\":\"a\",\"id\":\"a\"}", "[\"body\",\"id\"]", "value_error"},
                {"{\"name\":\"a\",\"type\":\"*\"}", "[\"body\",\"type\"]", "value_error.str.regex"},
                {"{\"name\":\"a\",\"type\":\"a*\"}", "[\"body\",\"type\"]",
                 "value_error.str.regex"},
                {"{\"name\":\"a\",\"colour\":\"green\"}", "[\"body\",\"colour\"]",
                 "value_error.const"},
                {"{\"name\":\"a\",\"size\":-3}", "[\"body\",\"size\"]",
                 "value_error.number.not_ge"},
                {"{\"name\":\"a\",\"size\":65536}", "[\"body\",\"size\"]",
                 "value_error.number.not_le"},
                {"{\"name\":\"a\",\"size\":1.5}", "[\"body\",\"size\"]", "type_error.integer"},
                {"{\"name\":\"a\",\"size\":99999999999999999999}", "[\"body\",\"size\"]",
                 "type_error.integer"},
                {"{\"name\":\"a\",\"size\":\"1\"}", "[\"body\",\"size\"]", "type_error.integer"},
                {"{\"name\":\"a\",\"on\":1}", "[\"body\",\"on\"]", "type_error.bool"},
                {"{\"name\":\"a\",\"on\":null}", "[\"body\",\"on\"]", "type_error.bool"},
                {"{\"name\":\"a\",\"when\":\"yesterday\"}", "[\"body\",\"when\"]",
                 "value_error.datetime"},
                {"{\"name\":\"a\",\"url\":\"ftp://x\"}", "[\"body\",\"url\"]", "value_error.url"},
                {"{\"name\":\"a\",\"list\":[]}", "[\"body\",\"list\"]",
                 "value_error.list.min_items"},
                {"{\"name\":\"a\",\"list\":[\"a\",\"b\",\"c\",\"d\"]}", "[\"body\",\"list\"]",
                 "value_error.list.max_items"},
                {"{\"name\":\"a\",\"list\":[\"a\",\"\\u0061\"]}", "[\"body\",\"list\",\"[1]\"]",
                 "value_error.list.unique_items"},
                {"{\"name\":\"a\",\"list\":[\"abcde\"]}", "[\"body\",\"list\",\"[0]\"]",
                 "value_error.any_str.max_length"},
                {"{\"name\":\"a\",\"list\":\"a\"}", "[\"body\",\"list\"]", "type_error.list"},
                {"{\"name\":\"a\",\"pauses\":[101]}", "[\"body\",\"pauses\",\"[0]\"]",
                 "value_error.number.not_le"},
                {"{\"name\":\"a\",\"pauses\":[-1]}", "[\"body\",\"pauses\",\"[0]\"]",
                 "value_error.number.not_ge"},
                {"{\"name\":\"a\",\"map\":{\"k\":1}}", "[\"body\",\"map\",\"k\"]",
                 "type_error.str"},
                {"{\"name\":\"a\",\"map\":{\"k\":\"1\",\"k\":\"2\"}}", "[\"body\",\"map\",\"k\"]",
                 "value_error"},
                {"{\"name\":\"a\",\"map\":[]}", "[\"body\",\"map\"]", "type_error.dict"},
                {"{\"name\":\"a\",\"inner\":{}}", "[\"body\",\"inner\",\"x\"]",
                 "value_error.missing"},
                {"{\"name\":\"a\",\"inner\":{\"x\":10}}", "[\"body\",\"inner\",\"x\"]",
                 "value_error.number.not_le"},
                {"{\"name\":\"a\",\"inner\":{\"x\":1,\"y\":1}}", "[\"body\",\"inner\",\"y\"]",
                 "value_error.extra"},
                {"{\"name\":\"a\",\"any\":\"text\"}", "[\"body\",\"any\"]", "type_error.dict"},
        };
        char said[4096], want[256];
        Values v;

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                size_t n = judge(&schema, cases[i].body, &v, said, sizeof said);

                (void)snprintf(want, sizeof want, "\"loc\":%s", cases[i].place);
                if (n != 1 || !strstr(said, want))
                        fail_msg("%s: %zu complaints: %s", cases[i].body, n, said);
                (void)snprintf(want, sizeof want, "\"type\":\"%s\"}", cases[i].type);
                if (!strstr(said, want))
                        fail_msg("%s: %s", cases[i].body, said);
        }
}

static void what_fits_is_told_by_name(void **state) {
        static const char body[] =
                "{\"unknown\": [1], \"name\": \"\\u0061\\\"b\", \"id\": null, \"type\": \"a.*\", "
                "\"size\": -2, \"on\": true, \"when\": \"2024-05-01T12:00:00+02:00\", "
                "\"map\": {\"k\": null}, \"pauses\": [], \"any\": { \"x\" : 1.0 }}";
        AUTO(arena_freep)
        Arena *a = arena_new(4096);
        char said[1024];
        Values v;

        (void)state;
        assert_int_equal(judge(&schema, body, &v, said, sizeof said), 0);
        assert_true(span_eq(value_text(&v, "name", a), SPAN("a\"b")));
        assert_true(span_eq(value_text(&v, "type", a), SPAN("a.*")));
        assert_true(value_is_null(&v, "uid"));
        assert_null(value_text(&v, "uid", a).p);
        assert_true(value_int(&v, "size", 7) == -2);
        assert_true(value_bool(&v, "on", false));
        assert_true(value_time(&v, "when") == 1714557600000);
        assert_null(value_of(&v, "url").p);
        assert_true(value_time(&v, "url") == 0);
        assert_true(span_eq(value_of(&v, "any"), SPAN("{ \"x\" : 1.0 }"))); /* the very bytes */
        assert_int_equal(judge(&patch, "{}", &v, said, sizeof said), 0);
        assert_true(value_int(&v, "size", 7) == 7);
        assert_int_equal(judge(&patch, "{\"name\":null}", &v, said, sizeof said), 1);
}

static void complaints_are_counted_and_some_are_told(void **state) {
        AUTO(complaints_done)
        Complaints all = COMPLAINTS;
        AUTO(buf_done)
        Buf b = BUF(65536);
        Where body = {NULL, SPAN("body")};
        JsonFault fault;
        size_t told = 0;

        (void)state;
        for (int i = 0; i < 1000; i++)
                complain(&all, &body, "value_error", "%d", i);
        assert_int_equal(all.n, 1000);
        assert_int_equal(complaints_print(&all, &b), 0);
        assert_int_equal(json_check(buf_span(&b), SIZE_MAX, &fault), 0);
        for (size_t i = 0; i + 5 < b.n; i++)
                told += memcmp(b.p + i, "\"msg\"", 5) == 0;
        assert_int_equal(told, COMPLAINTS_MAX);
}

/* ---- queries ---- */

static const Field query_fields[] = {
        {.name = "limit", .type = FIELD_INTEGER, .min = 1, .max = 250},
        {.name = "all", .type = FIELD_BOOL},
        {.name = "after", .type = FIELD_TIME},
        {.name = "types", .type = FIELD_LIST, .item = FIELD_TEXT, .form = &form_name},
        {.name = "must", .type = FIELD_TEXT, .required = true, .form = &form_name},
};
static const Schema query = {SCHEMA_FIELDS(query_fields)};

static size_t ask(const char *text, Arena *a, Values *v) {
        AUTO(complaints_done)
        Complaints all = COMPLAINTS;

        schema_read_query(&query, span_of(text), a, v, &all);
        return all.n;
}

static void queries_are_decoded_and_judged(void **state) {
        static const char *const bad[] = {
                "",
                "must=",
                "must=a%20b",
                "must=%zz",
                "must=a&must=b",
                "must=a&limit=0",
                "must=a&limit=251",
                "must=a&limit=",
                "must=a&limit=1x",
                "must=a&all=yes",
                "must=a&after=now",
                "must=a&types=a,b%20c",
        };
        AUTO(arena_freep)
        Arena *a = arena_new(65536);
        Values v;

        (void)state;
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                if (ask(bad[i], a, &v) == 0)
                        fail_msg("%s passed", bad[i]);
        assert_int_equal(ask("must=a&limit=250&all=true&after=2024-05-01T12%3A00%3A00%2B00%3A00&"
                             "types=a,b&types=c&unknown=%zz",
                             a, &v),
                         0);
        assert_true(value_int(&v, "limit", 0) == 250);
        assert_true(value_bool(&v, "all", false));
        assert_true(value_time(&v, "after") == 1714564800000);
        assert_true(span_eq(value_of(&v, "types"), SPAN("a,b,c")));
        assert_true(span_eq(value_text(&v, "must", a), SPAN("a")));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_fault_is_told_at_its_place),
                cmocka_unit_test(what_fits_is_told_by_name),
                cmocka_unit_test(complaints_are_counted_and_some_are_told),
                cmocka_unit_test(queries_are_decoded_and_judged),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
