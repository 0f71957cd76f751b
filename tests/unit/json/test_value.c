/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "json/check.h"
#include "json/number.h"
#include "json/value.h"

static bool is(Span s, const char *want) {
        return s.p && span_eq(s, span_of(want));
}

static void values_have_kinds(void **state) {
        static const char *const texts[] = {
                [JSON_NULL] = " null ",   [JSON_FALSE] = "false", [JSON_TRUE] = "\ttrue",
                [JSON_NUMBER] = "-1.5e3", [JSON_STRING] = "\"\"", [JSON_ARRAY] = "\n[]",
                [JSON_OBJECT] = " {} ",
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(texts); i++)
                assert_int_equal(json_kind(span_of(texts[i])), i);
        assert_true(is(json_trim(SPAN(" \t{ } \r\n")), "{ }"));
}

static void members_are_found_and_the_last_counts(void **state) {
        Span o = SPAN(" { \"a\" : 1 , \"b\":{\"a\":9, \"x\":\"}]\\\"\"}, \"\\u0061\" : [2] , "
                      "\"c\\n\":null , \"\":\"e\" } ");

        (void)state;
        assert_true(is(json_member(o, SPAN("a")), "[2]"));
        assert_int_equal(json_member_count(o, SPAN("a")), 2);
        assert_true(is(json_member(o, SPAN("b")), "{\"a\":9, \"x\":\"}]\\\"\"}"));
        assert_true(is(json_member(o, SPAN("c\n")), "null"));
        assert_true(is(json_member(o, SPAN("")), "\"e\""));
        assert_null(json_member(o, SPAN("x")).p);
        assert_null(json_member(o, SPAN("c\\n")).p);
        assert_int_equal(json_member_count(o, SPAN("x")), 0);
        assert_int_equal(json_length(o), 5);
        assert_null(json_member(SPAN("[\"a\",1]"), SPAN("a")).p);
        assert_null(json_member(SPAN("\"a\""), SPAN("a")).p);
}

static void elements_are_found(void **state) {
        Span a = SPAN(" [ 1 , \"two,\" ,[3 , 3], {\"4\":4} ] ");

        (void)state;
        assert_int_equal(json_length(a), 4);
        assert_true(is(json_element(a, 0), "1"));
        assert_true(is(json_element(a, 1), "\"two,\""));
        assert_true(is(json_element(a, 2), "[3 , 3]"));
        assert_true(is(json_element(a, 3), "{\"4\":4}"));
        assert_null(json_element(a, 4).p);
        assert_null(json_element(SPAN("{\"a\":1}"), 0).p);
        assert_int_equal(json_length(SPAN(" [ ] ")), 0);
        assert_int_equal(json_length(SPAN("{}")), 0);
        assert_int_equal(json_length(SPAN("7")), 0);
}

static void check_text(const char *value, const char *want) {
        AUTO(buf_done)
        Buf out = BUF(100);

        assert_int_equal(json_text(span_of(value), &out), 0);
        if (!span_eq(buf_span(&out), span_of(want)))
                fail_msg("%s became " SPAN_FMT, value, SPAN_ARG(buf_span(&out)));
}

static void strings_become_text(void **state) {
        AUTO(buf_done)
        Buf out = BUF(100);

        (void)state;
        check_text("\"plain\"", "plain");
        check_text(" \"a\\\"\\\\\\/\\b\\f\\n\\r\\t.\" ", "a\"\\/\b\f\n\r\t.");
        check_text("\"\\u0041\\u00e9\\u20AC\\uD834\\uDD1E\"",
                   "A\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e");
        check_text("\"caf\xc3\xa9\"", "caf\xc3\xa9");
        check_text(" 1.50 ", "1.50");
        check_text("true", "true");
        check_text("null", "");
        assert_int_equal(json_text(SPAN("\"\\u0000\""), &out), 0);
        assert_int_equal(out.n, 1);
        assert_int_equal(out.p[0], 0);
        assert_int_equal(json_key_text(SPAN("k\\n"), &out), 0);
        assert_memory_equal(out.p + 1, "k\n", 2);
}

