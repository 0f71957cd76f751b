/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger thread over a store that can be stopped before a write and told how to fail. */
#include "base/clock.h"
#include "ledger_unit.h"

#include <pthread.h>

/* One stoppable store at a time. */
static struct Gate {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool is_closed;
        bool is_inside; /* the thread stands before the gate */
        int fault;      /* of the next writes */
        size_t faults;  /* how many */
        size_t sizes[256], n_writes;
        StoreOps ops;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int gated_write(Store *s, Write *const *writes, size_t n, Err *e) {
        int fault = 0;

        pthread_mutex_lock(&gate.lock);
        gate.is_inside = true;
        pthread_cond_broadcast(&gate.changed);
        while (gate.is_closed)
                pthread_cond_wait(&gate.changed, &gate.lock);
        gate.is_inside = false;
        if (gate.faults > 0) {
                gate.faults--;
                fault = gate.fault;
        }
        if (gate.n_writes < COUNT_OF(gate.sizes))
                gate.sizes[gate.n_writes++] = n;
        pthread_mutex_unlock(&gate.lock);
        return fault ? FAIL(e, fault, "as told") : store_memory.write(s, writes, n, e);
}

static void gate_close(void) {
        pthread_mutex_lock(&gate.lock);
        gate.is_closed = true;
        pthread_mutex_unlock(&gate.lock);
}

static void gate_open(int fault, size_t faults) {
        pthread_mutex_lock(&gate.lock);
        gate.is_closed = false;
        gate.fault = fault;
        gate.faults = faults;
        pthread_cond_broadcast(&gate.changed);
        pthread_mutex_unlock(&gate.lock);
}

static void gate_await(void) {
        pthread_mutex_lock(&gate.lock);
        while (!gate.is_inside)
                pthread_cond_wait(&gate.changed, &gate.lock);
        pthread_mutex_unlock(&gate.lock);
}

typedef struct World {
        Ledger *ledger;
        Inbox home, other;
        int64_t order[8192]; /* what was answered, by arg */
        size_t n_answers;
        _Atomic int broken;
        Note told;
} World;

static World *world;

static void on_done(LedgerRequest *r) {
        if (world->n_answers < COUNT_OF(world->order))
                world->order[world->n_answers] = (int64_t)(intptr_t)r->arg;
        world->n_answers++;
}

static void on_told(Note *n) {
        (void)n;
}

static void on_broken(void *arg, const Err *why) {
        World *w = arg;

        assert_int_equal(why->code, -EIO);
        atomic_fetch_add(&w->broken, 1);
        w->told.read = on_told;
        inbox_send(&w->home, &w->told);
}

static int start(void **state) {
        world = must_alloc(sizeof *world);
        gate.ops = store_memory;
        gate.ops.write = gated_write;
        gate.n_writes = gate.faults = 0;
        gate.is_closed = gate.is_inside = false;
        LedgerOptions o = {
                .url = SPAN("memory:"), .ops = &gate.ops, .broken = on_broken, .arg = world};
        Err e = {0};
        inbox_init(&world->home, NULL, NULL);
        inbox_init(&world->other, NULL, NULL);
        assert_int_equal(ledger_open(&o, &world->ledger, &e), 0);
        *state = world;
        return 0;
}

static int end(void **state) {
        (void)state;
        ledger_close(world->ledger);
        inbox_done(&world->home);
        inbox_done(&world->other);
        free(world);
        return 0;
}

/* Reads what comes home until `n` were answered. */
static void await(size_t n) {
        while (world->n_answers < n)
                for (Note *note = inbox_wait(&world->home, -1), *next; note; note = next) {
                        next = note->next;
                        note->read(note);
                }
}

static void prepare(LedgerRequest *r, Write w, int64_t turn) {
        memset(r, 0, sizeof *r);
        r->ask = ASK_WRITE;
        r->home = &world->home;
        r->done = on_done;
        r->arg = (void *)(intptr_t)turn;
        r->write = w;
}

static void send_event(LedgerRequest *r, int64_t turn) {
        prepare(r, record_of(make_event(10 + turn * 2, NULL, "{}"), NULL, 0), turn);
        assert_int_equal(ledger_send(world->ledger, r), 0);
}

static void drop_events(LedgerRequest *r, size_t n) {
        for (size_t i = 0; i < n; i++)
                event_unref(r[i].write.record.event);
}

static void what_arrives_during_a_commit_shares_the_next(void **state) {
        enum { N = 1300 };
        LedgerRequest *r = must_alloc(N * sizeof *r);

        (void)state;
        gate_close();
        send_event(&r[0], 0);
        gate_await();
        for (int i = 1; i < N; i++)
                send_event(&r[i], i);
        assert_int_equal(ledger_gauges(world->ledger).waiting, N);
        gate_open(0, 0);
        await(N);
        for (int i = 0; i < N; i++) {
                assert_int_equal(world->order[i], i);
                assert_int_equal(r[i].result, 0);
        }
        assert_int_equal(gate.n_writes, 4);
        assert_int_equal(gate.sizes[0], 1);
        assert_int_equal(gate.sizes[1], LEDGER_BATCH_MAX);
        assert_int_equal(gate.sizes[2], LEDGER_BATCH_MAX);
        assert_int_equal(gate.sizes[3], N - 1 - 2 * LEDGER_BATCH_MAX);
        LedgerGauges g = ledger_gauges(world->ledger);
        assert_int_equal(g.waiting, 0);
        assert_int_equal(g.waiting_bytes, 0);
        assert_int_equal(g.batches, 4);
        assert_int_equal(g.writes, N);
        drop_events(r, N);
        free(r);
}

/* Several records of one request: all in one transaction, however full it was before. */
static void records_of_one_request_stay_together(void **state) {
        enum { BEFORE = LEDGER_BATCH_MAX - 1, MORE = LEDGER_TOGETHER_MAX };
        LedgerRequest *r = must_alloc((BEFORE + 3) * sizeof *r);
        Write *more = must_alloc(MORE * sizeof *more);

        (void)state;
        gate_close();
        send_event(&r[0], 0);
        gate_await();
        for (int i = 1; i <= BEFORE; i++)
                send_event(&r[i], i);
        for (int i = 0; i < MORE; i++)
                more[i] = record_of(make_event(20000 + i, i == 7 ? "k" : NULL, "{}"), NULL, 0);
        prepare(&r[BEFORE + 1], record_of(make_event(19999, "k", "{}"), NULL, 0), BEFORE + 1);
        r[BEFORE + 1].more = more;
        r[BEFORE + 1].n_more = MORE;
        assert_int_equal(ledger_send(world->ledger, &r[BEFORE + 1]), 0);
        send_event(&r[BEFORE + 2], BEFORE + 2);
        gate_open(0, 0);
        await(BEFORE + 3);
        assert_int_equal(gate.n_writes, 3);
        assert_int_equal(gate.sizes[1], BEFORE + 1 + MORE);
        assert_int_equal(gate.sizes[2], 1);
        /* Each has its own result: one repeats another of the same request. */
        assert_int_equal(r[BEFORE + 1].write.record.result, RECORD_NEW);
        assert_int_equal(more[6].record.result, RECORD_NEW);
        assert_int_equal(more[7].record.result, RECORD_REPEAT);
        assert_int_equal(more[7].record.known_event, 19999);
        LedgerGauges g = ledger_gauges(world->ledger);
        assert_int_equal(g.waiting, 0);
        assert_int_equal(g.waiting_bytes, 0);
        for (int i = 0; i < MORE; i++) {
                event_unref(more[i].record.event);
                free(more[i].record.answer_type);
                free(more[i].record.answer_body);
        }
        drop_events(r, BEFORE + 3);
        free(more);
        free(r);
}

static void none_of_a_request_is_stored_when_there_is_no_room(void **state) {
        Write more[2];
        LedgerRequest r;

        (void)state;
        gate_open(-ENOSPC, 1);
        for (int i = 0; i < 2; i++)
                more[i] = record_of(make_event(101 + i, NULL, "{}"), NULL, 0);
        prepare(&r, record_of(make_event(100, NULL, "{}"), NULL, 0), 0);
        r.more = more;
        r.n_more = 2;
        assert_int_equal(ledger_send(world->ledger, &r), 0);
        await(1);
        assert_int_equal(r.result, -ENOSPC);
        assert_int_equal(ledger_gauges(world->ledger).waiting, 0);
        assert_int_equal(ledger_gauges(world->ledger).writes, 0);
        for (int i = 0; i < 2; i++)
                event_unref(more[i].record.event);
        drop_events(&r, 1);
}

/* A claim sees what its sender settled before it, and ends the batch. */
static void requests_take_effect_in_their_order(void **state) {
        LedgerRequest record, settle_it, ask, after;
        Event *event = make_event(10, NULL, "{}");
        Job *j = job_new(11, event, SPAN("flow:a"), 0);

        (void)state;
        gate_close();
        prepare(&record, record_of(event, &j, 1), 0);
        assert_int_equal(ledger_send(world->ledger, &record), 0);
        gate_await();
        Job settled = *j;
        prepare(&settle_it, settle_of(&settled, JOB_WAITING, NULL), 1);
        prepare(&ask, (Write){0}, 2);
        ask.ask = ASK_CLAIM;
        ask.claim.ask = ask_all(1);
        assert_int_equal(ledger_send(world->ledger, &settle_it), 0);
        assert_int_equal(ledger_send(world->ledger, &ask), 0);
        send_event(&after, 3);
        gate_open(0, 0);
        await(4);
        for (int i = 0; i < 4; i++)
                assert_int_equal(world->order[i], i);
        assert_int_equal(ask.claim.ret.n, 1);
        assert_int_equal(ask.claim.ret.jobs[0]->id, 11);
        claim_free(&ask.claim.ret);
        drop_events(&after, 1);
        job_free(j);
        event_unref(event);
}

static void a_question_for_a_key_sees_what_was_recorded_before(void **state) {
        LedgerRequest record, ask, other;
        Event *event = make_event(10, "k", "{}");

        (void)state;
        gate_close();
        prepare(&record, record_of(event, NULL, 0), 0);
        prepare(&ask, (Write){0}, 1);
        prepare(&other, (Write){0}, 2);
        ask.ask = other.ask = ASK_KEY;
        ask.key.source = other.key.source = SPAN("shop");
        ask.key.key = SPAN("k");
        other.key.key = SPAN("l");
        assert_int_equal(ledger_send(world->ledger, &record), 0);
        assert_int_equal(ledger_send(world->ledger, &ask), 0);
        assert_int_equal(ledger_send(world->ledger, &other), 0);
        gate_open(0, 0);
        await(3);
        assert_int_equal(ask.key.event, 10);
        assert_int_equal(other.key.event, 0);
        for (int i = 0; i < 3; i++)
                assert_int_equal(world->order[i], i);
        event_unref(event);
}

static void too_many_records_are_refused_others_never(void **state) {
        LedgerRequest *r = must_alloc((LEDGER_PENDING_MAX + 2) * sizeof *r), answer;
        size_t n = LEDGER_PENDING_MAX;

        (void)state;
        gate_close();
        for (size_t i = 0; i < n; i++)
                send_event(&r[i], (int64_t)i);
        prepare(&r[n], record_of(make_event(1, NULL, "{}"), NULL, 0), 0);
        assert_int_equal(ledger_send(world->ledger, &r[n]), -EAGAIN);
        prepare(&answer, answer_of(10, 200, "x"), 0);
        assert_int_equal(ledger_send(world->ledger, &answer), 0);
        gate_open(0, 0);
        await(n + 1);
        assert_int_equal(ledger_send(world->ledger, &r[n]), 0);
        await(n + 2);
        drop_events(r, n + 1);
        free(r);
}

static void too_many_bytes_are_refused(void **state) {
        enum { N = 5 };
        size_t mib = 8 << 20;
        char *body = must_alloc(mib + 1);
        LedgerRequest r[N];
        int sent = 0;

        (void)state;
        memset(body, 'x', mib);
        gate_close();
        for (int i = 0; i < N; i++) {
                prepare(&r[i], record_of(make_event(10 + i, NULL, body), NULL, 0), i);
                if (ledger_send(world->ledger, &r[i]) == 0)
                        sent++;
        }
        assert_int_equal(sent, 3);
        gate_open(0, 0);
        await(3);
        /* Two of them do not fit into one transaction. */
        assert_int_equal(gate.n_writes, 3);
        assert_int_equal(ledger_gauges(world->ledger).waiting_bytes, 0);
        drop_events(r, N);
        free(body);
}

/* A record with `n` jobs of ids from `id` on; frees by drop_jobs. */
static void send_jobs(LedgerRequest *r, Job **jobs, size_t n, int64_t id) {
        Event *event = make_event(id, NULL, "{}");

        for (size_t i = 0; i < n; i++)
                jobs[i] = job_new(id + 1 + (int64_t)i, event, SPAN("flow:a"), 0);
        prepare(r, record_of(event, jobs, n), id);
        assert_int_equal(ledger_send(world->ledger, r), 0);
}

static void drop_jobs(LedgerRequest *r, size_t n) {
        for (size_t i = 0; i < n; i++) {
                for (size_t k = 0; k < r[i].write.record.n_jobs; k++)
                        job_free(r[i].write.record.jobs[k]);
                event_unref(r[i].write.record.event);
        }
}

/* One message to everyone is one record with thousands of jobs. */
static void too_many_jobs_are_refused(void **state) {
        Job *job = NULL;
        LedgerRequest first, much;

        (void)state;
        gate_close();
        send_jobs(&first, &job, 1, 10);
        prepare(&much, record_of(make_event(20, NULL, "{}"), NULL, LEDGER_PENDING_JOBS_MAX), 1);
        assert_int_equal(ledger_send(world->ledger, &much), -EAGAIN);
        gate_open(0, 0);
        await(1);
        drop_jobs(&first, 1);
        event_unref(much.write.record.event);
}

static void jobs_fill_a_batch_too(void **state) {
        enum { N = 10, EACH = 1000 };
        LedgerRequest r[1 + N + 1];
        Job *jobs[1 + N + 1][EACH], **many = must_alloc(5 * EACH * sizeof *many);

        (void)state;
        gate_close();
        send_jobs(&r[0], jobs[0], 1, 10);
        gate_await();
        for (int i = 1; i <= N; i++)
                send_jobs(&r[i], jobs[i], EACH, 10000 * i);
        /* One that is too large for any batch has one of its own. */
        send_jobs(&r[N + 1], many, 5 * EACH, 10000 * (N + 1));
        gate_open(0, 0);
        await(1 + N + 1);
        assert_int_equal(gate.n_writes, 5);
        assert_int_equal(gate.sizes[1], LEDGER_BATCH_JOBS_MAX / EACH);
        assert_int_equal(gate.sizes[2], LEDGER_BATCH_JOBS_MAX / EACH);
        assert_int_equal(gate.sizes[3], N % (LEDGER_BATCH_JOBS_MAX / EACH));
        assert_int_equal(gate.sizes[4], 1);
        drop_jobs(r, 1 + N + 1);
        free(many);
}

static void a_full_disk_refuses_records_and_keeps_settles(void **state) {
        LedgerRequest first, records[3], settles[2], ask, object;
        Event *event = make_event(10, NULL, "{}");
        Job *jobs[2] = {job_new(11, event, SPAN("flow:a"), 0),
                        job_new(12, event, SPAN("flow:b"), 0)};

        (void)state;
        prepare(&first, record_of(event, jobs, 2), 100);
        assert_int_equal(ledger_send(world->ledger, &first), 0);
        await(1);
        gate_close();
        send_event(&records[0], 1);
        gate_await();
        prepare(&settles[0], settle_of(jobs[0], JOB_DONE, NULL), 2);
        assert_int_equal(ledger_send(world->ledger, &settles[0]), 0);
        send_event(&records[1], 3);
        prepare(&ask, (Write){0}, 4);
        ask.ask = ASK_CLAIM;
        ask.claim.ask = ask_all(1);
        assert_int_equal(ledger_send(world->ledger, &ask), 0);
        send_event(&records[2], 5);
        prepare(&settles[1], settle_of(jobs[1], JOB_DONE, NULL), 6);
        assert_int_equal(ledger_send(world->ledger, &settles[1]), 0);
        prepare(&object, (Write){.kind = WRITE_OBJECT}, 7);
        object.write.object.object = (Object){.kind = OBJECT_APPLICATION, .id = 90};
        assert_int_equal(ledger_send(world->ledger, &object), 0);
        gate_open(-ENOSPC, 3);
        await(8);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(records[i].result, -ENOSPC);
                assert_string_equal(records[i].error.text, "as told");
        }
        assert_int_equal(ask.result, -ENOSPC);
        assert_int_equal(object.result, -ENOSPC);
        assert_int_equal(settles[0].result, 0);
        assert_int_equal(settles[1].result, 0);
        /* The settles came last, in their order, and are there. */
        assert_int_equal(world->order[6], 2);
        assert_int_equal(world->order[7], 6);
        assert_int_equal(ledger_gauges(world->ledger).waiting, 0);
        LedgerRequest look = {.ask = ASK_EVENT, .home = &world->home, .done = on_done};
        look.event.id = 10;
        assert_int_equal(ledger_send(world->ledger, &look), 0);
        await(9);
        assert_int_equal(look.event.ret->jobs[0].state, JOB_DONE);
        assert_int_equal(look.event.ret->jobs[1].state, JOB_DONE);
        event_view_free(look.event.ret);
        assert_int_equal(atomic_load(&world->broken), 0);
        drop_events(records, 3);
        job_free(jobs[0]);
        job_free(jobs[1]);
        event_unref(event);
}

