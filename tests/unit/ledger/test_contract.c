/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of stores (ledger/store.h), held by each of them. */
#include "contract.h"

static void what_was_recorded_is_found(void **state) {
        World *w = *state;
        Event *event = event_new(&(Event){.id = 10,
                                          .received_ms = 11,
                                          .time_ms = -5,
                                          .source = SPAN("shop"),
                                          .key = SPAN("k\0y"),
                                          .type = SPAN("t"),
                                          .subject = SPAN("s\xc3\xa4"),
                                          .content_type = SPAN("c"),
                                          .trace = SPAN("00"),
                                          .meta = SPAN("{\"channels\":[\"eu\"]}"),
                                          .body = SPAN("\0bytes\xff\n")});
        Job *jobs[2] = {job_new(12, event, SPAN("flow:a"), 0),
                        job_new(14, event, SPAN("endpoint:b"), 0)};
        Write write = record_of(event, jobs, 2), answer = answer_of(10, 202, "ok");

        write_one(w->store, &write);
        assert_int_equal(write.record.result, RECORD_NEW);
        assert_int_equal(jobs[0]->state, JOB_QUEUED);
        settle(w->store, jobs[1], JOB_DEAD, 0);
        write_one(w->store, &answer);
        answer = answer_of(10, 500, "a later answer changes nothing");
        write_one(w->store, &answer);
        answer = answer_of(999, 500, "of no event");
        write_one(w->store, &answer);
        assert_null(find(w, 11));
        EventView *v = find(w, 10);
        assert_non_null(v);
        assert_int_equal(v->event.received_ms, 11);
        assert_int_equal(v->event.time_ms, -5);
        assert_true(span_eq(v->event.source, SPAN("shop")));
        assert_true(span_eq(v->event.key, SPAN("k\0y")));
        assert_true(span_eq(v->event.type, SPAN("t")));
        assert_true(span_eq(v->event.subject, SPAN("s\xc3\xa4")));
        assert_true(span_eq(v->event.content_type, SPAN("c")));
        assert_true(span_eq(v->event.trace, SPAN("00")));
        assert_true(span_eq(v->event.meta, SPAN("{\"channels\":[\"eu\"]}")));
        assert_true(span_eq(v->event.body, SPAN("\0bytes\xff\n")));
        assert_int_equal(v->n_jobs, 2);
        assert_int_equal(v->jobs[0].id, 12);
        assert_int_equal(v->jobs[0].state, JOB_QUEUED);
        assert_int_equal(v->jobs[0].n_listed, 0);
        assert_true(span_eq(v->jobs[1].target, SPAN("endpoint:b")));
        assert_int_equal(v->jobs[1].state, JOB_DEAD);
        assert_int_equal(v->jobs[1].n_attempts, 1);
        assert_int_equal(v->jobs[1].n_listed, 1);
        assert_int_equal(v->jobs[1].attempts[0].took_us, 1500);
        assert_true(span_eq(v->jobs[1].attempts[0].message, SPAN("fine")));
        assert_true(v->has_answer);
        assert_int_equal(v->answer_status, 202);
        assert_true(span_eq(v->answer_body, SPAN("ok")));
        event_view_free(v);
        job_free(jobs[0]);
        job_free(jobs[1]);
        event_unref(event);
}

static void only_the_last_attempts_are_listed(void **state) {
        World *w = *state;
        Job *j = record_job(w->store, 10, 0, false);

        for (int i = 0; i < 60; i++)
                settle(w->store, j, JOB_WAITING, 9);
        EventView *v = find(w, 10);
        assert_int_equal(v->jobs[0].n_attempts, 60);
        assert_int_equal(v->jobs[0].n_listed, 50);
        assert_int_equal(v->jobs[0].attempts[0].number, 11);
        assert_int_equal(v->jobs[0].attempts[49].number, 60);
        event_view_free(v);
        job_free(j);
}

/* Two tries of one number: the first did not count. */
static void a_try_that_was_none_gives_its_place_away(void **state) {
        World *w = *state;
        Job *j = record_job(w->store, 10, 0, false);

        settle(w->store, j, JOB_WAITING, 9);
        for (int i = 0; i < 2; i++) {
                Attempt a = {.number = 2, .status = i ? 200 : 503, .code = SPAN("x")};
                Write write = settle_of(j, JOB_WAITING, &a);

                write_one(w->store, &write);
        }
        EventView *v = find(w, 10);
        assert_int_equal(v->jobs[0].n_listed, 2);
        assert_int_equal(v->jobs[0].attempts[1].number, 2);
        assert_int_equal(v->jobs[0].attempts[1].status, 200);
        event_view_free(v);
        job_free(j);
}