static void what_has_no_text_leaves_none(void **state) {
        static const char *const values[] = {"[]",
                                             "{}",
                                             "\"a\\uD800\"",
                                             "\"a\\uDC00\"",
                                             "\"a\\uD800\\n\"",
                                             "\"a\\uD800\\u0041\"",
                                             "\"a\\uDC00\\uD800\"",
                                             "\"a\\uDC00\\uDC00\""};
        AUTO(buf_done)
        Buf out = BUF(100), few = BUF(3);

        (void)state;
        for (size_t i = 0; i < COUNT_OF(values); i++) {
                assert_int_equal(json_text(span_of(values[i]), &out), -EINVAL);
                assert_int_equal(out.n, 0);
        }
        assert_int_equal(json_text(SPAN("\"ab\\ncd\""), &few), -EMSGSIZE);
        assert_int_equal(few.n, 0);
        buf_done(&few);
}

/* The examples of RFC 6901 section 5, and shapes that point nowhere. */
static void pointers_point(void **state) {
        Span o = SPAN("{\"foo\": [\"bar\", \"baz\"], \"\": 0, \"a/b\": 1, \"c%d\": 2, \"e^f\": 3, "
                      "\"g|h\": 4, \"i\\\\j\": 5, \"k\\\"l\": 6, \" \": 7, \"m~n\": 8}");

        (void)state;
        assert_true(span_eq(json_at(o, SPAN("")), o));
        assert_true(is(json_at(o, SPAN("/foo")), "[\"bar\", \"baz\"]"));
        assert_true(is(json_at(o, SPAN("/foo/0")), "\"bar\""));
        assert_true(is(json_at(o, SPAN("/")), "0"));
        assert_true(is(json_at(o, SPAN("/a~1b")), "1"));
        assert_true(is(json_at(o, SPAN("/c%d")), "2"));
        assert_true(is(json_at(o, SPAN("/e^f")), "3"));
        assert_true(is(json_at(o, SPAN("/g|h")), "4"));
        assert_true(is(json_at(o, SPAN("/i\\j")), "5"));
        assert_true(is(json_at(o, SPAN("/k\"l")), "6"));
        assert_true(is(json_at(o, SPAN("/ ")), "7"));
        assert_true(is(json_at(o, SPAN("/m~0n")), "8"));
        assert_true(is(json_at(SPAN("{\"~1\":1}"), SPAN("/~01")), "1"));
        assert_null(json_at(o, SPAN("foo")).p);
        assert_null(json_at(o, SPAN("/foo/2")).p);
        assert_null(json_at(o, SPAN("/foo/00")).p);
        assert_null(json_at(o, SPAN("/foo/01")).p);
        assert_null(json_at(o, SPAN("/foo/-")).p);
        assert_null(json_at(o, SPAN("/foo/")).p);
        assert_null(json_at(o, SPAN("/foo/0/x")).p);
        assert_null(json_at(o, SPAN("/m~n")).p);
        assert_null(json_at(o, SPAN("/m~2n")).p);
        assert_null(json_at(o, SPAN("/m~")).p);
        assert_null(json_at(o, SPAN("/nothing/here")).p);
        assert_null(json_at(o, SPAN("/foo/99999999999999999999999")).p);
}

static void check_equal(const char *a, const char *b, bool want) {
        JsonFault fault;

        must(json_check(span_of(a), JSON_KEYS_MAX, &fault) == 0);
        must(json_check(span_of(b), JSON_KEYS_MAX, &fault) == 0);
        if (json_equal(span_of(a), span_of(b)) != want ||
            json_equal(span_of(b), span_of(a)) != want)
                fail_msg("%s and %s: not %s", a, b, want ? "equal" : "different");
}

static void numbers_equal_by_value(void **state) {
        (void)state;
        check_equal("1", "1.0", true);
        check_equal("1", "10e-1", true);
        check_equal("100", "1e2", true);
        check_equal("0.001", "1e-3", true);
        check_equal("1.50", "15E-1", true);
        check_equal("0.000", "-0", true);
        check_equal("0e5", "0", true);
        check_equal("12300e-2", "123", true);
        check_equal("1e400", "10e399", true);
        check_equal("9007199254740993", "9007199254740993.0", true);
        check_equal("9007199254740993", "9007199254740992", false);
        check_equal("0.1", "0.10000000000000000001", false);
        check_equal("1", "-1", false);
        check_equal("1", "10", false);
        check_equal("1", "0", false);
        check_equal("1e400", "1e401", false);
        check_equal("101", "1.01", false);
        check_equal("1", "\"1\"", false);
        check_equal("1e99999999999999999999", "1e99999999999999999999", true);
        check_equal("1e99999999999999999999", "1e99999999999999999998", false);
        check_equal("1e00000000000000000000000000000002", "100", true);
}

