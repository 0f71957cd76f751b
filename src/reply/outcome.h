/* SPDX-License-Identifier: Apache-2.0
 *
 * What became of a webhook, said once and neutrally; a dialect puts it into the form that the
 * source understands. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

enum { OUTCOME_ERRORS_MAX = 16 };

/* One complaint about one field of the source's own entity. */
typedef struct OutcomeError {
        Span pointer; /* RFC 6901 in the source's entity; empty when unknown */
        Span detail;  /* for a person */
        Span field;   /* the target's own name for it; empty when unknown */
} OutcomeError;

typedef struct Outcome {
        int status;       /* 2xx or the status of DESIGN section 6 */
        const char *code; /* a stable word such as "target-refused"; static */
        Span message;     /* for a person who pressed Save */
        OutcomeError errors[OUTCOME_ERRORS_MAX];
        size_t n_errors;
        bool retryable;
        bool not_tried;        /* nothing was sent: the target is known to be away */
        int64_t retry_after_s; /* -1 when unsaid */
        Span data;             /* JSON: the full data, when asked for; empty otherwise */
        Span event;            /* "evt_..." or empty */
        Span event_url;        /* where to look; empty when there is none */
} Outcome;

/* A copy whose spans live in `a`; NULL on no room. */
Outcome *outcome_copy(Arena *a, const Outcome *o);
