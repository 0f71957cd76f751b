/* SPDX-License-Identifier: Apache-2.0
 *
 * When the ledger may be asked for jobs: one question at a time, for what is due of one target or
 * for the backlog of one (engine/queue.h), by turns while there are both. */
#pragma once

#include "base/base.h"

enum { CLAIM_AGAIN_MS = 1000 }; /* after a fault */

typedef struct Claims {
        bool is_asking;
        bool asked_due;        /* the latest question was for what is due ... */
        int64_t asked_from_ms; /* ... from then on */
        int64_t not_before_ms; /* after a fault */
        size_t asked_max;
} Claims;

void claims_init(Claims *c);
void claims_asked(Claims *c, bool due, int64_t from_ms, size_t max);
void claims_failed(Claims *c, int64_t now_ms);
void claims_heard(Claims *c);
