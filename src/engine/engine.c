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
        BYTES_MAX = 32 * 1024 * 1024,
        RUNNING_MAX = 1000,
        TARGETS_MAX = 1000000, /* with jobs in memory or a backlog */
        STEP_MAX = 256,        /* starts, and settles tried again, in one step */
        CLAIM_MAX = 256,       /* jobs in one claim */
        SETTLE_AGAIN_MS = 1000,
};

struct Engine {
        EnginePorts ports;
        Queues queues;
        Lanes lanes;
        Claims claims;
        Span asked_target; /* of the claim on its way */
        List running, settling, refused;
        Heap again; /* the refused by time */
        Rng rng;
        bool is_draining;
};

Engine *engine_new(const EngineLimits *limits, const EnginePorts *ports, uint64_t seed) {
        Engine *e = must_alloc(sizeof *e);
        size_t jobs_max = limits->jobs_max ? limits->jobs_max : JOBS_MAX;
        /* What may come beyond that: jobs that were on their way when it was reached. */
        size_t jobs_most = jobs_max + LEDGER_PENDING_MAX + CLAIM_MAX;

        e->ports = *ports;
        queues_init(&e->queues, TARGETS_MAX,
                    limits->running_max ? limits->running_max : RUNNING_MAX, jobs_max,
                    limits->bytes_max ? limits->bytes_max : BYTES_MAX);
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

        queues_leave(&e->queues, job);
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
        queues_clear(&e->queues, leave, e);
        lanes_done(&e->lanes, leave, e);
        leave_all(e, &e->running);
        leave_all(e, &e->settling);
        leave_all(e, &e->refused);
        must(e->queues.n_here == 0);
        queues_done(&e->queues);
        free(e);
        return NULL;
}

void engine_due(Engine *e, Span target, int64_t due_ms) {
        queues_due(&e->queues, target, due_ms);
}

bool engine_full(const Engine *e) {
        return e->queues.n_here + e->claims.asked_max >= e->queues.here_max ||
               e->queues.bytes_here >= e->queues.bytes_max;
}

static void settle(Engine *e, Job *job, JobState to, List *from, const Attempt *attempt) {
        job_move(job, to, from, &e->settling);
        job->hurries = to == JOB_BLOCKED || to == JOB_QUEUED ||
                       (job->lane && lane_is_awaited(&e->lanes, job));
        e->ports.settle(e->ports.self, job, attempt);
}

static void park(void *arg, Job *job) {
        settle(arg, job, JOB_BLOCKED, NULL, NULL);
}

/* The ledger takes it, and has it until there is room. */
static void give_back(Engine *e, Job *job) {
        job->spilled = true;
        queues_backlog(&e->queues, job->target, job->id);
        settle(e, job, JOB_QUEUED, NULL, NULL);
}

static void stand_in_lane(Engine *e, Job *job) {
        switch (lane_add(&e->lanes, job)) {
        case LANE_HEAD:
                queues_push(&e->queues, job);
                break;
        case LANE_STAND:
                break;
        case LANE_PARK:
                park(e, job);
                break;
        case LANE_GIVE:
                give_back(e, job);
                break;
        }
}

static void place(Engine *e, Job *job, bool has_room) {
        job->spilled = false;
        queues_enter(&e->queues, job, e->ports.limits(e->ports.self, job));
        if (has_room && job->lane) {
                stand_in_lane(e, job);
        } else if (has_room) {
                queues_push(&e->queues, job);
        } else {
                if (job->lane)
                        lane_give(&e->lanes, job);
                give_back(e, job);
        }
}

void engine_add(Engine *e, Job *job, int64_t now_ms) {
        (void)now_ms;
        must(job->state == JOB_QUEUED || job->state == JOB_BLOCKED);
        if (job->state == JOB_BLOCKED)
                e->ports.gone(e->ports.self, job);
        else
                /* Those of its target that lie in the ledger are earlier. */
                place(e, job,
                      !e->is_draining && queues_room(&e->queues, job) &&
                              !queues_has_backlog(&e->queues, job->target));
}

void engine_spilled(Engine *e, Span target, int64_t job_id) {
        must(job_id > 0);
        queues_backlog(&e->queues, target, job_id);
}

/* What becomes of a job after a run: its new state, its due_ms, and whether the try counts. */
static JobState judge(Engine *e, Job *job, const JobResult *result, Attempt *attempt,
                      bool *ret_counts, int64_t now_ms) {
        unsigned tries = job->attempts - job->tries_from;
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
        if (result->verdict == JOB_NOT_TRIED &&
            retry_is_sooner(rule, tries, result->wait_hint_ms)) {
                *ret_counts = false;
                job->due_ms = now_ms + retry_wait_ms(rule, result->wait_hint_ms, &e->rng);
                return JOB_WAITING;
        }
        pause = retry_pause_ms(rule, tries, result->wait_hint_ms, &e->rng);
        if (pause < 0)
                return JOB_DEAD;
        job->due_ms = now_ms + pause;
        return JOB_WAITING;
}

void engine_ended(Engine *e, Job *job, const JobResult *result, int64_t now_ms) {
        Attempt attempt = result->attempt;
        bool counts = true;
        JobState to;

        must(job->state == JOB_RUNNING);
        queues_ended(&e->queues, job);
        attempt.number = job->attempts;
        to = judge(e, job, result, &attempt, &counts, now_ms);
        job->attempts -= counts ? 0 : 1;
        settle(e, job, to, &e->running, counts ? &attempt : NULL);
}

