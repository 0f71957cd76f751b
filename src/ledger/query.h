/* SPDX-License-Identifier: Apache-2.0
 *
 * What questions want, in one place for every store. */
#pragma once

#include "ledger/view.h"

enum {
        PAGE_FULL_BYTES = 8 * 1024 * 1024,  /* what is more waits for the next page */
        PAGE_MAX_BYTES = 256 * 1024 * 1024, /* ... but for one event, with its body and jobs */
};

static inline size_t query_page_max(size_t max) {
        return max == 0 || max > EVENT_PAGE_MAX ? EVENT_PAGE_MAX : max;
}
/* Source, type, channel and time; not its place in the list, and not its jobs. */
bool query_wants_event(const EventQuery *q, const Event *e);
static inline bool query_asks_for_jobs(const EventQuery *q) {
        return q->target.n > 0 || q->state >= 0;
}
/* One such job is enough. */
bool query_wants_job(const EventQuery *q, Span target, JobState state);
/* Type and channel. */
bool query_wants_attempts_of(const AttemptQuery *q, const Event *e);
/* Outcome and time. */
bool query_wants_attempt(const AttemptQuery *q, const Attempt *a);

/* Where a list of attempts goes on: with what comes after this one in the order (event, job,
 * number), the greatest first. A job that is gone stands for its moment: ids are made later than
 * those of their events, by moments. */
typedef struct AttemptPlace {
        int64_t event, job;
        unsigned number;
} AttemptPlace;

enum {
        PLACE_IS_EVENT = UINT32_MAX
}; /* before_number: before_job is no job, but an event's bound */

/* `event_of_job`: 0 when there is no such job. */
AttemptPlace query_place(const AttemptQuery *q, int64_t event_of_job);
/* Does this one come after the place? */
bool query_is_after(const AttemptPlace *p, int64_t event, int64_t job, unsigned number);
