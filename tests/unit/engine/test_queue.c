/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/queue.h"

#include "unit.h"

static Job *job_make(const char *target) {
        Job *job = must_alloc(sizeof *job);

        job->target = span_of(target);
        link_init(&job->link);
        return job;
}

typedef struct Left {
        Queues *q;
        size_t n;
} Left;

static void give_back(void *arg, Job *job) {
        Left *left = arg;

        left->n++;
        queues_leave(left->q, job);
        free(job);
}

/* Ends the queues; returns how many jobs were ready. */
static size_t end_queues(Queues *q) {
        Left left = {q, 0};

        queues_clear(q, give_back, &left);
        assert_int_equal(q->n_here, 0);
        assert_int_equal(q->bytes_here, 0);
        queues_done(q);
        return left.n;
}

static void start_queues(Queues *q, size_t running_max) {
        queues_init(q, 10000, running_max, 10000, 1 << 20);
}

static void enter(Queues *q, Job *job) {
        queues_enter(q, job, (TargetLimits){0});
        queues_push(q, job, 0);
}

/* The one job of the run whose turn it is, or NULL. */
static Job *next(Queues *q) {
        List run;

        list_init(&run);
        if (queues_next(q, 0, &run) == 0)
                return NULL;
        assert_int_equal(run.n, 1);
        return CONTAINER_OF(list_pop(&run), Job, link);
}

static void push_many(Queues *q, const char *target, size_t n) {
        for (size_t i = 0; i < n; i++)
                enter(q, job_make(target));
}

static void start_all(Queues *q, Job **started, size_t max, size_t *ret_n) {
        *ret_n = 0;
        for (Job *job; *ret_n < max && (job = next(q)); ++*ret_n)
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
                queues_leave(q, jobs[i]);
                free(jobs[i]);
        }
}

static void a_greedy_target_leaves_room_for_others(void **state) {
        Job *greedy[100], *other[100];
        size_t n, m;
        Queues q;

        (void)state;
        start_queues(&q, 100);
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
        assert_int_equal(end_queues(&q), 450);
}

static void targets_take_turns_and_each_keeps_its_order(void **state) {
        Job *started[9];
        size_t n;
        Queues q;

        (void)state;
        start_queues(&q, 100);
        for (int64_t id = 1; id <= 3; id++)
                for (int t = 0; t < 3; t++) {
                        Job *job = job_make(t == 0 ? "a" : t == 1 ? "b" : "c");

                        job->id = id;
                        enter(&q, job);
                }
        push_many(&q, "a", 20);
        start_all(&q, started, COUNT_OF(started), &n);
        assert_int_equal(n, 9);
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(started[i]->id, (int64_t)(1 + i / 3));
                assert_int_equal(started[i]->target.p[0], "abc"[i % 3]);
        }
        end_all(&q, started, n);
        assert_int_equal(end_queues(&q), 20);
}

static void a_target_that_runs_nothing_always_gets_the_last_place(void **state) {
        static const char *const names[] = {"a", "b", "c", "d"};
        Job *started[100];
        size_t n;
        Queues q;

        (void)state;
        start_queues(&q, 100);
        for (size_t i = 0; i < COUNT_OF(names); i++)
                push_many(&q, names[i], 100);
        start_all(&q, started, COUNT_OF(started), &n);
        assert_int_equal(n, 80);
        for (size_t i = 0; i < COUNT_OF(names); i++)
                assert_int_equal(count_of(started, n, names[i]), 20);
        enter(&q, job_make("late"));
        Job *late = next(&q);
        assert_non_null(late);
        assert_true(span_eq(late->target, SPAN("late")));
        end_all(&q, &late, 1);
        end_all(&q, started, n);
        assert_int_equal(end_queues(&q), 320);
}

static void one_place_is_enough(void **state) {
        Queues q;

        (void)state;
        start_queues(&q, 1);
        push_many(&q, "a", 2);
        Job *job = next(&q);
        assert_non_null(job);
        assert_null(next(&q));
        end_all(&q, &job, 1);
        job = next(&q);
        assert_non_null(job);
        end_all(&q, &job, 1);
        (void)end_queues(&q);
}

static void idle_targets_are_forgotten_in_time(void **state) {
        Queues q;

        (void)state;
        start_queues(&q, 4);
        for (int i = 0; i < 5000; i++) {
                char name[16];

                snprintf(name, sizeof name, "t%d", i);
                enter(&q, job_make(name));
                Job *job = next(&q);
                assert_non_null(job);
                end_all(&q, &job, 1);
        }
        assert_in_range(table_count(q.table), 1, 300);
        assert_int_equal(end_queues(&q), 0);
}

