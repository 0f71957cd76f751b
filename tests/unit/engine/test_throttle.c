/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/crowd.h"
#include "engine/queue.h"

#include "unit.h"

enum { SECOND = 1000000 };

static void a_seconds_share_goes_at_once_and_the_rest_has_moments(void **state) {
        Throttle *t = throttle_new();

        (void)state;
        assert_int_equal(throttle_take(t, 5), 0); /* no limit */
        throttle_set(t, 4);
        for (int i = 0; i < 4; i++)
                assert_int_equal(throttle_take(t, 1000), 0);
        assert_int_equal(throttle_take(t, 1000), SECOND / 4);
        assert_int_equal(throttle_take(t, 1000), 2 * SECOND / 4);
        assert_int_equal(throttle_take(t, 1000 + 3 * SECOND / 4), 0);
        throttle_unref(t);
}

static void neither_a_clock_nor_an_old_rate_holds_anyone_for_long(void **state) {
        Throttle *t = throttle_new();
        int64_t far = INT64_C(3600) * SECOND;

        (void)state;
        throttle_set(t, 1);
        assert_int_equal(throttle_take(t, far), 0);
        assert_int_equal(throttle_take(t, 1000), 0); /* it went back by an hour */
        for (int i = 1; i <= 64; i++)
                assert_int_equal(throttle_take(t, 1000), i * (int64_t)SECOND);
        throttle_set(t, 1000);
        assert_int_equal(throttle_take(t, 1000), 0);
        throttle_set(t, 0);
        assert_int_equal(throttle_take(t, 1000), 0);
        throttle_unref(t);
}

static void a_crowd_goes_one_by_one_in_its_order(void **state) {
        Throttle *t = throttle_new(), *other = throttle_new();
        Crowd *crowd[3];
        Link who[3], stranger;
        Crowds c;

        (void)state;
        throttle_set(t, 2);
        throttle_set(other, 2);
        crowds_init(&c, 10);
        assert_int_equal(crowds_due_ms(&c), INT64_MAX);
        assert_null(crowds_ask(&c, t, &stranger, 0));
        assert_null(crowds_ask(&c, t, &stranger, 0));
        for (int i = 0; i < 3; i++)
                assert_non_null(crowd[i] = crowds_ask(&c, t, &who[i], 0));
        assert_null(crowds_ask(&c, other, &stranger, 0));
        /* Of all that wait one has a permit, so it is waited for once. */
        assert_int_equal(crowds_due_ms(&c), 500);
        assert_null(crowds_next(&c, 499));
        assert_ptr_equal(crowds_next(&c, 500), &who[0]);
        assert_null(crowds_next(&c, 500));
        assert_int_equal(crowds_due_ms(&c), 1000);
        crowds_leave(&c, crowd[1], &who[1]);
        assert_ptr_equal(crowds_next(&c, 1000), &who[2]);
        assert_int_equal(crowds_due_ms(&c), INT64_MAX);
        crowds_done(&c);
        throttle_unref(t);
        throttle_unref(other);
}

/* ---- targets that share one ---- */

static Job *job_make(const char *target) {
        Job *job = must_alloc(sizeof *job);

        job->target = span_of(target);
        link_init(&job->link);
        return job;
}

static void enter(Queues *q, const char *target, TargetLimits limits, int64_t now_ms) {
        Job *job = job_make(target);

        queues_enter(q, job, limits);
        queues_push(q, job, now_ms);
}

/* The name of the target whose run begins, or '-'. It ends at once. */
static char next(Queues *q, int64_t now_ms) {
        char name;
        List run;

        list_init(&run);
        if (queues_next(q, now_ms, &run) == 0)
                return '-';
        Job *job = CONTAINER_OF(list_pop(&run), Job, link);
        name = job->target.p[0];
        queues_ended(q, job);
        queues_leave(q, job);
        free(job);
        return name;
}

static void give_back(void *arg, Job *job) {
        queues_leave(arg, job);
        free(job);
}

static void targets_that_share_a_throttle_take_turns(void **state) {
        Throttle *t = throttle_new();
        TargetLimits shared = {.throttle = t};
        char got[9] = "";
        Queues q;

        (void)state;
        throttle_set(t, 2);
        queues_init(&q, 100, 100, 1000, 1 << 20);
        for (int i = 0; i < 20; i++)
                enter(&q, "many", shared, 0);
        for (int i = 0; i < 2; i++) {
                enter(&q, "few", shared, 0);
                enter(&q, "own", (TargetLimits){0}, 0);
        }
        for (size_t i = 0; i < 4; i++)
                got[i] = next(&q, 0);
        /* Two of those that share it, and both of the one that does not. */
        assert_int_equal(next(&q, 0), '-');
        assert_string_equal(got, "mfoo");
        for (int64_t ms = 500; ms <= 2000; ms += 500) {
                assert_int_equal(queues_pace_ms(&q), ms);
                assert_int_equal(next(&q, ms - 1), '-');
                got[ms / 500 - 1] = next(&q, ms);
                assert_int_equal(next(&q, ms), '-');
        }
        assert_string_equal(got, "mfmm");
        queues_clear(&q, give_back, &q);
        queues_done(&q);
        assert_int_equal(t->refs, 1);
        throttle_unref(t);
}

static void a_rate_of_its_own_holds_beside_it(void **state) {
        Throttle *t = throttle_new();
        TargetLimits slow = {.throttle = t, .rate = 1}, quick = {.throttle = t};
        Queues q;

        (void)state;
        throttle_set(t, 4);
        queues_init(&q, 100, 100, 1000, 1 << 20);
        for (int i = 0; i < 10; i++) {
                enter(&q, "slow", slow, 0);
                enter(&q, "quick", quick, 0);
        }
        assert_int_equal(next(&q, 0), 's');
        for (int i = 0; i < 3; i++)
                assert_int_equal(next(&q, 0), 'q');
        assert_int_equal(next(&q, 0), '-');
        for (int64_t ms = 250; ms < 1000; ms += 250) {
                assert_int_equal(next(&q, ms), 'q');
                assert_int_equal(next(&q, ms), '-');
        }
        /* It is there again, and stands behind the other. */
        assert_int_equal(next(&q, 1001), 'q');
        assert_int_equal(next(&q, 1001), '-');
        assert_int_equal(next(&q, 1251), 's');
        queues_clear(&q, give_back, &q);
        queues_done(&q);
        throttle_unref(t);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_seconds_share_goes_at_once_and_the_rest_has_moments),
                cmocka_unit_test(neither_a_clock_nor_an_old_rate_holds_anyone_for_long),
                cmocka_unit_test(a_crowd_goes_one_by_one_in_its_order),
                cmocka_unit_test(targets_that_share_a_throttle_take_turns),
                cmocka_unit_test(a_rate_of_its_own_holds_beside_it),
        };

        return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}