static RecordResult record_key(World *w, int64_t id, const char *key, const char *body,
                               int64_t *ret_known) {
        Event *event = make_event(id, key, body);
        Write write = record_of(event, NULL, 0);

        write_one(w->store, &write);
        event_unref(event);
        if (ret_known)
                *ret_known = write.record.known_event;
        if (write.record.has_answer) {
                assert_int_equal(write.record.answer_status, 409);
                assert_string_equal(write.record.answer_type, "text/plain");
                assert_memory_equal(write.record.answer_body, "no", 2);
                assert_int_equal(write.record.answer_body_n, 2);
                free(write.record.answer_type);
                free(write.record.answer_body);
        }
        return write.record.result;
}

static void a_repeat_is_known(void **state) {
        World *w = *state;
        Write answer = answer_of(10, 409, "no");
        int64_t known = 0;

        assert_int_equal(record_key(w, 10, "k", "{}", NULL), RECORD_NEW);
        assert_int_equal(record_key(w, 11, "k", "{}", &known), RECORD_REPEAT);
        assert_int_equal(known, 10);
        write_one(w->store, &answer);
        assert_int_equal(record_key(w, 12, "k", "{}", &known), RECORD_REPEAT);
        assert_int_equal(record_key(w, 13, "k", "[]", &known), RECORD_CONFLICT);
        assert_int_equal(known, 10);
        assert_int_equal(record_key(w, 14, "K", "{}", NULL), RECORD_NEW);
        assert_int_equal(record_key(w, 15, "", "{}", NULL), RECORD_NEW);
        assert_int_equal(record_key(w, 16, "", "{}", NULL), RECORD_NEW);
        assert_null(find(w, 11));
        assert_null(find(w, 13));
        EventView *v = find(w, 14);
        assert_non_null(v);
        event_view_free(v);
}

static void a_forgotten_key_is_new_again(void **state) {
        World *w = *state;
        Event *first = make_event(10, "k", "{}"), *second = make_event(20, "k", "{}"),
              *third = make_event(30, "k", "{}");
        Job *job = job_new(11, first, SPAN("flow:a"), 0);
        Write write = record_of(first, &job, 1), end = settle_of(job, JOB_DEAD, NULL);

        job->state = JOB_QUEUED;
        write_one(w->store, &write);
        end.settle.forget_key = true;
        job->state = JOB_DEAD;
        write_one(w->store, &end);
        write = record_of(second, NULL, 0);
        write_one(w->store, &write);
        assert_int_equal(write.record.result, RECORD_NEW);
        /* Forgetting the first once more leaves the second known. */
        write_one(w->store, &end);
        write = record_of(third, NULL, 0);
        write_one(w->store, &write);
        assert_int_equal(write.record.result, RECORD_REPEAT);
        assert_int_equal(write.record.known_event, 20);
        job_free(job);
        event_unref(first);
        event_unref(second);
        event_unref(third);
}

static void a_key_belongs_to_its_source(void **state) {
        World *w = *state;
        Event *one = event_new(&(Event){.id = 1, .source = SPAN("ab"), .key = SPAN("c")});
        Event *two = event_new(&(Event){.id = 2, .source = SPAN("a"), .key = SPAN("bc")});
        Write first = record_of(one, NULL, 0), second = record_of(two, NULL, 0);

        write_one(w->store, &first);
        write_one(w->store, &second);
        assert_int_equal(second.record.result, RECORD_NEW);
        event_unref(one);
        event_unref(two);
}

static void an_old_key_is_new_again(void **state) {
        World *w = *state;
        int64_t known = 0;

        assert_int_equal(record_key(w, 10, "k", "{}", NULL), RECORD_NEW);
        assert_int_equal(record_key(w, 10 + 1000000, "k", "{}", NULL), RECORD_REPEAT);
        assert_int_equal(record_key(w, 11 + 1000000, "k", "{}", NULL), RECORD_NEW);
        assert_int_equal(record_key(w, 12 + 1000000, "k", "{}", &known), RECORD_REPEAT);
        assert_int_equal(known, 11 + 1000000);
}

static int64_t find_key(World *w, const char *source, const char *key, int64_t now_ms) {
        int64_t event = -1;
        Err e = {0};

        assert_int_equal(
                w->ops->find_key(w->store, span_of(source), span_of(key), now_ms, &event, &e), 0);
        return event;
}

static void a_key_tells_its_event(void **state) {
        World *w = *state;

        assert_int_equal(find_key(w, "shop", "k", 1010), 0);
        assert_int_equal(record_key(w, 10, "k", "{}", NULL), RECORD_NEW);
        assert_int_equal(find_key(w, "shop", "k", 1010), 10);
        assert_int_equal(find_key(w, "shop", "k", 1001010), 10);
        assert_int_equal(find_key(w, "shop", "k", 1001011), 0);
        assert_int_equal(find_key(w, "shop", "", 10), 0);
        assert_int_equal(find_key(w, "shop", "K", 10), 0);
        assert_int_equal(find_key(w, "other", "k", 10), 0);
        assert_int_equal(find_key(w, "shopk", "", 10), 0);
        assert_int_equal(record_key(w, 11 + 1000000, "k", "[]", NULL), RECORD_NEW);
        assert_int_equal(find_key(w, "shop", "k", 1001011), 11 + 1000000);
        close_store(w);
        open_store(w);
        assert_int_equal(find_key(w, "shop", "k", 1001011),
                         w->ops == &store_sqlite ? 11 + 1000000 : 0);
}

