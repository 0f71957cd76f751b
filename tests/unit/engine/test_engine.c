/* SPDX-License-Identifier: Apache-2.0
 *
 * One engine with ports that write down what they are asked. What many engines do over thousands
 * of hours is explored by tests/sim; here stand the promises that it cannot see. */
#include "engine/engine.h"

#include "unit.h"

enum { NOTED_MAX = 1000 };

typedef struct Desk {
        Engine *engine;
        Job *running[NOTED_MAX], *settling[NOTED_MAX];
        size_t n_running, n_runs, n_settling, n_gone, n_claims, claim_max;
        char claim_target[32];
        bool claim_is_due;
        int64_t claim_from_ms, claim_after;
        bool has_attempt;
        unsigned attempt_number;
        char attempt_code[32];
        RetryRule rule;
        TargetLimits limits;
        bool has_no_target, ends_at_once;
} Desk;

static void note_run(void *self, Job *const *jobs, size_t n) {
        Desk *d = self;

        assert_true(d->n_running + n <= NOTED_MAX);
        memcpy(d->running + d->n_running, jobs, n * sizeof(Job *));
        d->n_running += n;
        d->n_runs++;
        if (d->ends_at_once)
                engine_ended(d->engine, jobs, &(JobResult){.verdict = JOB_SUCCEEDED}, n, 0);
}

static void note_settle(void *self, Job *job, const Attempt *attempt) {
        Desk *d = self;

        assert_true(d->n_settling < NOTED_MAX);
        d->settling[d->n_settling++] = job;
        d->has_attempt = attempt;
        if (!attempt)
                return;
        d->attempt_number = attempt->number;
        snprintf(d->attempt_code, sizeof d->attempt_code, SPAN_FMT, SPAN_ARG(attempt->code));
}

static void note_claim(void *self, const EngineAsk *ask) {
        Desk *d = self;

        d->n_claims++;
        d->claim_max = ask->max;
        d->claim_is_due = ask->is_due;
        d->claim_from_ms = ask->from_ms;
        d->claim_after = ask->after_id;
        snprintf(d->claim_target, sizeof d->claim_target, SPAN_FMT, SPAN_ARG(ask->target));
}

static TargetLimits limits_of(void *self, const Job *job) {
        Desk *d = self;

        (void)job;
        return d->limits;
}

static void claimed(Desk *d, Job **jobs, size_t n, bool more, int64_t now_ms) {
        ClaimResult r = {jobs, n, more, n ? jobs[n - 1]->id : 0, more ? now_ms : INT64_MAX, 0};

        engine_claimed(d->engine, &r, now_ms);
}

static const RetryRule *rule_of(void *self, const Job *job) {
        Desk *d = self;

        (void)job;
        return d->has_no_target ? NULL : &d->rule;
}

static void note_gone(void *self, Job *job) {
        Desk *d = self;

        d->n_gone++;
        free(job);
}

static Desk *desk_new(size_t jobs_max, size_t running_max) {
        Desk *d = must_alloc(sizeof *d);
        EnginePorts ports = {d, note_run, note_settle, note_claim, rule_of, limits_of, note_gone};

        d->rule = (RetryRule){.pause_ms = {1000, 1000}, .n = 2, .hint_max_ms = 5000};
        d->engine = engine_new(&(EngineLimits){.jobs_max = jobs_max, .running_max = running_max},
                               &ports, 1);
        return d;
}

static void desk_free(Desk *d) {
        engine_free(d->engine);
        free(d);
}

static Job *job_make(int64_t id, uint64_t lane) {
        Job *job = must_alloc(sizeof *job);

        job->id = id;
        job->lane = lane;
        job->target = SPAN("flow:a");
        link_init(&job->link);
        return job;
}

static void add(Desk *d, int64_t id, uint64_t lane) {
        engine_add(d->engine, job_make(id, lane), 0);
}

static void end(Desk *d, size_t i, JobVerdict verdict, int64_t now_ms) {
        JobResult result = {
                .verdict = verdict, .wait_hint_ms = -1, .attempt = {.code = SPAN("what-happened")}};

        engine_ended(d->engine, &d->running[i], &result, 1, now_ms);
}

