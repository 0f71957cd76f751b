/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers that are given again. */
#include "api/idempotency.h"

#include "unit.h"

#define HOUR 3600000

static IdemSaid ask(Idempotency *m, const char *who, const char *key, const char *request,
                    int64_t now, IdemTicket **ticket, IdemAnswer *answer) {
        return idem_begin(m, span_of(who), span_of(key), span_of(request), now, ticket, answer);
}

static void the_first_answer_is_given_again(void **state) {
        Idempotency *m = idem_new();
        IdemTicket *t, *other;
        IdemAnswer a;

        (void)state;
        assert_int_equal(ask(m, "w", "k", "r", 0, &t, &a), IDEM_FIRST);
        assert_int_equal(ask(m, "w", "k", "r", 0, &other, &a), IDEM_BUSY);
        assert_null(other);
        assert_int_equal(ask(m, "w", "k", "other", 0, &other, &a), IDEM_OTHER);
        idem_end(m, t, &(IdemAnswer){201, SPAN("{\"id\":1}")});
        assert_int_equal(ask(m, "w", "k", "r", HOUR, &t, &a), IDEM_AGAIN);
        assert_int_equal(a.status, 201);
        assert_true(span_eq(a.body, SPAN("{\"id\":1}")));
        free((char *)a.body.p);
        assert_int_equal(ask(m, "w", "k", "other", HOUR, &t, &a), IDEM_OTHER);
        /* The same words, cut elsewhere, are others. */
        assert_int_equal(ask(m, "wk", "", "r", 0, &t, &a), IDEM_FIRST);
        idem_end(m, t, &(IdemAnswer){204, SPAN("")});
        assert_int_equal(ask(m, "x", "k", "r", 0, &t, &a), IDEM_FIRST);
        idem_end(m, t, &(IdemAnswer){204, SPAN("")});
        idem_free(m);
}

static void what_may_go_better_next_time_is_forgotten(void **state) {
        static const int passing[] = {500, 503, 409, 429};
        Idempotency *m = idem_new();
        IdemTicket *t;
        IdemAnswer a;

        (void)state;
        for (size_t i = 0; i < COUNT_OF(passing); i++) {
                assert_int_equal(ask(m, "w", "k", "r", 0, &t, &a), IDEM_FIRST);
                idem_end(m, t, &(IdemAnswer){passing[i], SPAN("{}")});
        }
        assert_int_equal(ask(m, "w", "k", "another", 0, &t, &a), IDEM_FIRST);
        idem_end(m, t, &(IdemAnswer){422, SPAN("{}")});
        assert_int_equal(ask(m, "w", "k", "another", 0, &t, &a), IDEM_AGAIN);
        free((char *)a.body.p);
        idem_end(m, NULL, NULL);
        idem_free(m);
}

static void it_ends_and_it_is_bounded(void **state) {
        Idempotency *m = idem_new();
        IdemTicket *t, *running;
        IdemAnswer a;
        char key[32];

        (void)state;
        assert_int_equal(ask(m, "w", "running", "r", 0, &running, &a), IDEM_FIRST);
        for (int i = 0; i < 3 * IDEM_ANSWERS_MAX; i++) {
                (void)snprintf(key, sizeof key, "%d", i);
                assert_int_equal(ask(m, "w", key, "r", 1, &t, &a), IDEM_FIRST);
                idem_end(m, t, &(IdemAnswer){200, SPAN("{}")});
        }
        assert_int_equal(ask(m, "w", "0", "r", 2, &t, &a), IDEM_FIRST); /* there was no room */
        idem_end(m, t, &(IdemAnswer){200, SPAN("{}")});
        assert_int_equal(ask(m, "w", key, "r", 2, &t, &a), IDEM_AGAIN); /* the latest is there */
        free((char *)a.body.p);
        assert_int_equal(ask(m, "w", "running", "r", 2, &t, &a), IDEM_BUSY);
        idem_end(m, running, &(IdemAnswer){200, SPAN("{}")});
        assert_int_equal(ask(m, "w", key, "r", 13 * HOUR, &t, &a), IDEM_FIRST); /* too old */
        idem_end(m, t, &(IdemAnswer){200, SPAN("{}")});
        idem_free(m);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_first_answer_is_given_again),
                cmocka_unit_test(what_may_go_better_next_time_is_forgotten),
                cmocka_unit_test(it_ends_and_it_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