/* A minute is for ever here: without the record, the test would hang until its time is up. */
static void what_may_wait_shares_the_next_commit(void **state) {
        Event *event = make_event(10, NULL, "{}");
        Job *job = job_new(11, event, SPAN("flow:a"), 0);
        LedgerRequest record, settle, next;
        LedgerOptions o = {.url = SPAN("memory:"), .ops = &gate.ops, .later_us = 60000000};
        Err e = {0};

        (void)state;
        ledger_close(world->ledger);
        assert_int_equal(ledger_open(&o, &world->ledger, &e), 0);
        prepare(&record, record_of(event, &job, 1), 0);
        assert_int_equal(ledger_send(world->ledger, &record), 0);
        await(1);
        prepare(&settle, settle_of(job, JOB_DONE, NULL), 1);
        settle.can_wait = true;
        assert_int_equal(ledger_send(world->ledger, &settle), 0);
        send_event(&next, 2);
        await(3);
        assert_int_equal(world->order[1], 1);
        assert_int_equal(world->order[2], 2);
        assert_int_equal(gate.n_writes, 2);
        assert_int_equal(gate.sizes[1], 2);
        /* And closing waits for nobody. */
        prepare(&settle, settle_of(job, JOB_DONE, NULL), 3);
        settle.can_wait = true;
        assert_int_equal(ledger_send(world->ledger, &settle), 0);
        ledger_close(world->ledger);
        (void)inbox_read(&world->home);
        assert_int_equal(world->n_answers, 4);
        o.later_us = 0;
        assert_int_equal(ledger_open(&o, &world->ledger, &e), 0);
        /* Alone it is written after a moment. */
        assert_int_equal(ledger_send(world->ledger, &settle), 0);
        await(5);
        drop_events(&next, 1);
        job_free(job);
        event_unref(event);
}

