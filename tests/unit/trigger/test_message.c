/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages from the call to the engines: who gets a job, who hears when, and what is left of it
 * when the ledger, the memory or the sender's patience ends. */
#include "street.h"

enum { BOTH = 3, ENDPOINTS = 8 };

/* What the sender hears. */
typedef struct Sender {
        Street *street;
        unsigned calls;
        size_t n;
        bool all_delivered;
        MessageOut out[64];
} Sender;

static void on_done(void *arg, const MessageOut *out, size_t n, bool all_delivered) {
        Sender *s = arg;

        s->calls++;
        s->n = n;
        s->all_delivered = all_delivered;
        for (size_t i = 0; i < n && i < COUNT_OF(s->out); i++)
                s->out[i] = out[i];
}

static bool has_heard(void *arg) {
        return ((Sender *)arg)->calls > 0;
}

static void send_some(Sender *s, unsigned house, const MessageIn *m, size_t n, int64_t wait_ms) {
        s->calls = 0;
        s->n = 0;
        message_send(&s->street->inlets[house], m, n, wait_ms, on_done, s);
        assert_int_equal(s->calls, 0);
}

static const MessageIn usual = {
        .application = APP, .type = {"user.updated", 12}, .payload = {"{\"a\":1}", 7}};

typedef struct Wanted {
        Street *street;
        size_t running;
} Wanted;

static bool runs(void *arg) {
        const Wanted *w = arg;

        return street_running(w->street) >= w->running;
}

static void until_running(Street *s, unsigned houses, size_t n) {
        Wanted w = {s, n};

        street_until(s, houses, runs, &w);
        assert_int_equal(street_running(s), n);
}

/* A street with endpoints at both houses: which house is whose is the hash's business. */
static Street *street_of_two(const char *more) {
        Street *s = street_new(2, NULL);

        for (int64_t id = 100; id < 100 + ENDPOINTS; id++)
                street_endpoint(s, id, more);
        return s;
}

static void end_all(Street *s, bool is_good) {
        for (unsigned i = 0; i < s->n; i++)
                while (s->at[i].running.n > 0)
                        street_end(s, i, 0, is_good);
        for (unsigned i = 0; i < s->n; i++)
                street_settled(s, i);
}

static void a_message_goes_to_everyone_who_wants_it(void **state) {
        Street *s = street_of_two(NULL);
        Sender sender = {.street = s};
        Span channel = SPAN("eu");
        MessageIn m = usual;

        (void)state;
        street_endpoint(s, 200, "\"filterTypes\":[\"order.*\"]");
        street_endpoint(s, 201, "\"channels\":[\"eu\"]");
        street_endpoint(s, 202, "\"disabled\":true");
        send_some(&sender, 0, &m, 1, 0);
        street_until(s, BOTH, has_heard, &sender);
        assert_int_equal(sender.out[0].fault, 0);
        assert_int_equal(sender.out[0].result, RECORD_NEW);
        assert_int_equal(sender.out[0].endpoints, ENDPOINTS);
        assert_false(sender.all_delivered);
        until_running(s, BOTH, ENDPOINTS);
        for (unsigned i = 0; i < 2; i++) {
                assert_true(s->at[i].running.n > 0);
                for (size_t k = 0; k < s->at[i].running.n; k++) {
                        const Job *j = s->at[i].running.at[k];

                        assert_int_equal(j->event->id, sender.out[0].id);
                        assert_int_equal(j->shard % 2, i);
                        assert_true(span_eq(j->event->body, m.payload));
                        assert_true(span_eq(j->event->content_type, SPAN("application/json")));
                        assert_int_equal(j->lane, 0);
                        assert_null(j->waiter);
                }
        }
        end_all(s, true);
        /* On a channel, and from the other house. */
        m.channels = &channel;
        m.n_channels = 1;
        send_some(&sender, 1, &m, 1, 0);
        street_until(s, BOTH, has_heard, &sender);
        assert_int_equal(sender.out[0].endpoints, ENDPOINTS + 1);
        until_running(s, BOTH, ENDPOINTS + 1);
        /* To one alone, whatever it wants, but not when it is disabled. */
        end_all(s, true);
        m.endpoint = 200;
        send_some(&sender, 0, &m, 1, 0);
        until_running(s, BOTH, 1);
        assert_int_equal(sender.out[0].endpoints, 1);
        m.endpoint = 202;
        send_some(&sender, 0, &m, 1, 0);
        street_until(s, BOTH, has_heard, &sender);
        assert_int_equal(sender.out[0].endpoints, 0);
        assert_true(sender.all_delivered);
        street_free(s);
}