/* Across many generations of 64 keys, as far as they are remembered. */
static void many_keys_are_remembered(void **state) {
        World *w = *state;
        enum { N = 450 };
        char key[32];

        for (int round = 0; round < 2; round++)
                for (int i = 0; i < N; i++) {
                        int64_t known = 0;

                        (void)snprintf(key, sizeof key, "key %d", i);
                        assert_int_equal(record_key(w, 1000 + round * N + i, key, "b", &known),
                                         round ? RECORD_REPEAT : RECORD_NEW);
                        assert_int_equal(known, round ? 1000 + i : 0);
                }
}

static void equal_keys_meet_in_one_batch(void **state) {
        World *w = *state;
        Event *events[3] = {make_event(1, "k", "{}"), make_event(2, "k", "{}"),
                            make_event(3, "k", "x")};
        Write writes[3] = {record_of(events[0], NULL, 0), record_of(events[1], NULL, 0),
                           record_of(events[2], NULL, 0)};
        Write *batch[3] = {&writes[0], &writes[1], &writes[2]};
        Err e = {0};

        assert_int_equal(w->ops->write(w->store, batch, 3, &e), 0);
        assert_int_equal(writes[0].record.result, RECORD_NEW);
        assert_int_equal(writes[1].record.result, RECORD_REPEAT);
        assert_int_equal(writes[1].record.known_event, 1);
        assert_int_equal(writes[2].record.result, RECORD_CONFLICT);
        for (int i = 0; i < 3; i++)
                event_unref(events[i]);
}

static void waiting_jobs_are_claimed_when_due(void **state) {
        World *w = *state;
        Job *jobs[3];

        for (int i = 0; i < 3; i++) {
                jobs[i] = record_job(w->store, 10 + i * 10, 0, false);
                settle(w->store, jobs[i], JOB_WAITING, 300 - i * 100);
        }
        Claim c = claim(w->store, ask_all(99));
        assert_int_equal(c.n, 0);
        assert_int_equal(c.next_due_ms, 100);
        claim_free(&c);
        c = claim(w->store, ask_all(200));
        assert_int_equal(c.n, 2);
        assert_int_equal(c.jobs[0]->id, 21);
        assert_int_equal(c.jobs[1]->id, 31);
        assert_int_equal(c.jobs[0]->attempts, 1);
        assert_int_equal(c.jobs[0]->state, JOB_QUEUED);
        assert_true(span_eq(c.jobs[0]->target, SPAN("flow:a")));
        assert_true(span_eq(c.jobs[0]->event->body, SPAN("{}")));
        assert_true(span_eq(c.jobs[0]->event->source, SPAN("shop")));
        assert_int_equal(c.next_due_ms, 300);
        assert_false(c.more);
        claim_free(&c);
        c = claim(w->store, ask_all(200));
        assert_int_equal(c.n, 0);
        claim_free(&c);
        /* An earlier one comes after the claim looked. */
        settle(w->store, jobs[2], JOB_WAITING, 50);
        c = claim(w->store, ask_all(60));
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->attempts, 2);
        assert_int_equal(c.next_due_ms, 300);
        claim_free(&c);
        for (int i = 0; i < 3; i++)
                job_free(jobs[i]);
}

static Job *record_for(World *w, int64_t id, const char *target) {
        Event *event = make_event(id, NULL, "{}");
        Job *j = job_new(id + 1, event, span_of(target), 0);
        Write write = record_of(event, &j, 1);

        write_one(w->store, &write);
        event_unref(event);
        return j;
}

static void what_is_due_is_claimed_by_target(void **state) {
        World *w = *state;
        Job *ours = record_job(w->store, 10, 0, false), *theirs = record_for(w, 20, "flow:b");
        ClaimAsk ask = ask_all(200);

        settle(w->store, theirs, JOB_WAITING, 100);
        settle(w->store, ours, JOB_WAITING, 150);
        Claim c = claim(w->store, ask);
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 11);
        assert_int_equal(c.next_due_ms, INT64_MAX);
        claim_free(&c);
        ask.target = SPAN("flow:unheard-of");
        c = claim(w->store, ask);
        assert_int_equal(c.n, 0);
        assert_int_equal(c.next_due_ms, INT64_MAX);
        claim_free(&c);
        ask.target = SPAN("flow:b");
        c = claim(w->store, ask);
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 21);
        claim_free(&c);
        job_free(ours);
        job_free(theirs);
}

