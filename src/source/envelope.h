/* SPDX-License-Identifier: Apache-2.0
 *
 * How the requests of a product hold events: one table row and one file for each way. Opening one
 * gives the events as they stand in it, byte for byte, and what it says about them. */
#pragma once

#include "base/arena.h"
#include "http/head.h"

enum { ENVELOPE_EVENTS_MAX = 256, ENVELOPE_META_MAX_BYTES = 4 * 1024 };

typedef struct EnvelopeEvent {
        Span body; /* JSON, within the request's body; empty: the event has no data */
        /* As plain text, in the arena or the request; .p NULL where the envelope is silent. */
        Span type, subject, time, key;
        bool is_key_first;  /* the key goes before the source's `once`, whatever that says */
        bool is_always_new; /* nothing tells it from another with the same bytes: never a repeat */
        Span meta; /* members of `.meta`, without braces: "cloudevent":{...}; may be empty */
} EnvelopeEvent;

typedef struct EnvelopeCall {
        const HttpHead *head;
        Span body; /* checked JSON; empty only where the row says so */
        Arena *arena;
} EnvelopeCall;

typedef struct EnvelopeFault {
        int status;       /* of the refusal */
        const char *code; /* static */
        size_t event;     /* which of a list is at fault, from 1; 0: none of them alone */
        char why[200];
} EnvelopeFault;

typedef struct Envelope {
        const char *name; /* as written after `envelope:` of a source */
        const char *help;
        bool may_be_empty; /* a request without a body may be an event */
        size_t events_max; /* in one request: 1 or ENVELOPE_EVENTS_MAX */
        /* `ret` has room for events_max, zeroed. The number of events, 0 or more; < 0 with
         * *fault: then nothing of the call is taken. Pure. */
        int (*open)(const EnvelopeCall *call, EnvelopeEvent *ret, EnvelopeFault *fault);
} Envelope;

extern const Envelope *const envelopes[]; /* ended by NULL; the first is the default */
const Envelope *envelope_find(Span name); /* NULL when unknown */

/* ---- for the rows ---- */

extern const Envelope envelope_body, envelope_graph, envelope_okta_event, envelope_cloudevents;

/* Says why; always returns -EBADMSG. */
int envelope_fault(EnvelopeFault *fault, int status, const char *code, const char *format, ...)
        PRINTF_LIKE(4, 5);
/* The text of a string, number or truth value, in the arena; .p NULL for anything else. */
Span envelope_text(Arena *a, Span value);
/* One event for each element of `list`, with `fill` for what it says; as Envelope.open. `where` is
 * how the list is called in a fault. */
int envelope_each(const EnvelopeCall *call, Span list, const char *where, EnvelopeEvent *ret,
                  EnvelopeFault *fault,
                  int (*fill)(const EnvelopeCall *call, EnvelopeEvent *event,
                              EnvelopeFault *fault));
