/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of events and attempts by what people look for; of each store. */
#include "contract.h"

typedef struct Given {
        int64_t id;
        const char *source, *type, *meta;
        const char *targets[3];
} Given;

/* Ids 10, 20, ...: jobs follow their event. */
static void record_all(World *w, const Given *given, size_t n) {
        for (size_t i = 0; i < n; i++) {
                const Given *g = &given[i];
                Job *jobs[3];
                size_t n_jobs = 0;
                Event *event = event_new(&(Event){.id = g->id,
                                                  .received_ms = 1000 + g->id,
                                                  .source = span_of(g->source),
                                                  .type = span_of(g->type),
                                                  .meta = span_of(g->meta),
                                                  .body = SPAN("{\"a\":1}")});

                for (; n_jobs < 3 && g->targets[n_jobs]; n_jobs++)
                        jobs[n_jobs] = job_new(g->id + 1 + (int64_t)n_jobs, event,
                                               span_of(g->targets[n_jobs]), 0);
                Write write = record_of(event, jobs, n_jobs);
                write_one(w->store, &write);
                for (size_t k = 0; k < n_jobs; k++)
                        job_free(jobs[k]);
                event_unref(event);
        }
}

static const Given some[] = {
        {10, "app_a", "order.paid", "{\"channels\":[\"eu\"]}", {"endpoint:x", "endpoint:y"}},
        {20, "app_b", "order.paid", "", {"endpoint:z"}},
        {30, "app_a", "user.made", "{\"channels\":[\"us\",\"eu\"]}", {"endpoint:x"}},
        {40, "app_a", "order.sent", "{\"tags\":[\"eu\"]}", {NULL}},
        {50, "app_b", "user.made", "{\"channels\":[\"\\u0065u\"]}", {"endpoint:z"}},
        {60, "app_a", "order.paid", "{\"channels\":\"eu\"}", {"endpoint:y"}},
};

/* All pages of `max` each, as "60 40 ". */
static void check(World *w, EventQuery q, const char *expected) {
        char text[256] = "";

        for (size_t max = 1; max <= 7; max += 2) {
                bool more = true;

                text[0] = 0;
                q.max = max;
                q.before_id = 0;
                while (more) {
                        EventPage *p = list(w, q);

                        for (size_t i = 0; i < p->n; i++) {
                                size_t used = strlen(text);

                                (void)snprintf(text + used, sizeof text - used, "%" PRId64 " ",
                                               p->events[i]->event.id);
                        }
                        assert_true(p->n <= max);
                        /* These stores are small: a page is full, or the last. */
                        assert_true(p->n == max || !p->more);
                        more = p->more;
                        q.before_id = p->next_before_id;
                        event_page_free(p);
                }
                assert_string_equal(text, expected);
        }
}

static void events_are_found_by_what_they_are(void **state) {
        World *w = *state;
        Span types[2] = {SPAN("order.paid"), SPAN("order.sent")};

        record_all(w, some, COUNT_OF(some));
        check(w, (EventQuery){.state = -1}, "60 50 40 30 20 10 ");
        check(w, (EventQuery){.state = -1, .oldest_first = true}, "10 20 30 40 50 60 ");
        check(w, (EventQuery){.state = -1, .source = SPAN("app_a")}, "60 40 30 10 ");
        check(w, (EventQuery){.state = -1, .source = SPAN("app_a"), .oldest_first = true},
              "10 30 40 60 ");
        check(w, (EventQuery){.state = -1, .source = SPAN("app_c")}, "");
        check(w, (EventQuery){.state = -1, .types = types, .n_types = 2}, "60 40 20 10 ");
        check(w, (EventQuery){.state = -1, .types = types, .n_types = 1}, "60 20 10 ");
        check(w, (EventQuery){.state = -1, .channel = SPAN("eu")}, "50 30 10 ");
        check(w, (EventQuery){.state = -1, .channel = SPAN("e")}, "");
        check(w, (EventQuery){.state = -1, .from_ms = 1030}, "60 50 40 30 ");
        check(w, (EventQuery){.state = -1, .to_ms = 1030}, "20 10 ");
        check(w, (EventQuery){.state = -1, .from_ms = 1020, .to_ms = 1050}, "40 30 20 ");
        check(w,
              (EventQuery){.state = -1,
                           .source = SPAN("app_a"),
                           .types = types,
                           .n_types = 2,
                           .channel = SPAN("eu"),
                           .from_ms = 1001,
                           .oldest_first = true},
              "10 ");
}

