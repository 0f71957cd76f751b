/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs that run once more, and what is made to be forgotten; by each store. */
#include "contract.h"

/* As a replay asks: a job for a target of the event, with an id of its own. */
static Write replay_of(int64_t event, int64_t id, const char *target, uint64_t lane) {
        Event *parts = make_event(event, NULL, "");
        Write w = {.kind = WRITE_REPLAY,
                   .replay = {.job = job_new(id, parts, span_of(target), lane)}};

        event_unref(parts);
        return w;
}

/* Returns the id of the job that will run, or 0. */
static int64_t replay(World *w, int64_t event, int64_t id, const char *target, uint64_t lane) {
        Write write = replay_of(event, id, target, lane);

        write_one(w->store, &write);
        job_free(write.replay.job);
        return write.replay.done ? write.replay.done_id : 0;
}

/* Claims the one job that is there to be claimed. */
static Job *claim_one(World *w, int64_t now_ms, int64_t id) {
        Claim c = claim_any(w->store, now_ms);

        assert_int_equal(c.n, 1);
        Job *j = c.jobs[0];
        assert_int_equal(j->id, id);
        free(c.jobs);
        return j;
}

static void claim_none(World *w, int64_t now_ms) {
        Claim c = claim_any(w->store, now_ms);

        assert_int_equal(c.n, 0);
        claim_free(&c);
}

static void an_ended_job_runs_again(void **state) {
        World *w = *state;
        Job *j = record_job(w->store, 10, 0, false);

        settle(w->store, j, JOB_WAITING, 100);
        j->state = JOB_QUEUED;
        settle(w->store, j, JOB_DEAD, 0);
        job_free(j);
        assert_int_equal(replay(w, 10, 50, "flow:a", 0), 11);
        EventView *v = find(w, 10);
        assert_int_equal(v->n_jobs, 1);
        assert_int_equal(v->jobs[0].state, JOB_QUEUED);
        assert_int_equal(v->jobs[0].n_attempts, 2);
        assert_true(v->jobs[0].is_replay);
        event_view_free(v);
        LedgerStats stats;
        assert_int_equal(w->ops->stats(w->reader, &stats, &(Err){0}), 0);
        assert_int_equal(stats.jobs_dead, 0);
        j = claim_one(w, 9, 11);
        assert_int_equal(j->attempts, 2);
        assert_int_equal(j->tries_from, 2);
        /* Its schedule is still counted from there when it comes back. */
        settle(w->store, j, JOB_WAITING, 100);
        job_free(j);
        j = claim_one(w, 100, 11);
        assert_int_equal(j->attempts, 3);
        assert_int_equal(j->tries_from, 2);
        settle(w->store, j, JOB_DONE, 0);
        job_free(j);
        /* Also one that succeeded. */
        assert_int_equal(replay(w, 10, 51, "flow:a", 0), 11);
        j = claim_one(w, 9, 11);
        assert_int_equal(j->tries_from, 4);
        settle(w->store, j, JOB_DONE, 0);
        job_free(j);
        claim_none(w, 1000);
        v = find(w, 10);
        assert_int_equal(v->jobs[0].n_listed, 5);
        AttemptPage *p = NULL;
        AttemptQuery q = {.event = 10, .success = -1, .max = 10};
        assert_int_equal(w->ops->list_attempts(w->reader, &q, &p, &(Err){0}), 0);
        assert_int_equal(p->n, 5);
        for (size_t i = 0; i < 5; i++) {
                assert_int_equal(v->jobs[0].attempts[i].is_manual, i >= 2);
                assert_int_equal(p->attempts[4 - i].attempt.is_manual, i >= 2);
        }
        attempt_page_free(p);
        event_view_free(v);
}

static void a_job_under_way_is_left_alone(void **state) {
        World *w = *state;
        Job *queued = record_job(w->store, 10, 0, false),
            *waiting = record_job(w->store, 20, 5, false);

        settle(w->store, waiting, JOB_WAITING, 100);
        Job *blocked = record_job(w->store, 30, 5, false);
        assert_int_equal(blocked->state, JOB_BLOCKED);
        assert_int_equal(replay(w, 10, 50, "flow:a", 0), 0);
        assert_int_equal(replay(w, 20, 51, "flow:a", 5), 0);
        assert_int_equal(replay(w, 30, 52, "flow:a", 5), 0);
        assert_int_equal(replay(w, 11, 53, "flow:a", 0), 0);
        EventView *v = find(w, 10);
        assert_int_equal(v->n_jobs, 1);
        assert_false(v->jobs[0].is_replay);
        event_view_free(v);
        claim_none(w, 99);
        settle(w->store, queued, JOB_DONE, 0);
        /* Twice in one batch: once. */
        Write first = replay_of(10, 54, "flow:a", 0), second = replay_of(10, 55, "flow:a", 0);
        Write *batch[] = {&first, &second};
        assert_int_equal(w->ops->write(w->store, batch, 2, &(Err){0}), 0);
        assert_true(first.replay.done);
        assert_false(second.replay.done);
        job_free(first.replay.job);
        job_free(second.replay.job);
        job_free(claim_one(w, 99, 11));
        assert_int_equal(replay(w, 10, 56, "flow:a", 0), 0);
        job_free(queued);
        job_free(waiting);
        job_free(blocked);
}

