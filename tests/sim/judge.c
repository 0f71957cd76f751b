/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold, looked at from outside the engine: against the rows, which are the truth. */
#include "world.h"

void broken(World *w, int64_t job, const char *format, ...) {
        va_list args;

        if (w->failure[0])
                return;
        va_start(args, format);
        vsnprintf(w->failure, sizeof w->failure, format, args);
        va_end(args);
        w->failed_job = job;
}

void tell(const World *w, const Row *row, const char *format, ...) {
        va_list args;

        if (w->told_job == 0)
                return;
        if (row && row->id != w->told_job && (row->lane == 0 || row->lane != w->told_lane))
                return;
        printf("%12" PRId64 " ms  ", w->now_ms);
        if (row)
                printf("loop %u lane %" PRIu64 " job %" PRId64 ": ", row->loop, row->lane, row->id);
        va_start(args, format);
        vprintf(format, args);
        va_end(args);
        putchar('\n');
}

/* One at a time, and in order: those before it have ended, by the ledger. Before it is what has
 * an earlier id and was recorded earlier: where the two say different things, either may go. */
static void judge_lane(World *w, const Row *row) {
        LIST_EACH(&w->rows.lanes[row->lane], at) {
                const Row *other = CONTAINER_OF(at, Row, in_lane);

                if (other != row && other->is_live)
                        broken(w, row->id, "two jobs of a lane at once, the other is %" PRId64,
                               other->id);
                if (other->id < row->id && other->turn < row->turn)
                        broken(w, row->id, "a job overtakes job %" PRId64 " of its lane",
                               other->id);
        }
}

static void judge_begin(World *w, const Loop *l, const Job *job) {
        const Row *row = rows_get(&w->rows, job->id);
        const Target *target = &w->target[row->target];

        if (!row->turn)
                broken(w, row->id, "a job runs before it was recorded");
        if (row->state == JOB_DONE || row->state == JOB_DEAD)
                broken(w, row->id, "a job runs after its end was recorded");
        if (row->is_live)
                broken(w, row->id, "two runs of one job at once");
        if (row->loop != l->index)
                broken(w, row->id, "a job runs on another loop");
        if (row->state != JOB_QUEUED || !row->is_held)
                broken(w, row->id, "a job runs that is in state %d", (int)row->state);
        if (w->now_ms < row->due_ms)
                broken(w, row->id, "a job runs before it is due");
        if (target->is_removed)
                broken(w, row->id, "a job runs for a target that is gone");
        if (job->attempts > target->rule.n + 1)
                broken(w, row->id, "attempt %u of at most %u", job->attempts, target->rule.n + 1);
        if (job->attempts != row->attempts + 1)
                broken(w, row->id, "attempt %u follows %u", job->attempts, row->attempts);
        if (row->lane)
                judge_lane(w, row);
}

/* One second's share at once, what comes in another second, and those that had their permit and
 * found no place: more never begin within one second. */
static void judge_shared(World *w, const Row *row, Shared *s) {
        size_t most = 2 * s->rate + LOOPS_MAX * TARGETS_MAX;
        int64_t *at = &s->begun[s->n_begun % most];

        if (s->n_begun >= most && w->now_ms - *at < 1000)
                broken(w, row->id, "more than %zu runs within a second, of %u together", most,
                       s->rate);
        *at = w->now_ms;
        s->n_begun++;
}

/* A run begins. */
void judge_run(World *w, const Loop *l, Job *const *jobs, size_t n) {
        const Row *row = rows_get(&w->rows, jobs[0]->id);
        const TargetLimits *limits = &w->target[row->target].limits;

        if (w->target[row->target].shared)
                judge_shared(w, row, &w->shared[w->target[row->target].shared - 1]);
        if (limits->width && l->runs_of[row->target] >= limits->width)
                broken(w, row->id, "%zu runs at once for a target of width %u",
                       l->runs_of[row->target] + 1, limits->width);
        if (n > (limits->batch > 1 ? limits->batch : 1))
                broken(w, row->id, "a run of %zu jobs, %u are the most", n, limits->batch);
        for (size_t i = 0; i < n; i++) {
                judge_begin(w, l, jobs[i]);
                if (rows_get(&w->rows, jobs[i]->id)->target != row->target)
                        broken(w, jobs[i]->id, "two targets in one run");
                for (size_t k = 0; k < i; k++)
                        if (jobs[i]->lane && jobs[i]->lane == jobs[k]->lane)
                                broken(w, jobs[i]->id, "two jobs of a lane in one run");
        }
}

