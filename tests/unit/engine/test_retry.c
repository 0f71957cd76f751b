/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/retry.h"

#include "base/base.h"
#include "unit.h"

static void the_default_schedule_is_the_promised_one(void **state) {
        static const int64_t seconds[] = {5,     30,    300,   1800,  7200,
                                          18000, 36000, 50400, 72000, 86400};
        RetryRule rule = retry_default;
        int64_t sum_ms = 0;
        Rng rng = {1};

        (void)state;
        rule.jitter_percent = 0;
        for (unsigned tries = 1; tries <= COUNT_OF(seconds); tries++) {
                int64_t pause = retry_pause_ms(&rule, tries, -1, &rng);

                assert_int_equal(pause, seconds[tries - 1] * 1000);
                sum_ms += pause;
        }
        assert_int_equal(retry_pause_ms(&rule, COUNT_OF(seconds) + 1, -1, &rng), -1);
        assert_in_range(sum_ms, INT64_C(75) * 3600000, INT64_C(76) * 3600000);
        assert_int_equal(retry_default.jitter_percent, 20);
}

static void jitter_stays_in_its_bounds_and_uses_them(void **state) {
        int64_t least = INT64_MAX, most = 0;
        Rng rng = {2};

        (void)state;
        for (int i = 0; i < 10000; i++) {
                int64_t pause = retry_pause_ms(&retry_default, 1, -1, &rng);

                assert_in_range(pause, 5000, 6000);
                least = pause < least ? pause : least;
                most = pause > most ? pause : most;
        }
        assert_in_range(least, 5000, 5010);
        assert_in_range(most, 5990, 6000);
}

static void a_hint_lengthens_and_never_shortens(void **state) {
        RetryRule rule = retry_default;
        Rng rng = {3};

        (void)state;
        rule.jitter_percent = 0;
        assert_int_equal(retry_pause_ms(&rule, 1, 60000, &rng), 60000);
        assert_int_equal(retry_pause_ms(&rule, 2, 1000, &rng), 30000);
        assert_int_equal(retry_pause_ms(&rule, 2, 0, &rng), 30000);
        assert_int_equal(retry_pause_ms(&rule, 1, INT64_MAX, &rng), INT64_C(24) * 3600000);
        assert_int_equal(retry_pause_ms(&rule, 11, 60000, &rng), -1);
}

static void pauses_double_up_to_their_cap(void **state) {
        RetryRule rule = retry_exponential(100, 1000, 6);
        static const int64_t pauses[] = {100, 200, 400, 800, 1000, 1000};

        (void)state;
        assert_int_equal(rule.n, 6);
        for (unsigned i = 0; i < COUNT_OF(pauses); i++)
                assert_int_equal(rule.pause_ms[i], pauses[i]);
        assert_int_equal(retry_exponential(1, INT64_MAX, 1000).n, RETRY_STEPS_MAX);
        assert_int_equal(retry_exponential(0, 0, 0).n, 0); /* a flow's `retry: none` */
}

static void no_retry_is_a_rule_too(void **state) {
        RetryRule rule = {0};
        Rng rng = {4};

        (void)state;
        assert_int_equal(retry_pause_ms(&rule, 1, -1, &rng), -1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_default_schedule_is_the_promised_one),
                cmocka_unit_test(jitter_stays_in_its_bounds_and_uses_them),
                cmocka_unit_test(a_hint_lengthens_and_never_shortens),
                cmocka_unit_test(pauses_double_up_to_their_cap),
                cmocka_unit_test(no_retry_is_a_rule_too),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