/* Confirms all settles on their way. */
static void confirm(Desk *d, bool woke, int64_t now_ms) {
        size_t n = d->n_settling;

        d->n_settling = 0;
        for (size_t i = 0; i < n; i++)
                engine_settled(d->engine, d->settling[i], 0, woke, now_ms);
}

static void a_run_of_several_ends_as_each_of_them_ended(void **state) {
        Desk *d = desk_new(100, 10);
        JobResult results[] = {{.verdict = JOB_RETRY, .wait_hint_ms = -1},
                               {.verdict = JOB_SUCCEEDED},
                               {.verdict = JOB_LEFT_OUT},
                               {.verdict = JOB_RETRY, .wait_hint_ms = -1},
                               {.verdict = JOB_LEFT_OUT}};

        (void)state;
        d->rule.jitter_percent = 100;
        d->limits = (TargetLimits){.batch = 5, .batch_bytes = 1000, .batch_wait_ms = 1000};
        for (int64_t id = 1; id <= 5; id++)
                add(d, id, 0);
        (void)engine_step(d->engine, 0);
        assert_int_equal(d->n_runs, 1);
        assert_int_equal(d->n_running, 5);
        assert_int_equal(engine_gauges(d->engine).runs, 1);
        engine_ended(d->engine, d->running, results, 5, 100);
        assert_int_equal(engine_gauges(d->engine).runs, 0);
        /* Those that fail together come back together. */
        assert_int_equal(d->n_settling, 3);
        assert_int_equal(d->settling[0]->state, JOB_WAITING);
        assert_int_equal(d->settling[1]->state, JOB_DONE);
        assert_int_equal(d->settling[2]->state, JOB_WAITING);
        assert_in_range(d->settling[0]->due_ms, 1100, 2100);
        assert_int_equal(d->settling[0]->due_ms, d->settling[2]->due_ms);
        confirm(d, false, 100);
        /* Those that were left out were not tried, and go next. */
        assert_int_equal(engine_gauges(d->engine).ready, 2);
        add(d, 6, 0);
        assert_int_equal(engine_step(d->engine, 200), 1000);
        (void)engine_step(d->engine, 1000);
        assert_int_equal(d->n_runs, 2);
        assert_int_equal(d->n_running, 8);
        assert_int_equal(d->running[5]->id, 3);
        assert_int_equal(d->running[6]->id, 5);
        assert_int_equal(d->running[7]->id, 6);
        assert_int_equal(d->running[5]->attempts, 1);
        desk_free(d);
}

static void one_that_is_left_out_at_the_end_is_given_back(void **state) {
        Desk *d = desk_new(100, 10);
        JobResult results[] = {{.verdict = JOB_SUCCEEDED}, {.verdict = JOB_LEFT_OUT}};

        (void)state;
        d->limits = (TargetLimits){.batch = 2, .batch_bytes = 1000, .batch_wait_ms = 1000};
        add(d, 1, 0);
        add(d, 2, 7);
        (void)engine_step(d->engine, 0);
        assert_int_equal(d->n_running, 2);
        engine_drain(d->engine);
        engine_ended(d->engine, d->running, results, 2, 0);
        assert_int_equal(d->n_settling, 2);
        assert_int_equal(d->settling[0]->id, 2);
        assert_int_equal(d->settling[0]->state, JOB_QUEUED);
        assert_true(d->settling[0]->spilled);
        assert_int_equal(d->settling[0]->attempts, 0);
        confirm(d, false, 0);
        assert_int_equal(engine_gauges(d->engine).in_memory, 0);
        desk_free(d);
}

static void a_job_runs_and_leaves(void **state) {
        Desk *d = desk_new(0, 0);

        (void)state;
        add(d, 1, 0);
        assert_int_equal(engine_step(d->engine, 0), INT64_MAX);
        assert_int_equal(d->n_running, 1);
        assert_int_equal(d->running[0]->attempts, 1);
        end(d, 0, JOB_SUCCEEDED, 5);
        assert_int_equal(d->settling[0]->state, JOB_DONE);
        assert_int_equal(d->attempt_number, 1);
        assert_int_equal(d->n_gone, 0);
        confirm(d, false, 6);
        assert_int_equal(d->n_gone, 1);
        assert_int_equal(engine_gauges(d->engine).in_memory, 0);
        desk_free(d);
}