static void a_claim_is_bounded_and_says_so(void **state) {
        World *w = *state;

        for (int i = 0; i < 5; i++) {
                Job *j = record_job(w->store, 10 + i * 10, 0, false);

                settle(w->store, j, JOB_WAITING, 1);
                job_free(j);
        }
        ClaimAsk ask = ask_all(10);
        ask.max = 3;
        Claim c = claim(w->store, ask);
        assert_int_equal(c.n, 3);
        assert_true(c.more);
        assert_int_equal(c.next_due_ms, 1);
        claim_free(&c);
        c = claim(w->store, ask);
        assert_int_equal(c.n, 2);
        assert_false(c.more);
        assert_int_equal(c.next_due_ms, INT64_MAX);
        claim_free(&c);
}

static void shards_share_no_job(void **state) {
        World *w = *state;
        size_t n = 0, shards = 3, of_shard[3] = {0};

        for (int i = 0; i < 60; i++) {
                Job *j = record_job(w->store, 10 + i * 10, (uint64_t)(i + 1) * 977, i % 2);

                if (i % 2 == 0)
                        settle(w->store, j, JOB_WAITING, 1);
                of_shard[j->shard % shards]++;
                job_free(j);
        }
        for (unsigned i = 0; i < 2 * shards; i++) {
                ClaimAsk ask = ask_all(9);

                ask.shard = i / 2;
                ask.shards = 3;
                ask.is_due = i % 2 == 0;
                Claim c = claim(w->store, ask);
                assert_true(c.n > 0);
                for (size_t k = 0; k < c.n; k++)
                        assert_int_equal(c.jobs[k]->shard % shards, i / 2);
                of_shard[i / 2] -= c.n;
                n += c.n;
                claim_free(&c);
                if (i % 2)
                        assert_int_equal(of_shard[i / 2], 0);
        }
        assert_int_equal(n, 60);
}

static void queued_jobs_are_claimed_when_nobody_has_them(void **state) {
        World *w = *state;
        Job *held = record_job(w->store, 10, 0, false), *a = record_job(w->store, 20, 0, true),
            *b = record_job(w->store, 30, 0, true);
        ClaimAsk ask = ask_all(9);

        Claim c = claim(w->store, ask);
        assert_int_equal(c.n, 0);
        claim_free(&c);
        ask.is_due = false;
        ask.after_id = 21;
        c = claim(w->store, ask);
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 31);
        assert_int_equal(c.jobs[0]->attempts, 0);
        claim_free(&c);
        ask.after_id = 0;
        c = claim(w->store, ask);
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 21);
        claim_free(&c);
        c = claim(w->store, ask);
        assert_int_equal(c.n, 0);
        claim_free(&c);
        /* Handed back. */
        held->spilled = true;
        Write back = settle_of(held, JOB_QUEUED, NULL);
        write_one(w->store, &back);
        c = claim(w->store, ask);
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 11);
        claim_free(&c);
        job_free(held);
        job_free(a);
        job_free(b);
}

static void a_lane_keeps_its_order(void **state) {
        World *w = *state;
        Job *a = record_job(w->store, 10, 5, false);

        assert_int_equal(a->state, JOB_QUEUED);
        Job *in_memory = record_job(w->store, 20, 5, false);
        assert_int_equal(in_memory->state, JOB_QUEUED);
        settle(w->store, a, JOB_WAITING, 100);
        Job *b = record_job(w->store, 30, 5, false), *c = record_job(w->store, 40, 5, false),
            *other = record_job(w->store, 50, 6, false);
        assert_int_equal(b->state, JOB_BLOCKED);
        assert_int_equal(c->state, JOB_BLOCKED);
        assert_int_equal(other->state, JOB_QUEUED);
        Claim claimed = claim(w->store, ask_all(100));
        assert_int_equal(claimed.n, 1);
        assert_int_equal(claimed.jobs[0]->id, 11);
        assert_int_equal(claimed.jobs[0]->lane, 5);
        Attempt t = {.number = 2, .started_ms = 120, .took_us = 3000};
        Write done = settle_of(claimed.jobs[0], JOB_DONE, &t);
        write_one(w->store, &done);
        assert_true(done.settle.woke);
        claim_free(&claimed);
        claimed = claim(w->store, ask_all(123));
        assert_int_equal(claimed.n, 1);
        assert_int_equal(claimed.jobs[0]->id, 31);
        Write dead = settle_of(claimed.jobs[0], JOB_DEAD, NULL);
        write_one(w->store, &dead);
        assert_true(dead.settle.woke);
        claim_free(&claimed);
        /* The woken job waits: one that ends beside it wakes nobody. */
        Job *d = record_job(w->store, 60, 5, false);
        assert_int_equal(d->state, JOB_BLOCKED);
        Write again = settle_of(b, JOB_DONE, NULL);
        write_one(w->store, &again);
        assert_false(again.settle.woke);
        claimed = claim(w->store, ask_all(0));
        assert_int_equal(claimed.n, 1);
        assert_int_equal(claimed.jobs[0]->id, 41);
        claim_free(&claimed);
        job_free(a);
        job_free(b);
        job_free(c);
        job_free(d);
        job_free(in_memory);
        job_free(other);
}