static void a_broken_commit_answers_nobody(void **state) {
        LedgerRequest r[10];

        (void)state;
        gate_close();
        send_event(&r[0], 0);
        gate_await();
        for (int i = 1; i < 10; i++)
                send_event(&r[i], i);
        gate_open(-EIO, 1);
        while (!atomic_load(&world->broken))
                (void)inbox_wait(&world->home, -1);
        /* Also not what is sent later, and not at closing. */
        LedgerRequest late;
        send_event(&late, 11);
        ledger_close(world->ledger);
        (void)inbox_read(&world->home);
        assert_int_equal(world->n_answers, 0);
        assert_int_equal(atomic_load(&world->broken), 1);
        assert_int_equal(gate.n_writes, 1);
        drop_events(r, 10);
        drop_events(&late, 1);
        LedgerOptions o = {.url = SPAN("memory:")};
        Err e = {0};
        assert_int_equal(ledger_open(&o, &world->ledger, &e), 0);
}

static void closing_answers_what_was_sent(void **state) {
        LedgerRequest r[100];

        (void)state;
        gate_close();
        send_event(&r[0], 0);
        gate_await();
        for (int i = 1; i < 100; i++) {
                send_event(&r[i], i);
                r[i].home = &world->home;
        }
        gate_open(0, 0);
        ledger_close(world->ledger);
        (void)inbox_read(&world->home);
        assert_int_equal(world->n_answers, 100);
        drop_events(r, 100);
        LedgerOptions o = {.url = SPAN("memory:")};
        Err e = {0};
        assert_int_equal(ledger_open(&o, &world->ledger, &e), 0);
}