static void a_failed_job_waits_for_its_pause(void **state) {
        Desk *d = desk_new(0, 0);

        (void)state;
        add(d, 1, 0);
        (void)engine_step(d->engine, 0);
        end(d, 0, JOB_RETRY, 500);
        assert_int_equal(d->settling[0]->state, JOB_WAITING);
        assert_int_equal(d->settling[0]->due_ms, 1500);
        confirm(d, false, 501);
        assert_int_equal(engine_step(d->engine, 502), 1500);
        assert_int_equal(d->n_claims, 0);
        assert_int_equal(engine_step(d->engine, 1500), INT64_MAX);
        assert_int_equal(d->n_claims, 1);
        assert_string_equal(d->claim_target, "flow:a");
        assert_true(d->claim_is_due);
        assert_int_equal(d->claim_from_ms, 1500);
        desk_free(d);
}

/* A try that was none is not counted when the schedule would come back too soon ... */
static void an_away_target_uses_up_no_tries(void **state) {
        Desk *d = desk_new(0, 0);
        Job *job = job_make(1, 0);
        JobResult away = {.verdict = JOB_NOT_TRIED, .wait_hint_ms = 4000};

        (void)state;
        job->attempts = 2; /* the last one is left */
        engine_add(d->engine, job, 0);
        (void)engine_step(d->engine, 0);
        engine_ended(d->engine, &d->running[0], &away, 1, 500);
        assert_int_equal(d->settling[0]->state, JOB_WAITING);
        assert_int_equal(d->settling[0]->due_ms, 4500);
        assert_int_equal(d->settling[0]->attempts, 2);
        assert_int_equal(d->attempt_number, 0);
        confirm(d, false, 501);
        desk_free(d);
}

/* ... and is one of the schedule's when it would not. */
static void an_away_target_follows_a_long_schedule(void **state) {
        Desk *d = desk_new(0, 0);
        JobResult away = {.verdict = JOB_NOT_TRIED, .wait_hint_ms = 900};

        (void)state;
        add(d, 1, 0);
        (void)engine_step(d->engine, 0);
        engine_ended(d->engine, &d->running[0], &away, 1, 500);
        assert_int_equal(d->settling[0]->due_ms, 1500);
        assert_int_equal(d->settling[0]->attempts, 1);
        assert_int_equal(d->attempt_number, 1);
        confirm(d, false, 501);
        desk_free(d);
}

static void the_last_try_keeps_its_code(void **state) {
        Desk *d = desk_new(0, 0);
        Job *job = job_make(1, 0);

        (void)state;
        job->attempts = 2;
        engine_add(d->engine, job, 0);
        (void)engine_step(d->engine, 0);
        end(d, 0, JOB_RETRY, 1);
        assert_int_equal(d->settling[0]->state, JOB_DEAD);
        assert_string_equal(d->attempt_code, "what-happened");
        assert_int_equal(d->attempt_number, 3);
        desk_free(d);
}

static void a_last_word_is_final(void **state) {
        Desk *d = desk_new(0, 0);
        Job *job = job_make(1, 0);

        (void)state;
        job->last_word = true;
        engine_add(d->engine, job, 0);
        (void)engine_step(d->engine, 0);
        end(d, 0, JOB_RETRY, 1);
        assert_int_equal(d->settling[0]->state, JOB_DEAD);
        desk_free(d);
}

