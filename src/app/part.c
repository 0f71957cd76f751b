/* SPDX-License-Identifier: Apache-2.0 */
#include "app/part.h"

#include "base/clock.h"
#include "base/log.h"
#include "trigger/emission.h"
#include "trigger/message.h"

#define BACKGROUND_RUN_MS 60000
#define STOP_MS           15000 /* for runs to end; then they are cut */
#define STOP_LAST_MS      3000  /* for the answers and settles of those */
#define STOP_TICK_MS      20
#define CONNECTIONS_MAX   1100 /* of the client; the engine runs at most a thousand jobs */

/* ---- the engine's ports ---- */

static bool is_delivery(const Job *job) {
        return span_starts(job->target, SPAN("endpoint:"));
}

/* Who waits for the job and is to hear of it now; NULL for nobody. */
static Waiter *decide(Part *p, Job *job, const JobResult *result, const Outcome *o) {
        const Flow *flow = snapshot_flow(p->runner->snapshot, job->target);
        Waiter *w = job->waiter;
        WaiterWord word;

        /* It is ready again: nothing has happened. */
        if (result->verdict == JOB_LEFT_OUT)
                return NULL;
        word = w ? waiter_decide(w, o) : WAITER_NOTHING;
        if (w && !is_delivery(job))
                waiter_ended(w);
        if (is_delivery(job)) {
                p->inlet->counts.delivered += result->verdict == JOB_SUCCEEDED;
                p->inlet->counts.undelivered += result->verdict != JOB_SUCCEEDED;
        }

        /* Who sends messages hears how the first attempt went; the others follow all the same. */
        if (word == WAITER_FAILURE && !is_delivery(job) && !(flow && flow->config->retry.given)) {
                job->last_word = true;
                job->told_again = o->retryable;
        }
        job->waiter = NULL;
        if (word != WAITER_NOTHING)
                return w;
        waiter_unref(w);
        return NULL;
}

static void on_runs_ended(void *self, Job *const *jobs, const JobResult *results,
                          const Outcome *outcomes, size_t n) {
        Part *p = self;
        Waiter *told[QUEUE_BATCH_MAX];

        must(n <= QUEUE_BATCH_MAX);
        for (size_t i = 0; i < n; i++)
                told[i] = decide(p, jobs[i], &results[i], &outcomes[i]);
        /* The settles go first: when the source sends its delivery again, the ledger must know
         * that it may. */
        engine_ended(p->engine, jobs, results, n, clock_wall_ms());
        for (size_t i = 0; i < n; i++) {
                if (told[i])
                        waiter_tell(told[i]);
                waiter_unref(told[i]);
        }
}

static void on_run_ended(void *self, Job *job, const JobResult *result, const Outcome *o) {
        on_runs_ended(self, &job, result, o, 1);
}

static void on_flow_ended(void *self, Job *job, const JobResult *result, const Outcome *o) {
        Part *p = self;

        if (result->verdict == JOB_SUCCEEDED && job->lane && job->event->time_ms)
                latest_put(p->latest, job->lane, event_changed_ms(job->event));
        on_run_ended(p, job, result, o);
}

/* Nothing was done for it, and that is right: it says which. */
static void end_without_run(Part *p, Job *job, const char *code, Span message) {
        Outcome o = {.status = 200, .code = code, .message = message, .retry_after_s = -1};
        JobResult result = {.verdict = JOB_SUCCEEDED,
                            .wait_hint_ms = -1,
                            .attempt = {.started_ms = clock_wall_ms(),
                                        .status = o.status,
                                        .code = span_of(code),
                                        .message = message}};

        on_run_ended(p, job, &result, &o);
}

/* What is older than the latest change of its subject may not undo that one. */
static bool is_stale(const Part *p, const Flow *flow, const Job *job) {
        return job->lane && job->event->time_ms && !flow->config->runs_stale &&
               latest_is_after(p->latest, job->lane, event_changed_ms(job->event));
}

/* A source that waits bounds the run. When it has been answered, or its deadline is over before
 * the run begins, nobody waits any more, and the run has the time of any other. */
static int64_t run_until_ms(Job *job) {
        int64_t now = clock_mono_ms();
        Waiter *w = job->waiter;

        if (w && waiter_begin(w, now))
                return w->until_ms;
        waiter_leave(w);
        job->waiter = NULL;
        return now + BACKGROUND_RUN_MS;
}

