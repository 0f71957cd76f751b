/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/arrival.h"

#include "trigger/intake.h"
#include "trigger/message.h"
#include "json/value.h"

struct Arriving {
        void (*done)(void *arg, const ArrivalOut *out);
        void *arg;
        Arrived *events; /* room for all */
        bool is_judged;  /* by the source's schema, and whether it is of a circle */
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

/* The first of the events that is one round too many of a circle; n where there is none. */
static size_t find_too_deep(const Intake *k, const EnvelopeEvent *events, size_t n) {
        for (size_t i = 0; i < n; i++) {
                const char *meta = events[i].meta.n ? arena_printf(k->arena, "{" SPAN_FMT "}",
                                                                   SPAN_ARG(events[i].meta))
                                                    : NULL;
                Span depth = meta ? json_trim(json_member(span_of(meta), SPAN("depth")))
                                  : (Span){NULL, 0};
                uint64_t found;

                if (depth.n &&
                    (!span_to_u64(depth, INT64_MAX, &found) || found > MESSAGE_DEPTH_MAX))
                        return i;
        }
        return n;
}

/* False: it has refused, and k is gone. */
static bool may_come(Intake *k, const EnvelopeEvent *events, size_t n) {
        size_t deep = find_too_deep(k, events, n);

        if (deep == n)
                return intake_fits_schema(k);
        k->item = deep; /* that is at fault */
        intake_refuse(k, 422, "too-deep",
                      "more than 16 events led to this one: it is taken for a circle");
        return false;
}

static void take_in(Intake *k, const EnvelopeEvent *events, size_t n) {
        if (!k->source)
                intake_refuse(k, 404, "unknown-source", "there is no source of this name");
        else if (!take(k, events, n))
                intake_refuse(k, 413, "too-large", "the events are too large");
        else if (k->arriving->is_judged || may_come(k, events, n))
                intake_ask(k);
}

void arrival_send_to(Inlet *in, Span flow, Span source, const EnvelopeEvent *event,
                     void (*done)(void *arg, const ArrivalOut *out), void *arg) {
        Intake *k = begin(in, source, done, arg);

        k->only = snapshot_flow(k->snapshot, flow);
        k->arriving->is_judged = true; /* it has the flow's shape, not the source's */
        if (!k->only)
                intake_refuse(k, 404, "unknown-flow", "there is no flow of this name");
        else
                take_in(k, event, 1);
}

static void send_all(Intake *k, const EnvelopeEvent *events, size_t n, Span trace) {
        bool fits = true;

        must(n > 0 && n <= ENVELOPE_EVENTS_MAX);
        k->trace = copy(k, trace, &fits);
        if (fits)
                take_in(k, events, n);
        else
                intake_refuse(k, 413, "too-large", "the events are too large");
}

void arrival_send(Inlet *in, Span source, const EnvelopeEvent *events, size_t n, Span trace,
                  void (*done)(void *arg, const ArrivalOut *out), void *arg) {
        send_all(begin(in, source, done, arg), events, n, trace);
}

void arrival_send_judged(Inlet *in, Span source, const EnvelopeEvent *events, size_t n, Span trace,
                         void (*done)(void *arg, const ArrivalOut *out), void *arg) {
        Intake *k = begin(in, source, done, arg);

        k->arriving->is_judged = true;
        send_all(k, events, n, trace);
}