static void without_a_target_it_dies_with_a_reason(void **state) {
        Desk *d = desk_new(0, 0);

        (void)state;
        d->has_no_target = true;
        add(d, 1, 0);
        (void)engine_step(d->engine, 0);
        assert_int_equal(d->n_running, 0);
        assert_int_equal(d->settling[0]->state, JOB_DEAD);
        assert_string_equal(d->attempt_code, "no-target");
        confirm(d, false, 1);

        /* The same when it went away during a run. */
        d->has_no_target = false;
        add(d, 2, 0);
        (void)engine_step(d->engine, 2);
        d->has_no_target = true;
        end(d, 0, JOB_RETRY, 3);
        assert_int_equal(d->settling[0]->state, JOB_DEAD);
        assert_string_equal(d->attempt_code, "no-target");
        desk_free(d);
}

static void a_lane_goes_on_when_the_end_is_written(void **state) {
        Desk *d = desk_new(0, 0);

        (void)state;
        add(d, 1, 7);
        add(d, 2, 7);
        add(d, 3, 8);
        (void)engine_step(d->engine, 0);
        assert_int_equal(d->n_running, 2);
        assert_int_equal(d->running[1]->id, 3);
        end(d, 0, JOB_SUCCEEDED, 1);
        (void)engine_step(d->engine, 1);
        assert_int_equal(d->n_running, 2);
        confirm(d, false, 2);
        (void)engine_step(d->engine, 2);
        assert_int_equal(d->n_running, 3);
        assert_int_equal(d->running[2]->id, 2);
        desk_free(d);
}

static void those_behind_a_waiting_head_leave_memory(void **state) {
        Desk *d = desk_new(0, 0);
        Job *crossing = job_make(4, 7);

        (void)state;
        add(d, 1, 7);
        add(d, 2, 7);
        add(d, 3, 7);
        (void)engine_step(d->engine, 0);
        end(d, 0, JOB_RETRY, 1);
        confirm(d, false, 2);
        assert_int_equal(d->n_settling, 2);
        assert_int_equal(d->settling[0]->id, 2);
        assert_int_equal(d->settling[1]->state, JOB_BLOCKED);
        assert_int_equal(engine_gauges(d->engine).parked_lanes, 1);

        /* One that was recorded meanwhile is parked; the head, claimed, stands until all are. */
        Job *head = job_make(1, 7);
        engine_add(d->engine, crossing, 3);
        assert_int_equal(crossing->state, JOB_BLOCKED);
        (void)engine_step(d->engine, 2000);
        assert_int_equal(d->n_claims, 1);
        claimed(d, &head, 1, false, 2000);
        (void)engine_step(d->engine, 2000);
        assert_int_equal(d->n_running, 1);
        confirm(d, false, 2001);
        assert_int_equal(engine_gauges(d->engine).parked_lanes, 0);
        assert_int_equal(engine_gauges(d->engine).in_memory, 1);
        (void)engine_step(d->engine, 2001);
        assert_int_equal(d->n_running, 2);
        assert_ptr_equal(d->running[1], head);
        desk_free(d);
}

static void claimed_jobs_stand_by_their_ids(void **state) {
        Desk *d = desk_new(0, 0);
        Job *jobs[] = {job_make(2, 7), job_make(5, 7)}, *early[] = {job_make(3, 7)};
        static const int64_t order[] = {2, 3, 5};

        (void)state;
        engine_due(d->engine, SPAN("flow:a"), 0);
        (void)engine_step(d->engine, 0);
        claimed(d, jobs, 2, true, 0);
        (void)engine_step(d->engine, 0);
        claimed(d, early, 1, false, 0);
        for (size_t i = 0; i < COUNT_OF(order); i++) {
                (void)engine_step(d->engine, 1);
                assert_int_equal(d->n_running, i + 1);
                assert_int_equal(d->running[i]->id, order[i]);
                end(d, i, JOB_SUCCEEDED, 1);
                confirm(d, false, 1);
        }
        desk_free(d);
}