static void port_run(void *self, Job *const *jobs, size_t n) {
        Part *p = self;
        const Flow *flow = snapshot_flow(p->runner->snapshot, jobs[0]->target);
        int64_t until_ms;

        if (is_delivery(jobs[0])) {
                outlet_start(&p->outlet, jobs, n);
                return;
        }
        must(flow && n == 1); /* port_rule told of it before */
        until_ms = run_until_ms(jobs[0]);
        if (is_stale(p, flow, jobs[0]))
                end_without_run(p, jobs[0], "superseded",
                                SPAN("A later change of this was applied already."));
        else if (flow->config->coalesces && jobs[0]->is_followed)
                end_without_run(p, jobs[0], "coalesced",
                                SPAN("A later change of this waits, and is made instead."));
        else
                runner_start(p->runner, jobs[0], flow, until_ms);
}

static const RetryRule *port_rule(void *self, const Job *job) {
        Part *p = self;

        if (is_delivery(job)) {
                const Endpoint *endpoint = outlet_endpoint(&p->outlet, job->target);

                return endpoint ? &endpoint->retry : NULL;
        }
        const Flow *flow = snapshot_flow(p->runner->snapshot, job->target);
        return flow ? &flow->retry : NULL;
}

/* A flow's limits are those of the connections that it calls (flow/call.c). */
static TargetLimits port_limits(void *self, const Job *job) {
        Part *p = self;

        return is_delivery(job) ? outlet_limits(&p->outlet, job->target) : (TargetLimits){0};
}

static void on_told(void *arg, const MessageOut *out, size_t n, bool all_delivered) {
        (void)arg;
        (void)n;
        (void)all_delivered;
        if (out->fault < 0)
                log_fact(LOG_ERROR, "an operational event is lost", "why", span_of(out->why), NULL);
}

/* Operational events are messages of the application whose uid is "operational", if there is
 * one: its endpoints are where operators want to hear of them. */
static void on_tell(void *self, const Endpoint *endpoint, const char *type, Span data) {
        Part *p = self;
        char id[ID_TEXT];
        Entry *to =
                registry_by_name(p->inlet->registry, OBJECT_APPLICATION, 0, SPAN("operational"));

        id_print("ep", endpoint->id, id);
        log_fact(LOG_WARN, type, "endpoint", span_of(id), NULL);
        if (to)
                message_send(p->inlet,
                             &(MessageIn){.application = to->object.id,
                                          .type = span_of(type),
                                          .payload = data},
                             1, 0, on_told, NULL);
        entry_unref(to);
}

typedef struct Settling {
        LedgerRequest request;
        Part *part;
        Attempt attempt;
        Arena *arena;
} Settling;

static void on_settled(LedgerRequest *q) {
        Settling *s = q->arg;
        Part *p = s->part;
        Job *job = q->write.settle.job;
        int result = q->result;
        bool woke = q->write.settle.woke;

        arena_free(s->arena);
        free(s);
        engine_settled(p->engine, job, result, woke, clock_wall_ms());
}

/* It dies without a run: its target went while it stood in line. */
static void tell_dead(Waiter *w, const Attempt *attempt) {
        Outcome o = {.status = 424,
                     .code = "no-target",
                     .message = attempt ? attempt->message : SPAN("It cannot be run any more."),
                     .retry_after_s = -1};

        if (waiter_decide(w, &o) != WAITER_NOTHING)
                waiter_tell(w);
        waiter_unref(w);
}

static void port_settle(void *self, Job *job, const Attempt *attempt) {
        Part *p = self;
        Settling *s = must_alloc(sizeof *s);
        Waiter *w = job->state == JOB_DEAD ? TAKE(job->waiter) : NULL;

        s->part = p;
        s->request =
                (LedgerRequest){.ask = ASK_WRITE,
                                .home = &p->loop.inbox,
                                .done = on_settled,
                                .arg = s,
                                .can_wait = !job->hurries,
                                .write = {.kind = WRITE_SETTLE,
                                          .settle = {.job = job, .forget_key = job->told_again}}};
        if (attempt) {
                s->arena = arena_new(256 * 1024);
                s->attempt = *attempt;
                s->attempt.code = arena_span(s->arena, attempt->code);
                s->attempt.message = arena_span(s->arena, attempt->message);
                s->attempt.detail = arena_span(s->arena, attempt->detail);
                s->request.write.settle.attempt = &s->attempt;
        }
        must(ledger_send(p->ledger, &s->request) == 0); /* settles are always taken */
        if (w)
                tell_dead(w, attempt);
}

typedef struct Claiming {
        LedgerRequest request;
        Part *part;
} Claiming;