/* By hand: it is due at once, and stays one job, in its lane. */
static void a_waiting_job_can_be_made_due(void **state) {
        World *w = *state;
        Job *first = record_job(w->store, 10, 5, false),
            *queued = record_job(w->store, 30, 0, false);

        settle(w->store, first, JOB_WAITING, 100);
        Job *behind = record_job(w->store, 20, 5, false);
        assert_int_equal(behind->state, JOB_BLOCKED);
        /* In another lane by now, as whoever asks sees it. */
        Write again = replay_of(10, 50, "flow:a", 6), more = replay_of(10, 51, "flow:a", 5),
              blocked = replay_of(20, 52, "flow:a", 5), held = replay_of(30, 53, "flow:a", 0);
        Write *batch[] = {&again, &more, &blocked, &held};
        for (size_t i = 0; i < COUNT_OF(batch); i++)
                batch[i]->replay.even_waiting = true;
        assert_int_equal(w->ops->write(w->store, batch, COUNT_OF(batch), &(Err){0}), 0);
        assert_true(again.replay.done);
        assert_int_equal(again.replay.done_id, 11);
        assert_int_equal(again.replay.found, JOB_WAITING);
        assert_false(more.replay.done);
        assert_int_equal(more.replay.found, JOB_QUEUED);
        assert_false(blocked.replay.done);
        assert_int_equal(blocked.replay.found, JOB_BLOCKED);
        assert_false(held.replay.done);
        for (size_t i = 0; i < COUNT_OF(batch); i++)
                job_free(batch[i]->replay.job);
        Job *j = claim_one(w, 9, 11);
        assert_true(j->is_replay);
        assert_int_equal(j->attempts, 1);
        assert_int_equal(j->tries_from, 1);
        assert_int_equal(j->lane, 5);
        claim_none(w, 1000);
        /* Its end wakes the one behind it. */
        settle(w->store, j, JOB_DONE, 0);
        job_free(j);
        job_free(claim_one(w, INT64_MAX, 21));
        EventView *v = find(w, 10);
        assert_int_equal(v->n_jobs, 1);
        assert_int_equal(v->jobs[0].n_listed, 2);
        assert_false(v->jobs[0].attempts[0].is_manual);
        assert_true(v->jobs[0].attempts[1].is_manual);
        event_view_free(v);
        job_free(first);
        job_free(behind);
        job_free(queued);
}

static void a_new_target_gets_a_job(void **state) {
        World *w = *state;
        Job *first = record_job(w->store, 10, 0, false),
            *other = record_job(w->store, 20, 0, false);

        settle(w->store, first, JOB_DONE, 0);
        settle(w->store, other, JOB_DONE, 0);
        assert_int_equal(replay(w, 10, 40, "endpoint:b", 0), 40);
        assert_int_equal(replay(w, 10, 41, "endpoint:b", 0), 0);
        EventView *v = find(w, 10);
        assert_int_equal(v->n_jobs, 2);
        assert_false(v->jobs[0].is_replay);
        assert_int_equal(v->jobs[1].id, 40);
        assert_true(span_eq(v->jobs[1].target, SPAN("endpoint:b")));
        assert_int_equal(v->jobs[1].state, JOB_QUEUED);
        assert_true(v->jobs[1].is_replay);
        event_view_free(v);
        Job *j = claim_one(w, 9, 40);
        assert_int_equal(j->attempts, 0);
        assert_int_equal(j->tries_from, 0);
        assert_true(span_eq(j->event->body, SPAN("{}")));
        /* The event stays as long as this one is not finished, and goes with it. */
        assert_int_equal(trim(w, (TrimRule){.before_ms = INT64_MAX, .max = 10}), 1);
        assert_null(find(w, 20));
        settle(w->store, j, JOB_DEAD, 0);
        job_free(j);
        assert_int_equal(replay(w, 10, 42, "endpoint:b", 0), 40);
        j = claim_one(w, 9, 40);
        assert_int_equal(j->tries_from, 1);
        settle(w->store, j, JOB_DEAD, 0);
        job_free(j);
        assert_int_equal(trim(w, (TrimRule){.before_ms = INT64_MAX, .max = 10}), 1);
        assert_null(find(w, 10));
        LedgerStats stats;
        assert_int_equal(w->ops->stats(w->reader, &stats, &(Err){0}), 0);
        assert_int_equal(stats.jobs_dead, 0);
        assert_int_equal(replay(w, 10, 43, "endpoint:b", 0), 0);
        job_free(first);
        job_free(other);
}