/* Only a settle that nobody waits for may wait for company. */
static void a_settle_hurries_when_others_wait_for_it(void **state) {
        Desk *d = desk_new(0, 0);

        (void)state;
        add(d, 1, 0);
        add(d, 2, 7);
        add(d, 3, 8);
        add(d, 4, 8);
        (void)engine_step(d->engine, 0);
        assert_int_equal(d->n_running, 3);
        for (size_t i = 0; i < 3; i++)
                end(d, i, i == 2 ? JOB_RETRY : JOB_SUCCEEDED, 1);
        assert_false(d->settling[0]->hurries); /* it has no lane */
        assert_false(d->settling[1]->hurries); /* it is alone in its lane */
        assert_true(d->settling[2]->hurries);
        confirm(d, false, 2);
        /* The head waits in the ledger, so the one behind it is parked: its lane waits for that. */
        assert_int_equal(d->n_settling, 1);
        assert_int_equal(d->settling[0]->state, JOB_BLOCKED);
        assert_true(d->settling[0]->hurries);
        confirm(d, false, 3);
        desk_free(d);
}

static void a_refused_settle_is_tried_again(void **state) {
        Desk *d = desk_new(0, 0);

        (void)state;
        add(d, 1, 0);
        (void)engine_step(d->engine, 0);
        end(d, 0, JOB_SUCCEEDED, 1);
        assert_true(d->has_attempt);
        d->n_settling = 0;
        engine_settled(d->engine, d->settling[0], -ENOSPC, false, 2);
        int64_t again = engine_step(d->engine, 3);
        assert_int_equal(d->n_settling, 0);
        assert_in_range(again, 4, 60000);
        (void)engine_step(d->engine, again);
        assert_int_equal(d->n_settling, 1);
        assert_false(d->has_attempt);
        assert_int_equal(d->settling[0]->state, JOB_DONE);
        confirm(d, false, again);
        assert_int_equal(engine_gauges(d->engine).in_memory, 0);
        desk_free(d);
}

static void what_has_no_room_is_given_back_and_claimed(void **state) {
        Desk *d = desk_new(3, 1);

        (void)state;
        for (int64_t id = 1; id <= 4; id++)
                add(d, id, 0);
        /* Two of the three places are this target's, since one must be left for another. */
        assert_int_equal(d->n_settling, 2);
        assert_int_equal(d->settling[0]->id, 3);
        assert_int_equal(d->settling[0]->state, JOB_QUEUED);
        assert_true(d->settling[0]->spilled);
        confirm(d, false, 0);
        (void)engine_step(d->engine, 0);
        assert_int_equal(d->n_claims, 0); /* no room */
        for (size_t i = 0; i < 2; i++) {
                end(d, i, JOB_SUCCEEDED, 1);
                confirm(d, false, 1);
                (void)engine_step(d->engine, 1);
        }
        assert_int_equal(d->n_claims, 1);
        assert_int_equal(d->claim_after, 2);
        desk_free(d);
}

static void a_backlog_goes_before_new_jobs(void **state) {
        Desk *d = desk_new(100, 1);
        Job *job = job_make(3, 0);

        (void)state;
        engine_spilled(d->engine, SPAN("flow:a"), 3);
        (void)engine_step(d->engine, 0);
        assert_int_equal(d->n_claims, 1);
        assert_string_equal(d->claim_target, "flow:a");
        assert_int_equal(d->claim_after, 2);
        add(d, 5, 0); /* there is room, but what lies in the ledger is earlier */
        assert_int_equal(d->n_settling, 1);
        assert_int_equal(d->settling[0]->id, 5);
        /* The answer knows nothing of it: it is asked for again. */
        claimed(d, &job, 1, false, 2);
        confirm(d, false, 2);
        (void)engine_step(d->engine, 2);
        assert_int_equal(d->running[0]->id, 3);
        assert_int_equal(d->n_claims, 2);
        assert_int_equal(d->claim_after, 4);
        job = job_make(5, 0);
        claimed(d, &job, 1, false, 3);
        add(d, 6, 0);
        assert_int_equal(d->n_settling, 0);
        desk_free(d);
}

static void a_target_has_its_width(void **state) {
        Desk *d = desk_new(0, 0);

        (void)state;
        d->limits.width = 2;
        for (int64_t id = 1; id <= 3; id++)
                add(d, id, 0);
        assert_int_equal(engine_step(d->engine, 0), INT64_MAX);
        assert_int_equal(d->n_running, 2);
        end(d, 0, JOB_SUCCEEDED, 1);
        (void)engine_step(d->engine, 1);
        assert_int_equal(d->n_running, 3);
        desk_free(d);
}

