/* SPDX-License-Identifier: Apache-2.0
 *
 * Names in SQL become numbers; what only looks like a name stays. */
#include "unit.h"
#include "watch/statement.h"

static void check(bool is_sqlite, const char *sql, const char *wanted, size_t n) {
        Arena *a = arena_new(1 << 20);
        Statement *s = must_alloc(sizeof *s);
        Err e = {0};
        int r = statement_rewrite(span_of(sql), is_sqlite, a, s, &e);

        if (!wanted) {
                assert_int_equal(r, -22);
                assert_true(e.text[0]);
        } else {
                assert_int_equal(r, 0);
                assert_string_equal(s->sql, wanted);
                assert_int_equal(s->n, n);
        }
        free(s);
        arena_free(a);
}

static void names_become_numbers(void **state) {
        (void)state;
        check(false, "SELECT :a, $b, :a", "SELECT $1, $2, $1", 2);
        check(true, "SELECT :a, $b, :a", "SELECT ?1, ?2, ?1", 2);
        check(false, "SELECT :at::timestamptz", "SELECT $1::timestamptz", 1);
        check(false, "SELECT 1;  -- end :x\n", "SELECT 1  -- end :x\n", 0);
}

static void texts_stay(void **state) {
        (void)state;
        check(false, "SELECT ':a''$b', \":c\", 'x'", "SELECT ':a''$b', \":c\", 'x'", 0);
        check(false, "SELECT E'\\':a', :b", "SELECT E'\\':a', $1", 1);
        check(false, "SELECT '\\', :b", "SELECT '\\', $1", 1);
        check(false, "SELECT $$ :a $$, $t$ ; :a $$ $t$, $b", "SELECT $$ :a $$, $t$ ; :a $$ $t$, $1",
              1);
        check(false, "/* :a /* */ ; :b */ SELECT 1 -- ; :c", "/* :a /* */ ; :b */ SELECT 1 -- ; :c",
              0);
        check(false, "SELECT a$b, j ? 'x', l[1 : 2]", "SELECT a$b, j ? 'x', l[1 : 2]", 0);
        check(true, "SELECT `:a`, [:b;], /* /* */ :c", "SELECT `:a`, [:b;], /* /* */ ?1", 1);
}

static void what_does_not_fit_is_refused(void **state) {
        static const char *const all[] = {"SELECT 1; DROP TABLE users",
                                          "SELECT $1",
                                          "SELECT 'a",
                                          "SELECT \"a",
                                          "SELECT /* a",
                                          "SELECT $$ a"};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(all); i++)
                check(false, all[i], NULL, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_become_numbers),
                cmocka_unit_test(texts_stay),
                cmocka_unit_test(what_does_not_fit_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
