/* SPDX-License-Identifier: Apache-2.0
 *
 * The headers that are lists or small languages: Prefer, Retry-After, Content-Type. */
#include "http/list.h"
#include "http/media.h"
#include "http/prefer.h"
#include "http/retry_after.h"
#include "unit.h"

/* What was understood, as Preference-Applied would say it. */
static void check_prefer(const char *value, const char *want) {
        AUTO(buf_done)
        Buf out = BUF(200);
        Prefer p = PREFER_NONE;

        prefer_read(&p, span_of(value));
        assert_int_equal(prefer_print(&p, &out), 0);
        if (!span_eq(buf_span(&out), span_of(want)))
                fail_msg("'%s' was taken for '" SPAN_FMT "'", value, SPAN_ARG(buf_span(&out)));
}

static void preferences_are_understood(void **state) {
        (void)state;
        check_prefer("", "");
        check_prefer("respond-async", "respond-async");
        check_prefer("Respond-Async, WAIT=10", "respond-async, wait=10");
        check_prefer("wait=0", "wait=0");
        check_prefer("wait = \"5\" ; x=y", "wait=5");
        check_prefer("return=minimal", "return=minimal");
        check_prefer("return=\"representation\"; a; b=c", "return=representation");
        check_prefer(" ,, wait=3 ,", "wait=3");
        check_prefer("x=\"a, wait=9\", wait=3", "wait=3");
        check_prefer("wait=99999999999999999999999", "wait=86400");
}

static void the_first_of_a_preference_counts(void **state) {
        Prefer p = PREFER_NONE;

        (void)state;
        check_prefer("wait=1, wait=2", "wait=1");
        check_prefer("return=minimal, return=representation", "return=minimal");
        prefer_read(&p, SPAN("wait=7"));
        prefer_read(&p, SPAN("wait=8, return=minimal"));
        assert_int_equal(p.wait_ms, 7000);
        assert_int_equal(p.give, RETURN_MINIMAL);
}

static void malformed_preferences_are_ignored(void **state) {
        (void)state;
        check_prefer("wait", "");
        check_prefer("wait=", "");
        check_prefer("wait=-1", "");
        check_prefer("wait=1.5", "");
        check_prefer("wait=ten, wait=10", "wait=10");
        check_prefer("wait=\"10", "");
        check_prefer("return=everything", "");
        check_prefer("respond-async=yes", "");
        check_prefer("=, ;, \"respond-async\", wait 5", "");
        check_prefer("x=\"never ends, wait=5", "");
}

static void a_full_buffer_gets_no_half_preference(void **state) {
        AUTO(buf_done)
        Buf out = BUF(15);
        Prefer p = {.respond_async = true, .wait_ms = 1000};

        (void)state;
        assert_int_equal(prefer_print(&p, &out), -EMSGSIZE);
        assert_int_equal(out.n, 0);
}

enum { CAP_MS = 3600 * 1000 };

static void check_retry(const char *value, int64_t want_ms) {
        /* Sun, 06 Nov 1994 08:49:37 GMT */
        const int64_t now = INT64_C(784111777000);
        int64_t wait = -1;

        assert_int_equal(http_retry_after(span_of(value), now, CAP_MS, &wait), want_ms >= 0);
        assert_int_equal(wait, want_ms);
}

static void retry_after_is_seconds_or_a_date(void **state) {
        (void)state;
        check_retry("0", 0);
        check_retry("120", 120000);
        check_retry(" 7\t", 7000);
        check_retry("99999999999999999999999999", CAP_MS);
        check_retry("Sun, 06 Nov 1994 08:50:37 GMT", 60000);
        check_retry("Sunday, 06-Nov-94 08:50:37 GMT", 60000);
        check_retry("Sun Nov  6 08:50:37 1994", 60000);
        check_retry("Sun, 06 Nov 1994 08:49:00 GMT", 0);
        check_retry("Sun, 06 Nov 2094 08:49:00 GMT", CAP_MS);
}

static void a_garbled_retry_after_is_ignored(void **state) {
        (void)state;
        check_retry("", -1);
        check_retry("-1", -1);
        check_retry("1.5", -1);
        check_retry("soon", -1);
        check_retry("1 2", -1);
        check_retry("Sun, 32 Nov 1994 08:49:37 GMT", -1);
        check_retry("1994-11-06T08:49:37Z", -1);
}

static bool is_json(const char *value) {
        HttpMedia m;

        return http_media_parse(span_of(value), &m) && http_media_is_json(&m);
}

static void json_has_many_names(void **state) {
        (void)state;
        assert_true(is_json("application/json"));
        assert_true(is_json("Application/JSON; charset=UTF-8"));
        assert_true(is_json("application/cloudevents+json ; charset=\"utf-8\""));
        assert_true(is_json(" application/problem+json;"));
        assert_false(is_json("application/json; charset=utf-16"));
        assert_false(is_json("application/json5"));
        assert_false(is_json("application/+json"));
        assert_false(is_json("text/plain"));
        assert_false(is_json("application/x-www-form-urlencoded"));
        assert_false(is_json("multipart/form-data; boundary=x"));
}

static void a_garbled_media_type_is_none(void **state) {
        (void)state;
        assert_false(is_json(""));
        assert_false(is_json("json"));
        assert_false(is_json("application/"));
        assert_false(is_json("/json"));
        assert_false(is_json("application /json"));
        assert_false(is_json("application/json charset=utf-8"));
        assert_false(is_json("application/json, text/plain"));
        assert_false(is_json("application/json; charset"));
        assert_false(is_json("application/json; charset=\"utf-8"));
        assert_false(is_json("application/json; charset=utf-8; Charset=utf-8"));
}

static void parameters_are_found(void **state) {
        HttpMedia m;

        (void)state;
        assert_true(http_media_parse(SPAN("multipart/mixed; Boundary=\"a;b\"; x=y"), &m));
        assert_true(http_media_is(&m, "Multipart/Mixed"));
        assert_true(span_eq(http_media_parameter(&m, "boundary"), SPAN("a;b")));
        assert_true(span_eq(http_media_parameter(&m, "X"), SPAN("y")));
        assert_null(http_media_parameter(&m, "z").p);
}

static void lists_are_cut_at_their_commas(void **state) {
        Span rest = SPAN("a,, \"b,\\\",c\" ,\td;e"), item;

        (void)state;
        assert_true(http_list_next(&rest, ',', &item) && span_eq(item, SPAN("a")));
        assert_true(http_list_next(&rest, ',', &item) && span_eq(item, SPAN("\"b,\\\",c\"")));
        assert_true(http_list_next(&rest, ',', &item) && span_eq(item, SPAN("d;e")));
        assert_false(http_list_next(&rest, ',', &item));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(preferences_are_understood),
                cmocka_unit_test(the_first_of_a_preference_counts),
                cmocka_unit_test(malformed_preferences_are_ignored),
                cmocka_unit_test(a_full_buffer_gets_no_half_preference),
                cmocka_unit_test(retry_after_is_seconds_or_a_date),
                cmocka_unit_test(a_garbled_retry_after_is_ignored),
                cmocka_unit_test(json_has_many_names),
                cmocka_unit_test(a_garbled_media_type_is_none),
                cmocka_unit_test(parameters_are_found),
                cmocka_unit_test(lists_are_cut_at_their_commas),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
