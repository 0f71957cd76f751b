/* SPDX-License-Identifier: Apache-2.0
 *
 * Carries out backfills (trigger/backfill.h), each on one loop: page by page, at its rate, with a
 * bounded number of events under way, and writes down where it is after each page, so that a
 * restart goes on from there. A page that was under way is read again then: what of it was recorded
 * has a key that is known, and is counted and not recorded once more.
 *
 * How the jobs ended is asked of the ledger: they live on any loop, may wait for a retry for hours,
 * and may have ended while nobody looked. */
#pragma once

#include "trigger/backfill_item.h"
#include "trigger/inlet.h"

enum {
        BACKFILLER_AHEAD = 16,   /* items of one backfill that are being made and recorded */
        BACKFILLER_ACTIVE = 4,   /* backfills of one loop at the same time; others wait */
        BACKFILLER_LOOKS = 64,   /* jobs that are looked at together */
        BACKFILLER_LOOK_MS = 50, /* between looks, at first; longer while nothing ends */
        BACKFILLER_LOOK_MAX_MS = 1000,
        BACKFILLER_SAVE_MS = 500,   /* between writes that only show how far it is */
        BACKFILLER_AGAIN_MS = 1000, /* after a fault of the ledger */
        BACKFILLER_TRIES = 8,       /* for a page behind the first */
        BACKFILLER_WAIT_MAX_MS = 60000,
};

typedef struct Backfiller {
        Inlet *in;
        Mapper *mapper;
        List rounds; /* the first BACKFILLER_ACTIVE of them are under way */
        uv_timer_t timer;
        size_t asked; /* what has not come back */
        bool stopping;
        void (*failed)(void *arg, int64_t backfill, const char *why); /* for the log; may be NULL */
        void *arg;
} Backfiller;

/* One per loop, by its index. */
void backfiller_init(Backfiller *p, Inlet *in, Mapper *mapper);
/* The backfill is there and is to run: its home takes it up, unless it has it. Any thread. */
void backfiller_wake(Backfiller *all, unsigned n, int64_t backfill);
/* Begins nothing more; what has been asked for still comes back. */
void backfiller_stop(Backfiller *p);
static inline bool backfiller_idle(const Backfiller *p) {
        return p->asked == 0;
}
void backfiller_close(Backfiller *p); /* when it is idle, or nothing comes back any more */