static void a_target_has_its_pace(void **state) {
        Desk *d = desk_new(0, 0);
        int64_t now_ms = 5000;

        (void)state;
        d->limits.rate = 4;
        for (int64_t id = 1; id <= 10; id++)
                add(d, id, 0);
        int64_t next_ms = engine_step(d->engine, now_ms);
        assert_int_equal(d->n_running, 4); /* one second's share at once */
        for (size_t n = 5; n <= 10; n++) {
                assert_in_range(next_ms, now_ms + 1, now_ms + 251);
                now_ms = next_ms;
                next_ms = engine_step(d->engine, now_ms);
                assert_int_equal(d->n_running, n);
        }
        assert_int_equal(next_ms, INT64_MAX);
        desk_free(d);
}

static void a_failed_claim_is_asked_again(void **state) {
        Desk *d = desk_new(0, 0);
        ClaimResult failed = {.next_due_ms = INT64_MAX, .fault = -ENOSPC};

        (void)state;
        engine_spilled(d->engine, SPAN("flow:a"), 1);
        (void)engine_step(d->engine, 0);
        assert_int_equal(d->n_claims, 1);
        (void)engine_step(d->engine, 0);
        assert_int_equal(d->n_claims, 1); /* one at a time */
        engine_claimed(d->engine, &failed, 0);
        int64_t again = engine_step(d->engine, 0);
        assert_int_equal(d->n_claims, 1);
        assert_in_range(again, 1, 60000);
        (void)engine_step(d->engine, again);
        assert_int_equal(d->n_claims, 2);
        assert_string_equal(d->claim_target, "flow:a");
        desk_free(d);
}

static void a_step_is_bounded_and_says_when_there_is_more(void **state) {
        Desk *d = desk_new(0, 1000);

        (void)state;
        for (int64_t i = 1; i <= 400; i++)
                add(d, i, 0);
        assert_int_equal(engine_step(d->engine, 9), 9);
        size_t first = d->n_running;
        assert_in_range(first, 1, 399);
        assert_int_equal(engine_step(d->engine, 9), INT64_MAX);
        assert_int_equal(d->n_running, 400);
        desk_free(d);
}

/* There was nothing to do, or nobody to do it for. */
static void a_run_may_end_at_once(void **state) {
        enum { N = 40 };
        Desk *d = desk_new(0, 10);

        (void)state;
        d->ends_at_once = true;
        for (int64_t id = 1; id <= N; id++)
                engine_add(d->engine, job_make(id, id % 2 ? 7 : 0), 0);
        for (size_t settled = 0; settled < N; settled++) {
                (void)engine_step(d->engine, 0);
                assert_true(d->n_settling > settled);
                assert_int_equal(d->settling[settled]->state, JOB_DONE);
                engine_settled(d->engine, d->settling[settled], 0, false, 0);
        }
        assert_int_equal(d->n_running, N);
        assert_int_equal(d->n_gone, N);
        desk_free(d);
}

static void a_draining_engine_begins_nothing(void **state) {
        Desk *d = desk_new(0, 0);

        (void)state;
        add(d, 1, 0);
        (void)engine_step(d->engine, 0);
        add(d, 2, 0);
        engine_due(d->engine, SPAN("flow:a"), 0);
        engine_drain(d->engine);
        assert_int_equal(engine_step(d->engine, 1), INT64_MAX);
        assert_int_equal(d->n_running, 1);
        assert_int_equal(d->n_claims, 0);
        /* What has not begun lies in the ledger again, also what comes now. */
        confirm(d, false, 2);
        assert_int_equal(d->n_gone, 1);
        add(d, 3, 0);
        confirm(d, false, 2);
        assert_int_equal(d->n_gone, 2);
        end(d, 0, JOB_SUCCEEDED, 2);
        confirm(d, false, 2);
        assert_int_equal(engine_gauges(d->engine).in_memory, 0);
        assert_int_equal(d->n_running, 1);
        desk_free(d);
}

