/* SPDX-License-Identifier: Apache-2.0
 *
 * Equal values have one digest, others another, in every process. */
#include "unit.h"
#include "watch/digest.h"

static void digest(const char *text, const char *ignored, char ret[DIGEST_TEXT]) {
        AUTO(arena_freep)
        Arena *a = arena_new(1024 * 1024);
        Digest d;

        assert_true(digest_json(span_of(text), &ignored, ignored != NULL, a, &d));
        digest_print(&d, ret);
}

static bool are_same(const char *a, const char *b, const char *ignored) {
        char x[DIGEST_TEXT], y[DIGEST_TEXT];

        digest(a, ignored, x);
        digest(b, ignored, y);
        return strcmp(x, y) == 0;
}

static void values_that_are_equal(void **state) {
        static const char *const pairs[][2] = {
                {"{\"a\":1,\"b\":2}", " { \"b\" : 2 , \"a\" : 1 } "},
                {"{\"a\":{\"x\":[],\"y\":{}}}", "{\"a\":{\"y\":{},\"x\":[]}}"},
                {"{\"a\":1,\"a\":2}", "{\"a\":2}"},
                {"{\"\\u0061\":\"\\u00e4\"}", "{\"a\":\"\xc3\xa4\"}"},
                {"[1, 10, 0.5, -0, 0]", "[1.0, 1e1, 5E-1, 0, 0.00]"},
                {"\"\\ud800\"", "\"\\ud800\""},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(pairs); i++)
                if (!are_same(pairs[i][0], pairs[i][1], NULL))
                        fail_msg("%s and %s", pairs[i][0], pairs[i][1]);
}

static void values_that_are_not(void **state) {
        static const char *const pairs[][2] = {
                {"[1,2]", "[2,1]"},
                {"[1,2]", "[12]"},
                {"[[1],2]", "[[1,2]]"},
                {"{\"a\":1}", "{\"a\":-1}"},
                {"{\"a\":1}", "{\"a\":\"1\"}"},
                {"{\"a\":10}", "{\"a\":100}"},
                {"{\"a\":null}", "{}"},
                {"{\"a\":{}}", "{\"a\":[]}"},
                {"{\"a\":{},\"b\":1}", "{\"a\":{\"b\":1}}"},
                {"true", "false"},
                {"\"\"", "null"},
                {"12345678901234567890", "12345678901234567891"},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(pairs); i++)
                if (are_same(pairs[i][0], pairs[i][1], NULL))
                        fail_msg("%s and %s", pairs[i][0], pairs[i][1]);
}

/* Only its own members: what lies deeper is content. */
static void members_that_do_not_count(void **state) {
        (void)state;
        assert_true(are_same("{\"a\":1,\"seen\":1}", "{\"seen\":{\"x\":2},\"a\":1}", "seen"));
        assert_true(are_same("{\"a\":1,\"seen\":1}", "{\"a\":1}", "seen"));
        assert_false(are_same("{\"a\":{\"seen\":1}}", "{\"a\":{\"seen\":2}}", "seen"));
}

/* Digests are noted: another one would make every item look changed. */
static void it_stays_the_same(void **state) {
        char text[DIGEST_TEXT];

        (void)state;
        digest("{\"id\":17,\"name\":\"Ada\",\"tags\":[true,null,1.5]}", NULL, text);
        assert_string_equal(text, "0e09254823d9f184803e798fe8ac0c2e");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(values_that_are_equal),
                cmocka_unit_test(values_that_are_not),
                cmocka_unit_test(members_that_do_not_count),
                cmocka_unit_test(it_stays_the_same),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
