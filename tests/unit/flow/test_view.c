/* SPDX-License-Identifier: Apache-2.0
 *
 * What expressions see of a form. */
#include "flow/view.h"
#include "unit.h"

static void check(const char *body, FormRule rule, const char *want) {
        AUTO(arena_freep)
        Arena *a = arena_new(1 << 20);
        Span view = {NULL, 0};
        char why[160] = "";
        int r = view_of_form(span_of(body), rule, a, &view, why);

        if (r < 0)
                view = span_of(why);
        if (!span_eq(view, span_of(want)))
                fail_msg("%s became " SPAN_FMT ", not %s", body, SPAN_ARG(view), want);
}

static void fields_become_an_object(void **state) {
        (void)state;
        check("a=1&b=x+y%26%22", FORMS_FIELDS, "{\"a\":\"1\",\"b\":\"x y&\\\"\"}");
        check("a=1&b=2&a=3", FORMS_FIELDS, "{\"a\":[\"1\",\"3\"],\"b\":\"2\"}");
        check("a=", FORMS_FIELDS, "{\"a\":\"\"}");
        check("", FORMS_FIELDS, "{}");
        check("payload=%7B%7D", FORMS_FIELDS, "{\"payload\":\"{}\"}");
        check("a=%ff", FORMS_FIELDS, "{\"a\":\"\xEF\xBF\xBD\"}");
}

static void a_payload_is_the_json_in_it(void **state) {
        (void)state;
        check("payload=%7B%22a%22%3A+1%7D&x=1", FORMS_PAYLOAD, "{\"a\": 1}");
        check("a=1", FORMS_PAYLOAD, "{\"a\":\"1\"}");
        check("payload=1&payload=2", FORMS_PAYLOAD, "{\"payload\":[\"1\",\"2\"]}");
        check("payload=%7B", FORMS_PAYLOAD,
              "the form's field payload is no JSON: the text ends too early at byte 1 of it");
}

static void a_run_sees_what_the_event_says(void **state) {
        AUTO(arena_freep)
        Arena *a = arena_new(1 << 20);
        Event e = {.body = SPAN("payload=%7B%7D"), .meta = SPAN("{\"view\":\"payload\"}")};

        (void)state;
        assert_true(span_eq(view_of_event(&e, a), SPAN("{}")));
        e.meta = SPAN("{\"view\":\"fields\"}");
        assert_true(span_eq(view_of_event(&e, a), SPAN("{\"payload\":\"{}\"}")));
        e = (Event){.body = SPAN("{\"a\":1}")};
        assert_true(span_eq(view_of_event(&e, a), SPAN("{\"a\":1}")));
        e = (Event){.body = SPAN("")};
        assert_true(span_eq(view_of_event(&e, a), SPAN("null")));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(fields_become_an_object),
                cmocka_unit_test(a_payload_is_the_json_in_it),
                cmocka_unit_test(a_run_sees_what_the_event_says),
        };

        return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}