static void a_batch_is_told_as_one(void **state) {
        Street *s = street_of_two("\"order\":\"all\"");
        Sender sender = {.street = s};
        MessageIn m[20];

        (void)state;
        for (size_t i = 0; i < COUNT_OF(m); i++) {
                m[i] = usual;
                if (i == 7)
                        m[i].application = 99;
        }
        send_some(&sender, 0, m, COUNT_OF(m), 0);
        street_until(s, BOTH, has_heard, &sender);
        assert_int_equal(sender.n, COUNT_OF(m));
        assert_false(sender.all_delivered);
        for (size_t i = 0; i < COUNT_OF(m); i++)
                assert_int_equal(sender.out[i].fault, i == 7 ? -ENOENT : 0);
        assert_non_null(strstr(sender.out[7].why, "application"));
        /* Each endpoint gets them one by one, as they were sent. */
        for (size_t i = 0; i < COUNT_OF(m); i++) {
                if (i == 7)
                        continue;
                until_running(s, BOTH, ENDPOINTS);
                for (unsigned h = 0; h < 2; h++)
                        for (size_t k = 0; k < s->at[h].running.n; k++)
                                assert_int_equal(s->at[h].running.at[k]->event->id,
                                                 sender.out[i].id);
                end_all(s, true);
        }
        assert_int_equal(sender.calls, 1);
        send_some(&sender, 0, NULL, 0, 0);
        street_until(s, BOTH, has_heard, &sender);
        assert_int_equal(sender.n, 0);
        street_free(s);
}

static void subjects_have_lanes_of_their_own(void **state) {
        Street *s = street_new(1, NULL);
        Sender sender = {.street = s};
        MessageIn m[4];

        (void)state;
        street_endpoint(s, 100, "\"order\":\"subject\"");
        street_endpoint(s, 101, "\"order\":\"subject\"");
        for (size_t i = 0; i < COUNT_OF(m); i++)
                m[i] = usual;
        m[0].subject = m[2].subject = SPAN("a");
        m[1].subject = SPAN("b"); /* and the last has none: it waits for nobody */
        send_some(&sender, 0, m, COUNT_OF(m), 0);
        street_until(s, 1, has_heard, &sender);
        until_running(s, 1, 2 * 3);
        end_all(s, true);
        until_running(s, 1, 2);
        assert_int_equal(s->at[0].running.at[0]->event->id, sender.out[2].id);
        assert_int_not_equal(s->at[0].running.at[0]->lane, s->at[0].running.at[1]->lane);
        street_free(s);
}

/* ---- repeats and faults ---- */

static bool nobody_waits(const Street *s) {
        for (unsigned i = 0; i < s->n; i++)
                if (heap_first(&s->inlets[i].patience))
                        return false;
        return true;
}