static Job *with_event(const char *target, size_t bytes) {
        Job *job = job_make(target);

        job->event = must_alloc(sizeof *job->event);
        job->event->body.n = bytes;
        return job;
}

static void memory_is_shared_like_places(void **state) {
        Queues q;
        size_t n = 0;

        (void)state;
        queues_init(&q, 100, 10, 90, 1 << 20);
        Job *job = job_make("slow");
        while (queues_room(&q, job)) {
                enter(&q, job);
                job = job_make("slow");
                n++;
        }
        free(job);
        assert_int_equal(n, 45);
        job = job_make("quick");
        for (n = 0; queues_room(&q, job); n++) {
                enter(&q, job);
                job = job_make("quick");
        }
        free(job);
        assert_int_equal(n, 23);
        job = job_make("other");
        assert_true(queues_room(&q, job));
        free(job);
        assert_int_equal(end_queues(&q), 68);
}

static void bytes_are_shared_too(void **state) {
        Queues q;
        Job *jobs[3];

        (void)state;
        queues_init(&q, 100, 10, 1000, 1 << 20);
        for (size_t i = 0; i < COUNT_OF(jobs); i++) {
                jobs[i] = with_event("large", 400 * 1024);
                assert_int_equal(queues_room(&q, jobs[i]), i == 0);
                if (i == 0)
                        queues_enter(&q, jobs[i], (TargetLimits){0});
        }
        /* Who has nothing here may bring one that is larger than its share. */
        Job *huge = with_event("other", 1500 * 1024), *too_much = with_event("other", 1 << 21);
        assert_true(queues_room(&q, huge));
        assert_false(queues_room(&q, too_much));
        queues_leave(&q, jobs[0]);
        assert_int_equal(q.bytes_here, 0);
        for (size_t i = 0; i < COUNT_OF(jobs); i++) {
                free(jobs[i]->event);
                free(jobs[i]);
        }
        free(huge->event);
        free(huge);
        free(too_much->event);
        free(too_much);
        queues_done(&q);
}

/* ---- batches ---- */

static const TargetLimits five = {.batch = 5, .batch_bytes = 1000, .batch_wait_ms = 100};

static void collect(Queues *q, Job *job, TargetLimits limits, int64_t now_ms) {
        queues_enter(q, job, limits);
        queues_push(q, job, now_ms);
}

/* Begins a run and ends it at once; returns how many jobs it had. `ret_first`: the first one's id.
 */
static size_t one_run(Queues *q, int64_t now_ms, int64_t *ret_first) {
        List run;
        Link *at;
        size_t n;

        list_init(&run);
        n = queues_next(q, now_ms, &run);
        assert_int_equal(run.n, n);
        if (n == 0)
                return 0;
        *ret_first = CONTAINER_OF(run.head.next, Job, link)->id;
        queues_ended(q, CONTAINER_OF(run.head.next, Job, link));
        while ((at = list_pop(&run))) {
                Job *job = CONTAINER_OF(at, Job, link);

                queues_leave(q, job);
                if (job->event)
                        free(job->event);
                free(job);
        }
        return n;
}

static Job *numbered(int64_t id) {
        Job *job = job_make("a");

        job->id = id;
        return job;
}

static void a_batch_is_collected_until_it_is_full_or_its_time_has_come(void **state) {
        int64_t first, id = 1;
        Queues q;

        (void)state;
        start_queues(&q, 10);
        for (; id <= 4; id++)
                collect(&q, numbered(id), five, 1000 + id);
        assert_int_equal(one_run(&q, 1010, &first), 0);
        assert_int_equal(queues_pace_ms(&q), 1101);
        /* Another target is not kept waiting. */
        enter(&q, job_make("b"));
        assert_int_equal(one_run(&q, 1010, &first), 1);
        assert_int_equal(one_run(&q, 1100, &first), 0);
        for (; id <= 7; id++)
                collect(&q, numbered(id), five, 1050);
        assert_int_equal(one_run(&q, 1050, &first), 5);
        assert_int_equal(first, 1);
        /* The two that are left have come at 1050. */
        assert_int_equal(one_run(&q, 1149, &first), 0);
        assert_int_equal(queues_pace_ms(&q), 1150);
        assert_int_equal(one_run(&q, 1150, &first), 2);
        assert_int_equal(first, 6);
        assert_int_equal(queues_pace_ms(&q), INT64_MAX);
        assert_int_equal(end_queues(&q), 0);
}