static void a_claim_says_who_stands_behind(void **state) {
        World *w = *state;
        Job *jobs[] = {record_job(w->store, 10, 5, false), record_job(w->store, 20, 7, false)};

        settle(w->store, jobs[0], JOB_WAITING, 100);
        settle(w->store, jobs[1], JOB_WAITING, 100);
        Job *b = record_job(w->store, 30, 5, false), *c = record_job(w->store, 40, 5, false);
        for (size_t i = 0; i < 3; i++) { /* 10, 30, 40; and 20 beside the first */
                Claim claimed = claim(w->store, ask_all(100));

                assert_int_equal(claimed.n, i == 0 ? 2 : 1);
                assert_int_equal(claimed.jobs[0]->is_followed, i < 2);
                for (size_t k = 0; k < claimed.n; k++) {
                        assert_true(k == 0 || !claimed.jobs[k]->is_followed);
                        Write done = settle_of(claimed.jobs[k], JOB_DONE, NULL);
                        write_one(w->store, &done);
                }
                claim_free(&claimed);
        }
        job_free(jobs[0]);
        job_free(jobs[1]);
        job_free(b);
        job_free(c);
}

typedef struct Changes {
        uint64_t lanes[8];
        size_t n;
} Changes;

static void on_change(void *arg, const Change *c) {
        Changes *told = arg;

        assert_int_equal(c->time_ms, 7);
        assert_true(told->n < COUNT_OF(told->lanes));
        told->lanes[told->n++] = c->lane;
}

static void changes_that_were_applied_are_known(void **state) {
        World *w = *state;
        JobState ends[] = {JOB_DONE, JOB_DONE, JOB_DEAD, JOB_WAITING, JOB_DONE, JOB_DONE};
        Changes told = {.n = 0};
        Err e = {0};

        for (int64_t i = 0; i < (int64_t)COUNT_OF(ends); i++) {
                Job *j = record_job(w->store, 10 * (i + 1), i == 4 ? 0 : 100 + (uint64_t)i, false);

                settle(w->store, j, ends[i], 0);
                job_free(j);
        }
        assert_int_equal(w->ops->each_change(w->reader, 100, on_change, &told, &e), 0);
        assert_int_equal(told.n, 3);
        assert_int_equal(told.lanes[0] + told.lanes[1] + told.lanes[2], 306);
        told.n = 0;
        assert_int_equal(w->ops->each_change(w->reader, 2, on_change, &told, &e), 0);
        assert_int_equal(told.n, 1);
        assert_int_equal(told.lanes[0], 105);
}

static void a_lane_stays_behind_a_spilled_job(void **state) {
        World *w = *state;
        Job *a = record_job(w->store, 10, 5, true), *b = record_job(w->store, 20, 5, false);
        ClaimAsk ask = ask_all(9);

        assert_int_equal(b->state, JOB_BLOCKED);
        ask.is_due = false;
        Claim c = claim(w->store, ask);
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 11);
        settle(w->store, c.jobs[0], JOB_DONE, 0);
        claim_free(&c);
        c = claim(w->store, ask_all(10000));
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 21);
        claim_free(&c);
        job_free(a);
        job_free(b);
}

/* What a crash leaves: queued jobs of a lane whose earlier one waits. */
static void a_claim_blocks_what_is_behind(void **state) {
        World *w = *state;
        Job *a = record_job(w->store, 10, 5, false), *b = record_job(w->store, 20, 5, true),
            *other = record_job(w->store, 30, 6, true);
        ClaimAsk ask = ask_all(99);

        settle(w->store, a, JOB_WAITING, 100);
        ask.is_due = false;
        Claim c = claim(w->store, ask);
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 31);
        claim_free(&c);
        c = claim(w->store, ask_all(100));
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 11);
        settle(w->store, c.jobs[0], JOB_DONE, 0);
        claim_free(&c);
        c = claim(w->store, ask_all(10000));
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 21);
        claim_free(&c);
        job_free(a);
        job_free(b);
        job_free(other);
}

/* A job's shard is its maker's choice, also when it comes back from the store. */
static void a_job_keeps_its_shard(void **state) {
        World *w = *state;
        Event *event = event_new(
                &(Event){.id = 10, .source = SPAN("shop"), .meta = SPAN("{}"), .body = SPAN("x")});
        Job *j = job_new(11, event, SPAN("endpoint:a"), 977);
        Write write = record_of(event, &j, 1);

        j->shard ^= 1;
        uint8_t shard = j->shard;
        write_one(w->store, &write);
        settle(w->store, j, JOB_WAITING, 100);
        for (int i = 0; i < 2; i++) {
                ClaimAsk ask = {.now_ms = 100,
                                .shard = !(shard & 1),
                                .shards = 2,
                                .max = 9,
                                .target = SPAN("endpoint:a"),
                                .is_due = true};
                Claim c = claim(w->store, ask);

                assert_int_equal(c.n, 0);
                claim_free(&c);
                ask.shard = shard & 1;
                c = claim(w->store, ask);
                assert_int_equal(c.n, 1);
                assert_int_equal(c.jobs[0]->shard, shard);
                assert_int_equal(c.jobs[0]->lane, 977);
                assert_true(span_eq(c.jobs[0]->event->meta, SPAN("{}")));
                settle(w->store, c.jobs[0], JOB_WAITING, 100);
                claim_free(&c);
        }
        job_free(j);
        event_unref(event);
}

