/* SPDX-License-Identifier: Apache-2.0 */
#include "http/form.h"
#include "unit.h"

/* "a=1&b" as "a\1" "1\2" "b\1" "\2", so that each case is one line. */
static const char *shown(Span text, char *ret, size_t room) {
        AUTO(arena_freep)
        Arena *a = arena_new(1 << 20);
        FormPair *pairs = NULL;
        FormFault fault;
        size_t n = 0, at = 0;

        if (form_parse(text, a, &pairs, &n, &fault) < 0) {
                (void)snprintf(ret, room, "%zu: %s", fault.offset, fault.why);
                return ret;
        }
        ret[0] = 0;
        for (size_t i = 0; i < n; i++)
                at += (size_t)snprintf(ret + at, room - at, "[" SPAN_FMT "|" SPAN_FMT "]",
                                       SPAN_ARG(pairs[i].name), SPAN_ARG(pairs[i].value));
        return ret;
}

static void forms_are_read(void **state) {
        static const char *const cases[][2] = {
                {"", ""},
                {"a=1", "[a|1]"},
                {"a=1&b=2&a=1", "[a|1][b|2][a|1]"},
                {"a", "[a|]"},
                {"a=", "[a|]"},
                {"a=b=c", "[a|b=c]"},
                {"a+b=c+d", "[a b|c d]"},
                {"a%2Bb=%26%3d%25", "[a+b|&=%]"},
                {"a=%C3%A4%ff", "[a|\xc3\xa4\xff]"},
                {"a=;b=1", "[a|;b=1]"}, /* a semicolon parts nothing */
                {"%=1", "0: a percent sign is followed by two hexadecimal digits, not 00"},
                {"a=1&b=%4", "4: a percent sign is followed by two hexadecimal digits, not 00"},
                {"a=%00", "0: a percent sign is followed by two hexadecimal digits, not 00"},
                {"a=%g1", "0: a percent sign is followed by two hexadecimal digits, not 00"},
                {"a=1&&b=2", "4: a field of the form has no name"},
                {"&a=1", "0: a field of the form has no name"},
                {"a=1&", "4: a field of the form has no name"},
                {"=1", "0: a field of the form has no name"},
                {"a=b c", "0: bytes other than printable ASCII are percent-encoded in a form"},
                {"a=1\n", "0: bytes other than printable ASCII are percent-encoded in a form"},
                {"a=\xc3\xa4", "0: bytes other than printable ASCII are percent-encoded in a form"},
        };
        char got[300];

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++)
                assert_string_equal(shown(span_of(cases[i][0]), got, sizeof got), cases[i][1]);
}

static void a_form_has_a_thousand_fields_at_most(void **state) {
        char text[4 * FORM_PAIRS_MAX + 4];
        AUTO(arena_freep)
        Arena *a = arena_new(1 << 20), *small = arena_new(100);
        FormPair *pairs = NULL;
        FormFault fault;
        size_t n = 0;

        (void)state;
        for (size_t i = 0; i < sizeof text; i++)
                text[i] = "a=b&"[i % 4];
        Span full = {text, 4 * FORM_PAIRS_MAX - 1}, more = {text, full.n + 4};
        assert_int_equal(form_parse(full, a, &pairs, &n, &fault), 0);
        assert_int_equal(n, FORM_PAIRS_MAX);
        assert_true(span_eq(pairs[n - 1].value, SPAN("b")));
        assert_int_equal(form_parse(more, a, &pairs, &n, &fault), -EBADMSG);
        assert_int_equal(n, 0);
        assert_int_equal(form_parse(full, small, &pairs, &n, &fault), -ENOMEM);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(forms_are_read),
                cmocka_unit_test(a_form_has_a_thousand_fields_at_most),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
