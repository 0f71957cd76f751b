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

/* When its change was made, for telling which of two is the later (wall clock ms; 0: it does not
 * say). A clock that is ahead must not make all that follows look old: a time that is yet to come
 * counts as the second in which we heard of it, as many sources tell whole seconds. */
static inline int64_t event_changed_ms(const Event *e) {
        return e->time_ms <= e->received_ms ? e->time_ms : e->received_ms - e->received_ms % 1000;
}

/* Copies all that `parts` lends (its refs field is ignored) into one block; refs is 1. */
Event *event_new(const Event *parts);
Event *event_ref(Event *e);
Event *event_unref(Event *e); /* accepts NULL, returns NULL */