static void each_home_gets_its_own(void **state) {
        enum { HOMES = 70, N = 210 };
        Inbox homes[HOMES];
        LedgerRequest r[N];
        size_t n = 0;

        (void)state;
        gate_close();
        for (int i = 0; i < HOMES; i++)
                inbox_init(&homes[i], NULL, NULL);
        for (int i = 0; i < N; i++) {
                prepare(&r[i], record_of(make_event(10 + i, NULL, "{}"), NULL, 0), i);
                r[i].home = &homes[i % HOMES];
                assert_int_equal(ledger_send(world->ledger, &r[i]), 0);
        }
        gate_open(0, 0);
        ledger_close(world->ledger);
        for (int i = 0; i < HOMES; i++) {
                size_t before = world->n_answers;

                n += inbox_read(&homes[i]);
                for (size_t k = before; k < world->n_answers; k++)
                        assert_int_equal(world->order[k], i + (int)(k - before) * HOMES);
                inbox_done(&homes[i]);
        }
        assert_int_equal(n, N);
        drop_events(r, N);
        LedgerOptions o = {.url = SPAN("memory:")};
        Err e = {0};
        assert_int_equal(ledger_open(&o, &world->ledger, &e), 0);
}

/* ---- echoes ---- */

enum { ECHOED_MAX = 400, LISTENERS_MAX = 300 };

