/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/recording.h"

#include "base/clock.h"
#include "trigger/inlet.h"

static unsigned home_of(const Inlet *in, const Job *job) {
        return job->shard % in->n;
}

Recording *recording_new(Inlet *in, Event *event, size_t n_jobs) {
        return recording_new_together(in, &event, 1, n_jobs);
}

Recording *recording_new_together(Inlet *in, Event *const *events, size_t n_events, size_t n_jobs) {
        Recording *r = must_alloc(sizeof *r + in->n * sizeof r->echoes[0]);

        must(in->n <= LEDGER_ECHOES_MAX && n_events > 0 && n_events <= EVENTS_TOGETHER_MAX);
        r->in = in;
        r->events = must_alloc(n_events * sizeof(Event *));
        for (size_t i = 0; i < n_events; i++)
                r->events[i] = event_ref(events[i]);
        r->n_events = n_events;
        r->event = r->events[0];
        r->more = n_events > 1 ? must_alloc((n_events - 1) * sizeof *r->more) : NULL;
        r->jobs = must_alloc((n_jobs + 1) * sizeof(Job *));
        r->homes = must_alloc(n_jobs + 1);
        r->n_jobs = n_jobs;
        r->refs = 1;
        return r;
}

static void unref(Recording *r) {
        if (atomic_fetch_sub(&r->refs, 1) != 1)
                return;
        for (size_t i = 0; i < r->n_events; i++)
                event_unref(r->events[i]);
        free(r->events);
        free(r->more);
        free(r->jobs);
        free(r->homes);
        free(r);
}

static void let_go(Job *job) {
        waiter_unref(job->waiter);
        job_free(job);
}

static bool is_coming(const Job *job) {
        return job->state != JOB_WAITING && !job->spilled;
}

void recording_drop(Recording *r) {
        for (size_t i = 0; i < r->n_jobs; i++) {
                Job *job = r->jobs[i];

                if (is_coming(job))
                        atomic_fetch_sub(&r->in->all[home_of(r->in, job)].coming, 1);
                let_go(job);
        }
        unref(r);
}

/* An engine can say that it is full only when it has heard of what is on its way, and must take
 * that. */
static bool may_come(Inlet *home) {
        if (atomic_load(&home->full))
                return false;
        if (atomic_fetch_add(&home->coming, 1) < LEDGER_PENDING_MAX)
                return true;
        atomic_fetch_sub(&home->coming, 1);
        return false;
}

void recording_place(Recording *r) {
        int64_t now_ms = clock_wall_ms();

        for (size_t i = 0; i < r->n_jobs; i++) {
                Job *job = r->jobs[i];

                if (job->due_ms > now_ms)
                        job->state = JOB_WAITING;
                else
                        job->spilled = !may_come(&r->in->all[home_of(r->in, job)]);
        }
}

/* On the job's own loop: the commit has come. */
static void arrive(Inlet *home, Job *job, bool is_stored) {
        if (is_coming(job))
                atomic_fetch_sub(&home->coming, 1);
        if (is_stored && job->state == JOB_WAITING) {
                engine_due(home->engine, job->target, job->due_ms);
                let_go(job);
        } else if (is_stored && job->spilled) {
                engine_spilled(home->engine, job->target, job->id);
                let_go(job);
        } else if (is_stored) {
                engine_add(home->engine, job, clock_wall_ms());
        } else {
                let_go(job);
        }
}

static const Write *write_of(const Recording *r, size_t i) {
        return i == 0 ? &r->request.write : &r->more[i - 1];
}

RecordResult recording_result(const Recording *r, size_t i, int64_t *ret_known) {
        const Write *w = write_of(r, i);

        *ret_known = w->record.known_event;
        return w->record.result;
}

size_t recording_jobs(const Recording *r, size_t i) {
        return write_of(r, i)->record.n_jobs;
}

static void arrive_all(const Recording *r, unsigned home) {
        size_t at = 0;

        for (size_t i = 0; i < r->n_events; i++) {
                const Write *w = write_of(r, i);
                bool is_stored = r->request.result == 0 && w->record.result == RECORD_NEW;

                for (size_t end = at + w->record.n_jobs; at < end; at++)
                        if (r->homes[at] == home)
                                arrive(&r->in->all[home], r->jobs[at], is_stored);
        }
}

static void on_echo(LedgerEcho *echo) {
        Recording *r = CONTAINER_OF(echo->of, Recording, request);
        unsigned home = 0;

        while (&r->in->all[home].loop->inbox != echo->home)
                home++;
        arrive_all(r, home);
        unref(r);
}

static void on_done(LedgerRequest *q) {
        Recording *r = CONTAINER_OF(q, Recording, request);
        const __typeof__(q->write.record) *w = &q->write.record;
        char *type = w->answer_type, *body = w->answer_body;

        /* Only a call of one event hears its first answer again. */
        for (size_t i = 0; i + 1 < r->n_events; i++) {
                free(r->more[i].record.answer_type);
                free(r->more[i].record.answer_body);
        }
        r->fault = q->result;
        r->result = w->result;
        r->known_event = w->known_event;
        r->has_answer = w->has_answer;
        r->answer_status = w->answer_status;
        r->answer_type = span_of(type);
        r->answer_body = (Span){body, w->answer_body_n};
        /* The sender hears it before its own engine does: a job may end while it is added. */
        r->done(r, r->arg);
        arrive_all(r, r->in->loop->index);
        free(type);
        free(body);
        unref(r);
}

static void fill_writes(Recording *r) {
        size_t at = 0;

        for (size_t i = 0; i < r->n_events; i++) {
                Write *w = i == 0 ? &r->request.write : &r->more[i - 1];
                size_t from = at;

                while (at < r->n_jobs && r->jobs[at]->event == r->events[i])
                        at++;
                *w = (Write){.kind = WRITE_RECORD,
                             .record = {.event = r->events[i],
                                        .jobs = r->jobs + from,
                                        .n_jobs = at - from}};
        }
        must(at == r->n_jobs);
}

int recording_send(Recording *r, void (*done)(Recording *r, void *arg), void *arg) {
        bool is_home[LEDGER_ECHOES_MAX] = {false};
        int sent;

        r->done = done;
        r->arg = arg;
        for (size_t i = 0; i < r->n_jobs; i++) {
                r->homes[i] = (unsigned char)home_of(r->in, r->jobs[i]);
                is_home[r->homes[i]] = true;
        }
        r->request = (LedgerRequest){.ask = ASK_WRITE,
                                     .home = &r->in->loop->inbox,
                                     .done = on_done,
                                     .echoes = r->echoes,
                                     .more = r->more,
                                     .n_more = r->n_events - 1};
        fill_writes(r);
        for (unsigned i = 0; i < r->in->n; i++)
                if (is_home[i] && &r->in->all[i] != r->in)
                        r->echoes[r->request.n_echoes++] =
                                (LedgerEcho){.home = &r->in->all[i].loop->inbox, .heard = on_echo};
        atomic_store(&r->refs, 1 + (unsigned)r->request.n_echoes);
        sent = ledger_send(r->in->ledger, &r->request);
        if (sent < 0)
                atomic_store(&r->refs, 1);
        return sent;
}
