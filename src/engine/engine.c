/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine puts the parts together: lanes say whose turn it is, queues who gets a place, claims
 * when the ledger is asked, retry when it is tried again. Its own are only the lists:
 *
 *     queued    ready in its target's queue, or standing in its lane
 *     running   the runner has it
 *     settling  its new state is on the way to the ledger
 *     refused   the ledger could not write that; tried again after a pause
 *
 * Every call does a constant amount of work per job that it touches; what could pile up (starts,
 * settles to be tried again) is done by engine_step in slices. */
#include "engine/engine.h"

#include "engine/claims.h"
#include "engine/lane.h"
#include "engine/queue.h"
#include "engine/state.h"
#include "ledger/ledger.h"

enum {
        JOBS_MAX = 10000,
        RUNNING_MAX = 1000,
        STEP_MAX = 256,  /* starts, and settles tried again, in one step */
        CLAIM_MAX = 256, /* jobs in one claim */
        SETTLE_AGAIN_MS = 1000,
};

struct Engine {
        EnginePorts ports;
        size_t jobs_max;
        size_t n_jobs; /* in memory */
        Queues queues;
        Lanes lanes;
        Claims claims;
        List running, settling, refused;
        Heap again; /* the refused by time */
        Rng rng;
        bool is_draining;
};

Engine *engine_new(const EngineLimits *limits, const EnginePorts *ports, uint64_t seed) {
        Engine *e = must_alloc(sizeof *e);
        /* What may come beyond jobs_max: records that were on their way when it was reached. */
        size_t jobs_most;

        e->ports = *ports;
        e->jobs_max = limits->jobs_max ? limits->jobs_max : JOBS_MAX;
        jobs_most = e->jobs_max + LEDGER_PENDING_MAX + CLAIM_MAX;
        queues_init(&e->queues, jobs_most, limits->running_max ? limits->running_max : RUNNING_MAX);
        lanes_init(&e->lanes, jobs_most);
        claims_init(&e->claims);
        list_init(&e->running);
        list_init(&e->settling);
        list_init(&e->refused);
        e->rng = (Rng){seed};
        return e;
}

static void leave(void *arg, Job *job) {
        Engine *e = arg;

        must(e->n_jobs > 0);
        e->n_jobs--;
        e->ports.gone(e->ports.self, job);
}

static void leave_all(Engine *e, List *list) {
        Link *at;

        while ((at = list_pop(list)))
                leave(e, CONTAINER_OF(at, Job, link));
}

Engine *engine_free(Engine *e) {
        if (!e)
                return NULL;
        heap_done(&e->again);
        queues_done(&e->queues, leave, e);
        lanes_done(&e->lanes, leave, e);
        leave_all(e, &e->running);
        leave_all(e, &e->settling);
        leave_all(e, &e->refused);
        must(e->n_jobs == 0);
        free(e);
        return NULL;
}

void engine_recover(Engine *e, int64_t now_ms) {
        claims_backlog(&e->claims);
        claims_due(&e->claims, now_ms);
}

void engine_due(Engine *e, int64_t due_ms) {
        claims_due(&e->claims, due_ms);
}

bool engine_full(const Engine *e) {
        return e->claims.has_backlog || e->n_jobs + e->claims.asked_max >= e->jobs_max;
}

static void settle(Engine *e, Job *job, JobState to, List *from, const Attempt *attempt) {
        job_move(job, to, from, &e->settling);
        job->hurries = job->lane && (to == JOB_BLOCKED || lane_is_awaited(&e->lanes, job));
        e->ports.settle(e->ports.self, job, attempt);
}

static void park(void *arg, Job *job) {
        settle(arg, job, JOB_BLOCKED, NULL, NULL);
}

static void place(Engine *e, Job *job) {
        e->n_jobs++;
        if (job->lane == 0) {
                queues_push(&e->queues, job);
                return;
        }
        switch (lane_add(&e->lanes, job)) {
        case LANE_HEAD:
                queues_push(&e->queues, job);
                break;
        case LANE_STAND:
                break;
        case LANE_PARK:
                park(e, job);
                break;
        }
}

void engine_add(Engine *e, Job *job, int64_t now_ms) {
        (void)now_ms;
        must(job->state == JOB_QUEUED || job->state == JOB_BLOCKED);
        if (job->state == JOB_BLOCKED)
                e->ports.gone(e->ports.self, job);
        else
                place(e, job);
}

void engine_spilled(Engine *e, int64_t job_id, int64_t now_ms) {
        must(job_id > 0);
        claims_backlog(&e->claims);
        claims_due(&e->claims, now_ms);
}

/* What becomes of a job after a run: its new state, and its due_ms. */
static JobState judge(Engine *e, Job *job, const JobResult *result, Attempt *attempt,
                      int64_t now_ms) {
        const RetryRule *rule;
        int64_t pause;

        if (result->verdict == JOB_SUCCEEDED)
                return JOB_DONE;
        if (result->verdict == JOB_FAILED || job->last_word)
                return JOB_DEAD;
        rule = e->ports.rule(e->ports.self, job);
        if (!rule) {
                attempt->code = SPAN("no-target");
                return JOB_DEAD;
        }
        pause = retry_pause_ms(rule, job->attempts, result->wait_hint_ms, &e->rng);
        if (pause < 0)
                return JOB_DEAD;
        job->due_ms = now_ms + pause;
        return JOB_WAITING;
}