static void events_are_found_by_their_targets(void **state) {
        World *w = *state;

        record_all(w, some, COUNT_OF(some));
        check(w, (EventQuery){.state = -1, .target = SPAN("endpoint:x")}, "30 10 ");
        check(w, (EventQuery){.state = -1, .target = SPAN("endpoint:y"), .oldest_first = true},
              "10 60 ");
        check(w, (EventQuery){.state = -1, .target = SPAN("endpoint:y"), .source = SPAN("app_b")},
              "");
        check(w, (EventQuery){.state = -1, .target = SPAN("endpoint:none")}, "");
        check(w, (EventQuery){.state = -1, .target = SPAN("app_a")}, "");
        check(w, (EventQuery){.state = -1, .source = SPAN("endpoint:x")}, "");
}

static void settle_id(World *w, int64_t event, int64_t id, JobState to) {
        Event *parts = make_event(event, NULL, "");
        Job *j = job_new(id, parts, SPAN("endpoint:x"), 0);

        if (id % 10 != 1 || event == 60)
                j->target = SPAN("endpoint:y");
        settle(w->store, j, to, 9);
        job_free(j);
        event_unref(parts);
}

static void events_are_found_by_a_targets_state(void **state) {
        World *w = *state;
        EventQuery q = {.target = SPAN("endpoint:y")};

        record_all(w, some, COUNT_OF(some));
        settle_id(w, 10, 11, JOB_DONE);
        settle_id(w, 10, 12, JOB_DEAD);
        settle_id(w, 30, 31, JOB_DEAD);
        settle_id(w, 60, 61, JOB_WAITING);
        q.state = JOB_DEAD;
        check(w, q, "10 ");
        q.state = JOB_WAITING;
        check(w, q, "60 ");
        q.state = JOB_DONE;
        check(w, q, "");
        q.target = SPAN("endpoint:x");
        check(w, q, "10 ");
        q.state = JOB_QUEUED;
        check(w, q, "");
        q.target = SPAN("");
        q.state = JOB_DEAD;
        check(w, q, "30 10 ");
        q.oldest_first = true;
        check(w, q, "10 30 ");
        q.source = SPAN("app_b");
        check(w, q, "");
        q.state = JOB_QUEUED;
        check(w, q, "20 50 ");
        q.source = SPAN("");
        q.to_ms = 1050;
        check(w, q, "20 ");
}

static void a_page_brings_what_is_asked_for(void **state) {
        World *w = *state;

        record_all(w, some, 1);
        EventPage *p = list(w, (EventQuery){.state = -1});
        assert_int_equal(p->n, 1);
        assert_int_equal(p->events[0]->n_jobs, 0);
        assert_int_equal(p->events[0]->event.body.n, 0);
        assert_true(span_eq(p->events[0]->event.meta, SPAN("{\"channels\":[\"eu\"]}")));
        event_page_free(p);
        p = list(w, (EventQuery){.state = -1,
                                 .target = SPAN("endpoint:x"),
                                 .with_body = true,
                                 .with_jobs = true});
        assert_int_equal(p->events[0]->n_jobs, 2);
        assert_true(span_eq(p->events[0]->jobs[1].target, SPAN("endpoint:y")));
        assert_int_equal(p->events[0]->jobs[1].n_listed, 0);
        assert_true(span_eq(p->events[0]->event.body, SPAN("{\"a\":1}")));
        event_page_free(p);
}