static Job *record_delayed(World *w, int64_t id, uint64_t lane, int64_t due_ms) {
        Event *event = make_event(id, NULL, "{}");
        Job *j = job_new(id + 1, event, SPAN("flow:a"), lane);
        Write write = record_of(event, &j, 1);

        j->state = JOB_WAITING;
        j->due_ms = due_ms;
        write_one(w->store, &write);
        event_unref(event);
        return j;
}

static void note_target(void *arg, Span target, int64_t due_ms) {
        Buf *all = arg;

        assert_int_equal(buf_addf(all, SPAN_FMT " ", SPAN_ARG(target)), 0);
        if (due_ms != STORE_NOW)
                assert_int_equal(buf_addf(all, "%" PRId64 " ", due_ms), 0);
}

static void backlogs_are_told_by_target(void **state) {
        World *w = *state;
        AUTO(buf_done)
        Buf all = BUF(200);
        Event *event = make_event(50, NULL, "{}");
        Job *jobs[] = {job_new(51, event, SPAN("flow:b"), 0),
                       job_new(52, event, SPAN("endpoint:c"), 0)},
            *a = record_job(w->store, 10, 0, true), *more = record_job(w->store, 20, 0, true);
        Err e = {0};
        Write record = record_of(event, jobs, 2);

        jobs[1]->spilled = true;
        write_one(w->store, &record);
        assert_int_equal(w->ops->each_backlog(w->reader, note_target, &all, &e), 0);
        assert_true(span_eq(buf_span(&all), SPAN("flow:a endpoint:c ")));
        /* And those that wait, with the first of them. */
        buf_clear(&all);
        settle(w->store, jobs[0], JOB_WAITING, 700);
        settle(w->store, a, JOB_DONE, 0);
        settle(w->store, more, JOB_DONE, 0);
        Job *late = record_for(w, 60, "flow:b");
        settle(w->store, late, JOB_WAITING, 300);
        job_free(late);
        assert_int_equal(w->ops->each_backlog(w->reader, note_target, &all, &e), 0);
        assert_true(span_eq(buf_span(&all), SPAN("endpoint:c flow:b 300 ")));
        for (size_t i = 0; i < COUNT_OF(jobs); i++)
                job_free(jobs[i]);
        job_free(a);
        job_free(more);
        event_unref(event);
}

static void a_delayed_job_waits_in_the_store(void **state) {
        World *w = *state;
        Job *late = record_delayed(w, 10, 0, 300), *soon = record_delayed(w, 20, 0, 200);
        ClaimAsk ask = ask_all(199);

        assert_int_equal(late->state, JOB_WAITING);
        EventView *v = find(w, 10);
        assert_int_equal(v->jobs[0].state, JOB_WAITING);
        assert_int_equal(v->jobs[0].due_ms, 300);
        event_view_free(v);
        Claim c = claim(w->store, ask);
        assert_int_equal(c.n, 0);
        assert_int_equal(c.next_due_ms, 200);
        claim_free(&c);
        ask.now_ms = 200;
        c = claim(w->store, ask);
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 21);
        assert_int_equal(c.jobs[0]->attempts, 0);
        assert_int_equal(c.next_due_ms, 300);
        claim_free(&c);
        /* One that is due earlier is recorded after the claim looked. */
        Job *sooner = record_delayed(w, 30, 0, 250);
        c = claim(w->store, ask_all(250));
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 31);
        claim_free(&c);
        job_free(late);
        job_free(soon);
        job_free(sooner);
}

static void a_delayed_job_holds_its_lane(void **state) {
        World *w = *state;
        Job *before = record_job(w->store, 10, 5, true), *delayed = record_delayed(w, 20, 5, 300),
            *behind = record_job(w->store, 30, 5, false);
        ClaimAsk ask = ask_all(99);

        assert_int_equal(delayed->state, JOB_WAITING);
        assert_int_equal(behind->state, JOB_BLOCKED);
        ask.is_due = false;
        Claim c = claim(w->store, ask);
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 11);
        Write done = settle_of(c.jobs[0], JOB_DONE, NULL);
        write_one(w->store, &done);
        assert_false(done.settle.woke);
        claim_free(&c);
        /* It waits until it is due, though its lane is free. */
        c = claim(w->store, ask_all(299));
        assert_int_equal(c.n, 0);
        assert_int_equal(c.next_due_ms, 300);
        claim_free(&c);
        c = claim(w->store, ask_all(300));
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 21);
        settle(w->store, c.jobs[0], JOB_DONE, 0);
        claim_free(&c);
        c = claim(w->store, ask_all(10000));
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 31);
        claim_free(&c);
        job_free(before);
        job_free(delayed);
        job_free(behind);
}