static void a_repeat_is_told_at_once(void **state) {
        static const int64_t waits[] = {0, 60000};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(waits); i++) {
                Street *s = street_of_two(NULL);
                Sender sender = {.street = s};
                MessageIn m = usual;

                m.key = SPAN("k1");
                send_some(&sender, 0, &m, 1, 0);
                street_until(s, BOTH, has_heard, &sender);
                until_running(s, BOTH, ENDPOINTS);
                int64_t first = sender.out[0].id;
                send_some(&sender, 0, &m, 1, waits[i]);
                street_until(s, BOTH, has_heard, &sender);
                assert_int_equal(sender.out[0].fault, 0);
                assert_int_equal(sender.out[0].result, RECORD_REPEAT);
                assert_int_equal(sender.out[0].id, first);
                assert_false(sender.all_delivered);
                m.payload = SPAN("{}");
                send_some(&sender, 1, &m, 1, waits[i]);
                street_until(s, BOTH, has_heard, &sender);
                assert_int_equal(sender.out[0].result, RECORD_CONFLICT);
                assert_int_equal(sender.out[0].id, first);
                assert_true(nobody_waits(s));
                /* No second job was made of it. */
                for (int turns = 0; turns < 5; turns++)
                        street_turn(s, turns % 2);
                assert_int_equal(street_running(s), ENDPOINTS);
                assert_int_equal(sender.calls, 1);
                street_free(s);
        }
}

static void a_fault_of_the_ledger_is_told_at_once(void **state) {
        static const int64_t waits[] = {0, 60000};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(waits); i++) {
                Street *s = street_of_two(NULL);
                Sender sender = {.street = s};
                MessageIn m[3] = {usual, usual, usual};

                street_gate_set(false, -ENOSPC);
                send_some(&sender, 0, m, COUNT_OF(m), waits[i]);
                street_until(s, BOTH, has_heard, &sender);
                for (size_t k = 0; k < COUNT_OF(m); k++) {
                        assert_int_equal(sender.out[k].fault, -ENOSPC);
                        assert_non_null(sender.out[k].why);
                }
                assert_false(sender.all_delivered);
                assert_true(nobody_waits(s));
                street_gate_set(false, 0);
                send_some(&sender, 0, m, 1, 0);
                until_running(s, BOTH, ENDPOINTS);
                street_free(s);
        }
}

/* Ends and confirms whatever there is in the first house, until the sender has heard. */
static void serve_until_heard(Street *s, Sender *sender) {
        for (;;) {
                street_turn(s, 0);
                while (s->at[0].running.n > 0)
                        street_end(s, 0, 0, true);
                street_settled(s, 0);
                if (sender->calls > 0)
                        return;
                street_sleep(s, 1);
        }
}

static void too_much_at_once_is_told_too(void **state) {
        Street *s = street_new(1, NULL);
        size_t much = 7 << 20;
        char *body = must_alloc(much);
        Sender sender = {.street = s};
        MessageIn m[8];

        (void)state;
        street_endpoint(s, 100, NULL);
        memset(body, ' ', much);
        for (size_t i = 0; i < COUNT_OF(m); i++) {
                m[i] = usual;
                m[i].payload = span_make(body, much);
        }
        street_gate_set(true, 0);
        send_some(&sender, 0, m, COUNT_OF(m), 60000);
        street_gate_set(false, 0);
        serve_until_heard(s, &sender);
        for (size_t i = 0; i < COUNT_OF(m); i++)
                assert_int_equal(sender.out[i].fault, i < 4 ? 0 : -EAGAIN);
        assert_non_null(sender.out[4].why);
        assert_false(sender.all_delivered);
        assert_true(nobody_waits(s));
        street_free(s);
        free(body);
}

/* ---- waiting ---- */

static void who_waits_hears_when_the_last_was_delivered(void **state) {
        Street *s = street_of_two(NULL);
        Sender sender = {.street = s};
        MessageIn m[2] = {usual, usual};

        (void)state;
        send_some(&sender, 0, m, 2, 60000);
        until_running(s, BOTH, 2 * ENDPOINTS);
        for (unsigned i = 0; i < 2; i++)
                while (s->at[i].running.n > (i == 0 ? 0 : 1))
                        street_end(s, i, 0, true);
        for (int turns = 0; turns < 6; turns++)
                street_turn(s, turns % 2);
        assert_int_equal(sender.calls, 0);
        street_end(s, 1, 0, true);
        street_until(s, 1, has_heard, &sender);
        assert_true(sender.all_delivered);
        assert_int_equal(sender.out[1].endpoints, ENDPOINTS);
        assert_true(nobody_waits(s));
        street_free(s);
}