/* Large bodies: what does not fit comes with the next page. */
static void a_page_is_no_larger_than_it_may_be(void **state) {
        World *w = *state;
        size_t n = 0, pages = 0, mib = 3 << 20;
        char *body = must_alloc(mib + 1);
        EventQuery q = {.state = -1, .with_body = true, .oldest_first = true};

        memset(body, 'x', mib);
        for (int i = 0; i < 6; i++) {
                Event *event = make_event(10 + i, NULL, body);
                Write write = record_of(event, NULL, 0);

                write_one(w->store, &write);
                event_unref(event);
        }
        for (bool more = true; more; pages++) {
                EventPage *p = list(w, q);

                for (size_t i = 0; i < p->n; i++, n++) {
                        assert_int_equal(p->events[i]->event.id, 10 + (int64_t)n);
                        assert_int_equal(p->events[i]->event.body.n, mib);
                }
                assert_true(p->n <= 3);
                more = p->more;
                q.before_id = p->next_before_id;
                event_page_free(p);
        }
        assert_int_equal(n, 6);
        assert_true(pages >= 2);
        free(body);
}

/* ---- attempts ---- */

static void attempt(World *w, int64_t event, int64_t id, unsigned number, int status, JobState to) {
        Event *parts = make_event(event, NULL, "");
        Job *j = job_new(id, parts, SPAN("endpoint:x"), 0);
        Attempt a = {.number = number,
                     .started_ms = 5000 + event + number,
                     .status = status,
                     .code = SPAN("c"),
                     .message = SPAN("m"),
                     .detail = SPAN("{\"d\":1}")};
        Write write = settle_of(j, to, &a);

        if (id % 10 != 1 || event == 60)
                j->target = SPAN("endpoint:y");
        j->attempts = number;
        j->due_ms = to == JOB_WAITING ? 77 : 0;
        write_one(w->store, &write);
        job_free(j);
        event_unref(parts);
}

static AttemptPage *attempts(World *w, AttemptQuery q) {
        AttemptPage *p = NULL;
        Err e = {0};

        assert_int_equal(w->ops->list_attempts(w->reader, &q, &p, &e), 0);
        return p;
}

/* As "31.2 31.1 ": job and number. */
static void check_attempts(World *w, AttemptQuery q, const char *expected) {
        char text[256] = "";

        for (size_t max = 1; max <= 5; max++) {
                bool more = true;

                text[0] = 0;
                q.max = max;
                q.before_job = q.before_number = 0;
                while (more) {
                        AttemptPage *p = attempts(w, q);

                        for (size_t i = 0; i < p->n; i++) {
                                size_t used = strlen(text);

                                (void)snprintf(text + used, sizeof text - used, "%" PRId64 ".%u ",
                                               p->attempts[i].job, p->attempts[i].attempt.number);
                        }
                        assert_true(p->n == max || !p->more);
                        more = p->more;
                        q.before_job = p->next_job;
                        q.before_number = p->next_number;
                        attempt_page_free(p);
                }
                assert_string_equal(text, expected);
        }
}

static void attempt_all(World *w) {
        record_all(w, some, COUNT_OF(some));
        attempt(w, 10, 11, 1, 503, JOB_WAITING);
        attempt(w, 10, 11, 2, 0, JOB_WAITING);
        attempt(w, 10, 12, 1, 204, JOB_DONE);
        attempt(w, 30, 31, 1, 500, JOB_WAITING);
        attempt(w, 30, 31, 2, 410, JOB_DEAD);
        attempt(w, 60, 61, 1, 299, JOB_DONE);
        attempt(w, 10, 11, 3, 200, JOB_DONE);
}

static void attempts_of_an_event_are_listed(void **state) {
        World *w = *state;

        attempt_all(w);
        check_attempts(w, (AttemptQuery){.event = 10, .success = -1}, "12.1 11.3 11.2 11.1 ");
        check_attempts(w, (AttemptQuery){.event = 10, .success = 1}, "12.1 11.3 ");
        check_attempts(w, (AttemptQuery){.event = 10, .success = 0}, "11.2 11.1 ");
        check_attempts(w, (AttemptQuery){.event = 10, .success = -1, .status_class = 5}, "11.1 ");
        check_attempts(w,
                       (AttemptQuery){.event = 10, .success = -1, .from_ms = 5012, .to_ms = 5013},
                       "11.2 ");
        check_attempts(w, (AttemptQuery){.event = 10, .success = -1, .target = SPAN("endpoint:x")},
                       "11.3 11.2 11.1 ");
        check_attempts(w, (AttemptQuery){.event = 10, .success = -1, .channel = SPAN("us")}, "");
        check_attempts(w, (AttemptQuery){.event = 40, .success = -1}, "");
        check_attempts(w, (AttemptQuery){.event = 99, .success = -1}, "");
}

