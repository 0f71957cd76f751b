/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids that are remembered: for how long, how many, and which goes first. */
#include "flow/id_cache.h"
#include "unit.h"

#include <pthread.h>

static Span got(IdCache *c, const char *key, int64_t now_ms) {
        static Arena *a;

        arena_free(a);
        a = arena_new(1 << 16);
        if (!key) {
                a = arena_free(a);
                return (Span){NULL, 0};
        }
        return id_cache_get(c, span_of(key), now_ms, a);
}

#define assert_kept(c, key, now, id) assert_true(span_eq(got(c, key, now), SPAN(id)))
#define assert_gone(c, key, now)     assert_null(got(c, key, now).p)

static void one_is_kept_for_its_time(void **state) {
        IdCache *c = id_cache_new(3, 100);

        (void)state;
        assert_gone(c, "a", 0);
        id_cache_put(c, SPAN("a"), SPAN("\"1\""), 0);
        assert_kept(c, "a", 99, "\"1\"");
        assert_gone(c, "a", 100);
        assert_int_equal(id_cache_count(c), 0);
        id_cache_put(c, SPAN("a"), SPAN("1"), 200);
        id_cache_put(c, SPAN("a"), SPAN("22"), 250);
        assert_kept(c, "a", 349, "22");
        assert_int_equal(id_cache_count(c), 1);
        (void)got(NULL, NULL, 0);
        id_cache_free(c);
}

static void what_was_used_longest_ago_goes_first(void **state) {
        IdCache *c = id_cache_new(3, 100);

        (void)state;
        id_cache_put(c, SPAN("a"), SPAN("1"), 0);
        id_cache_put(c, SPAN("b"), SPAN("2"), 0);
        id_cache_put(c, SPAN("c"), SPAN("3"), 0);
        assert_kept(c, "a", 1, "1");
        id_cache_put(c, SPAN("d"), SPAN("4"), 1);
        assert_gone(c, "b", 1);
        assert_kept(c, "a", 1, "1");
        assert_kept(c, "c", 1, "3");
        assert_kept(c, "d", 1, "4");
        assert_int_equal(id_cache_count(c), 3);
        (void)got(NULL, NULL, 0);
        id_cache_free(c);
}

static void only_the_id_that_was_wrong_is_forgotten(void **state) {
        IdCache *c = id_cache_new(3, 100);

        (void)state;
        id_cache_put(c, SPAN("a"), SPAN("1"), 0);
        id_cache_forget(c, SPAN("a"), SPAN("2")); /* somebody has put a newer one */
        id_cache_forget(c, SPAN("b"), SPAN("1"));
        assert_kept(c, "a", 1, "1");
        id_cache_forget(c, SPAN("a"), SPAN("1"));
        assert_gone(c, "a", 1);
        (void)got(NULL, NULL, 0);
        id_cache_free(c);
}

static void what_is_too_long_is_not_kept(void **state) {
        static char key[ID_CACHE_KEY_MAX_BYTES + 2], id[ID_CACHE_ID_MAX_BYTES + 2];
        IdCache *c = id_cache_new(3, 100);

        (void)state;
        memset(key, 'k', sizeof key - 1);
        memset(id, '7', sizeof id - 1);
        id_cache_put(c, span_of(key), SPAN("1"), 0);
        id_cache_put(c, SPAN("a"), span_of(id), 0);
        id_cache_put(c, SPAN("a"), SPAN(""), 0);
        assert_int_equal(id_cache_count(c), 0);
        id_cache_put(c, span_from(span_of(key), 1), span_from(span_of(id), 1), 0);
        assert_int_equal(id_cache_count(c), 1);
        id_cache_free(c);
}

static void *use_it(void *arg) {
        AUTO(arena_freep)
        Arena *a = arena_new(1 << 20);
        IdCache *c = arg;

        for (int i = 0; i < 5000; i++) {
                char key[16];

                (void)snprintf(key, sizeof key, "%d", i % 50);
                id_cache_put(c, span_of(key), span_of(key), i);
                Span id = id_cache_get(c, span_of(key), i, a);
                assert_true(!id.p || span_eq(id, span_of(key)));
                if (i % 7 == 0)
                        id_cache_forget(c, span_of(key), span_of(key));
        }
        return NULL;
}

static void threads_share_it(void **state) {
        IdCache *c = id_cache_new(20, 1000000);
        pthread_t threads[4];

        (void)state;
        for (size_t i = 0; i < COUNT_OF(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, use_it, c), 0);
        for (size_t i = 0; i < COUNT_OF(threads); i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(id_cache_count(c) <= 20);
        id_cache_free(c);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_is_kept_for_its_time),
                cmocka_unit_test(what_was_used_longest_ago_goes_first),
                cmocka_unit_test(only_the_id_that_was_wrong_is_forgotten),
                cmocka_unit_test(what_is_too_long_is_not_kept),
                cmocka_unit_test(threads_share_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