/* Due, but behind an earlier one: it becomes blocked, and is woken by that one's end. */
static void a_delayed_job_does_not_overtake(void **state) {
        World *w = *state;
        Job *before = record_job(w->store, 10, 5, false), *delayed = record_delayed(w, 20, 5, 50);

        settle(w->store, before, JOB_WAITING, 100);
        Claim c = claim(w->store, ask_all(60));
        assert_int_equal(c.n, 0);
        claim_free(&c);
        c = claim(w->store, ask_all(100));
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 11);
        settle(w->store, c.jobs[0], JOB_DONE, 0);
        claim_free(&c);
        c = claim(w->store, ask_all(10000));
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->id, 21);
        claim_free(&c);
        job_free(before);
        job_free(delayed);
}

static void trim_takes_what_is_old_and_finished(void **state) {
        World *w = *state;
        Job *jobs[4];
        Write answer = answer_of(10, 200, "ok");

        for (int i = 0; i < 4; i++)
                jobs[i] = record_job(w->store, 10 + i * 10, 0, false);
        write_one(w->store, &answer);
        settle(w->store, jobs[0], JOB_DONE, 0);
        settle(w->store, jobs[2], JOB_DEAD, 0);
        settle(w->store, jobs[3], JOB_DONE, 0);
        assert_int_equal(trim(w, (TrimRule){.before_ms = 1010, .max = 10}), 0);
        assert_int_equal(trim(w, (TrimRule){.before_ms = 1040, .max = 1}), 1);
        assert_null(find(w, 10));
        assert_int_equal(trim(w, (TrimRule){.before_ms = 1040, .max = 10}), 1);
        assert_null(find(w, 30));
        EventView *open = find(w, 20), *young = find(w, 40);
        assert_non_null(open);
        assert_non_null(young);
        event_view_free(open);
        event_view_free(young);
        settle(w->store, jobs[1], JOB_DONE, 0);
        assert_int_equal(trim(w, (TrimRule){.before_ms = 1040, .max = 10}), 1);
        assert_null(find(w, 20));
        LedgerStats stats;
        Err e = {0};
        assert_int_equal(w->ops->stats(w->reader, &stats, &e), 0);
        assert_int_equal(stats.events, 1);
        assert_int_equal(stats.oldest_ms, 1040);
        for (int i = 0; i < 4; i++)
                job_free(jobs[i]);
}

static void trim_holds_the_size(void **state) {
        World *w = *state;
        char *body = must_alloc(30001);
        LedgerStats before, after;
        Err e = {0};

        memset(body, 'x', 30000);
        for (int i = 0; i < 100; i++) {
                Event *event = make_event(10 + i, NULL, body);
                Write write = record_of(event, NULL, 0);

                write_one(w->store, &write);
                event_unref(event);
        }
        assert_int_equal(w->ops->stats(w->reader, &before, &e), 0);
        for (int i = 0; i < 100; i++)
                (void)trim(w, (TrimRule){.bytes_max = 1000000, .max = 7});
        assert_int_equal(w->ops->stats(w->reader, &after, &e), 0);
        assert_true(before.bytes > 3000000);
        assert_true(after.bytes <= 1000000);
        assert_true(after.events > 10 && after.events < 50);
        assert_null(find(w, 10));
        EventView *v = find(w, 109);
        assert_non_null(v);
        event_view_free(v);
        free(body);
}

static void pages_go_back_in_time(void **state) {
        World *w = *state;
        int64_t before = 0, seen = 0;
        bool more = true;

        for (int i = 1; i <= 7; i++)
                assert_int_equal(record_key(w, i * 10, NULL, "body", NULL), RECORD_NEW);
        for (int64_t expect = 70; more;) {
                EventPage *p = list(w, (EventQuery){.before_id = before, .state = -1, .max = 3});

                for (size_t i = 0; i < p->n; i++, expect -= 10, seen++) {
                        assert_int_equal(p->events[i]->event.id, expect);
                        assert_int_equal(p->events[i]->event.body.n, 0);
                }
                more = p->more;
                before = p->next_before_id;
                event_page_free(p);
        }
        assert_int_equal(seen, 7);
        EventPage *p = list(w, (EventQuery){.source = SPAN("other"), .state = -1});
        assert_int_equal(p->n, 0);
        assert_false(p->more);
        event_page_free(p);
}