static void attempts_for_a_target_are_listed(void **state) {
        World *w = *state;
        Span type = SPAN("user.made");
        AttemptQuery q = {.target = SPAN("endpoint:x"), .success = -1};

        attempt_all(w);
        check_attempts(w, q, "31.2 31.1 11.3 11.2 11.1 ");
        check_attempts(w, (AttemptQuery){.target = SPAN("endpoint:y"), .success = -1},
                       "61.1 12.1 ");
        check_attempts(w, (AttemptQuery){.target = SPAN("endpoint:z"), .success = -1}, "");
        check_attempts(w, (AttemptQuery){.target = SPAN("endpoint:none"), .success = -1}, "");
        q.success = 0;
        check_attempts(w, q, "31.2 31.1 11.2 11.1 ");
        q.status_class = 4;
        check_attempts(w, q, "31.2 ");
        q = (AttemptQuery){.target = SPAN("endpoint:x"), .success = -1};
        q.channel = SPAN("us");
        check_attempts(w, q, "31.2 31.1 ");
        q.types = &type;
        q.n_types = 1;
        q.channel = SPAN("eu");
        check_attempts(w, q, "31.2 31.1 ");
        type = SPAN("order.paid");
        check_attempts(w, q, "11.3 11.2 11.1 ");
        q.to_ms = 5013;
        check_attempts(w, q, "11.2 11.1 ");
        q.from_ms = 5012;
        check_attempts(w, q, "11.2 ");
}

static void an_attempt_tells_of_its_job(void **state) {
        World *w = *state;

        record_all(w, some, COUNT_OF(some));
        attempt(w, 30, 31, 1, 500, JOB_WAITING);
        attempt(w, 30, 31, 2, 410, JOB_WAITING);
        AttemptPage *p = attempts(w, (AttemptQuery){.target = SPAN("endpoint:x"), .success = -1});
        assert_int_equal(p->n, 2);
        for (size_t i = 0; i < 2; i++) {
                const AttemptView *v = &p->attempts[i];

                assert_int_equal(v->job, 31);
                assert_int_equal(v->event, 30);
                assert_true(span_eq(v->target, SPAN("endpoint:x")));
                assert_int_equal(v->state, JOB_WAITING);
                assert_int_equal(v->due_ms, 77);
                assert_int_equal(v->is_last, i == 0);
                assert_int_equal(v->attempt.status, i ? 500 : 410);
                assert_true(span_eq(v->attempt.detail, SPAN("{\"d\":1}")));
                assert_true(span_eq(v->attempt.message, SPAN("m")));
        }
        assert_false(p->more);
        attempt_page_free(p);
        /* The last one is the last one, also when it was not asked for. */
        p = attempts(w, (AttemptQuery){.event = 30, .success = -1, .status_class = 5});
        assert_int_equal(p->n, 1);
        assert_false(p->attempts[0].is_last);
        attempt_page_free(p);
}

/* The page goes on although the attempt at which it stopped has gone. */
static void a_list_of_attempts_goes_on(void **state) {
        World *w = *state;
        AttemptQuery q = {.target = SPAN("endpoint:x"), .success = -1, .max = 1};

        record_all(w, some, COUNT_OF(some));
        attempt(w, 10, 11, 1, 200, JOB_WAITING);
        attempt(w, 30, 31, 1, 200, JOB_DONE);
        AttemptPage *p = attempts(w, q);
        assert_int_equal(p->attempts[0].job, 31);
        assert_true(p->more);
        q.before_job = p->next_job;
        q.before_number = p->next_number;
        attempt_page_free(p);
        assert_int_equal(trim(w, (TrimRule){.before_ms = 1031, .max = 10}), 1);
        assert_null(find(w, 30));
        p = attempts(w, q);
        assert_int_equal(p->n, 1);
        assert_int_equal(p->attempts[0].job, 11);
        attempt_page_free(p);
}

