/* SPDX-License-Identifier: Apache-2.0
 *
 * Who waits for results hears once: the first failure, the last success, or that time is up. */
#include "trigger/waiter.h"

#include "unit.h"

#include <pthread.h>

static const Outcome good = {.status = 200, .code = "done", .retry_after_s = -1};
static const Outcome bad = {
        .status = 424, .code = "refused", .message = {"No.", 3}, .retry_after_s = 7};

typedef struct Ear {
        Inbox inbox;
        size_t n;
        int status; /* 0: without an outcome */
        const char *code;
} Ear;

static void on_told(Waiter *w) {
        Ear *ear = w->arg;

        ear->n++;
        ear->status = w->outcome ? w->outcome->status : 0;
        ear->code = w->outcome ? w->outcome->code : "";
}

static Waiter *wait_for(Ear *ear, unsigned jobs) {
        Waiter *w;

        *ear = (Ear){.n = 0};
        inbox_init(&ear->inbox, NULL, NULL);
        w = waiter_new(&ear->inbox, jobs);
        w->on_told = on_told;
        w->arg = ear;
        return w;
}

static void ear_done(Ear *ear) {
        (void)inbox_read(&ear->inbox);
        inbox_done(&ear->inbox);
}

static void heard(Ear *ear, size_t n, int status) {
        (void)inbox_read(&ear->inbox);
        assert_int_equal(ear->n, n);
        assert_int_equal(ear->status, status);
}

static void a_run_is_waited_for_by_the_deadline_and_not_after(void **state) {
        Ear ear;
        Waiter *w = wait_for(&ear, 2);

        (void)state;
        w->until_ms = 1000;
        assert_false(waiter_is_about_to_hear(w, 1000)); /* nothing has begun */
        assert_true(waiter_begin(w, 999));
        assert_false(waiter_is_about_to_hear(w, 999));
        assert_true(waiter_is_about_to_hear(w, 1000));
        assert_false(waiter_begin(w, 1000)); /* the other one comes too late */
        assert_int_equal(waiter_decide(w, &good), WAITER_NOTHING);
        waiter_ended(w);
        assert_false(waiter_is_about_to_hear(w, 1001));
        assert_true(waiter_give_up(w));
        assert_false(waiter_begin(w, 0)); /* nor is anybody waited for once it was told */
        heard(&ear, 0, 0);
        waiter_unref(w);
        ear_done(&ear);
}

static void the_last_success_is_told(void **state) {
        Ear ear;
        Waiter *w = wait_for(&ear, 3);

        (void)state;
        assert_int_equal(waiter_decide(w, &good), WAITER_NOTHING);
        assert_int_equal(waiter_decide(w, &good), WAITER_NOTHING);
        assert_int_equal(waiter_decide(w, &good), WAITER_SUCCESS);
        heard(&ear, 0, 0); /* not before it is told */
        waiter_tell(w);
        heard(&ear, 1, 200);
        assert_false(waiter_give_up(w));
        waiter_unref(w);
        ear_done(&ear);
}

static void the_first_failure_is_told_and_final(void **state) {
        Ear ear;
        Waiter *w = wait_for(&ear, 3);

        (void)state;
        assert_int_equal(waiter_decide(w, &good), WAITER_NOTHING);
        assert_int_equal(waiter_decide(w, &bad), WAITER_FAILURE);
        waiter_tell(w);
        assert_int_equal(waiter_decide(w, &bad), WAITER_NOTHING);
        heard(&ear, 1, 424);
        assert_true(span_eq(w->outcome->message, SPAN("No.")));
        assert_int_equal(w->outcome->retry_after_s, 7);
        waiter_unref(w);
        ear_done(&ear);
}

static void who_gave_up_hears_nothing_more(void **state) {
        Ear ear;
        Waiter *w = wait_for(&ear, 1);

        (void)state;
        assert_true(waiter_give_up(w));
        assert_false(waiter_give_up(w));
        assert_int_equal(waiter_decide(w, &good), WAITER_NOTHING);
        assert_null(w->outcome);
        waiter_leave(waiter_ref(w));
        heard(&ear, 0, 0);
        waiter_unref(w);
        ear_done(&ear);
}

