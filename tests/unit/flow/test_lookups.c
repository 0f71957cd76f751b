/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/lookups.h"
#include "unit.h"

static Span get(Lookups *l, Arena *a, const char *key, int64_t now_ms) {
        int status = 0;
        Span body = lookups_get(l, span_of(key), 100, now_ms, a, &status);

        assert_int_equal(status, body.p ? 200 : 0);
        return body;
}

static void an_answer_is_kept_for_a_time(void **state) {
        Lookups *l = lookups_new();
        Arena *a = arena_new(1 << 20);

        (void)state;
        assert_null(get(l, a, "1", 1000).p);
        lookups_put(l, SPAN("1"), 200, SPAN("one"), 1000);
        lookups_put(l, SPAN("2"), 200, SPAN(""), 1000);
        assert_true(span_eq(get(l, a, "1", 1099), SPAN("one")));
        assert_non_null(get(l, a, "2", 1099).p);
        assert_null(get(l, a, "1", 1100).p);
        lookups_put(l, SPAN("1"), 200, SPAN("two"), 1001);
        assert_true(span_eq(get(l, a, "1", 1100), SPAN("two")));
        lookups_drop(l, SPAN("1"));
        lookups_drop(l, SPAN("1"));
        assert_null(get(l, a, "1", 1001).p);
        arena_free(a);
        lookups_free(l);
        assert_null(lookups_free(NULL));
}

static void the_one_that_was_not_used_for_longest_leaves_first(void **state) {
        enum { BYTES = 1024 * 1024, MANY = LOOKUPS_MAX_BYTES / BYTES };
        Lookups *l = lookups_new();
        Arena *a = arena_new(64 * BYTES);
        char *body = must_alloc(BYTES + 1), key[32];

        (void)state;
        for (int i = 0; i < MANY - 1; i++) {
                (void)snprintf(key, sizeof key, "%d", i);
                lookups_put(l, span_of(key), 200, (Span){body, BYTES}, 1000);
        }
        assert_non_null(get(l, a, "0", 1000).p);
        lookups_put(l, SPAN("x"), 200, (Span){body, BYTES}, 1000);
        assert_null(get(l, a, "1", 1000).p);
        assert_non_null(get(l, a, "0", 1000).p);
        assert_non_null(get(l, a, "2", 1000).p);
        lookups_put(l, SPAN("y"), 200, (Span){body, BYTES + 1}, 1000);
        assert_null(get(l, a, "y", 1000).p);
        assert_non_null(get(l, a, "2", 1000).p);
        free(body);
        arena_free(a);
        lookups_free(l);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_answer_is_kept_for_a_time),
                cmocka_unit_test(the_one_that_was_not_used_for_longest_leaves_first),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
