/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes are the same when they say the same, wherever they stand. */
#include "config/yaml.h"
#include "unit.h"

static const Node *read_one(const char *text, Arena *a) {
        Problems *p = arena_alloc(a, sizeof *p);
        Node *root = NULL;

        assert_non_null(p);
        p->arena = a;
        assert_int_equal(yaml_read(span_of(text), "f", a, p, &root), 0);
        return root;
}

static bool are_same(const char *x, const char *y) {
        AUTO(arena_freep)
        Arena *a = arena_new(4 * 1024 * 1024);

        return node_same(read_one(x, a), read_one(y, a));
}

static void what_says_the_same_is(void **state) {
        (void)state;
        assert_true(are_same("{a: 1, b: [x, {c: y}]}", "a:   1\nb:\n  - x\n  - c: y\n"));
        assert_true(are_same("{a: 'x'}", "# a comment\na: \"x\"\n"));
}

static void what_differs_anywhere_is_not(void **state) {
        static const char *const others[] = {
                "{a: 1, b: [x, {c: z}]}",
                "{a: 1, b: [x, {d: y}]}",
                "{a: 1, b: [{c: y}, x]}",
                "{a: 1, b: [x]}",
                "{a: 1}",
                "{a: '1', b: [x, {c: y}]}",
                "{b: [x, {c: y}], a: 1}",
                "{a: 1, b: x}",
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(others); i++)
                if (are_same("{a: 1, b: [x, {c: y}]}", others[i]))
                        fail_msg("%s", others[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_says_the_same_is),
                cmocka_unit_test(what_differs_anywhere_is_not),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