/* A record that several hear of; the last of them frees it. */
typedef struct Told {
        LedgerRequest request;
        struct Crowd *crowd;
        int64_t turn;
        _Atomic unsigned refs;
        LedgerEcho echoes[LEDGER_ECHOES_MAX];
} Told;

typedef struct Listener {
        Inbox inbox;
        struct Crowd *crowd;
        int64_t heard[ECHOED_MAX]; /* turns, as they came */
        int results[ECHOED_MAX];
        size_t n, expected;
        pthread_t thread;
} Listener;

typedef struct Crowd {
        Listener at[LISTENERS_MAX];
        size_t n;
        _Atomic unsigned freed;
} Crowd;

static void told_unref(Told *t) {
        if (atomic_fetch_sub(&t->refs, 1) != 1)
                return;
        atomic_fetch_add(&t->crowd->freed, 1);
        event_unref(t->request.write.record.event);
        free(t);
}

static void hear(Told *t, Listener *l) {
        must(l->n < ECHOED_MAX);
        l->results[l->n] = t->request.result;
        l->heard[l->n++] = t->turn;
        told_unref(t);
}

static void on_first(LedgerRequest *r) {
        Told *t = CONTAINER_OF(r, Told, request);

        hear(t, CONTAINER_OF(r->home, Listener, inbox));
}

