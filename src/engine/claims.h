/* SPDX-License-Identifier: Apache-2.0
 *
 * When to ask the ledger for jobs: one question at a time, for what is due or for the backlog of
 * one target (engine/queue.h), by turns while there are both. */
#pragma once

#include "base/base.h"

enum { CLAIM_AGAIN_MS = 1000 }; /* after a fault */

typedef struct Claims {
        bool is_asking;
        bool asked_due;        /* the latest question was for what is due */
        int64_t next_due_ms;   /* of the waiting jobs in the ledger, as far as we know */
        int64_t not_before_ms; /* after a fault */
        size_t asked_max;
} Claims;

void claims_init(Claims *c);
/* A job waits in the ledger until then. */
void claims_due(Claims *c, int64_t due_ms);
/* When to ask for what is due; INT64_MAX: not before something happens. */
int64_t claims_when(const Claims *c);
void claims_asked(Claims *c, bool due, size_t max);
void claims_failed(Claims *c, int64_t now_ms);
void claims_heard(Claims *c, bool more, int64_t next_due_ms, int64_t now_ms);
