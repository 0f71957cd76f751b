/* SPDX-License-Identifier: Apache-2.0
 *
 * When to ask the ledger for jobs: one question at a time; when something is due, when there is a
 * backlog, and again as long as there is more.
 *
 * The backlog are queued jobs that nobody holds: recorded without coming into memory (spilled), or
 * left behind by a crash. While there is one, every question is also for those, until an answer
 * says that no more are left. */
#pragma once

#include "base/base.h"

enum { CLAIM_AGAIN_MS = 1000 }; /* after a fault */

typedef struct Claims {
        bool is_asking, asked_queued;
        bool has_backlog;
        int64_t after_id;      /* the backlog's ids are greater */
        int64_t next_due_ms;   /* of the waiting jobs in the ledger, as far as we know */
        int64_t not_before_ms; /* after a fault */
        size_t asked_max;
} Claims;

void claims_init(Claims *c);
/* A job waits in the ledger until then. */
void claims_due(Claims *c, int64_t due_ms);
/* Queued jobs with ids above `after_id` lie in the ledger. */
void claims_backlog(Claims *c, int64_t after_id);
/* When to ask next; INT64_MAX: not before something happens. */
int64_t claims_when(const Claims *c);
void claims_asked(Claims *c, size_t max);
void claims_failed(Claims *c, int64_t now_ms);
void claims_heard(Claims *c, bool more, int64_t next_due_ms, int64_t now_ms);