static void on_claimed(LedgerRequest *q) {
        Claiming *c = q->arg;
        Part *p = c->part;
        Claim got = q->claim.ret;
        ClaimResult r = {got.jobs, got.n, got.more, got.searched_to, got.next_due_ms, q->result};

        free(c);
        engine_claimed(p->engine, &r, clock_wall_ms());
        free(got.jobs);
        if (r.fault == 0) {
                atomic_store(&p->inlet->full, engine_full(p->engine));
                atomic_store(&p->inlet->recovered, true);
        }
}

static void port_claim(void *self, const EngineAsk *ask) {
        Part *p = self;
        Claiming *c = must_alloc(sizeof *c);

        c->part = p;
        c->request = (LedgerRequest){.ask = ASK_CLAIM,
                                     .home = &p->loop.inbox,
                                     .done = on_claimed,
                                     .arg = c,
                                     .claim = {.ask = {.now_ms = clock_wall_ms(),
                                                       .shard = p->index,
                                                       .shards = p->n,
                                                       .max = ask->max,
                                                       .target = ask->target,
                                                       .is_due = ask->is_due,
                                                       .from_ms = ask->from_ms,
                                                       .after_id = ask->after_id}}};
        must(ledger_send(p->ledger, &c->request) == 0);
}

static void port_gone(void *self, Job *job) {
        (void)self;
        waiter_leave(job->waiter);
        job_free(job);
}

/* ---- the turn ---- */

static void on_engine_timer(uv_timer_t *t) {
        (void)t; /* it only wakes the loop: the turn does the work */
}

/* Callbacks have filled the engine's lists; now it does what follows, once per turn. */
static void on_turn(uv_prepare_t *h) {
        Part *p = h->data;
        int64_t now = clock_wall_ms();
        int64_t next = engine_step(p->engine, now);

        atomic_store(&p->inlet->full, engine_full(p->engine));
        if (next == p->engine_due_ms && uv_is_active((uv_handle_t *)&p->engine_timer))
                return;
        p->engine_due_ms = next;
        if (next == INT64_MAX)
                (void)uv_timer_stop(&p->engine_timer);
        else {
                int64_t wait = next > now ? next - now : 0;

                /* A clock that jumped may not let work sleep for years. */
                (void)uv_timer_start(&p->engine_timer, on_engine_timer,
                                     (uint64_t)(wait > 60000 ? 60000 : wait), 0);
        }
}

static void on_replay_failed(void *arg, int64_t replay, const char *why) {
        char id[ID_TEXT];

        (void)arg;
        id_print("rpl", replay, id);
        log_fact(LOG_WARN, "a replay waits", "replay", span_of(id), "why", span_of(why), NULL);
}

static void on_backfill_failed(void *arg, int64_t backfill, const char *why) {
        char id[ID_TEXT];

        (void)arg;
        id_print("bfl", backfill, id);
        log_fact(LOG_WARN, "a backfill waits", "backfill", span_of(id), "why", span_of(why), NULL);
}

static void on_keys_failed(void *self, const char *address, const char *why) {
        (void)self;
        log_fact(LOG_WARN, "no keys of an issuer", "address", span_of(address), "why", span_of(why),
                 NULL);
}

static void on_emit(void *self, Emission *e) {
        Part *p = self;

        emission_send(p->inlet, e);
}

static RunnerHost host_of(Part *p) {
        return (RunnerHost){.self = p, .ended = on_flow_ended, .emit = on_emit};
}

static Engine *make_engine(Part *p) {
        EnginePorts ports = {.self = p,
                             .run = port_run,
                             .settle = port_settle,
                             .claim = port_claim,
                             .rule = port_rule,
                             .limits = port_limits,
                             .gone = port_gone};
        uint64_t seed;

        random_bytes(&seed, sizeof seed);
        return engine_new(&(EngineLimits){0}, &ports, seed);
}

void part_renew(Part *p, Ledger *l) {
        engine_free(p->engine);
        p->engine = p->inlet->engine = make_engine(p);
        p->ledger = p->inlet->ledger = p->outlet.ledger = l;
        latest_free(p->latest);
        p->latest = latest_new();
        p->engine_due_ms = INT64_MAX;
        (void)uv_timer_stop(&p->engine_timer);
        atomic_store(&p->inlet->full, engine_full(p->engine));
}

