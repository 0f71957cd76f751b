/* SPDX-License-Identifier: Apache-2.0
 *
 * A few loops in a row, each with an inlet and an engine, over one ledger in memory and one
 * registry: all real, but that nothing is sent. What an engine begins stands in a list until the
 * test ends it. One thread turns the loops, so a test says in which order they hear of things. */
#pragma once

#include "base/clock.h"
#include "trigger/message.h"
#include "trigger/recording.h"
#include "unit.h"

#include <poll.h>
#include <pthread.h>

enum { HOUSES_MAX = 3, APP = 11, STREET_GUARD_MS = 30000 };

extern const StoreOps store_memory;

typedef struct Jobs {
        Job **at;
        size_t n, cap;
} Jobs;

static inline void jobs_add(Jobs *j, Job *job) {
        if (j->n == j->cap) {
                j->cap = j->cap ? j->cap * 2 : 64;
                j->at = realloc(j->at, j->cap * sizeof *j->at);
                must(j->at);
        }
        j->at[j->n++] = job;
}

static inline Job *jobs_take(Jobs *j, size_t i) {
        Job *job = j->at[i];

        must(i < j->n);
        memmove(j->at + i, j->at + i + 1, (j->n - i - 1) * sizeof *j->at);
        j->n--;
        return job;
}

typedef struct House {
        Loop loop;
        Engine *engine;
        Jobs running, settling;               /* as they were begun, as they were settled */
        char asked[JOB_TARGET_MAX_BYTES + 1]; /* the target of the latest claim */
        size_t n_asked, n_gone;
        struct Street *street;
} House;

typedef struct Street {
        House at[HOUSES_MAX];
        Inlet inlets[HOUSES_MAX];
        unsigned n;
        Ledger *ledger;
        Registry *registry;
        int64_t version;
        RetryRule rule;
        int64_t until_ms;
} Street;

/* ---- the ledger can be held up, and told to fail ---- */

static struct StreetGate {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool is_closed;
        int fault; /* of all writes while it is not 0 */
        StoreOps ops;
} street_gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline int street_write(Store *s, Write *const *writes, size_t n, Err *e) {
        int fault;

        pthread_mutex_lock(&street_gate.lock);
        while (street_gate.is_closed)
                pthread_cond_wait(&street_gate.changed, &street_gate.lock);
        fault = street_gate.fault;
        pthread_mutex_unlock(&street_gate.lock);
        return fault ? FAIL(e, fault, "as told") : store_memory.write(s, writes, n, e);
}

static inline void street_gate_set(bool is_closed, int fault) {
        pthread_mutex_lock(&street_gate.lock);
        street_gate.is_closed = is_closed;
        street_gate.fault = fault;
        pthread_cond_broadcast(&street_gate.changed);
        pthread_mutex_unlock(&street_gate.lock);
}

/* ---- the engine's ports ---- */

static inline void street_run(void *self, Job *const *jobs, size_t n) {
        for (size_t i = 0; i < n; i++)
                jobs_add(&((House *)self)->running, jobs[i]);
}

static inline void street_settle(void *self, Job *job, const Attempt *attempt) {
        (void)attempt;
        jobs_add(&((House *)self)->settling, job);
}

static inline void street_claim(void *self, const EngineAsk *ask) {
        House *h = self;

        h->n_asked++;
        (void)snprintf(h->asked, sizeof h->asked, SPAN_FMT, SPAN_ARG(ask->target));
}

static inline const RetryRule *street_rule(void *self, const Job *job) {
        (void)job;
        return &((House *)self)->street->rule;
}

static inline TargetLimits street_limits(void *self, const Job *job) {
        (void)self;
        (void)job;
        return (TargetLimits){0};
}

static inline void street_gone(void *self, Job *job) {
        ((House *)self)->n_gone++;
        waiter_leave(job->waiter);
        job_free(job);
}

/* ---- building and clearing away ---- */

static inline void street_put(Street *s, ObjectKind kind, int64_t id, const char *text) {
        Object o = {.kind = kind,
                    .id = id,
                    .owner = kind == OBJECT_APPLICATION ? 0 : APP,
                    .text = span_of(text),
                    .version = ++s->version};
        Err e = {0};

        if (registry_put(s->registry, &o, &e) < 0)
                fail_msg("%s", e.text);
}

/* An endpoint of the application; `more` such as "\"order\":\"all\"", or NULL. */
static inline void street_endpoint(Street *s, int64_t id, const char *more) {
        char text[512];

        (void)snprintf(text, sizeof text,
                       "{\"url\":\"https://example.com/\",\"profile\":\"none\"%s%s}",
                       more ? "," : "", more ? more : "");
        street_put(s, OBJECT_ENDPOINT, id, text);
}