/* An engine wants a new state written. */
void judge_settle(World *w, const Job *job) {
        const Row *row = rows_get(&w->rows, job->id);
        const RetryRule *rule = &w->target[row->target].rule;

        if (row->is_live)
                broken(w, row->id, "a job is settled while it runs");
        if (job->state == JOB_DEAD && !row->may_die)
                broken(w, row->id, "a job dies without a reason, after %u attempts", job->attempts);
        if (job->state != JOB_WAITING)
                return;
        if (job->last_word)
                broken(w, row->id, "a job waits whose failure was the last word");
        bool counted = job->attempts != row->attempts;
        unsigned tries = row->attempts + 1;
        int64_t base = tries > rule->n ? 0 : rule->pause_ms[tries - 1];
        int64_t hint = row->hint_ms < rule->hint_max_ms ? row->hint_ms : rule->hint_max_ms;
        int64_t pause = job->due_ms - row->ended_ms;

        if (counted && tries > rule->n)
                broken(w, row->id, "a job waits after its last attempt");
        if (!counted && (!row->not_tried || hint <= base))
                broken(w, row->id, "a try does not count");
        base = hint > base ? hint : base;
        if (pause < base || pause > base + base * (int64_t)rule->jitter_percent / 100)
                broken(w, row->id, "a pause of %" PRId64 " ms where %" PRId64 " is the rule", pause,
                       base);
}

/* After each turn of a loop. */
void judge_turn(World *w, const Loop *l) {
        EngineGauges g = engine_gauges(l->engine);

        if (g.running != l->live || g.runs != l->runs)
                broken(w, 0, "%zu jobs in %zu runs counted, %zu in %zu there are", g.running,
                       g.runs, l->live, l->runs);
        if (g.runs > w->limits.running_max)
                broken(w, 0, "%zu runs, at most %zu", g.runs, w->limits.running_max);
        size_t most = w->limits.jobs_max + w->limits.jobs_max / 8 + 1 + w->recording_max;
        if (g.in_memory > most)
                broken(w, 0, "%zu jobs in memory, at most %zu", g.in_memory, most);
        if (g.ready + g.running + g.unsettled > g.in_memory)
                broken(w, 0, "more jobs on lists than in memory");
}

void judge_stop(World *w) {
        for (unsigned i = 0; i < w->n_loops; i++)
                if (engine_gauges(w->loop[i].engine).in_memory > 0)
                        broken(w, 0, "loop %u stops with jobs in memory", i);
        for (int64_t id = 1; id <= (int64_t)w->rows.n; id++) {
                const Row *row = rows_get(&w->rows, id);

                if (row->turn && row->state == JOB_QUEUED && row->is_held)
                        broken(w, id, "a job is held by a process that has stopped");
        }
}

void judge_end(World *w) {
        for (int64_t id = 1; id <= (int64_t)w->rows.n; id++) {
                const Row *row = rows_get(&w->rows, id);

                if (row->turn && row->state != JOB_DONE && row->state != JOB_DEAD)
                        broken(w, id, "a job is lost: it stays in state %d%s", (int)row->state,
                               row->is_held ? ", held" : "");
        }
        for (unsigned i = 0; i < w->n_loops; i++) {
                EngineGauges g = engine_gauges(w->loop[i].engine);

                if (g.in_memory + g.running + g.ready + g.parked_lanes + g.unsettled > 0)
                        broken(w, 0, "loop %u is not empty at the end", i);
        }
}
