/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/latest.h"
#include "unit.h"

static void a_lane_knows_its_latest(void **state) {
        Latest *l = latest_new();

        (void)state;
        assert_false(latest_is_after(l, 1, 5));
        latest_put(l, 1, 5);
        assert_true(latest_is_after(l, 1, 4));
        assert_false(latest_is_after(l, 1, 5));
        latest_put(l, 1, 3);
        assert_true(latest_is_after(l, 1, 4));
        assert_false(latest_is_after(l, 2, 4));
        latest_free(l);
}

static void the_one_that_was_not_used_for_longest_is_forgotten(void **state) {
        Latest *l = latest_new();

        (void)state;
        for (uint64_t lane = 1; lane <= LATEST_MAX; lane++)
                latest_put(l, lane, 5);
        assert_true(latest_is_after(l, 1, 4));
        latest_put(l, LATEST_MAX + 1, 5);
        assert_false(latest_is_after(l, 2, 4));
        assert_true(latest_is_after(l, 1, 4));
        assert_true(latest_is_after(l, LATEST_MAX + 1, 4));
        latest_free(l);
        assert_null(latest_free(NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_lane_knows_its_latest),
                cmocka_unit_test(the_one_that_was_not_used_for_longest_is_forgotten),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
