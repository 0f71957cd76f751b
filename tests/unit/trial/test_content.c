/* SPDX-License-Identifier: Apache-2.0
 *
 * What YAML means as JSON, and where two JSON texts differ. */
#include "config/text.h"
#include "config/yaml.h"
#include "trial/content.h"
#include "unit.h"

/* ---- YAML to JSON ---- */

static void expect_json(const char *yaml, const char *json) {
        AUTO(arena_freep)
        Arena *a = arena_new(1 << 20);
        Problems *p = arena_alloc(a, sizeof *p);
        AUTO(buf_done)
        Buf out = BUF(1 << 16);
        Node *root = NULL;

        must(p);
        p->arena = a;
        assert_int_equal(yaml_read(span_of(yaml), "x", a, p, &root), 0);
        assert_int_equal(content_json(node_get(root, "x"), &out), 0);
        assert_int_equal(buf_add_char(&out, 0), 0);
        assert_string_equal(out.p, json);
}

static void yaml_is_what_it_looks_like(void **state) {
        (void)state;
        expect_json(
                "x: {a: 1, b: '1', c: true, d: yes, e: null, f: , g: 1.50, h: 01, i: a b}",
                "{\"a\":1,\"b\":\"1\",\"c\":true,\"d\":\"yes\",\"e\":null,\"f\":null,\"g\":1.50,"
                "\"h\":\"01\",\"i\":\"a b\"}");
        expect_json("x:\n  - [1, []]\n  - {}\n  - {a: {b: [x]}}",
                    "[[1,[]],{},{\"a\":{\"b\":[\"x\"]}}]");
        expect_json("x: {'a\"b': \"c\\nd\", 12345678901234567890: 12345678901234567890}",
                    "{\"a\\\"b\":\"c\\nd\",\"12345678901234567890\":12345678901234567890}");
}

/* ---- comparing ---- */

static void note(void *arg, Span pointer, Span want, Span got) {
        assert_int_equal(buf_addf(arg, SPAN_FMT ": " SPAN_FMT " / " SPAN_FMT "; ",
                                  SPAN_ARG(pointer), SPAN_ARG(want.p ? want : SPAN("nothing")),
                                  SPAN_ARG(got.p ? got : SPAN("nothing"))),
                         0);
}

static void expect_differences(const char *want, const char *got, bool exact, const char *told) {
        AUTO(buf_done)
        Buf out = BUF(1 << 16);

        (void)content_compare(span_of(want), span_of(got), exact, 10, note, &out);
        assert_int_equal(buf_add_char(&out, 0), 0);
        assert_string_equal(out.p, told);
}

static void each_difference_is_told_with_its_place(void **state) {
        (void)state;
        expect_differences("{\"a\":1.0}", "{\"a\":1,\"b\":2}", false, "");
        expect_differences("{\"a\":1.0}", "{\"a\":1,\"b\":2}", true, "/b: nothing / 2; ");
        expect_differences("{\"a\":{\"b\":[1,{\"c\":\"\\u0041\"}]}}",
                           "{\"a\":{\"b\":[1,{\"c\":\"A\"}]}}", true, "");
        expect_differences("{\"a\":{\"b\":[1,2,3]}}", "{\"a\":{\"b\":[1,9]}}", false,
                           "/a/b/1: 2 / 9; /a/b/2: 3 / nothing; ");
        expect_differences("[1]", "[1,2]", false, "/1: nothing / 2; ");
        expect_differences("{\"a/b~c\":1}", "{\"a/b~c\":2}", false, "/a~1b~0c: 1 / 2; ");
        expect_differences("{\"a\":null}", "{}", false, "/a: null / nothing; ");
        expect_differences("{\"a\":[]}", "{\"a\":{}}", false, "/a: [] / {}; ");
        expect_differences("1", "2", false, ": 1 / 2; ");
}

static void no_more_are_told_than_asked_for_and_all_are_counted(void **state) {
        AUTO(buf_done)
        Buf out = BUF(1 << 16);

        (void)state;
        assert_int_equal(content_compare(SPAN("[1,2,3,4]"), SPAN("[5,6,7,8]"), true, 2, note, &out),
                         4);
        assert_int_equal(buf_add_char(&out, 0), 0);
        assert_string_equal(out.p, "/0: 1 / 5; /1: 2 / 6; ");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(yaml_is_what_it_looks_like),
                cmocka_unit_test(each_difference_is_told_with_its_place),
                cmocka_unit_test(no_more_are_told_than_asked_for_and_all_are_counted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
