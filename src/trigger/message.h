/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages on their way in: what an application tells its subscribers. Each is recorded as an
 * event, with a job for each endpoint that wants it; several are one write to the ledger each and
 * share its commit. */
#pragma once

#include "trigger/inlet.h"

enum {
        MESSAGE_BATCH_MAX = 10000,
        MESSAGE_CHANNELS_MAX = 5,
        MESSAGE_PAYLOAD_MAX_BYTES = 8 * 1024 * 1024,
        MESSAGE_DEPTH_MAX = 16, /* of messages that messages cause: deeper ones are refused */
        MESSAGE_DELAY_MAX_MS = 365 * 24 * 3600 * 1000LL,
};

typedef struct MessageIn {
        int64_t application;
        Span type;         /* the event type's name */
        Span key;          /* eventId or idempotency key: a repeat is known by it; may be empty */
        Span subject;      /* which entity; for endpoints that keep the order; may be empty */
        Span content_type; /* empty: application/json */
        Span payload;      /* byte for byte what is sent */
        Span meta;         /* JSON object, see ledger/event.h: with "channels", "tags", "depth" */
        Span trace;
        const Span *channels; /* as in meta */
        size_t n_channels;
        int64_t deliver_ms; /* wall clock: not before; 0: at once */
        int64_t endpoint;   /* not 0: to this one alone, whatever it subscribed to */
} MessageIn;

typedef struct MessageOut {
        int fault;           /* < 0: it was not stored, and `why` says the reason */
        RecordResult result; /* of the record: new, repeat, conflict */
        int64_t id;          /* of the event, or of the one that it repeats; prints as "msg_..." */
        int64_t received_ms;
        size_t endpoints; /* that it goes to */
        const char *why;
} MessageOut;

/* A job of the event for the endpoint, as a message gets it: its lane by the endpoint's order, its
 * shard that of the endpoint. The caller's. */
Job *message_job(Inlet *in, Event *event, const Endpoint *p);

/* Records `n` messages; copies what they lend (subjects of at most EVENT_SUBJECT_MAX_BYTES). `done`
 * is called once, on this loop's thread and never inside this call, when all of them are committed
 * or refused; with `wait_ms` > 0 not before it is known of each whether its deliveries succeed at
 * their first attempt: the last has succeeded, the first has not, one does not run at once (it is
 * delayed, behind another, or there is no room), or that time has passed. `all_delivered` says
 * whether each has succeeded. `out` is lent for the call. */
void message_send(Inlet *in, const MessageIn *messages, size_t n, int64_t wait_ms,
                  void (*done)(void *arg, const MessageOut *out, size_t n, bool all_delivered),
                  void *arg);
