/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of envelopes, and what they share. A new one is a file with one Envelope in it and a
 * row here. */
#include "source/envelope.h"

#include "json/value.h"

static int open_body(const EnvelopeCall *call, EnvelopeEvent *ret, EnvelopeFault *fault) {
        (void)fault;
        ret->body = call->body;
        return 1;
}

const Envelope envelope_body = {
        .name = "body",
        .help = "one event: the body",
        .events_max = 1,
        .open = open_body,
};

const Envelope *const envelopes[] = {
        &envelope_body, &envelope_graph, &envelope_okta_event, &envelope_cloudevents, NULL,
};

const Envelope *envelope_find(Span name) {
        for (const Envelope *const *e = envelopes; *e; e++)
                if (span_eq(name, span_of((*e)->name)))
                        return *e;
        return NULL;
}

int envelope_fault(EnvelopeFault *fault, int status, const char *code, const char *format, ...) {
        va_list ap;

        fault->status = status;
        fault->code = code;
        va_start(ap, format);
        (void)vsnprintf(fault->why, sizeof fault->why, format, ap);
        va_end(ap);
        return -EBADMSG;
}

Span envelope_text(Arena *a, Span value) {
        AUTO(buf_done)
        Buf b = BUF(4096);

        if (!value.p || json_kind(value) == JSON_NULL || json_text(value, &b) < 0)
                return (Span){NULL, 0};
        return arena_span(a, b.n ? buf_span(&b) : SPAN(""));
}

int envelope_each(const EnvelopeCall *call, Span list, const char *where, EnvelopeEvent *ret,
                  EnvelopeFault *fault,
                  int (*fill)(const EnvelopeCall *call, EnvelopeEvent *event,
                              EnvelopeFault *fault)) {
        size_t pos = 0;
        Span key, value;
        int n = 0;

        if (!list.p || json_kind(list) != JSON_ARRAY)
                return envelope_fault(fault, 400, "bad-envelope", "%s is no list of events", where);
        while (json_next(list, &pos, &key, &value)) {
                if (n == ENVELOPE_EVENTS_MAX)
                        return envelope_fault(fault, 413, "too-many-events",
                                              "%s holds more than %d events", where,
                                              ENVELOPE_EVENTS_MAX);
                ret[n].body = json_trim(value);
                fault->event = (size_t)n + 1;
                if (json_kind(value) != JSON_OBJECT)
                        return envelope_fault(fault, 400, "bad-envelope",
                                              "event %d of %s is no object", n + 1, where);
                int r = fill(call, &ret[n], fault);
                if (r < 0)
                        return r;
                fault->event = 0;
                n++;
        }
        return n;
}