static inline Street *street_new(unsigned n, const EngineLimits *limits) {
        Street *s = must_alloc(sizeof *s);
        LedgerOptions o = {.url = SPAN("memory:"), .ops = &street_gate.ops};
        Err e = {0};

        street_gate.ops = store_memory;
        street_gate.ops.write = street_write;
        street_gate_set(false, 0);
        s->n = n;
        s->registry = registry_new();
        s->rule = retry_default;
        s->until_ms = clock_mono_ms() + STREET_GUARD_MS;
        must(ledger_open(&o, &s->ledger, &e) == 0);
        for (unsigned i = 0; i < n; i++) {
                House *h = &s->at[i];
                EnginePorts ports = {h,           street_run,    street_settle, street_claim,
                                     street_rule, street_limits, street_gone};

                h->street = s;
                must(loop_init(&h->loop, i, &e) == 0);
                h->engine = engine_new(limits ? limits : &(EngineLimits){0}, &ports, i + 1);
                inlet_init(&s->inlets[i], &h->loop, s->ledger, h->engine, s->registry, s->inlets,
                           n);
        }
        street_put(s, OBJECT_APPLICATION, APP, "{}");
        return s;
}

static inline void street_free(Street *s) {
        street_gate_set(false, 0);
        ledger_close(s->ledger);
        for (unsigned i = 0; i < s->n; i++) {
                inlet_close(&s->inlets[i]);
                loop_stop(&s->at[i].loop);
                loop_run(&s->at[i].loop);
        }
        for (unsigned i = 0; i < s->n; i++) {
                (void)inbox_read(&s->at[i].loop.inbox);
                engine_free(s->at[i].engine);
        }
        for (unsigned i = 0; i < s->n; i++) {
                (void)inbox_read(&s->at[i].loop.inbox);
                loop_done(&s->at[i].loop);
                free(s->at[i].running.at);
                free(s->at[i].settling.at);
        }
        registry_free(s->registry);
        free(s);
}

/* ---- turning ---- */

/* What has come to this house is read, and its engine steps. */
static inline void street_turn(Street *s, unsigned i) {
        (void)uv_run(&s->at[i].loop.uv, UV_RUN_NOWAIT);
        (void)engine_step(s->at[i].engine, clock_wall_ms());
        atomic_store(&s->inlets[i].full, engine_full(s->at[i].engine));
}

/* Sleeps until something comes for one of these houses (bits), or a timer of theirs is due. */
static inline void street_sleep(Street *s, unsigned houses) {
        struct pollfd fds[HOUSES_MAX];
        nfds_t n = 0;
        int wait_ms = 1000;

        for (unsigned i = 0; i < s->n; i++) {
                int due_ms = uv_backend_timeout(&s->at[i].loop.uv);

                if (!(houses >> i & 1))
                        continue;
                fds[n++] =
                        (struct pollfd){.fd = uv_backend_fd(&s->at[i].loop.uv), .events = POLLIN};
                if (due_ms >= 0 && due_ms < wait_ms)
                        wait_ms = due_ms;
        }
        (void)poll(fds, n, wait_ms);
        if (clock_mono_ms() > s->until_ms)
                fail_msg("nothing more happened");
}

/* Turns these houses until `is_so`. */
static inline void street_until(Street *s, unsigned houses, bool (*is_so)(void *arg), void *arg) {
        for (;;) {
                for (unsigned i = 0; i < s->n; i++)
                        if (houses >> i & 1)
                                street_turn(s, i);
                if (is_so(arg))
                        return;
                street_sleep(s, houses);
        }
}

static inline size_t street_running(const Street *s) {
        size_t n = 0;

        for (unsigned i = 0; i < s->n; i++)
                n += s->at[i].running.n;
        return n;
}

/* The i-th that runs ends; as in src/app/part.c. */
static inline void street_end(Street *s, unsigned house, size_t i, bool is_good) {
        House *h = &s->at[house];
        Job *job = jobs_take(&h->running, i);
        Outcome o = {.status = is_good ? 200 : 424, .code = "x", .retry_after_s = -1};
        JobResult r = {.verdict = is_good ? JOB_SUCCEEDED : JOB_RETRY, .wait_hint_ms = -1};
        Waiter *w = job->waiter;
        WaiterWord word = w ? waiter_decide(w, &o) : WAITER_NOTHING;

        job->waiter = NULL;
        engine_ended(h->engine, &job, &r, 1, clock_wall_ms());
        if (word != WAITER_NOTHING)
                waiter_tell(w);
        waiter_unref(w);
}

/* All that was settled in a house is confirmed. */
static inline void street_settled(Street *s, unsigned house) {
        House *h = &s->at[house];

        while (h->settling.n > 0)
                engine_settled(h->engine, jobs_take(&h->settling, 0), 0, false, clock_wall_ms());
}
