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
        const char *code; /* a stable word such as "target-refused" */
        Span message;     /* for a person who pressed Save */
        OutcomeError errors[OUTCOME_ERRORS_MAX];
        size_t n_errors;
        bool retryable;
        bool not_tried;        /* nothing was sent: the target is known to be away */
        int64_t retry_after_s; /* -1 when unsaid */
        Span data;             /* JSON: the full data, when asked for; empty otherwise */
        bool is_answer;        /* the flow made the data for the source: it goes out unasked */
        Span event;            /* "evt_..." or empty */
        Span event_url;        /* where to look; empty when there is none */
        Span request;          /* the delivery as it came, unchecked; empty when unknown */
} Outcome;

/* What a source has to be told apart, whatever its words for it. */
typedef enum OutcomeKind {
        OUTCOME_DONE,
        OUTCOME_ACCEPTED, /* recorded, and the work goes on */
        OUTCOME_STRANGER, /* could not be verified */
        OUTCOME_LATER,    /* failed, and trying again may help */
        OUTCOME_REFUSED,  /* failed for good */
} OutcomeKind;

OutcomeKind outcome_kind(const Outcome *o);

/* A copy whose spans live in `a`; NULL on no room. */
Outcome *outcome_copy(Arena *a, const Outcome *o);