void engine_ended(Engine *e, Job *job, const JobResult *result, int64_t now_ms) {
        Attempt attempt = result->attempt;
        JobState to;

        must(job->state == JOB_RUNNING);
        queues_ended(&e->queues, job);
        attempt.number = job->attempts;
        to = judge(e, job, result, &attempt, now_ms);
        settle(e, job, to, &e->running, &attempt);
}

static void on_settled(Engine *e, Job *job, bool woke, int64_t now_ms) {
        Job *next = NULL;

        switch (job->state) {
        case JOB_DONE:
        case JOB_DEAD:
                if (job->lane)
                        next = lane_ended(&e->lanes, job);
                if (woke)
                        claims_due(&e->claims, now_ms);
                break;
        case JOB_WAITING:
                claims_due(&e->claims, job->due_ms);
                if (job->lane)
                        next = lane_waits(&e->lanes, job, park, e);
                break;
        case JOB_BLOCKED:
                next = lane_parked(&e->lanes, job);
                break;
        default:
                must(!"a settle of another state");
        }
        if (next)
                queues_push(&e->queues, next);
}

void engine_settled(Engine *e, Job *job, int fault, bool woke, int64_t now_ms) {
        must(link_on(&job->link));
        if (fault < 0) {
                job_move(job, job->state, &e->settling, &e->refused);
                heap_push(&e->again, &job->timer, now_ms + SETTLE_AGAIN_MS);
                return;
        }
        list_remove(&e->settling, &job->link);
        on_settled(e, job, woke, now_ms);
        leave(e, job);
}

void engine_claimed(Engine *e, Job *const *jobs, size_t n, bool more, int64_t next_due_ms,
                    int fault, int64_t now_ms) {
        if (fault < 0) {
                claims_failed(&e->claims, now_ms);
                return;
        }
        claims_heard(&e->claims, more, next_due_ms, now_ms);
        for (size_t i = 0; i < n; i++) {
                must(i == 0 || jobs[i]->id > jobs[i - 1]->id);
                job_move(jobs[i], JOB_QUEUED, NULL, NULL);
                place(e, jobs[i]);
        }
}

/* There is no place to send it to: that is its end, and the reason is on record. */
static void end_without_target(Engine *e, Job *job, int64_t now_ms) {
        Attempt attempt = {
                .number = ++job->attempts,
                .started_ms = now_ms,
                .code = SPAN("no-target"),
                .message = SPAN("Its flow or endpoint is no longer configured"),
        };

        queues_ended(&e->queues, job);
        settle(e, job, JOB_DEAD, NULL, &attempt);
}

static void start_ready(Engine *e, size_t max, int64_t now_ms) {
        Job *job;

        for (size_t i = 0; i < max && (job = queues_next(&e->queues)); i++) {
                if (!e->ports.rule(e->ports.self, job)) {
                        end_without_target(e, job, now_ms);
                        continue;
                }
                job->attempts++;
                job_move(job, JOB_RUNNING, NULL, &e->running);
                e->ports.run(e->ports.self, job);
        }
}

static void settle_again(Engine *e, size_t max, int64_t now_ms) {
        HeapNode *at;

        for (size_t i = 0; i < max && (at = heap_pop_due(&e->again, now_ms)); i++)
                settle(e, CONTAINER_OF(at, Job, timer), CONTAINER_OF(at, Job, timer)->state,
                       &e->refused, NULL);
}

/* How many jobs a claim may bring now. */
static size_t room(const Engine *e) {
        size_t most = e->jobs_max / 8 + 1 < CLAIM_MAX ? e->jobs_max / 8 + 1 : CLAIM_MAX;
        size_t left = e->n_jobs < e->jobs_max ? e->jobs_max - e->n_jobs : 0;

        /* Few at a time would be many questions. */
        return left < most ? 0 : most;
}

static int64_t claim_due(Engine *e, int64_t now_ms) {
        int64_t when = claims_when(&e->claims);
        size_t max;

        if (when > now_ms)
                return when;
        max = room(e);
        if (max == 0)
                return INT64_MAX; /* until something leaves memory */
        claims_asked(&e->claims, max);
        e->ports.claim(e->ports.self, max, e->claims.asked_queued, 0);
        return INT64_MAX;
}

int64_t engine_step(Engine *e, int64_t now_ms) {
        int64_t next = INT64_MAX;
        const HeapNode *again;

        settle_again(e, STEP_MAX, now_ms);
        if (!e->is_draining) {
                size_t ready = e->queues.n_ready;

                start_ready(e, STEP_MAX, now_ms);
                /* The slice was used up: there may be more to begin. */
                if (ready > e->queues.n_ready && ready - e->queues.n_ready == STEP_MAX)
                        next = now_ms;
                int64_t claim = claim_due(e, now_ms);
                if (claim < next)
                        next = claim;
        }
        again = heap_first(&e->again);
        if (again && again->due < next)
                next = again->due;
        return next;
}

void engine_drain(Engine *e) {
        e->is_draining = true;
}

EngineGauges engine_gauges(const Engine *e) {
        return (EngineGauges){
                .in_memory = e->n_jobs,
                .running = e->running.n,
                .ready = e->queues.n_ready,
                .parked_lanes = e->lanes.n_parked,
                .unsettled = e->settling.n + e->refused.n,
        };
}