static void one_failure_is_enough(void **state) {
        Street *s = street_of_two(NULL);
        Sender sender = {.street = s};

        (void)state;
        send_some(&sender, 0, &usual, 1, 60000);
        until_running(s, BOTH, ENDPOINTS);
        street_end(s, 1, 0, false);
        street_until(s, 1, has_heard, &sender);
        assert_false(sender.all_delivered);
        assert_true(nobody_waits(s));
        end_all(s, true);
        for (int turns = 0; turns < 6; turns++)
                street_turn(s, turns % 2);
        assert_int_equal(sender.calls, 1);
        street_free(s);
}

static void patience_ends(void **state) {
        Street *s = street_of_two(NULL);
        Sender sender = {.street = s};

        (void)state;
        send_some(&sender, 0, &usual, 1, 1);
        street_until(s, BOTH, has_heard, &sender);
        assert_int_equal(sender.out[0].fault, 0);
        assert_false(sender.all_delivered);
        until_running(s, BOTH, ENDPOINTS);
        end_all(s, true);
        for (int turns = 0; turns < 6; turns++)
                street_turn(s, turns % 2);
        assert_int_equal(sender.calls, 1);
        street_free(s);
}

static bool has_given_up(void *arg) {
        return nobody_waits(arg);
}

/* The commit takes longer than the sender's patience: it hears when it is there, not before. */
static void patience_ends_before_the_commit(void **state) {
        static const int faults[] = {0, -ENOSPC};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(faults); i++) {
                Street *s = street_of_two(NULL);
                Sender sender = {.street = s};

                street_gate_set(true, 0);
                send_some(&sender, 0, &usual, 1, 1);
                street_until(s, BOTH, has_given_up, s);
                assert_int_equal(sender.calls, 0);
                street_gate_set(false, faults[i]);
                street_until(s, BOTH, has_heard, &sender);
                assert_int_equal(sender.calls, 1);
                assert_int_equal(sender.out[0].fault, faults[i]);
                assert_false(sender.all_delivered);
                street_free(s);
        }
}

/* The other house is quicker than the sender's own. */
static void a_job_may_end_before_its_sender_hears_of_the_commit(void **state) {
        Street *s = street_of_two(NULL);
        Sender sender = {.street = s};
        size_t at_home;

        (void)state;
        send_some(&sender, 0, &usual, 1, 0);
        until_running(s, BOTH, ENDPOINTS);
        at_home = s->at[0].running.n;
        end_all(s, true);
        send_some(&sender, 0, &usual, 1, 60000);
        until_running(s, 2, ENDPOINTS - at_home);
        while (s->at[1].running.n > 0)
                street_end(s, 1, 0, true);
        assert_int_equal(sender.calls, 0);
        until_running(s, 1, at_home);
        assert_int_equal(sender.calls, 0);
        end_all(s, true);
        street_until(s, 1, has_heard, &sender);
        assert_true(sender.all_delivered);
        street_free(s);
}

static void nobody_waits_for_what_is_not_in_memory(void **state) {
        Street *s = street_of_two(NULL);
        Sender sender = {.street = s};
        MessageIn later = usual;

        (void)state;
        /* The other house is full: its share lies in the ledger, and it is asked for. */
        atomic_store(&s->inlets[1].full, true);
        send_some(&sender, 0, &usual, 1, 60000);
        street_until(s, 1, has_heard, &sender);
        assert_false(sender.all_delivered);
        assert_true(nobody_waits(s));
        size_t asked = s->at[1].n_asked;
        while (s->at[1].n_asked == asked) {
                street_turn(s, 1);
                street_sleep(s, 2);
        }
        assert_int_equal(strncmp(s->at[1].asked, "endpoint:ep_", 12), 0);
        assert_int_equal(s->at[1].running.n, 0);
        /* Delayed ones too. */
        later.deliver_ms = clock_wall_ms() + 3600 * 1000;
        send_some(&sender, 0, &later, 1, 60000);
        street_until(s, BOTH, has_heard, &sender);
        assert_int_equal(sender.out[0].endpoints, ENDPOINTS);
        assert_false(sender.all_delivered);
        /* A moment that has passed is none. */
        later.deliver_ms = clock_wall_ms() - 1;
        end_all(s, true);
        send_some(&sender, 0, &later, 1, 0);
        street_until(s, BOTH, has_heard, &sender);
        street_free(s);
}