static void on_other(LedgerEcho *echo) {
        hear(CONTAINER_OF(echo->of, Told, request), CONTAINER_OF(echo->home, Listener, inbox));
}

static Crowd *crowd_new(size_t n) {
        Crowd *c = must_alloc(sizeof *c);

        c->n = n;
        for (size_t i = 0; i < n; i++) {
                inbox_init(&c->at[i].inbox, NULL, NULL);
                c->at[i].crowd = c;
        }
        return c;
}

/* The ledger may still be ringing: it ends first. */
static void crowd_free(Crowd *c) {
        LedgerOptions o = {.url = SPAN("memory:")};
        Err e = {0};

        ledger_close(world->ledger);
        assert_int_equal(ledger_open(&o, &world->ledger, &e), 0);
        for (size_t i = 0; i < c->n; i++)
                inbox_done(&c->at[i].inbox);
        free(c);
}

/* Told to `n` listeners in a row, the first of them as its sender. */
static void tell(Crowd *c, int64_t turn, size_t first, size_t n) {
        Told *t = must_alloc(sizeof *t);

        t->crowd = c;
        t->turn = turn;
        t->refs = (unsigned)n;
        prepare(&t->request, record_of(make_event(10 + turn * 2, NULL, "{}"), NULL, 0), turn);
        t->request.home = &c->at[first % c->n].inbox;
        t->request.done = on_first;
        t->request.echoes = t->echoes;
        for (size_t i = 1; i < n; i++)
                t->echoes[t->request.n_echoes++] =
                        (LedgerEcho){.home = &c->at[(first + i) % c->n].inbox, .heard = on_other};
        for (size_t i = 0; i < n; i++)
                c->at[(first + i) % c->n].expected++;
        assert_int_equal(ledger_send(world->ledger, &t->request), 0);
}

static void *listen_all(void *arg) {
        Listener *l = arg;

        while (l->n < l->expected)
                for (Note *note = inbox_wait(&l->inbox, -1), *next; note; note = next) {
                        next = note->next;
                        note->read(note);
                }
        return NULL;
}

/* Each on a thread of its own: that is what echoes are for. */
static void listen(Crowd *c) {
        for (size_t i = 0; i < c->n; i++)
                must(pthread_create(&c->at[i].thread, NULL, listen_all, &c->at[i]) == 0);
        for (size_t i = 0; i < c->n; i++)
                must(pthread_join(c->at[i].thread, NULL) == 0);
}

static void everyone_heard_in_order(const Crowd *c, int result) {
        for (size_t i = 0; i < c->n; i++) {
                const Listener *l = &c->at[i];

                assert_int_equal(l->n, l->expected);
                for (size_t k = 0; k < l->n; k++) {
                        assert_int_equal(l->results[k], result);
                        assert_true(k == 0 || l->heard[k - 1] < l->heard[k]);
                }
        }
}

static void echoes_are_heard_in_the_order_of_commits(void **state) {
        enum { LISTENERS = 5 };
        Crowd *c = crowd_new(LISTENERS);

        (void)state;
        gate_close();
        for (int64_t i = 0; i < ECHOED_MAX; i++)
                tell(c, i, (size_t)(i * 3), 1 + (size_t)(i % LISTENERS));
        gate_open(0, 0);
        listen(c);
        everyone_heard_in_order(c, 0);
        assert_int_equal(c->freed, ECHOED_MAX);
        assert_int_equal(ledger_gauges(world->ledger).waiting, 0);
        crowd_free(c);
}

/* Batches end while the next ones are written, and each has other listeners. */
static void echoes_of_many_batches(void **state) {
        enum { LISTENERS = 7 };
        Crowd *c = crowd_new(LISTENERS);
        LedgerRequest beside[ECHOED_MAX];

        (void)state;
        for (int64_t i = 0; i < ECHOED_MAX; i++) {
                tell(c, i, (size_t)i, 1 + (size_t)(i % LISTENERS));
                prepare(&beside[i], answer_of(1, 200, "x"), i);
                assert_int_equal(ledger_send(world->ledger, &beside[i]), 0);
        }
        listen(c);
        await(ECHOED_MAX);
        everyone_heard_in_order(c, 0);
        assert_int_equal(c->freed, ECHOED_MAX);
        crowd_free(c);
}

/* More listeners in one batch than are answered together. */
static void more_listeners_than_one_turn_answers(void **state) {
        Crowd *c = crowd_new(LISTENERS_MAX);

        (void)state;
        gate_close();
        for (int64_t i = 0; i < ECHOED_MAX; i++)
                tell(c, i, (size_t)(i * 41), i % 5 == 4 ? 1 : LEDGER_ECHOES_MAX + 1);
        gate_open(0, 0);
        for (size_t i = 0; i < c->n; i++)
                listen_all(&c->at[i]);
        everyone_heard_in_order(c, 0);
        assert_int_equal(c->freed, ECHOED_MAX);
        assert_true(gate.n_writes <= 3);
        crowd_free(c);
}

