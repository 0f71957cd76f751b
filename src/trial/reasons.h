/* SPDX-License-Identifier: Apache-2.0
 *
 * The reasons why a delivery is taken or refused, and which flows want it, as rows. */
#pragma once

#include "flow/snapshot.h"
#include "http/head.h"
#include "ledger/event.h"
#include "trial/rows.h"

/* Headers that the verification looks at: they, and nothing else, are the proof. */
typedef struct Proof {
        bool holds;
        const char *names[16];
        size_t n;
        Span id; /* what the scheme takes for the message's id; .p NULL: none */
} Proof;

/* Scheme, headers, age, and which of the live secrets it was. */
void reasons_verify(const SourceConfig *s, const HttpHeader *headers, size_t n, Span body,
                    int64_t now_ms, Rows *rows, Proof *ret);
/* Key, type and time, as they were recorded. `signed_id`: what was signed as the message's id, `id`
 * what the request itself has for it, .p NULL for none. */
void reasons_event(const SourceConfig *s, const Event *event, Span signed_id, Span id, Rows *rows);
/* Does the flow want an event of that type? A flow that names none has no row. */
bool reasons_type(const Flow *f, Span type, Rows *rows);
/* The rules of the flow's match, and whether it runs. */
bool reasons_match(const Flow *f, Span body, Rows *rows);
/* How the source is answered. */
void reasons_reply(const Flow *f, const Source *s, Rows *rows);
/* Can `program`, of the step at `index`, be known from the event alone? */
bool reasons_is_early(const Flow *f, size_t index, const Program *program);
