/* SPDX-License-Identifier: Apache-2.0
 *
 * An event: the durable record of one change, with the bytes exactly as they were received.
 * Immutable once made and counted by reference across threads. */
#pragma once

#include "base/base.h"

#include <stdatomic.h>

enum {
        EVENT_KEY_MAX_BYTES = 256,  /* longer delivery keys are hashed by their maker */
        EVENT_WORD_MAX_BYTES = 256, /* source, type */
        EVENT_SUBJECT_MAX_BYTES = 1024,
};

typedef struct Event {
        _Atomic unsigned refs;
        int64_t id;          /* ordered, "evt_..." when printed */
        int64_t received_ms; /* wall clock */
        int64_t time_ms;     /* when the change happened, as the event says; 0 unsaid */
        Span source;         /* the name in the configuration */
        Span key;            /* delivery key within the source; empty: never a repeat */
        Span type, subject;  /* may be empty */
        Span content_type;   /* may be empty */
        Span trace;          /* traceparent; may be empty */
        Span meta;           /* JSON object of what its maker knows beside the body: channels, tags,
                                depth, origin; may be empty */
        Span body;           /* byte for byte */
} Event;

/* Copies all that `parts` lends (its refs field is ignored) into one block; refs is 1. */
Event *event_new(const Event *parts);
Event *event_ref(Event *e);
Event *event_unref(Event *e); /* accepts NULL, returns NULL */