static void echoes_hear_of_faults_too(void **state) {
        enum { LISTENERS = 4, N = 20 };
        Crowd *c = crowd_new(LISTENERS);

        (void)state;
        gate_close();
        tell(c, 0, 0, LISTENERS);
        gate_await();
        for (int64_t i = 1; i < N; i++)
                tell(c, i, (size_t)i, LISTENERS);
        gate_open(-ENOSPC, 2); /* of the first, and of those behind it */
        listen(c);
        everyone_heard_in_order(c, -ENOSPC);
        assert_int_equal(c->freed, N);
        assert_int_equal(ledger_gauges(world->ledger).waiting, 0);
        assert_int_equal(ledger_gauges(world->ledger).waiting_bytes, 0);
        /* And then it goes on. */
        for (size_t i = 0; i < LISTENERS; i++)
                c->at[i].n = c->at[i].expected = 0;
        tell(c, N, 1, LISTENERS);
        listen(c);
        everyone_heard_in_order(c, 0);
        crowd_free(c);
}

static void closing_tells_everyone(void **state) {
        enum { LISTENERS = 3, N = 50 };
        Crowd *c = crowd_new(LISTENERS);
        LedgerOptions o = {.url = SPAN("memory:")};
        Err e = {0};

        (void)state;
        gate_close();
        for (int64_t i = 0; i < N; i++)
                tell(c, i, (size_t)i, 1 + (size_t)(i % LISTENERS));
        gate_open(0, 0);
        ledger_close(world->ledger);
        assert_int_equal(ledger_open(&o, &world->ledger, &e), 0);
        for (size_t i = 0; i < LISTENERS; i++)
                (void)inbox_read(&c->at[i].inbox);
        everyone_heard_in_order(c, 0);
        assert_int_equal(c->freed, N);
        crowd_free(c);
}

/* What was refused is still the sender's, with its echoes. */
static void a_refused_record_tells_nobody(void **state) {
        enum { LISTENERS = 2 };
        Crowd *c = crowd_new(LISTENERS);
        size_t mib = 20 << 20;
        char *body = must_alloc(mib + 1);
        LedgerEcho echo = {.home = &c->at[1].inbox, .heard = on_other};
        LedgerRequest much, more;

        (void)state;
        memset(body, 'x', mib);
        gate_close();
        prepare(&much, record_of(make_event(10, NULL, body), NULL, 0), 0);
        assert_int_equal(ledger_send(world->ledger, &much), 0);
        prepare(&more, record_of(make_event(12, NULL, body), NULL, 0), 1);
        more.home = &c->at[0].inbox;
        more.echoes = &echo;
        more.n_echoes = 1;
        assert_int_equal(ledger_send(world->ledger, &more), -EAGAIN);
        gate_open(0, 0);
        await(1);
        assert_null(inbox_take(&c->at[0].inbox));
        assert_null(inbox_take(&c->at[1].inbox));
        drop_events(&much, 1);
        drop_events(&more, 1);
        free(body);
        crowd_free(c);
}

static void questions_are_answered_beside_the_writer(void **state) {
        LedgerRequest record,
                stats = {.ask = ASK_STATS, .home = &world->home, .done = on_done},
                page = {.ask = ASK_EVENTS, .home = &world->home, .done = on_done},
                attempts = {.ask = ASK_ATTEMPTS, .home = &world->home, .done = on_done},
                target = {.ask = ASK_TARGET, .home = &world->home, .done = on_done};
        Event *event = make_event(5, NULL, "{}");
        Job *j = job_new(6, event, SPAN("endpoint:a"), 0);
        Attempt a = {.number = 1, .status = 200};
        LedgerRequest known[2];

        (void)state;
        prepare(&known[0], record_of(event, &j, 1), 0);
        assert_int_equal(ledger_send(world->ledger, &known[0]), 0);
        await(1);
        prepare(&known[1], settle_of(j, JOB_DONE, &a), 0);
        assert_int_equal(ledger_send(world->ledger, &known[1]), 0);
        await(2);
        gate_close();
        send_event(&record, 0);
        gate_await();
        page.events.query = (EventQuery){.state = -1};
        assert_int_equal(ledger_send(world->ledger, &stats), 0);
        assert_int_equal(ledger_send(world->ledger, &page), 0);
        attempts.attempts.query = (AttemptQuery){.target = SPAN("endpoint:a"), .success = -1};
        target.target.target = SPAN("endpoint:a");
        assert_int_equal(ledger_send(world->ledger, &attempts), 0);
        assert_int_equal(ledger_send(world->ledger, &target), 0);
        await(6);
        assert_int_equal(stats.stats.events, 1);
        assert_int_equal(page.events.ret->n, 1);
        assert_int_equal(attempts.attempts.ret->n, 1);
        assert_int_equal(attempts.attempts.ret->attempts[0].job, 6);
        assert_int_equal(target.target.ret.jobs[JOB_DONE], 1);
        event_page_free(page.events.ret);
        attempt_page_free(attempts.attempts.ret);
        gate_open(0, 0);
        await(7);
        drop_events(&record, 1);
        job_free(j);
        event_unref(event);
}