static void values_equal_by_meaning(void **state) {
        (void)state;
        check_equal(" [1, 2] ", "[1,2]", true);
        check_equal("[1,2]", "[2,1]", false);
        check_equal("[1,2]", "[1,2,3]", false);
        check_equal("[]", "{}", false);
        check_equal("null", "false", false);
        check_equal("{\"a\":1,\"b\":[{}]}", "{ \"b\" : [ { } ], \"a\" : 1.0 }", true);
        check_equal("{\"a\":1}", "{\"a\":1,\"b\":null}", false);
        check_equal("{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false);
        check_equal("{\"a\":2,\"a\":1}", "{\"a\":1}", true);
        check_equal("{\"a\":1,\"a\":2}", "{\"a\":1}", false);
        check_equal("{\"\\u0061\":\"\\u00e9\"}", "{\"a\":\"\xc3\xa9\"}", true);
        check_equal("\"\\/\"", "\"/\"", true);
        check_equal("\"\\ud834\\udd1e\"", "\"\xf0\x9d\x84\x9e\"", true);
        check_equal("\"\\ud834\"", "\"\\uD834\"", true);
        check_equal("\"\\ud834\"", "\"\\ud835\"", false);
        check_equal("\"a\\u0000\"", "\"a\"", false);
        check_equal("\"a\"", "\"A\"", false);
}

/* An object of `n` keys, every second escaped, forwards or backwards. */
static void object_print(Buf *out, size_t n, bool backwards, bool escaped) {
        for (size_t i = 0; i < n; i++) {
                size_t k = backwards ? n - 1 - i : i;

                must(buf_addf(out, "%s\"%s%zu\":[%zu]", i ? "," : "{", escaped ? "\\u006b" : "k", k,
                              k) == 0);
        }
        must(buf_add_char(out, '}') == 0);
}

static void large_objects_are_compared_in_any_order(void **state) {
        AUTO(buf_done)
        Buf a = BUF(16 << 20);
        AUTO(buf_done)
        Buf b = BUF(16 << 20);

        (void)state;
        object_print(&a, 200000, false, false);
        object_print(&b, 200000, true, true);
        assert_true(json_equal(buf_span(&a), buf_span(&b)));
        buf_clear(&b);
        object_print(&b, 200001, true, false);
        assert_false(json_equal(buf_span(&a), buf_span(&b)));
        assert_false(json_equal(buf_span(&b), buf_span(&a)));
}

static void people_can_read_it(void **state) {
        AUTO(buf_done)
        Buf out = BUF(1000), few = BUF(10);

        (void)state;
        assert_int_equal(
                json_pretty(SPAN(" {\"a\":[1,{ },\"x:,]\"] ,\"b\":{\"c\":null},\"d\":[ ]}\n"),
                            &out),
                0);
        assert_true(is(buf_span(&out), "{\n  \"a\": [\n    1,\n    {},\n    \"x:,]\"\n  ],\n"
                                       "  \"b\": {\n    \"c\": null\n  },\n  \"d\": []\n}"));
        assert_int_equal(json_pretty(SPAN("[1,2,3,4,5]"), &few), -EMSGSIZE);
        assert_int_equal(few.n, 0);
        buf_clear(&out);
        assert_int_equal(json_pretty(SPAN(" -1.5 "), &out), 0);
        assert_true(is(buf_span(&out), "-1.5"));
        buf_done(&few);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(values_have_kinds),
                cmocka_unit_test(members_are_found_and_the_last_counts),
                cmocka_unit_test(elements_are_found),
                cmocka_unit_test(strings_become_text),
                cmocka_unit_test(what_has_no_text_leaves_none),
                cmocka_unit_test(pointers_point),
                cmocka_unit_test(numbers_equal_by_value),
                cmocka_unit_test(values_equal_by_meaning),
                cmocka_unit_test(large_objects_are_compared_in_any_order),
                cmocka_unit_test(people_can_read_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
