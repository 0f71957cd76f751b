/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/message.h"

#include "base/clock.h"
#include "base/table.h"
#include "trigger/recording.h"

/* All messages of one call. */
typedef struct Sending {
        Inlet *in;
        size_t n, n_pending; /* messages that are not through */
        bool all_delivered;
        void (*done)(void *arg, const MessageOut *out, size_t n, bool all_delivered);
        void *arg;
        MessageOut *out;
        struct Parcel *parcels;
        Note note; /* the last to be through: done is never called from within message_send */
} Sending;

/* One message, until it is through: committed, and heard of by its waiter if it has one. */
typedef struct Parcel {
        Sending *sending;
        MessageOut *out;
        Waiter *waiter;
        bool is_recorded, is_told;
} Parcel;

static void through(Parcel *p, bool delivered) {
        Sending *s = p->sending;

        /* Also when no job will ever tell: it was a repeat, or was not stored. */
        if (p->waiter)
                heap_remove(&s->in->patience, &p->waiter->patience);
        p->waiter = waiter_unref(p->waiter);
        s->all_delivered = s->all_delivered && delivered;
        if (--s->n_pending > 0)
                return;
        s->done(s->arg, s->out, s->n, s->all_delivered);
        free(s->out);
        free(s->parcels);
        free(s);
}

static void on_told(Waiter *w) {
        Parcel *p = w->arg;

        p->is_told = true;
        if (p->is_recorded)
                through(p, w->outcome && w->outcome->status < 300);
}

static void on_recorded(Recording *r, void *arg) {
        Parcel *p = arg;
        MessageOut *out = p->out;

        p->is_recorded = true;
        out->fault = r->fault;
        out->result = r->result;
        if (r->fault == 0 && r->result == RECORD_NEW) {
                p->sending->in->counts.messages++;
                p->sending->in->counts.accepted++;
        }
        if (r->fault < 0)
                out->why = "the message could not be stored; try again";
        else if (r->result != RECORD_NEW)
                out->id = r->known_event;
        if (!p->waiter || r->fault < 0 || r->result != RECORD_NEW)
                through(p, r->fault == 0 && r->n_jobs == 0);
        else if (p->is_told)
                through(p, p->waiter->outcome && p->waiter->outcome->status < 300);
}

/* ---- from a message to an event and its jobs ---- */

static Event *make_event(Inlet *in, const MessageIn *m, int64_t now_ms) {
        char source[ID_TEXT];

        id_print("app", m->application, source);
        return event_new(&(Event){
                .id = id_make(&in->ids, now_ms),
                .received_ms = now_ms,
                .time_ms = now_ms,
                .source = span_of(source),
                .key = m->key,
                .type = m->type,
                .subject = m->subject,
                .content_type = m->content_type.n ? m->content_type : SPAN("application/json"),
                .trace = m->trace,
                .meta = m->meta,
                .body = m->payload,
        });
}

/* All work of one endpoint lives on one loop: so its queue, pace and breaker are there alone. */
static uint8_t shard_of(const Inlet *in, const Endpoint *p) {
        uint64_t id = (uint64_t)p->id;

        return (uint8_t)hash_keyed(key_u64(&id), in->lane_key[0], in->lane_key[1]);
}

static uint64_t lane_of(const Inlet *in, const Endpoint *p, Span subject) {
        AUTO(buf_done)
        Buf name = BUF(2 * EVENT_SUBJECT_MAX_BYTES);
        int r = buf_add(&name, span_of(p->target));

        if (p->order == ORDER_NONE || (p->order == ORDER_SUBJECT && subject.n == 0))
                return 0;
        if (r == 0 && p->order == ORDER_SUBJECT)
                r = buf_addf(&name, "%c" SPAN_FMT, 1, SPAN_ARG(subject));
        must(r == 0);
        return hash_keyed(buf_span(&name), in->lane_key[0], in->lane_key[1]) | 1;
}

Job *message_job(Inlet *in, Event *event, const Endpoint *p) {
        Job *j = job_new(id_make(&in->ids, clock_wall_ms()), event, span_of(p->target),
                         lane_of(in, p, event->subject));

        j->shard = shard_of(in, p);
        return j;
}

