/* SPDX-License-Identifier: Apache-2.0
 *
 * A poll at work: what its looks have in common. */
#pragma once

#include "watch/poll.h"
#include "watch/poll_memory.h"

typedef struct Poll {
        Watch *watch;
        const PollOptions *o;
        PollMemory memory;
        int64_t known;    /* items that are remembered; -1: not counted yet */
        SeenItems seen;   /* in this look */
        SeenItems missed; /* in the one before, when it had several pages */
        Buf etag;         /* of all there is, when that was one page and all of it is remembered */
        int64_t pages, items, bytes;
        char why[512]; /* the look has failed, or a remark */
        int64_t wait_ms;
} Poll;

/* These return 0; 1 when the look has failed, and why; below 0 with `e` when the run has to end. */

/* Says why. */
int poll_fails(Poll *p, const char *format, ...) PRINTF_LIKE(2, 3);
/* The items of a page: what is new or different is handed in, then noted. */
MUST_CHECK int poll_take_page(Poll *p, Span list, size_t n, Err *e);
/* The end of the whole list: what is not in it any more. */
MUST_CHECK int poll_take_end(Poll *p, Err *e);

/* ---- between the two ---- */

/* Are events made of what is seen? Not before the first look is complete, unless it is sent. */
bool poll_tells(const Poll *p);
/* The event of a change, in the arena. 1 when it is too large. */
MUST_CHECK int poll_event(Poll *p, const char *op, Span name, const ItemNote *n, Span previous,
                          Arena *a, EnvelopeEvent *ret);
