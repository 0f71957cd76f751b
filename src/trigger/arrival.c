/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/arrival.h"

#include "trigger/intake.h"

struct Arriving {
        void (*done)(void *arg, const ArrivalOut *out);
        void *arg;
        Arrived *events; /* room for all */
};

static void tell(const Intake *k, const ArrivalOut *out) {
        k->arriving->done(k->arriving->arg, out);
}

/* While expressions are evaluated, one event after the other, a refusal is about one of them. */
static size_t at_fault(const Intake *k) {
        return k->item < k->n_items ? k->item + 1 : 0;
}

void arrival_refused(Intake *k, const Outcome *o) {
        char *why = arena_text(k->arena, o->message);

        tell(k, &(ArrivalOut){.fault = o->retryable ? -EAGAIN : -EINVAL,
                              .code = o->code,
                              .why = why ? why : "it is too large",
                              .at_fault = at_fault(k)});
}

static Arrived result_of(const Recording *r, size_t i) {
        Arrived ret = {.id = r->events[i]->id};
        int64_t known = 0;

        ret.result = recording_result(r, i, &known);
        if (ret.result == RECORD_NEW)
                ret.jobs = recording_jobs(r, i);
        else
                ret.id = known;
        return ret;
}

static void on_recorded(Recording *r, void *arg) {
        Intake *k = arg;
        Arrived *events = k->arriving->events;

        if (r->fault < 0) {
                intake_refuse(k, 503, "ledger", "the events could not be stored; try again");
                return;
        }
        ArrivalOut out = {.events = events};
        for (size_t i = 0; i < r->n_events; i++) {
                events[i] = result_of(r, i);
                out.n_new += events[i].result == RECORD_NEW;
                out.n_known += events[i].result != RECORD_NEW;
        }
        out.first = events[0].id;
        k->in->counts.accepted += out.n_new;
        k->in->counts.repeats += out.n_known;
        tell(k, &out);
        intake_free(k);
}

void arrival_record(Intake *k) {
        Recording *r = intake_recording(k);

        if (!r) {
                intake_refuse(k, 404, "unmatched", "no flow or endpoint wants this event");
        } else if (recording_send(r, on_recorded, k) < 0) {
                recording_drop(r);
                intake_refuse(k, 503, "busy", "too much is waiting to be stored; try again soon");
        }
}

/* One that has no text stays without. */
static Span copy(Intake *k, Span s, bool *ret_fits) {
        Span kept = s.p ? arena_span(k->arena, s) : s;

        *ret_fits &= !s.p || kept.p;
        return kept;
}

static bool take(Intake *k, const EnvelopeEvent *events, size_t n) {
        bool fits = true;

        k->items = arena_alloc(k->arena, n * sizeof *k->items);
        k->arriving->events = arena_alloc(k->arena, n * sizeof *k->arriving->events);
        if (!k->items || !k->arriving->events)
                return false;
        for (size_t i = 0; i < n && fits; i++) {
                const EnvelopeEvent *e = &events[i];
                Item *item = &k->items[i];

                item->in = (EnvelopeEvent){.body = copy(k, e->body, &fits),
                                           .type = copy(k, e->type, &fits),
                                           .subject = copy(k, e->subject, &fits),
                                           .time = copy(k, e->time, &fits),
                                           .key = copy(k, e->key, &fits),
                                           .is_key_first = e->is_key_first,
                                           .meta = copy(k, e->meta, &fits),
                                           .is_always_new = e->is_always_new};
                item->view = item->in.body.n ? item->in.body : SPAN("null");
        }
        k->n_items = fits ? n : 0;
        return fits;
}

static Intake *begin(Inlet *in, Span source, void (*done)(void *arg, const ArrivalOut *out),
                     void *arg) {
        Intake *k = intake_new(in);

        k->arriving = arena_alloc(k->arena, sizeof *k->arriving);
        must(k->arriving);
        *k->arriving = (struct Arriving){.done = done, .arg = arg};
        k->source = snapshot_source(k->snapshot, source);
        return k;
}

static void take_in(Intake *k, const EnvelopeEvent *events, size_t n) {
        if (!k->source)
                intake_refuse(k, 404, "unknown-source", "there is no source of this name");
        else if (!take(k, events, n))
                intake_refuse(k, 413, "too-large", "the events are too large");
        else
                intake_ask(k);
}

void arrival_send_to(Inlet *in, Span flow, Span source, const EnvelopeEvent *event,
                     void (*done)(void *arg, const ArrivalOut *out), void *arg) {
        Intake *k = begin(in, source, done, arg);

        k->only = snapshot_flow(k->snapshot, flow);
        if (!k->only)
                intake_refuse(k, 404, "unknown-flow", "there is no flow of this name");
        else
                take_in(k, event, 1);
}

void arrival_send(Inlet *in, Span source, const EnvelopeEvent *events, size_t n, Span trace,
                  void (*done)(void *arg, const ArrivalOut *out), void *arg) {
        Intake *k = begin(in, source, done, arg);
        bool fits = true;

        must(n > 0 && n <= ENVELOPE_EVENTS_MAX);
        k->trace = copy(k, trace, &fits);
        if (fits)
                take_in(k, events, n);
        else
                intake_refuse(k, 413, "too-large", "the events are too large");
}