static void a_batch_has_no_more_bytes_than_it_may(void **state) {
        static const size_t sizes[] = {400, 500, 300, 5000, 100};
        int64_t first;
        Queues q;

        (void)state;
        start_queues(&q, 10);
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
                Job *job = with_event("a", sizes[i]);

                job->id = (int64_t)i;
                collect(&q, job, five, 0);
        }
        assert_int_equal(one_run(&q, 0, &first), 2);
        /* A single one may be larger. */
        assert_int_equal(one_run(&q, 0, &first), 1);
        assert_int_equal(first, 2);
        assert_int_equal(one_run(&q, 0, &first), 1);
        assert_int_equal(first, 3);
        assert_int_equal(one_run(&q, 0, &first), 0);
        assert_int_equal(one_run(&q, 100, &first), 1);
        assert_int_equal(end_queues(&q), 0);
}

static void a_batch_is_one_run_of_width_and_rate(void **state) {
        TargetLimits narrow = five;
        List run;
        Queues q;

        (void)state;
        start_queues(&q, 10);
        narrow.width = 1;
        narrow.rate = 1;
        list_init(&run);
        for (int64_t id = 1; id <= 10; id++)
                collect(&q, numbered(id), narrow, 0);
        assert_int_equal(queues_next(&q, 0, &run), 5);
        assert_int_equal(q.n_running, 1);
        assert_int_equal(queues_next(&q, 5000, &run), 0);
        queues_ended(&q, CONTAINER_OF(run.head.next, Job, link));
        assert_int_equal(queues_next(&q, 999, &run), 0);
        assert_int_equal(queues_next(&q, 1001, &run), 5);
        assert_int_equal(run.n, 10);
        queues_ended(&q, CONTAINER_OF(run.head.next, Job, link));
        for (Link *at; (at = list_pop(&run));) {
                queues_leave(&q, CONTAINER_OF(at, Job, link));
                free(CONTAINER_OF(at, Job, link));
        }
        assert_int_equal(end_queues(&q), 0);
}

static void one_that_was_left_out_goes_first_and_has_waited_since_then(void **state) {
        List run;
        int64_t first;
        Queues q;

        (void)state;
        start_queues(&q, 10);
        list_init(&run);
        for (int64_t id = 1; id <= 5; id++)
                collect(&q, numbered(id), five, 0);
        assert_int_equal(queues_next(&q, 0, &run), 5);
        collect(&q, numbered(6), five, 50);
        assert_int_equal(queues_next(&q, 60, &run), 0);
        queues_ended(&q, CONTAINER_OF(run.head.next, Job, link));
        for (int64_t id = 5; id >= 1; id--) {
                Job *job = CONTAINER_OF(run.head.prev, Job, link);

                list_remove(&run, &job->link);
                if (id > 3) {
                        queues_push_front(&q, job);
                        continue;
                }
                queues_leave(&q, job);
                free(job);
        }
        assert_int_equal(one_run(&q, 99, &first), 0);
        assert_int_equal(one_run(&q, 100, &first), 3);
        assert_int_equal(first, 4);
        assert_int_equal(end_queues(&q), 0);
}

static void what_is_collected_is_given_back(void **state) {
        int64_t first;
        Queues q;

        (void)state;
        start_queues(&q, 10);
        for (int64_t id = 1; id <= 3; id++)
                collect(&q, numbered(id), five, 0);
        assert_int_equal(one_run(&q, 0, &first), 0);
        assert_int_equal(end_queues(&q), 3);
}

static void backlogs_are_asked_for_by_turns(void **state) {
        Queues q;
        Span target;
        size_t max;
        int64_t after;

        (void)state;
        start_queues(&q, 10);
        assert_false(queues_ask(&q, 256, &target, &max, &after));
        queues_backlog(&q, SPAN("a"), 7);
        queues_backlog(&q, SPAN("b"), 9);
        queues_backlog(&q, SPAN("a"), 8);
        assert_true(queues_ask(&q, 256, &target, &max, &after));
        assert_true(span_eq(target, SPAN("a")));
        assert_int_equal(after, 6);
        assert_int_equal(max, 256);
        queues_heard(&q, target, 300, true);
        assert_true(queues_ask(&q, 256, &target, &max, &after));
        assert_true(span_eq(target, SPAN("b")));
        queues_heard(&q, target, 0, false);
        assert_false(queues_has_backlog(&q, SPAN("b")));
        assert_true(queues_ask(&q, 256, &target, &max, &after));
        assert_int_equal(after, 300);
        /* News while the ledger is asked: behind what was searched, and before it. */
        queues_backlog(&q, SPAN("a"), 400);
        queues_heard(&q, target, 350, false);
        assert_true(queues_ask(&q, 256, &target, &max, &after));
        assert_int_equal(after, 399);
        queues_backlog(&q, SPAN("a"), 200);
        queues_heard(&q, target, 500, true);
        assert_true(queues_ask(&q, 256, &target, &max, &after));
        assert_int_equal(after, 199);
        queues_heard(&q, target, 0, false);
        assert_false(queues_has_backlog(&q, SPAN("a")));
        queues_done(&q);
}

