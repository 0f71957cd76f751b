/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/queue.h"

#include "unit.h"

static Job *job_make(const char *target) {
        Job *job = must_alloc(sizeof *job);

        job->target = span_of(target);
        link_init(&job->link);
        return job;
}

static void give_back(void *arg, Job *job) {
        ++*(size_t *)arg;
        free(job);
}

static void push_many(Queues *q, const char *target, size_t n) {
        for (size_t i = 0; i < n; i++)
                queues_push(q, job_make(target));
}

static void start_all(Queues *q, Job **started, size_t max, size_t *ret_n) {
        *ret_n = 0;
        for (Job *job; *ret_n < max && (job = queues_next(q)); ++*ret_n)
                started[*ret_n] = job;
}

static size_t count_of(Job *const *jobs, size_t n, const char *target) {
        size_t found = 0;

        for (size_t i = 0; i < n; i++)
                found += span_eq(jobs[i]->target, span_of(target));
        return found;
}

static void end_all(Queues *q, Job **jobs, size_t n) {
        for (size_t i = 0; i < n; i++) {
                queues_ended(q, jobs[i]);
                free(jobs[i]);
        }
}

static void a_greedy_target_leaves_room_for_others(void **state) {
        Job *greedy[100], *other[100];
        size_t n, m, left = 0;
        Queues q;

        (void)state;
        queues_init(&q, 1000, 100);
        push_many(&q, "slow", 500);
        start_all(&q, greedy, COUNT_OF(greedy), &n);
        assert_int_equal(n, 50);
        push_many(&q, "quick", 10);
        start_all(&q, other, COUNT_OF(other), &m);
        assert_int_equal(m, 10);
        assert_int_equal(count_of(other, m, "quick"), 10);
        assert_int_equal(q.n_running, 60);
        end_all(&q, greedy, n);
        end_all(&q, other, m);
        assert_int_equal(q.n_running, 0);
        queues_done(&q, give_back, &left);
        assert_int_equal(left, 450);
}

static void targets_take_turns_and_each_keeps_its_order(void **state) {
        Job *started[9];
        size_t n, left = 0;
        Queues q;

        (void)state;
        queues_init(&q, 1000, 100);
        for (int64_t id = 1; id <= 3; id++)
                for (int t = 0; t < 3; t++) {
                        Job *job = job_make(t == 0 ? "a" : t == 1 ? "b" : "c");

                        job->id = id;
                        queues_push(&q, job);
                }
        push_many(&q, "a", 20);
        start_all(&q, started, COUNT_OF(started), &n);
        assert_int_equal(n, 9);
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(started[i]->id, (int64_t)(1 + i / 3));
                assert_int_equal(started[i]->target.p[0], "abc"[i % 3]);
        }
        end_all(&q, started, n);
        queues_done(&q, give_back, &left);
        assert_int_equal(left, 20);
}

static void a_target_that_runs_nothing_always_gets_the_last_place(void **state) {
        static const char *const names[] = {"a", "b", "c", "d"};
        Job *started[100];
        size_t n, left = 0;
        Queues q;

        (void)state;
        queues_init(&q, 1000, 100);
        for (size_t i = 0; i < COUNT_OF(names); i++)
                push_many(&q, names[i], 100);
        start_all(&q, started, COUNT_OF(started), &n);
        assert_int_equal(n, 80);
        for (size_t i = 0; i < COUNT_OF(names); i++)
                assert_int_equal(count_of(started, n, names[i]), 20);
        queues_push(&q, job_make("late"));
        Job *late = queues_next(&q);
        assert_non_null(late);
        assert_true(span_eq(late->target, SPAN("late")));
        end_all(&q, &late, 1);
        end_all(&q, started, n);
        queues_done(&q, give_back, &left);
        assert_int_equal(left, 320);
}

static void one_place_is_enough(void **state) {
        size_t left = 0;
        Queues q;

        (void)state;
        queues_init(&q, 10, 1);
        push_many(&q, "a", 2);
        Job *job = queues_next(&q);
        assert_non_null(job);
        assert_null(queues_next(&q));
        end_all(&q, &job, 1);
        job = queues_next(&q);
        assert_non_null(job);
        end_all(&q, &job, 1);
        queues_done(&q, give_back, &left);
}

static void idle_targets_are_forgotten_in_time(void **state) {
        size_t left = 0;
        Queues q;

        (void)state;
        queues_init(&q, 1, 4);
        for (int i = 0; i < 5000; i++) {
                char name[16];

                snprintf(name, sizeof name, "t%d", i);
                queues_push(&q, job_make(name));
                Job *job = queues_next(&q);
                assert_non_null(job);
                end_all(&q, &job, 1);
        }
        assert_in_range(table_count(q.table), 1, 300);
        queues_done(&q, give_back, &left);
        assert_int_equal(left, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_greedy_target_leaves_room_for_others),
                cmocka_unit_test(targets_take_turns_and_each_keeps_its_order),
                cmocka_unit_test(a_target_that_runs_nothing_always_gets_the_last_place),
                cmocka_unit_test(one_place_is_enough),
                cmocka_unit_test(idle_targets_are_forgotten_in_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