/* An engine without room gives jobs back; who waits for one of them hears that it goes on. */
static void who_waits_for_a_job_that_is_given_back_hears_of_it(void **state) {
        Street *s = street_new(1, &(EngineLimits){.jobs_max = 4, .running_max = 4});
        Sender sender = {.street = s}, second = {.street = s};

        (void)state;
        for (int64_t id = 100; id < 104; id++)
                street_endpoint(s, id, NULL);
        street_gate_set(true, 0);
        send_some(&sender, 0, &usual, 1, 0);
        send_some(&second, 0, &usual, 1, 60000);
        street_gate_set(false, 0);
        street_until(s, 1, has_heard, &sender);
        serve_until_heard(s, &second);
        assert_false(second.all_delivered);
        assert_int_equal(second.out[0].fault, 0);
        assert_true(nobody_waits(s));
        street_free(s);
}

/* More jobs than an engine has room for are on their way to it before it can say so. Each has a
 * lane of its own, which the engine has to remember. */
static void a_crowd_on_its_way_to_one_engine(void **state) {
        enum { MANY = 2400 };
        Street *s = street_new(1, &(EngineLimits){.jobs_max = 100});
        Sender sender = {.street = s};
        MessageIn m[7];
        char subjects[COUNT_OF(m)][8];

        (void)state;
        for (int64_t id = 100; id < 100 + MANY; id++)
                street_endpoint(s, id, "\"order\":\"subject\"");
        for (size_t i = 0; i < COUNT_OF(m); i++) {
                (void)snprintf(subjects[i], sizeof subjects[i], "s%zu", i);
                m[i] = usual;
                m[i].subject = span_of(subjects[i]);
        }
        street_gate_set(true, 0);
        send_some(&sender, 0, m, COUNT_OF(m), 0);
        street_gate_set(false, 0);
        street_until(s, 1, has_heard, &sender);
        for (size_t i = 0; i < COUNT_OF(m); i++) {
                assert_int_equal(sender.out[i].fault, 0);
                assert_int_equal(sender.out[i].endpoints, MANY);
        }
        /* What did not come is on record, and is asked for. */
        assert_int_equal(engine_gauges(s->at[0].engine).in_memory, LEDGER_PENDING_MAX);
        assert_int_equal(s->inlets[0].coming, 0);
        street_settled(s, 0);
        end_all(s, true);
        street_turn(s, 0);
        assert_true(s->at[0].n_asked > 0);
        street_free(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_message_goes_to_everyone_who_wants_it),
                cmocka_unit_test(a_batch_is_told_as_one),
                cmocka_unit_test(subjects_have_lanes_of_their_own),
                cmocka_unit_test(a_repeat_is_told_at_once),
                cmocka_unit_test(a_fault_of_the_ledger_is_told_at_once),
                cmocka_unit_test(too_much_at_once_is_told_too),
                cmocka_unit_test(who_waits_hears_when_the_last_was_delivered),
                cmocka_unit_test(one_failure_is_enough),
                cmocka_unit_test(patience_ends),
                cmocka_unit_test(patience_ends_before_the_commit),
                cmocka_unit_test(a_job_may_end_before_its_sender_hears_of_the_commit),
                cmocka_unit_test(nobody_waits_for_what_is_not_in_memory),
                cmocka_unit_test(who_waits_for_a_job_that_is_given_back_hears_of_it),
                cmocka_unit_test(a_crowd_on_its_way_to_one_engine),
        };

        return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