static void on_settled(Engine *e, Job *job, bool woke) {
        Job *next = NULL;

        switch (job->state) {
        case JOB_DONE:
        case JOB_DEAD:
                if (job->lane)
                        next = lane_ended(&e->lanes, job);
                /* One of its lane, so of its target; when it became due was for the ledger to say.
                 */
                if (woke)
                        queues_due(&e->queues, job->target, 0);
                break;
        case JOB_WAITING:
                queues_due(&e->queues, job->target, job->due_ms);
                if (job->lane)
                        next = lane_waits(&e->lanes, job, park, e);
                break;
        case JOB_BLOCKED:
                next = lane_parked(&e->lanes, job);
                break;
        case JOB_QUEUED:
                /* Once more: a claim may have been answered before this was written. */
                queues_backlog(&e->queues, job->target, job->id);
                if (job->lane)
                        lane_given(&e->lanes, job);
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
        on_settled(e, job, woke);
        leave(e, job);
}

void engine_claimed(Engine *e, const ClaimResult *r, int64_t now_ms) {
        Span target = e->asked_target;

        if (r->fault < 0) {
                claims_failed(&e->claims, now_ms);
                if (e->claims.asked_due)
                        queues_heard_due(&e->queues, target, e->claims.asked_from_ms);
                return;
        }
        claims_heard(&e->claims);
        for (size_t i = 0; i < r->n; i++) {
                must(i == 0 || r->jobs[i]->id > r->jobs[i - 1]->id);
                job_move(r->jobs[i], JOB_QUEUED, NULL, NULL);
                place(e, r->jobs[i], !e->is_draining && queues_room(&e->queues, r->jobs[i]));
        }
        if (e->claims.asked_due)
                queues_heard_due(&e->queues, target, r->next_due_ms);
        else
                queues_heard(&e->queues, target, r->searched_to, r->more);
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

        for (size_t i = 0; i < max && (job = queues_next(&e->queues, now_ms)); i++) {
                if (!e->ports.rule(e->ports.self, job)) {
                        end_without_target(e, job, now_ms);
                        continue;
                }
                job->attempts++;
                job_move(job, JOB_RUNNING, NULL, &e->running);
                if (job->lane && lane_is_awaited(&e->lanes, job))
                        job->is_followed = true;
                e->ports.run(e->ports.self, job);
        }
}

static void settle_again(Engine *e, size_t max, int64_t now_ms) {
        HeapNode *at;

        for (size_t i = 0; i < max && (at = heap_pop_due(&e->again, now_ms)); i++)
                settle(e, CONTAINER_OF(at, Job, timer), CONTAINER_OF(at, Job, timer)->state,
                       &e->refused, NULL);
}

static void ask(Engine *e, const EngineAsk *a) {
        e->asked_target = a->target;
        claims_asked(&e->claims, a->is_due, a->from_ms, a->max);
        e->ports.claim(e->ports.self, a);
}

static bool ask_due(Engine *e, int64_t now_ms) {
        EngineAsk a = {.is_due = true};

        if (!queues_ask_due(&e->queues, now_ms, CLAIM_MAX, &a.target, &a.max, &a.from_ms))
                return false;
        ask(e, &a);
        return true;
}

static bool ask_backlog(Engine *e) {
        EngineAsk a = {0};

        if (!queues_ask(&e->queues, CLAIM_MAX, &a.target, &a.max, &a.after_id))
                return false;
        ask(e, &a);
        return true;
}

/* What is due of a target, and the backlog of one, by turns. Returns when to look again; what has
 * no room waits until something leaves memory. */
static int64_t claim(Engine *e, int64_t now_ms) {
        Claims *c = &e->claims;

        if (c->is_asking)
                return INT64_MAX;
        if (c->not_before_ms > now_ms)
                return c->not_before_ms;
        if (c->asked_due ? ask_backlog(e) || ask_due(e, now_ms)
                         : ask_due(e, now_ms) || ask_backlog(e))
                return INT64_MAX;
        return queues_due_ms(&e->queues);
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
                int64_t later = claim(e, now_ms);
                if (later < next)
                        next = later;
                if (queues_pace_ms(&e->queues) < next)
                        next = queues_pace_ms(&e->queues);
        }
        again = heap_first(&e->again);
        if (again && again->due < next)
                next = again->due;
        return next;
}

static void give_ready(void *arg, Job *job) {
        Engine *e = arg;

        if (job->lane)
                lane_give_head(&e->lanes, job);
        give_back(e, job);
}

static void give_standing(void *arg, Job *job) {
        give_back(arg, job);
}

void engine_drain(Engine *e) {
        e->is_draining = true;
        queues_clear(&e->queues, give_ready, e);
        lanes_give_standing(&e->lanes, give_standing, e);
}

EngineGauges engine_gauges(const Engine *e) {
        return (EngineGauges){
                .in_memory = e->queues.n_here,
                .running = e->running.n,
                .ready = e->queues.n_ready,
                .parked_lanes = e->lanes.n_parked,
                .unsettled = e->settling.n + e->refused.n,
                .is_asking = e->claims.is_asking,
        };
}