static void a_job_that_leaves_is_told_once(void **state) {
        Ear ear;
        Waiter *w = wait_for(&ear, 3);

        (void)state;
        waiter_leave(NULL);
        waiter_leave(waiter_ref(w));
        waiter_leave(waiter_ref(w));
        assert_int_equal(waiter_decide(w, &bad), WAITER_NOTHING);
        waiter_unref(w); /* the note keeps it */
        heard(&ear, 1, 0);
        ear_done(&ear);
}

/* A failure may lose its details, but never become a success. */
static void what_is_too_large_to_keep_keeps_its_status(void **state) {
        size_t much = 20 << 20;
        char *data = must_alloc(much);
        Outcome large_bad = bad, large_good = good;
        Ear ear;

        (void)state;
        memset(data, ' ', much);
        large_bad.data = large_good.data = span_make(data, much);
        Waiter *w = wait_for(&ear, 1);
        assert_int_equal(waiter_decide(w, &large_bad), WAITER_FAILURE);
        waiter_tell(w);
        heard(&ear, 1, 424);
        assert_string_equal(ear.code, "refused");
        waiter_unref(w);
        ear_done(&ear);
        w = wait_for(&ear, 1);
        assert_int_equal(waiter_decide(w, &large_good), WAITER_SUCCESS);
        assert_int_equal(w->outcome->data.n, 0);
        assert_true(w->outcome->message.n > 0);
        waiter_tell(w);
        heard(&ear, 1, 200);
        waiter_unref(w);
        ear_done(&ear);
        free(data);
}

/* ---- many loops ---- */

enum { THREADS = 4, ROUNDS = 500 };

typedef struct Race {
        Waiter *waiters[ROUNDS];
        _Atomic unsigned told[ROUNDS];
        const Outcome *outcome;
        bool leaves;
} Race;

static void *decide_all(void *arg) {
        Race *race = arg;

        for (size_t i = 0; i < ROUNDS; i++) {
                Waiter *w = race->waiters[i];

                if (race->leaves) {
                        waiter_leave(w);
                        continue;
                }
                if (waiter_decide(w, race->outcome) != WAITER_NOTHING) {
                        atomic_fetch_add(&race->told[i], 1);
                        waiter_tell(w);
                }
                waiter_unref(w);
        }
        return NULL;
}

static void race(const Outcome *outcome, bool leaves, int status) {
        Race *r = must_alloc(sizeof *r);
        pthread_t threads[THREADS];
        Ear ear;

        waiter_unref(wait_for(&ear, 1));
        r->outcome = outcome;
        r->leaves = leaves;
        for (size_t i = 0; i < ROUNDS; i++) {
                r->waiters[i] = waiter_new(&ear.inbox, THREADS);
                r->waiters[i]->on_told = on_told;
                r->waiters[i]->arg = &ear;
                for (size_t k = 1; k < THREADS; k++)
                        waiter_ref(r->waiters[i]);
        }
        for (size_t k = 0; k < THREADS; k++)
                must(pthread_create(&threads[k], NULL, decide_all, r) == 0);
        for (size_t k = 0; k < THREADS; k++)
                must(pthread_join(threads[k], NULL) == 0);
        for (size_t i = 0; i < ROUNDS && !leaves; i++)
                assert_int_equal(r->told[i], 1);
        heard(&ear, ROUNDS, status);
        ear_done(&ear);
        free(r);
}

static void one_of_many_loops_tells(void **state) {
        (void)state;
        race(&good, false, 200);
        race(&bad, false, 424);
        race(NULL, true, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_run_is_waited_for_by_the_deadline_and_not_after),
                cmocka_unit_test(the_last_success_is_told),
                cmocka_unit_test(the_first_failure_is_told_and_final),
                cmocka_unit_test(who_gave_up_hears_nothing_more),
                cmocka_unit_test(a_job_that_leaves_is_told_once),
                cmocka_unit_test(what_is_too_large_to_keep_keeps_its_status),
                cmocka_unit_test(one_of_many_loops_tells),
        };

        return cmocka_run_group_tests_name("waiter", tests, NULL, NULL);
}