int part_init(Part *p, unsigned index, const PartShares *all, Snapshot *s, Err *e) {
        RunnerHost host = host_of(p);
        OutletHost outlet_host = {.self = p, .ended = on_runs_ended, .tell = on_tell};
        /* The engine decides who gets a place; the client must not have another opinion. */
        ClientLimits client_limits = {.connections_max = CONNECTIONS_MAX,
                                      .per_host_max = CONNECTIONS_MAX};
        int r = loop_init(&p->loop, index, e);

        if (r < 0)
                return r;
        p->index = index;
        p->n = all->n;
        p->ledger = all->ledger;
        p->undrained = all->undrained;
        p->idempotency = all->idempotency;
        p->hub = &all->hubs[index];
        p->inlet = &all->inlets[index];
        p->replayer = &all->replayers[index];
        p->watches = all->watches;
        p->desks = all->desks;
        p->backfiller = &all->backfillers[index];
        p->snapshot = snapshot_ref(s);
        p->latest = latest_new();
        r = client_new(&p->loop.uv, &client_limits, &p->client, e);
        if (r < 0)
                return r;
        hub_init(p->hub, &p->loop, p->client, all->writes, all->hubs, all->n);
        r = runner_new(p->hub, s, &host, &p->runner, e);
        if (r < 0)
                return r;
        p->engine = make_engine(p);
        outlet_init(&p->outlet, &p->loop, p->client, all->ledger, all->registry, all->shelf, s,
                    &outlet_host);
        inlet_init(p->inlet, &p->loop, all->ledger, p->engine, all->registry, all->inlets, all->n);
        p->inlet->runner = p->runner;
        p->inlet->jwks.failed = on_keys_failed;
        replayer_init(p->replayer, p->inlet);
        p->replayer->failed = on_replay_failed;
        backfiller_init(p->backfiller, p->inlet, &p->outlet.mapper);
        p->backfiller->failed = on_backfill_failed;
        must(uv_timer_init(&p->loop.uv, &p->engine_timer) == 0 &&
             uv_timer_init(&p->loop.uv, &p->stop_timer) == 0 &&
             uv_prepare_init(&p->loop.uv, &p->turn) == 0);
        p->engine_timer.data = p->turn.data = p->stop_timer.data = p;
        must(uv_prepare_start(&p->turn, on_turn) == 0);
        atomic_store(&p->inlet->full, engine_full(p->engine));
        return 0;
}

void part_change(Part *p, const Change *c) {
        if (c->shard % p->n == p->index)
                latest_put(p->latest, c->lane, c->time_ms);
}

void part_backlog(Part *p, Span target, int64_t due_ms) {
        if (due_ms == STORE_NOW)
                engine_spilled(p->engine, target, 1);
        else
                engine_due(p->engine, target, due_ms);
        p->has_leftovers = p->has_leftovers || due_ms <= clock_wall_ms();
}

int part_listen(Part *p, uint16_t port, uint16_t admin_port, Err *e) {
        const Config *c = p->snapshot->config;
        ServerLimits limits = {.connections_max = (size_t)c->connections_max / p->n + 1,
                               .head_ms = c->head_timeout_ms,
                               .body_ms = c->body_timeout_ms,
                               .idle_ms = c->idle_timeout_ms,
                               .write_ms = c->body_timeout_ms};
        ServerHandler handler = inlet_handler(p->inlet);
        int r = server_open(&p->loop, c->listen.host, port, &limits, &handler, &p->server, e);

        if (r < 0)
                return r;
        admin_init(&p->admin, &(AdminParts){.ledger = p->ledger,
                                            .registry = p->inlet->registry,
                                            .idempotency = p->idempotency,
                                            .shelf = p->outlet.mapper.shelf,
                                            .inlets = p->inlet->all,
                                            .replayers = p->replayer - p->index,
                                            .watches = p->watches,
                                            .desks = p->desks,
                                            .backfillers = p->backfiller - p->index,
                                            .n = p->n,
                                            .index = p->index,
                                            .token = &c->admin_token,
                                            .public_url = NULL});
        handler = admin_handler(&p->admin);
        return server_open(&p->loop, c->admin.host, admin_port, &limits, &handler, &p->admin_server,
                           e);
}

static void *thread_main(void *arg) {
        Part *p = arg;

        loop_run(&p->loop);
        return NULL;
}

void part_start(Part *p) {
        if (!p->has_leftovers)
                atomic_store(&p->inlet->recovered, true);
        must(pthread_create(&p->thread, NULL, thread_main, p) == 0);
}

/* ---- reload ---- */

typedef struct Reload {
        Note note;
        Part *part;
        Snapshot *snapshot;
} Reload;