static void pages_select_by_state(void **state) {
        World *w = *state;
        LedgerStats stats;
        Err e = {0};

        for (int i = 0; i < JOB_STATES * 2; i++) {
                Job *j = record_job(w->store, 10 + i * 10, 0, false);

                if (i % JOB_STATES != JOB_QUEUED)
                        settle(w->store, j, (JobState)(i % JOB_STATES), 7);
                job_free(j);
        }
        for (int i = 0; i < JOB_STATES; i++) {
                EventPage *p = list(w, (EventQuery){.state = i, .with_jobs = true, .max = 1});

                assert_int_equal(p->n, 1);
                assert_true(p->more);
                assert_int_equal(p->events[0]->event.id, 60 + i * 10);
                assert_int_equal(p->events[0]->jobs[0].state, i);
                int64_t before = p->next_before_id;
                event_page_free(p);
                p = list(w, (EventQuery){.state = i, .source = SPAN("shop"), .before_id = before});
                assert_int_equal(p->n, 1);
                assert_false(p->more);
                assert_int_equal(p->events[0]->event.id, 10 + i * 10);
                event_page_free(p);
        }
        assert_int_equal(w->ops->stats(w->reader, &stats, &e), 0);
        assert_int_equal(stats.events, 10);
        assert_int_equal(stats.jobs_waiting, 2);
        assert_int_equal(stats.jobs_blocked, 2);
        assert_int_equal(stats.jobs_dead, 2);
        assert_int_equal(stats.oldest_ms, 1010);
}

/* A batch that does not fit leaves nothing behind, also not in memory. */
static void a_full_store_takes_all_or_nothing(void **state) {
        World *w = *state;
        Write *batch[40], writes[40];
        Event *events[40];
        char *body = must_alloc(100001), key[16];
        Err e = {0};
        int r = 0, rounds = 0;

        memset(body, 'x', 100000);
        close_store(w);
        w->options.bytes_max = 20000000;
        open_store(w);
        for (; r == 0 && rounds < 50; rounds++) {
                for (int i = 0; i < 40; i++) {
                        (void)snprintf(key, sizeof key, "%d-%d", rounds, i);
                        events[i] = make_event(1000 + rounds * 40 + i, key, body);
                        writes[i] = record_of(events[i], NULL, 0);
                        batch[i] = &writes[i];
                }
                r = w->ops->write(w->store, batch, 40, &e);
                for (int i = 0; i < 40; i++)
                        event_unref(events[i]);
        }
        assert_int_equal(r, -ENOSPC);
        assert_true(rounds > 2);
        assert_true(e.text[0] != 0);
        LedgerStats stats;
        assert_int_equal(w->ops->stats(w->reader, &stats, &(Err){0}), 0);
        assert_int_equal(stats.events, (rounds - 1) * 40);
        assert_null(find(w, 1000 + (rounds - 1) * 40));
        /* The keys of the batch that failed are free, those of the others are not. */
        (void)snprintf(key, sizeof key, "%d-0", rounds - 1);
        assert_int_equal(record_key(w, 100000, key, "small", NULL), RECORD_NEW);
        assert_int_equal(record_key(w, 100001, "0-39", "small", NULL), RECORD_CONFLICT);
        /* Room comes back when old events go. */
        assert_int_equal(trim(w, (TrimRule){.before_ms = INT64_MAX, .max = 40}), 40);
        assert_int_equal(record_key(w, 100002, "later", body, NULL), RECORD_NEW);
        free(body);
}

static void the_last_id_is_known(void **state) {
        World *w = *state;

        assert_int_equal(w->ops->last_id(w->store), 0);
        unsigned char a[32], b[32], c[32];
        w->ops->secret(w->store, "one", a);
        w->ops->secret(w->store, "two", b);
        w->ops->secret(w->store, "one", c);
        assert_memory_equal(a, c, 32);
        assert_memory_not_equal(a, b, 32);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                BOTH(what_was_recorded_is_found),
                BOTH(only_the_last_attempts_are_listed),
                BOTH(a_try_that_was_none_gives_its_place_away),
                BOTH(a_repeat_is_known),
                BOTH(a_key_tells_its_event),
                BOTH(a_forgotten_key_is_new_again),
                BOTH(a_key_belongs_to_its_source),
                BOTH(an_old_key_is_new_again),
                BOTH(many_keys_are_remembered),
                BOTH(equal_keys_meet_in_one_batch),
                BOTH(waiting_jobs_are_claimed_when_due),
                BOTH(what_is_due_is_claimed_by_target),
                BOTH(a_claim_is_bounded_and_says_so),
                BOTH(shards_share_no_job),
                BOTH(queued_jobs_are_claimed_when_nobody_has_them),
                BOTH(a_lane_keeps_its_order),
                BOTH(a_lane_stays_behind_a_spilled_job),
                BOTH(a_claim_says_who_stands_behind),
                BOTH(changes_that_were_applied_are_known),
                BOTH(a_claim_blocks_what_is_behind),
                BOTH(backlogs_are_told_by_target),
                BOTH(a_job_keeps_its_shard),
                BOTH(a_delayed_job_waits_in_the_store),
                BOTH(a_delayed_job_holds_its_lane),
                BOTH(a_delayed_job_does_not_overtake),
                BOTH(trim_takes_what_is_old_and_finished),
                BOTH(trim_holds_the_size),
                BOTH(pages_go_back_in_time),
                BOTH(pages_select_by_state),
                BOTH(a_full_store_takes_all_or_nothing),
                BOTH(the_last_id_is_known),
        };

        return cmocka_run_group_tests_name("contract", tests, NULL, NULL);
}
