/* SPDX-License-Identifier: Apache-2.0
 *
 * A sorted list of events (and of each a job) in few bytes: differences as LEB128 numbers of seven
 * bits a byte, the lowest first. Ids of one moment differ by little: four to seven bytes each. */
#pragma once

#include "base/buf.h"

typedef struct RunEntry {
        int64_t event, job; /* job 0: of an event alone */
} RunEntry;

/* By event, then by job. */
int run_entry_order(const void *a, const void *b);

/* Appends to `out` what comes after `before` (zeros at the begin). `with_job`: in all of a list, or
 * in none. */
MUST_CHECK int run_code_add(Buf *out, RunEntry before, RunEntry entry, bool with_job);
/* Reads on from *pos (0 at the begin) and *entry (zeros): 1 with the next one in *entry, 0 at the
 * end, -EBADMSG. */
MUST_CHECK int run_code_next(Span code, bool with_job, size_t *pos, RunEntry *entry);
