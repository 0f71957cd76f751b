/* SPDX-License-Identifier: Apache-2.0
 *
 * Carries out replays (trigger/replay.h), each on one loop: page by page, at its rate, writing down
 * how far it is after each page, so that a restart goes on from there. A page that was under way is
 * gone through again then: what of it was delivered in between no longer failed, and what is under
 * way is left alone. */
#pragma once

#include "trigger/inlet.h"
#include "trigger/replay.h"

enum {
        REPLAYER_PAGE = 50,       /* events looked at together */
        REPLAYER_AHEAD = 64,      /* writes under way of one replay */
        REPLAYER_ACTIVE = 8,      /* replays of one loop at the same time; others wait */
        REPLAYER_AGAIN_MS = 1000, /* after a fault of the ledger */
};

typedef struct Replayer {
        Inlet *in;
        List rounds; /* the first REPLAYER_ACTIVE of them are under way */
        uv_timer_t timer;
        size_t asked; /* requests that the ledger has not answered */
        bool stopping;
        void (*failed)(void *arg, int64_t replay, const char *why); /* for the log; may be NULL */
        void *arg;
} Replayer;

/* One per loop, by its index. */
void replayer_init(Replayer *p, Inlet *in);
/* The replay is there and is to run: its home takes it up, unless it has it. Any thread. */
void replayer_wake(Replayer *all, unsigned n, int64_t replay);
/* Begins nothing more; what the ledger has been asked for still comes back. */
void replayer_stop(Replayer *p);
static inline bool replayer_idle(const Replayer *p) {
        return p->asked == 0;
}
void replayer_close(Replayer *p); /* when it is idle, or nothing comes back any more */