/* An event that nobody wanted at first. */
static void an_event_without_jobs_gets_one(void **state) {
        World *w = *state;
        Event *event = make_event(10, NULL, "{}");
        Write write = record_of(event, NULL, 0);

        write_one(w->store, &write);
        event_unref(event);
        assert_int_equal(replay(w, 10, 40, "endpoint:b", 0), 40);
        assert_int_equal(replay(w, 10, 30, "endpoint:c", 0), 30);
        EventView *v = find(w, 10);
        assert_int_equal(v->n_jobs, 2);
        assert_int_equal(v->jobs[0].id, 30);
        assert_int_equal(v->jobs[1].id, 40);
        event_view_free(v);
        Claim c = claim_any(w->store, 9);
        assert_int_equal(c.n, 2);
        claim_free(&c);
}

static void only_what_is_missing_is_added(void **state) {
        World *w = *state;
        Job *j = record_job(w->store, 10, 0, false);
        Write write = replay_of(10, 40, "flow:a", 0);

        settle(w->store, j, JOB_DEAD, 0);
        write.replay.only_missing = true;
        write_one(w->store, &write);
        assert_false(write.replay.done);
        job_free(write.replay.job);
        claim_none(w, 9);
        write = replay_of(10, 41, "endpoint:b", 0);
        write.replay.only_missing = true;
        write_one(w->store, &write);
        assert_true(write.replay.done);
        assert_int_equal(write.replay.done_id, 41);
        job_free(write.replay.job);
        job_free(claim_one(w, 9, 41));
        job_free(j);
}

/* The endpoint may have changed its mind about order since. */
static void a_replay_brings_its_lane_and_shard(void **state) {
        World *w = *state;
        Job *j = record_job(w->store, 10, 7, false);
        Write write = replay_of(10, 40, "flow:a", 977);

        settle(w->store, j, JOB_DEAD, 0);
        write.replay.job->shard = j->shard ^ 1;
        write_one(w->store, &write);
        assert_int_equal(write.replay.done_id, 11);
        ClaimAsk ask = ask_all(9);
        ask.is_due = false;
        ask.shards = 2;
        ask.shard = j->shard & 1;
        Claim c = claim(w->store, ask);
        assert_int_equal(c.n, 0);
        claim_free(&c);
        ask.shard ^= 1;
        c = claim(w->store, ask);
        assert_int_equal(c.n, 1);
        assert_int_equal(c.jobs[0]->lane, 977);
        assert_int_equal(c.jobs[0]->shard, write.replay.job->shard);
        claim_free(&c);
        job_free(write.replay.job);
        job_free(j);
}

/* In its lane it stands where its id says. */
static void a_revived_job_holds_its_lane(void **state) {
        World *w = *state;
        Job *old = record_job(w->store, 10, 5, false), *runs = record_job(w->store, 20, 5, false);

        settle(w->store, old, JOB_DEAD, 0);
        assert_int_equal(replay(w, 10, 50, "flow:a", 5), 11);
        Job *behind = record_job(w->store, 30, 5, false);
        assert_int_equal(behind->state, JOB_BLOCKED);
        /* The end of the one that ran wakes nobody: the revived one is first. */
        Write done = settle_of(runs, JOB_DONE, NULL);
        write_one(w->store, &done);
        assert_false(done.settle.woke);
        Job *j = claim_one(w, 9, 11);
        done = settle_of(j, JOB_DONE, NULL);
        write_one(w->store, &done);
        assert_true(done.settle.woke);
        job_free(j);
        job_free(claim_one(w, 10000, 31));
        job_free(old);
        job_free(runs);
        job_free(behind);
}

static void a_revived_job_does_not_overtake(void **state) {
        World *w = *state;
        Job *first = record_job(w->store, 10, 5, false), *old = record_job(w->store, 20, 5, false);

        settle(w->store, old, JOB_DEAD, 0);
        settle(w->store, first, JOB_WAITING, 100);
        assert_int_equal(replay(w, 20, 50, "flow:a", 5), 21);
        claim_none(w, 99);
        EventView *v = find(w, 20);
        assert_int_equal(v->jobs[0].state, JOB_BLOCKED);
        event_view_free(v);
        Job *j = claim_one(w, 100, 11);
        settle(w->store, j, JOB_DONE, 0);
        job_free(j);
        j = claim_one(w, 10000, 21);
        assert_int_equal(j->tries_from, 1);
        job_free(j);
        job_free(first);
        job_free(old);
}

