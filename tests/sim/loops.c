/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops: each has an engine, whose ports lead to the ledger and to targets that behave as
 * they please. */
#include "world.h"

static Ask *ask_new(Loop *l, AskKind kind, Job *job) {
        Ask *ask = must_alloc(sizeof *ask);

        ask->kind = kind;
        ask->loop = l->index;
        ask->job = job;
        return ask;
}

static Job *job_of(World *w, const Row *row) {
        Job *job = must_alloc(sizeof *job);

        job->id = row->id;
        job->lane = row->lane;
        job->attempts = row->attempts;
        job->due_ms = row->due_ms;
        job->target = span_of(w->target[row->target].name);
        link_init(&job->link);
        return job;
}

static void job_ended(World *w, Loop *l, const Job *job, const JobResult *result) {
        Row *row = rows_get(&w->rows, job->id);

        row->is_live = false;
        l->live--;
        row->ended_ms = w->now_ms;
        row->hint_ms = result->wait_hint_ms;
        row->not_tried = result->verdict == JOB_NOT_TRIED;
        if (result->verdict != JOB_LEFT_OUT &&
            (result->verdict == JOB_FAILED || job->last_word || w->target[row->target].is_removed ||
             (!row->not_tried && job->attempts > w->target[row->target].rule.n)))
                row->may_die = true;
        tell(w, row, "attempt %u ends: verdict %d", job->attempts, (int)result->verdict);
}

static void on_ended(World *w, Deed *d) {
        Loop *l = &w->loop[d->loop];
        Deal *deal = d->deal;

        for (size_t i = 0; i < deal->n; i++)
                job_ended(w, l, deal->jobs[i], &deal->results[i]);
        l->runs--;
        l->runs_of[rows_get(&w->rows, deal->jobs[0]->id)->target]--;
        engine_ended(l->engine, deal->jobs, deal->results, deal->n, w->now_ms);
        free(deal);
        loop_step(l);
}

static void drop_deal(Deed *d) {
        free(d->deal);
}

static JobResult fate(World *w, const Target *t, int64_t *ret_took_ms) {
        JobResult r = {.verdict = JOB_SUCCEEDED, .wait_hint_ms = -1};

        *ret_took_ms = t->is_slow ? 1000 + chance(w, 14000) : chance(w, 200);
        if (t->is_away && happens(w, 30)) {
                r.verdict = JOB_NOT_TRIED;
                r.wait_hint_ms = 1 + chance(w, 300000);
                *ret_took_ms = 0;
        } else if (t->is_away) {
                r.verdict = JOB_RETRY;
                *ret_took_ms = happens(w, 50) ? 15000 : chance(w, 5);
        } else if (happens(w, 4)) {
                r.verdict = happens(w, 25) ? JOB_FAILED : JOB_RETRY;
        }
        if (r.verdict == JOB_RETRY && happens(w, 20))
                r.wait_hint_ms = happens(w, 10) ? chance(w, 200000000) : chance(w, 60000);
        return r;
}

static void job_begins(World *w, Loop *l, const Job *job) {
        Row *row = rows_get(&w->rows, job->id);

        tell(w, row, "attempt %u begins", job->attempts);
        row->is_live = true;
        l->live++;
        w->tally.runs++;
}

static void port_run(void *self, Job *const *jobs, size_t n) {
        Loop *l = self;
        World *w = l->world;
        unsigned target = rows_get(&w->rows, jobs[0]->id)->target;
        Deal *deal = must_alloc(sizeof *deal);
        int64_t took_ms;
        JobResult result = fate(w, &w->target[target], &took_ms);
        Deed *d;

        judge_run(w, l, jobs, n);
        deal->n = n;
        for (size_t i = 0; i < n; i++) {
                job_begins(w, l, jobs[i]);
                deal->jobs[i] = jobs[i];
                deal->results[i] = result;
                /* Its filter says no, or fails; or it is too large for the batch. */
                if (n > 1 && happens(w, 2))
                        deal->results[i].verdict = happens(w, 50) ? JOB_SUCCEEDED : JOB_FAILED;
                else if (i > 0 && happens(w, 2))
                        deal->results[i].verdict = JOB_LEFT_OUT;
        }
        l->runs++;
        l->runs_of[target]++;
        w->tally.batches += n > 1;
        w->tally.together += n > 1 ? n : 0;
        d = deed_at(w, w->now_ms + took_ms, on_ended, true);
        d->loop = l->index;
        d->deal = deal;
        d->drop = drop_deal;
}

static void port_settle(void *self, Job *job, const Attempt *attempt) {
        Loop *l = self;
        World *w = l->world;
        Row *row = rows_get(&w->rows, job->id);

        if (w->target[row->target].is_removed)
                row->may_die = true;
        judge_settle(w, job);
        if (attempt && attempt->number != job->attempts)
                broken(w, job->id, "attempt %u is written as %u", job->attempts, attempt->number);
        w->tally.done += job->state == JOB_DONE;
        w->tally.dead += job->state == JOB_DEAD;
        w->tally.parked += job->state == JOB_BLOCKED;
        w->tally.given += job->state == JOB_QUEUED;
        ledger_ask(w, ask_new(l, ASK_SETTLE, job));
}

