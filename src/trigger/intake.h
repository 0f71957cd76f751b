/* SPDX-License-Identifier: Apache-2.0
 *
 * One call of a source on its way in, between the files that carry it: webhook.c verifies, reads
 * and answers; unpack.c finds the events in it, who wants them and what their expressions give; and
 * facts.c makes of that what is recorded. */
#pragma once

#include "http/prefer.h"
#include "trigger/inlet.h"
#include "trigger/recording.h"

/* The type comes first: it takes part in the plan, and flows' subjects come behind that. */
enum { VALUE_TYPE, VALUE_ONCE, VALUE_PREFER, VALUE_TIME, VALUE_SUBJECTS };
enum { VALUES_MAX = VALUE_SUBJECTS + FLOWS_PER_EVENT_MAX };

/* One event of the call. */
typedef struct Item {
        EnvelopeEvent in; /* as the envelope gave it */
        Span view; /* what expressions see: the body, the JSON of a form, "null" for nothing */
        Span type; /* text; empty when nothing tells it */
        const Flow *flows[FLOWS_PER_EVENT_MAX];
        size_t n_flows;
        const Declared **endpoints; /* of the file, by source and match */
        size_t n_endpoints;
        const Program *programs[VALUES_MAX];
        Span values[VALUES_MAX]; /* JSON; .p NULL for nothing */
        bool is_planned;
} Item;

struct Intake {
        Inlet *in;
        Exchange *x;          /* NULL: no webhook brought it (trigger/arrival.h) */
        const HttpHead *head; /* of the webhook, or NULL */
        Span body;
        Snapshot *snapshot;
        const Source *source;
        Arena *arena;
        int64_t received_ms, received_mono_ms;
        Span view; /* the body as JSON */
        bool is_form;
        Prefer prefer;
        Item *items;
        size_t n_items, n_jobs;
        size_t item, at; /* which expression is being evaluated */
        MapCall call;
        MapRoot root[1];
        Span message_id;
        JwkSet *keys; /* that were asked for, of rules whose keys are fetched */
        uint64_t keys_number, keys_seen;
        unsigned key_asks;
        Waiter *waiter;
        bool is_recorded, is_told; /* what was heard of it, in any order */
        int64_t event_id;          /* of the first */
        Span trace;                /* where no head tells it */
        const Flow *only;          /* it is for this flow alone; NULL: for whoever matches */
        struct Arriving *arriving; /* who is told in the place of a source */
};

Intake *intake_new(Inlet *in);
void intake_free(Intake *k);
/* Nothing of it is taken; the intake is gone. */
void intake_refuse(Intake *k, int status, const char *code, const char *message);

/* The same, said by an outcome whose spans may be the intake's own. */
void intake_refuse_with(Intake *k, const Outcome *o);

/* Finds the events of the verified call and evaluates what has to be known before they are
 * recorded; then calls intake_record. Or it is refused. */
void intake_unpack(Intake *k);
/* Every value is known. */
void intake_record(Intake *k);

/* The items are known: evaluates what has to be known of them, then calls intake_record. */
void intake_ask(Intake *k);
/* The record of all its events, with their jobs, placed; NULL when nobody wants what the source
 * only takes when somebody does. */
Recording *intake_recording(Intake *k);

/* ---- arrival.c: where no webhook brought it ---- */

void arrival_refused(Intake *k, const Outcome *o);
void arrival_record(Intake *k);

/* NULL when there is no room. The caller's reference. */
Event *intake_event(Intake *k, const Item *item);
Job *intake_job(Intake *k, const Item *item, size_t flow, Event *event);
/* What the headers and the body of a single event prefer. */
Prefer intake_preferences(Intake *k);
/* As text of at most `max` bytes, in the arena; .p NULL for what is none. */
Span intake_text(Intake *k, Span value, size_t max);