static void targets_are_counted(void **state) {
        World *w = *state;
        TargetStats n;
        Err e = {0};

        attempt_all(w);
        assert_int_equal(w->ops->target_stats(w->reader, SPAN("endpoint:x"), 0, 0, &n, &e), 0);
        assert_int_equal(n.jobs[JOB_DONE], 1);
        assert_int_equal(n.jobs[JOB_DEAD], 1);
        assert_int_equal(n.jobs[JOB_QUEUED] + n.jobs[JOB_WAITING] + n.jobs[JOB_BLOCKED], 0);
        assert_int_equal(w->ops->target_stats(w->reader, SPAN("endpoint:x"), 1030, 0, &n, &e), 0);
        assert_int_equal(n.jobs[JOB_DONE], 0);
        assert_int_equal(n.jobs[JOB_DEAD], 1);
        assert_int_equal(w->ops->target_stats(w->reader, SPAN("endpoint:x"), 1010, 1030, &n, &e),
                         0);
        assert_int_equal(n.jobs[JOB_DONE], 1);
        assert_int_equal(n.jobs[JOB_DEAD], 0);
        assert_int_equal(w->ops->target_stats(w->reader, SPAN("endpoint:z"), 0, 0, &n, &e), 0);
        assert_int_equal(n.jobs[JOB_QUEUED], 2);
        assert_int_equal(w->ops->target_stats(w->reader, SPAN("endpoint:none"), 0, 0, &n, &e), 0);
        assert_int_equal(n.jobs[JOB_QUEUED], 0);
}

/* A replay's job, of an old event, stands where its event does. */
static void replays_are_listed_with_their_events(void **state) {
        World *w = *state;
        Event *parts = make_event(20, NULL, "");
        Job *j = job_new(70, parts, SPAN("endpoint:x"), 0);
        Write again = {.kind = WRITE_REPLAY, .replay = {.job = j}};
        TargetStats n;

        attempt_all(w);
        write_one(w->store, &again);
        assert_int_equal(again.replay.done_id, 70);
        check(w, (EventQuery){.state = -1, .target = SPAN("endpoint:x")}, "30 20 10 ");
        check(w, (EventQuery){.state = JOB_QUEUED, .target = SPAN("endpoint:x")}, "20 ");
        assert_int_equal(w->ops->target_stats(w->reader, SPAN("endpoint:x"), 0, 0, &n, &(Err){0}),
                         0);
        assert_int_equal(n.jobs[JOB_QUEUED], 1);
        settle(w->store, j, JOB_DEAD, 0);
        check(w, (EventQuery){.state = JOB_DEAD, .target = SPAN("endpoint:x")}, "30 20 ");
        check_attempts(w, (AttemptQuery){.target = SPAN("endpoint:x"), .success = -1},
                       "31.2 31.1 70.1 11.3 11.2 11.1 ");
        check_attempts(w, (AttemptQuery){.event = 20, .success = -1}, "70.1 ");
        job_free(j);
        event_unref(parts);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                BOTH(events_are_found_by_what_they_are),    BOTH(events_are_found_by_their_targets),
                BOTH(events_are_found_by_a_targets_state),  BOTH(a_page_brings_what_is_asked_for),
                BOTH(a_page_is_no_larger_than_it_may_be),   BOTH(attempts_of_an_event_are_listed),
                BOTH(attempts_for_a_target_are_listed),     BOTH(an_attempt_tells_of_its_job),
                BOTH(a_list_of_attempts_goes_on),           BOTH(targets_are_counted),
                BOTH(replays_are_listed_with_their_events),
        };

        return cmocka_run_group_tests_name("contract_lists", tests, NULL, NULL);
}