/* The target that is asked for next, and from when on. */
static void expect_due(Queues *q, int64_t now_ms, const char *name, int64_t from_ms) {
        int64_t from;
        size_t max;
        Span target;

        assert_true(queues_ask_due(q, now_ms, 256, &target, &max, &from));
        assert_true(span_eq(target, span_of(name)));
        assert_int_equal(from, from_ms);
        assert_in_range(max, 1, 256);
}

static void targets_that_are_due_take_turns(void **state) {
        int64_t from;
        size_t max;
        Span target;
        Queues q;

        (void)state;
        start_queues(&q, 100);
        assert_int_equal(queues_due_ms(&q), INT64_MAX);
        queues_due(&q, SPAN("many"), 100);
        queues_due(&q, SPAN("many"), 150); /* not the first of them */
        queues_due(&q, SPAN("other"), 200);
        assert_int_equal(queues_due_ms(&q), 100);
        assert_false(queues_ask_due(&q, 99, 256, &target, &max, &from));
        expect_due(&q, 200, "many", 100);
        /* One that is asked for is not asked for again, though more of it is due. */
        expect_due(&q, 200, "other", 200);
        assert_false(queues_ask_due(&q, 200, 256, &target, &max, &from));
        queues_heard_due(&q, SPAN("many"), 100); /* there are more of that moment */
        queues_due(&q, SPAN("third"), 201);
        expect_due(&q, 201, "many", 100);
        queues_heard_due(&q, SPAN("many"), 100);
        expect_due(&q, 201, "third", 201);
        queues_heard_due(&q, SPAN("other"), INT64_MAX);
        queues_heard_due(&q, SPAN("third"), 9000);
        expect_due(&q, 201, "many", 100);
        queues_heard_due(&q, SPAN("many"), INT64_MAX);
        assert_int_equal(queues_due_ms(&q), 9000);
        queues_done(&q);
}

/* Jobs that wait since the ledger was asked: the answer may not know of them. */
static void what_comes_while_the_due_are_asked_for_is_not_forgotten(void **state) {
        Queues q;

        (void)state;
        start_queues(&q, 100);
        queues_due(&q, SPAN("a"), 100);
        expect_due(&q, 500, "a", 100);
        queues_due(&q, SPAN("a"), 90);
        queues_heard_due(&q, SPAN("a"), INT64_MAX);
        expect_due(&q, 500, "a", 90);
        queues_due(&q, SPAN("a"), 700);
        queues_heard_due(&q, SPAN("a"), 600);
        assert_int_equal(queues_due_ms(&q), 600);
        expect_due(&q, 600, "a", 600);
        queues_heard_due(&q, SPAN("a"), INT64_MAX);
        queues_due(&q, SPAN("a"), 800);
        assert_int_equal(queues_due_ms(&q), 800);
        queues_done(&q);
}

/* However many of one target are due, its share of memory is all that they get. */
static void a_full_target_does_not_hold_those_that_are_due_elsewhere(void **state) {
        int64_t from;
        size_t max;
        Span target;
        Queues q;

        (void)state;
        queues_init(&q, 100, 100, 200, 1 << 20);
        push_many(&q, "full", 100);
        queues_due(&q, SPAN("full"), 10);
        queues_due(&q, SPAN("other"), 20);
        expect_due(&q, 30, "other", 20);
        assert_false(queues_ask_due(&q, 30, 256, &target, &max, &from));
        queues_heard_due(&q, SPAN("other"), INT64_MAX);
        assert_int_equal(end_queues(&q), 100);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_greedy_target_leaves_room_for_others),
                cmocka_unit_test(targets_take_turns_and_each_keeps_its_order),
                cmocka_unit_test(a_target_that_runs_nothing_always_gets_the_last_place),
                cmocka_unit_test(one_place_is_enough),
                cmocka_unit_test(idle_targets_are_forgotten_in_time),
                cmocka_unit_test(memory_is_shared_like_places),
                cmocka_unit_test(bytes_are_shared_too),
                cmocka_unit_test(a_batch_is_collected_until_it_is_full_or_its_time_has_come),
                cmocka_unit_test(a_batch_has_no_more_bytes_than_it_may),
                cmocka_unit_test(a_batch_is_one_run_of_width_and_rate),
                cmocka_unit_test(one_that_was_left_out_goes_first_and_has_waited_since_then),
                cmocka_unit_test(what_is_collected_is_given_back),
                cmocka_unit_test(backlogs_are_asked_for_by_turns),
                cmocka_unit_test(targets_that_are_due_take_turns),
                cmocka_unit_test(what_comes_while_the_due_are_asked_for_is_not_forgotten),
                cmocka_unit_test(a_full_target_does_not_hold_those_that_are_due_elsewhere),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
