/* SPDX-License-Identifier: Apache-2.0
 *
 * Events that no webhook brought: what a trigger noticed, what a step emitted, what a backfill
 * read. From here on they go the way of all: planned onto the flows and endpoints that look at
 * their source, recorded with their jobs, run. */
#pragma once

#include "source/envelope.h"
#include "trigger/inlet.h"
#include "trigger/recording.h"

/* What became of one. */
typedef struct Arrived {
        RecordResult result;
        int64_t id;  /* its own, or that of the one that it repeats or is in conflict with */
        size_t jobs; /* flows and endpoints that a new one goes to; of others 0 */
} Arrived;

typedef struct ArrivalOut {
        int fault; /* 0; -EAGAIN: not stored, try again; -EINVAL: it can never be taken as it is */
        const char *code;      /* of a refusal, "mapping-failed" */
        const char *why;       /* a sentence */
        size_t n_new, n_known; /* events; the known ones are repeats and were not recorded again */
        int64_t first;         /* the id of the first event, new or known */
        const Arrived *events; /* each of them, in their order; NULL when they were refused */
        size_t at_fault;       /* of a refusal: which event, from 1; 0: none of them alone */
} ArrivalOut;

/* Judges events of that source by its schema and records them, `n` (1 to ENVELOPE_EVENTS_MAX), in
 * one commit or not at all; their spans are copied. An event whose key is known is left alone.
 * `done` is called once, on this loop's thread and perhaps before this returns; `out` is lent for
 * the call. */
void arrival_send(Inlet *in, Span source, const EnvelopeEvent *events, size_t n, Span trace,
                  void (*done)(void *arg, const ArrivalOut *out), void *arg);
/* The same for events that were judged already: by the source's schema, and whether too many led to
 * them. */
void arrival_send_judged(Inlet *in, Span source, const EnvelopeEvent *events, size_t n, Span trace,
                         void (*done)(void *arg, const ArrivalOut *out), void *arg);
/* The same for one event that is for one flow alone, whatever its `match` says, and for no
 * endpoint. Its key is the one that is given, which says too for whom it is: what the source calls
 * a repeat is not asked. -EINVAL, "unknown-flow", when the flow is gone. */
void arrival_send_to(Inlet *in, Span flow, Span source, const EnvelopeEvent *event,
                     void (*done)(void *arg, const ArrivalOut *out), void *arg);
