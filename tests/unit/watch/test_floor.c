/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor of an outbox: never above a row that may still come. */
#include "unit.h"
#include "watch/floor.h"

static void it_rises_once_all_before_it_have_ended(void **state) {
        Floor f = {0};

        (void)state;
        floor_saw(&f, 10, 100);
        floor_deleted(&f, 10, 120);
        assert_int_equal(f.id, 0);
        floor_saw(&f, 0, 119); /* one is still at work, and may have drawn a 9 */
        assert_int_equal(f.id, 0);
        floor_saw(&f, 0, 120);
        assert_int_equal(f.id, 10);
}

static void a_slower_ones_rows_are_taken_first(void **state) {
        Floor f = {0};

        (void)state;
        floor_deleted(&f, 10, 120);
        floor_saw(&f, 4, 130); /* the look ended there: 5 to 9 may be behind it */
        assert_int_equal(f.id, 4);
        floor_deleted(&f, 4, 131);
        assert_int_equal(f.top, 10);
        floor_saw(&f, 12, 130);
        assert_int_equal(f.id, 10);
        floor_deleted(&f, 12, 132);
        assert_int_equal(f.top, 12);
}

static void who_waits_is_not_overtaken(void **state) {
        Floor f = {0};

        (void)state;
        floor_deleted(&f, 10, 120);
        for (int64_t n = 11; n < 100; n++) {
                floor_saw(&f, n, 119);
                floor_deleted(&f, n, 120 + n);
        }
        assert_int_equal(f.top, 10);
        floor_saw(&f, 100, 121);
        assert_int_equal(f.id, 10);
        floor_deleted(&f, 100, 300);
        assert_int_equal(f.top, 100);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_rises_once_all_before_it_have_ended),
                cmocka_unit_test(a_slower_ones_rows_are_taken_first),
                cmocka_unit_test(who_waits_is_not_overtaken),
        };

        return cmocka_run_group_tests_name("floor", tests, NULL, NULL);
}