/* Of each lane the head may run, and all others go back; the ledger keeps their order. */
static void a_draining_engine_gives_lanes_back(void **state) {
        enum { LANES = 5, EACH = 4 };
        static const JobVerdict ends[] = {JOB_SUCCEEDED, JOB_FAILED, JOB_RETRY};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(ends); i++) {
                Desk *d = desk_new(0, 2);

                d->rule = retry_default;
                for (int64_t id = 1; id <= LANES * EACH; id++)
                        add(d, id, 7 + (uint64_t)(id % LANES));
                (void)engine_step(d->engine, 0);
                assert_int_equal(d->n_running, 1);
                engine_drain(d->engine);
                assert_int_equal(d->n_settling, LANES * EACH - 1);
                for (size_t k = 0; k < d->n_settling; k++) {
                        assert_int_equal(d->settling[k]->state, JOB_QUEUED);
                        assert_true(d->settling[k]->spilled);
                        assert_int_not_equal(d->settling[k]->id, d->running[0]->id);
                }
                size_t n = d->n_settling;
                /* Some are confirmed before the head ends, some after. */
                for (size_t k = 0; k < n / 2; k++)
                        engine_settled(d->engine, d->settling[k], 0, false, 1);
                engine_ended(d->engine, &d->running[0], &(JobResult){.verdict = ends[i]}, 1, 1);
                engine_settled(d->engine, d->settling[n], 0, false, 1);
                for (size_t k = n / 2; k < n; k++)
                        engine_settled(d->engine, d->settling[k], 0, false, 1);
                assert_int_equal(d->n_gone, LANES * EACH);
                assert_int_equal(engine_gauges(d->engine).in_memory, 0);
                assert_int_equal(engine_gauges(d->engine).parked_lanes, 0);
                (void)engine_step(d->engine, 1);
                assert_int_equal(d->n_running, 1);
                desk_free(d);
        }
}

static void a_blocked_job_is_not_kept(void **state) {
        Desk *d = desk_new(0, 0);
        Job *job = job_make(1, 7);

        (void)state;
        job->state = JOB_BLOCKED;
        engine_add(d->engine, job, 0);
        assert_int_equal(d->n_gone, 1);
        assert_int_equal(engine_gauges(d->engine).in_memory, 0);
        desk_free(d);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_job_runs_and_leaves),
                cmocka_unit_test(a_run_of_several_ends_as_each_of_them_ended),
                cmocka_unit_test(one_that_is_left_out_at_the_end_is_given_back),
                cmocka_unit_test(a_failed_job_waits_for_its_pause),
                cmocka_unit_test(an_away_target_uses_up_no_tries),
                cmocka_unit_test(an_away_target_follows_a_long_schedule),
                cmocka_unit_test(the_last_try_keeps_its_code),
                cmocka_unit_test(a_last_word_is_final),
                cmocka_unit_test(without_a_target_it_dies_with_a_reason),
                cmocka_unit_test(a_lane_goes_on_when_the_end_is_written),
                cmocka_unit_test(those_behind_a_waiting_head_leave_memory),
                cmocka_unit_test(claimed_jobs_stand_by_their_ids),
                cmocka_unit_test(a_settle_hurries_when_others_wait_for_it),
                cmocka_unit_test(a_refused_settle_is_tried_again),
                cmocka_unit_test(what_has_no_room_is_given_back_and_claimed),
                cmocka_unit_test(a_backlog_goes_before_new_jobs),
                cmocka_unit_test(a_target_has_its_width),
                cmocka_unit_test(a_target_has_its_pace),
                cmocka_unit_test(a_failed_claim_is_asked_again),
                cmocka_unit_test(a_step_is_bounded_and_says_when_there_is_more),
                cmocka_unit_test(a_run_may_end_at_once),
                cmocka_unit_test(a_draining_engine_begins_nothing),
                cmocka_unit_test(a_draining_engine_gives_lanes_back),
                cmocka_unit_test(a_blocked_job_is_not_kept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