/* The claim has looked further than an old job's id already. */
static void a_claim_finds_what_was_revived_behind_it(void **state) {
        World *w = *state;
        Job *old = record_job(w->store, 10, 0, false), *spilled = record_job(w->store, 20, 0, true);

        settle(w->store, old, JOB_DEAD, 0);
        job_free(claim_one(w, 9, 21));
        claim_none(w, 9);
        assert_int_equal(replay(w, 10, 50, "flow:a", 0), 11);
        job_free(claim_one(w, 9, 11));
        job_free(old);
        job_free(spilled);
}

static void a_body_is_forgotten(void **state) {
        World *w = *state;
        static const char *const metas[][2] = {
                {"", "{\"expunged\":true}"},
                {"{}", "{\"expunged\":true}"},
                {" { \"channels\" : [\"eu\"] } ", "{\"expunged\":true,\"channels\" : [\"eu\"] }"},
        };

        for (size_t i = 0; i < COUNT_OF(metas); i++) {
                int64_t id = 10 + (int64_t)i * 10;
                Event *event = event_new(&(Event){.id = id,
                                                  .source = SPAN("shop"),
                                                  .type = SPAN("t"),
                                                  .meta = span_of(metas[i][0]),
                                                  .body = SPAN("a secret")});
                Job *j = job_new(id + 1, event, SPAN("endpoint:a"), 0);
                Write write = record_of(event, &j, 1);

                write_one(w->store, &write);
                settle(w->store, j, JOB_WAITING, 100);
                for (int again = 0; again < 2; again++) {
                        write = (Write){.kind = WRITE_EXPUNGE, .expunge = {.event = id}};
                        write_one(w->store, &write);
                        assert_true(write.expunge.done);
                        EventView *v = find(w, id);
                        assert_int_equal(v->event.body.n, 0);
                        assert_true(span_eq(v->event.type, SPAN("t")));
                        assert_true(span_eq(v->event.meta, span_of(metas[i][1])));
                        assert_int_equal(v->n_jobs, 1);
                        event_view_free(v);
                }
                Job *claimed = claim_one(w, 100, id + 1);
                assert_int_equal(claimed->event->body.n, 0);
                assert_true(span_eq(claimed->event->meta, span_of(metas[i][1])));
                job_free(claimed);
                job_free(j);
                event_unref(event);
        }
        Write write = {.kind = WRITE_EXPUNGE, .expunge = {.event = 999}};
        write_one(w->store, &write);
        assert_false(write.expunge.done);
}

static bool expunge(World *w, int64_t event, int64_t job, unsigned attempt) {
        Write write = {.kind = WRITE_EXPUNGE,
                       .expunge = {.event = event, .job = job, .attempt = attempt}};

        write_one(w->store, &write);
        return write.expunge.done;
}

static void an_attempts_detail_is_forgotten(void **state) {
        World *w = *state;
        Job *j = record_job(w->store, 10, 0, false);

        for (unsigned i = 1; i <= 2; i++) {
                Attempt a = {.number = i, .code = SPAN("c"), .detail = SPAN("{\"said\":\"it\"}")};
                Write write = settle_of(j, JOB_WAITING, &a);

                j->attempts = i;
                write_one(w->store, &write);
        }
        assert_false(expunge(w, 10, 11, 3));
        assert_false(expunge(w, 10, 12, 1));
        assert_false(expunge(w, 20, 11, 1));
        assert_true(expunge(w, 10, 11, 1));
        EventView *v = find(w, 10);
        assert_int_equal(v->jobs[0].n_listed, 2);
        assert_int_equal(v->jobs[0].attempts[0].detail.n, 0);
        assert_true(span_eq(v->jobs[0].attempts[0].code, SPAN("c")));
        assert_true(span_eq(v->jobs[0].attempts[1].detail, SPAN("{\"said\":\"it\"}")));
        assert_true(span_eq(v->event.body, SPAN("{}")));
        event_view_free(v);
        assert_true(expunge(w, 0, 11, 2));
        job_free(j);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                BOTH(an_ended_job_runs_again),
                BOTH(a_job_under_way_is_left_alone),
                BOTH(a_waiting_job_can_be_made_due),
                BOTH(a_new_target_gets_a_job),
                BOTH(an_event_without_jobs_gets_one),
                BOTH(only_what_is_missing_is_added),
                BOTH(a_replay_brings_its_lane_and_shard),
                BOTH(a_revived_job_holds_its_lane),
                BOTH(a_revived_job_does_not_overtake),
                BOTH(a_claim_finds_what_was_revived_behind_it),
                BOTH(a_body_is_forgotten),
                BOTH(an_attempts_detail_is_forgotten),
        };

        return cmocka_run_group_tests_name("contract_replay", tests, NULL, NULL);
}