static void port_claim(void *self, const EngineAsk *asked) {
        Loop *l = self;
        World *w = l->world;
        Ask *ask = ask_new(l, ASK_CLAIM, NULL);

        ask->claim = (RowsClaim){.loop = l->index,
                                 .max = asked->max,
                                 .is_due = asked->is_due,
                                 .from_ms = asked->from_ms,
                                 .after_id = asked->after_id};
        while (!span_eq(asked->target, span_of(w->target[ask->claim.target].name)))
                must(++ask->claim.target < w->n_targets);
        ledger_ask(w, ask);
}

static TargetLimits port_limits(void *self, const Job *job) {
        Loop *l = self;

        return l->world->target[rows_get(&l->world->rows, job->id)->target].limits;
}

static const RetryRule *port_rule(void *self, const Job *job) {
        Loop *l = self;
        const Row *row = rows_get(&l->world->rows, job->id);
        const Target *t = &l->world->target[row->target];

        return t->is_removed ? NULL : &t->rule;
}

static void port_gone(void *self, Job *job) {
        (void)self;
        free(job);
}

void loop_start(Loop *l, bool recovers) {
        EnginePorts ports = {l,         port_run,    port_settle, port_claim,
                             port_rule, port_limits, port_gone};

        l->engine = engine_new(&l->world->limits, &ports, rng_next(&l->world->rng));
        l->step = NULL;
        l->reply_at_ms = 0;
        l->recording = l->live = l->runs = 0;
        memset(l->runs_of, 0, sizeof l->runs_of);
        for (unsigned i = 0; recovers && i < l->world->n_targets; i++) {
                Span target = span_of(l->world->target[i].name);
                const HeapNode *first = heap_first(&l->world->rows.waiting[l->index][i]);

                engine_spilled(l->engine, target, 1);
                if (first)
                        engine_due(l->engine, target, first->due);
        }
        loop_step(l);
}

void loop_crash(Loop *l) {
        l->engine = engine_free(l->engine);
}

static void on_step(World *w, Deed *d) {
        Loop *l = &w->loop[d->loop];

        l->step = NULL;
        loop_step(l);
}

void loop_step(Loop *l) {
        World *w = l->world;
        int64_t next = engine_step(l->engine, w->now_ms);

        judge_turn(w, l);
        if (next == INT64_MAX || (l->step && l->step_at_ms <= next))
                return;
        if (l->step)
                deed_drop(w, l->step);
        l->step_at_ms = next < w->now_ms ? w->now_ms : next;
        l->step = deed_at(w, l->step_at_ms, on_step, true);
        l->step->loop = l->index;
}

static void hears_record(Loop *l, Ask *ask) {
        World *w = l->world;
        int64_t id = ask->job->id;

        l->recording--;
        if (ask->fault < 0) {
                w->tally.refused++;
                free(ask->job);
                return;
        }
        w->tally.accepted++;
        w->tally.crossed += ask->job->state == JOB_BLOCKED;
        if (ask->spilled) {
                w->tally.spilled++;
                engine_spilled(l->engine, ask->job->target, id);
                free(ask->job);
                return;
        }
        engine_add(l->engine, ask->job, w->now_ms);
}

static void hears_claim(Loop *l, Ask *ask) {
        World *w = l->world;
        const RowsClaim *c = &ask->claim;
        AUTO(freep)
        Job **jobs = must_alloc((c->n + 1) * sizeof(Job *));
        ClaimResult r = {jobs, c->n, c->more, c->searched_to, c->next_due_ms, ask->fault};

        for (size_t i = 0; i < c->n; i++)
                jobs[i] = job_of(w, c->found[i]);
        engine_claimed(l->engine, &r, w->now_ms);
}

void loop_hears(World *w, Deed *d) {
        Ask *ask = d->ask;
        Loop *l = &w->loop[ask->loop];

        if (ask->kind == ASK_RECORD)
                hears_record(l, ask);
        else if (ask->kind == ASK_SETTLE)
                engine_settled(l->engine, ask->job, ask->fault, ask->woke, w->now_ms);
        else
                hears_claim(l, ask);
        ask_free(ask);
        loop_step(l);
}

void loop_arrival(Loop *l, unsigned target, uint64_t lane) {
        World *w = l->world;
        Row *row;
        Ask *ask;

        if (l->recording >= w->recording_max) {
                w->tally.refused++;
                return;
        }
        l->recording++;
        row = rows_make(&w->rows, &w->rng);
        row->target = target;
        row->lane = lane;
        row->loop = l->index;
        ask = ask_new(l, ASK_RECORD, job_of(w, row));
        ask->spilled = engine_full(l->engine);
        ask->job->last_word = happens(w, 10);
        row->may_die = ask->job->last_word;
        ledger_ask(w, ask);
}