static void on_object(void *arg, const Object *o) {
        *(int64_t *)arg += o->id;
}

static void objects_are_told_while_the_threads_run(void **state) {
        LedgerRequest r[2];
        int64_t sum = 0;
        Err e = {0};

        (void)state;
        for (int i = 0; i < 2; i++) {
                prepare(&r[i], (Write){.kind = WRITE_OBJECT}, i);
                r[i].write.object.object = (Object){.kind = OBJECT_APPLICATION, .id = 90 + i};
                assert_int_equal(ledger_send(world->ledger, &r[i]), 0);
        }
        await(2);
        assert_int_equal(r[1].write.object.result, OBJECT_WRITTEN);
        assert_true(r[1].write.object.object.version > r[0].write.object.object.version);
        assert_int_equal(ledger_each_object(world->ledger, on_object, &sum, &e), 0);
        assert_int_equal(sum, 181);
}

static void strange_urls_are_refused(void **state) {
        Ledger *l = NULL;
        LedgerOptions o = {.url = SPAN("oracle:x")};
        Err e = {0};

        (void)state;
        assert_int_equal(ledger_open(&o, &l, &e), -EINVAL);
        assert_non_null(strstr(e.text, "oracle:x"));
        e = (Err){0};
        o.url = SPAN("sqlite:/nonexistent/x.db");
        assert_true(ledger_open(&o, &l, &e) < 0);
        assert_non_null(strstr(e.text, "/nonexistent/x.db"));
        assert_null(l);
}

/* Old events go by themselves, those with work left stay. */
static void the_thread_trims(void **state) {
        Place p;
        char url[128];
        Err e = {0};
        Ledger *l = NULL;
        LedgerRequest r[20], stats;

        (void)state;
        place_make(&p);
        (void)snprintf(url, sizeof url, "sqlite:%s", p.path);
        LedgerOptions o = {.url = span_of(url), .keep = {.before_ms = 3600 * 1000}};
        assert_int_equal(ledger_open(&o, &l, &e), 0);
        for (int i = 0; i < 20; i++) {
                Event *event = make_event(10 + i, NULL, "{}");

                event->received_ms = i < 15 ? 1000 : clock_wall_ms();
                prepare(&r[i], record_of(event, NULL, 0), i);
                assert_int_equal(ledger_send(l, &r[i]), 0);
        }
        await(20);
        size_t n = 20;
        do {
                prepare(&stats, (Write){0}, 0);
                stats.ask = ASK_STATS;
                assert_int_equal(ledger_send(l, &stats), 0);
                await(++n);
        } while (stats.stats.events != 5);
        ledger_close(l);
        drop_events(r, 20);
        place_done(&p);
}

#define LEDGER_TEST(test) cmocka_unit_test_setup_teardown(test, start, end)

int main(void) {
        const struct CMUnitTest tests[] = {
                LEDGER_TEST(what_arrives_during_a_commit_shares_the_next),
                LEDGER_TEST(records_of_one_request_stay_together),
                LEDGER_TEST(none_of_a_request_is_stored_when_there_is_no_room),
                LEDGER_TEST(requests_take_effect_in_their_order),
                LEDGER_TEST(a_question_for_a_key_sees_what_was_recorded_before),
                LEDGER_TEST(too_many_records_are_refused_others_never),
                LEDGER_TEST(too_many_bytes_are_refused),
                LEDGER_TEST(too_many_jobs_are_refused),
                LEDGER_TEST(jobs_fill_a_batch_too),
                LEDGER_TEST(a_full_disk_refuses_records_and_keeps_settles),
                LEDGER_TEST(what_may_wait_shares_the_next_commit),
                LEDGER_TEST(a_broken_commit_answers_nobody),
                LEDGER_TEST(closing_answers_what_was_sent),
                LEDGER_TEST(each_home_gets_its_own),
                LEDGER_TEST(echoes_are_heard_in_the_order_of_commits),
                LEDGER_TEST(echoes_of_many_batches),
                LEDGER_TEST(more_listeners_than_one_turn_answers),
                LEDGER_TEST(echoes_hear_of_faults_too),
                LEDGER_TEST(closing_tells_everyone),
                LEDGER_TEST(a_refused_record_tells_nobody),
                LEDGER_TEST(questions_are_answered_beside_the_writer),
                LEDGER_TEST(objects_are_told_while_the_threads_run),
                LEDGER_TEST(strange_urls_are_refused),
                LEDGER_TEST(the_thread_trims),
        };

        return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