static bool wants(const MessageIn *m, const Endpoint *p) {
        return m->endpoint ? m->endpoint == p->id && !p->is_disabled
                           : endpoint_wants(p, m->type, m->channels, m->n_channels);
}

static Recording *make_recording(Inlet *in, const MessageIn *m, const EndpointSet *set) {
        int64_t now_ms = clock_wall_ms();
        Event *event = make_event(in, m, now_ms);
        Recording *r = recording_new(in, event, set->n);

        r->n_jobs = 0;
        for (size_t i = 0; i < set->n; i++) {
                const Endpoint *p = set->endpoints[i];

                if (!wants(m, p))
                        continue;
                r->jobs[r->n_jobs] = message_job(in, event, p);
                r->jobs[r->n_jobs++]->due_ms = m->deliver_ms;
        }
        event_unref(event);
        recording_place(r);
        return r;
}

/* ---- who waits ---- */

static void start_waiting(Parcel *p, Recording *r, int64_t wait_ms) {
        Inlet *in = p->sending->in;
        unsigned held = 0;

        for (size_t i = 0; i < r->n_jobs; i++)
                held += r->jobs[i]->state == JOB_QUEUED && !r->jobs[i]->spilled;
        /* What is not in memory will not end in time. */
        if (held == 0 || held < r->n_jobs)
                return;
        p->waiter = waiter_new(&in->loop->inbox, held);
        p->waiter->on_told = on_told;
        p->waiter->arg = p;
        p->waiter->until_ms = INT64_MAX;
        for (size_t i = 0; i < r->n_jobs; i++)
                r->jobs[i]->waiter = waiter_ref(p->waiter);
        heap_push(&in->patience, &p->waiter->patience, clock_mono_ms() + wait_ms);
        inlet_set_timer(in);
}

static void on_turn(Note *n) {
        Sending *s = CONTAINER_OF(n, Sending, note);

        through(&s->parcels[s->n], true);
}

static void send_one(Parcel *p, const MessageIn *m, const EndpointSet *set, int64_t wait_ms) {
        Sending *s = p->sending;
        Recording *r = make_recording(s->in, m, set);

        p->out->id = r->event->id;
        p->out->received_ms = r->event->received_ms;
        p->out->endpoints = r->n_jobs;
        if (wait_ms > 0)
                start_waiting(p, r, wait_ms);
        if (recording_send(r, on_recorded, p) == 0)
                return;
        if (p->waiter)
                heap_remove(&s->in->patience, &p->waiter->patience);
        recording_drop(r);
        p->waiter = waiter_unref(p->waiter);
        p->out->fault = -EAGAIN;
        p->out->why = "too much is waiting to be stored; try again soon";
        s->all_delivered = false;
        s->n_pending--;
}

void message_send(Inlet *in, const MessageIn *messages, size_t n, int64_t wait_ms,
                  void (*done)(void *arg, const MessageOut *out, size_t n, bool all_delivered),
                  void *arg) {
        Sending *s = must_alloc(sizeof *s);

        must(n <= MESSAGE_BATCH_MAX);
        *s = (Sending){.in = in,
                       .n = n,
                       .n_pending = n + 1, /* the last is the note's */
                       .all_delivered = true,
                       .done = done,
                       .arg = arg,
                       .note = {.read = on_turn}};
        s->out = must_alloc((n + 1) * sizeof *s->out);
        s->parcels = must_alloc((n + 1) * sizeof *s->parcels);
        s->parcels[n] = (Parcel){.sending = s};
        for (size_t i = 0; i < n; i++) {
                EndpointSet *set = registry_endpoints(in->registry, messages[i].application);

                s->parcels[i] = (Parcel){.sending = s, .out = &s->out[i]};
                if (set) {
                        send_one(&s->parcels[i], &messages[i], set, wait_ms);
                } else {
                        s->out[i].fault = -ENOENT;
                        s->out[i].why = "there is no such application";
                        s->all_delivered = false;
                        s->n_pending--;
                }
                endpoint_set_unref(set);
        }
        inbox_send(&in->loop->inbox, &s->note);
}