static void on_reload(Note *n) {
        Reload *l = CONTAINER_OF(n, Reload, note);
        Part *p = l->part;
        RunnerHost host = host_of(p);
        Runner *fresh = NULL;
        Err e = {0};

        if (!p->stopping && runner_new(p->hub, l->snapshot, &host, &fresh, &e) == 0) {
                Runner *old = p->runner;

                p->runner = p->inlet->runner = fresh;
                runner_retire(old, NULL, NULL);
                snapshot_unref(p->snapshot);
                p->snapshot = snapshot_ref(l->snapshot);
                outlet_reload(&p->outlet, p->snapshot);
                admin_reload(&p->admin, &p->snapshot->config->admin_token, NULL);
        } else if (e.code)
                log_fact(LOG_ERROR, "reload failed", "why", span_of(e.text), NULL);
        snapshot_unref(l->snapshot);
        free(l);
}

void part_reload(Part *p, Snapshot *s) {
        Reload *l = must_alloc(sizeof *l);

        *l = (Reload){.note = {.read = on_reload}, .part = p, .snapshot = s};
        inbox_send(&p->loop.inbox, &l->note);
}

/* ---- stop ---- */

static void close_rest(Part *p) {
        if (p->stopped)
                return;
        p->stopped = true;
        uv_close((uv_handle_t *)&p->stop_timer, NULL);
        uv_close((uv_handle_t *)&p->engine_timer, NULL);
        uv_close((uv_handle_t *)&p->turn, NULL);
        hub_done(p->hub);
        latest_free(p->latest);
        outlet_close(&p->outlet);
        client_close(p->client, NULL, NULL);
        runner_retire(p->runner, NULL, NULL);
        inlet_close(p->inlet);
        replayer_close(p->replayer);
        backfiller_close(p->backfiller);
        server_close(p->server, NULL, NULL);
        if (p->admin_server)
                server_close(p->admin_server, NULL, NULL);
        loop_stop(&p->loop);
}

static void expire_runs(Part *p) {
        LIST_EACH(&p->hub->runners, it)
        runner_expire(CONTAINER_OF(it, Runner, link));
        outlet_cut(&p->outlet);
}

static bool is_calm(const Part *p) {
        EngineGauges g = engine_gauges(p->engine);

        return g.running == 0 && g.unsettled == 0 && !g.is_asking &&
               atomic_load(&p->inlet->coming) == 0 && p->outlet.writes.n == 0 &&
               replayer_idle(p->replayer) && backfiller_idle(p->backfiller) &&
               p->inlet->keeping == 0 && server_idle(p->server);
}

/* Waits until nothing runs, nothing is unsettled and every answer has left, here and on the other
 * loops: a run there may want a token or a permit from here. When the time for that is up, what
 * still runs ends as at its deadline: who waits is told, and other jobs are tried again after the
 * restart. What does not even end then stays queued in the ledger. */
static void on_stop_tick(uv_timer_t *t) {
        Part *p = t->data;
        int64_t over_ms = clock_mono_ms() - p->stop_by_ms;
        bool calm = is_calm(p);

        if (!p->drained && calm && p->inlet->polls == 0) {
                p->drained = true;
                atomic_fetch_sub(p->undrained, 1);
        }
        /* The admin listener tells how it goes, so it is the last to go; who has begun to ask is
         * answered. */
        if (atomic_load(p->undrained) == 0 && p->admin_server)
                server_drain(p->admin_server);
        if ((atomic_load(p->undrained) == 0 &&
             (!p->admin_server || server_idle(p->admin_server))) ||
            over_ms > STOP_LAST_MS)
                close_rest(p);
        else if (over_ms > 0 || (calm && p->inlet->polls)) /* nobody waits for those pages */
                expire_runs(p);
}

static void on_stop(Note *n) {
        Reload *l = CONTAINER_OF(n, Reload, note);
        Part *p = l->part;

        free(l);
        if (p->stopping)
                return;
        p->stopping = true;
        atomic_store(&p->inlet->draining, true);
        p->stop_by_ms = clock_mono_ms() + STOP_MS;
        server_drain(p->server);
        engine_drain(p->engine);
        replayer_stop(p->replayer);
        backfiller_stop(p->backfiller);
        must(uv_timer_start(&p->stop_timer, on_stop_tick, 0, STOP_TICK_MS) == 0);
}

void part_stop(Part *p) {
        Reload *l = must_alloc(sizeof *l);

        *l = (Reload){.note = {.read = on_stop}, .part = p};
        inbox_send(&p->loop.inbox, &l->note);
}

void part_join(Part *p) {
        pthread_join(p->thread, NULL);
}

void parts_done(Part *parts, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                Part *p = &parts[i];

                /* Who still waits for a job, on whatever loop, is sent a last note. */
                p->engine = engine_free(p->engine);
                outlet_done(&p->outlet);
                p->snapshot = snapshot_unref(p->snapshot);
        }
        for (unsigned i = 0; i < n; i++)
                loop_done(&parts[i].loop);
}
