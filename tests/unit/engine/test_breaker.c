/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/breaker.h"

#include "unit.h"

#include <pthread.h>

static void miss(Breaker *b, int64_t now_ms) {
        int64_t wait;
        BreakerAnswer as = breaker_ask(b, now_ms, &wait);

        assert_int_not_equal(as, BREAKER_REFUSE);
        breaker_tell(b, as, false, now_ms);
}

static void it_opens_after_failures_in_a_row(void **state) {
        int64_t wait = 0;
        Breaker b;

        (void)state;
        breaker_init(&b, 3, 1000, 8000);
        miss(&b, 1);
        miss(&b, 2);
        breaker_tell(&b, BREAKER_GO, true, 3); /* not in a row any more */
        miss(&b, 4);
        miss(&b, 5);
        assert_int_equal(breaker_state(&b, 5), BREAKER_CLOSED);
        miss(&b, 6);
        assert_int_equal(breaker_state(&b, 6), BREAKER_OPEN);
        assert_int_equal(breaker_ask(&b, 6, &wait), BREAKER_REFUSE);
        assert_int_equal(wait, 1000);
}

static void one_probe_goes_ahead(void **state) {
        int64_t wait = 0;
        Breaker b;

        (void)state;
        breaker_init(&b, 1, 1000, 8000);
        miss(&b, 0);
        assert_int_equal(breaker_ask(&b, 999, &wait), BREAKER_REFUSE);
        assert_int_equal(wait, 1);
        assert_int_equal(breaker_ask(&b, 1000, &wait), BREAKER_PROBE);
        assert_int_equal(breaker_state(&b, 1000), BREAKER_HALF_OPEN);
        assert_int_equal(breaker_ask(&b, 1000, &wait), BREAKER_REFUSE);
        assert_in_range(wait, 1, 8000);
        breaker_tell(&b, BREAKER_PROBE, true, 1200);
        assert_int_equal(breaker_state(&b, 1200), BREAKER_CLOSED);
        assert_int_equal(breaker_ask(&b, 1200, &wait), BREAKER_GO);
}

static void the_pause_doubles_with_each_failed_probe(void **state) {
        static const int64_t pauses[] = {2000, 4000, 8000, 8000};
        int64_t now = 0, wait = 0;
        Breaker b;

        (void)state;
        breaker_init(&b, 1, 1000, 8000);
        miss(&b, now);
        now += 1000;
        for (size_t i = 0; i < COUNT_OF(pauses); i++) {
                assert_int_equal(breaker_ask(&b, now, &wait), BREAKER_PROBE);
                breaker_tell(&b, BREAKER_PROBE, false, now);
                assert_int_equal(breaker_ask(&b, now, &wait), BREAKER_REFUSE);
                assert_int_equal(wait, pauses[i]);
                now += pauses[i];
        }
        assert_int_equal(breaker_ask(&b, now, &wait), BREAKER_PROBE);
        breaker_tell(&b, BREAKER_PROBE, true, now);
        miss(&b, now);
        assert_int_equal(breaker_ask(&b, now, &wait), BREAKER_REFUSE);
        assert_int_equal(wait, 1000);
}

static void calls_that_began_before_do_not_lengthen_the_pause(void **state) {
        int64_t wait = 0;
        Breaker b;

        (void)state;
        breaker_init(&b, 2, 1000, 8000);
        for (int i = 0; i < 64; i++)
                breaker_tell(&b, BREAKER_GO, false, i < 2 ? 0 : 500);
        assert_int_equal(breaker_ask(&b, 999, &wait), BREAKER_REFUSE);
        assert_int_equal(breaker_ask(&b, 1000, &wait), BREAKER_PROBE);
}

static void a_lost_probe_is_replaced(void **state) {
        int64_t wait = 0;
        Breaker b;

        (void)state;
        breaker_init(&b, 1, 1000, 8000);
        miss(&b, 0);
        assert_int_equal(breaker_ask(&b, 1000, &wait), BREAKER_PROBE);
        assert_int_equal(breaker_ask(&b, 1000 + BREAKER_PROBE_MAX_MS - 1, &wait), BREAKER_REFUSE);
        assert_int_equal(breaker_ask(&b, 1000 + BREAKER_PROBE_MAX_MS, &wait), BREAKER_PROBE);
}

enum { THREADS = 4, ASKS = 20000 };

typedef struct Crowd {
        Breaker breaker;
        _Atomic unsigned probes;
} Crowd;

static void *ask_often(void *arg) {
        Crowd *c = arg;
        int64_t wait;

        for (int i = 0; i < ASKS; i++)
                if (breaker_ask(&c->breaker, 5000, &wait) == BREAKER_PROBE)
                        atomic_fetch_add(&c->probes, 1);
        return NULL;
}

static void of_many_threads_one_is_the_probe(void **state) {
        pthread_t threads[THREADS];
        Crowd c = {0};

        (void)state;
        breaker_init(&c.breaker, 1, 1000, 8000);
        miss(&c.breaker, 0);
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &c), 0);
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(atomic_load(&c.probes), 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_opens_after_failures_in_a_row),
                cmocka_unit_test(one_probe_goes_ahead),
                cmocka_unit_test(the_pause_doubles_with_each_failed_probe),
                cmocka_unit_test(calls_that_began_before_do_not_lengthen_the_pause),
                cmocka_unit_test(a_lost_probe_is_replaced),
                cmocka_unit_test(of_many_threads_one_is_the_probe),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
