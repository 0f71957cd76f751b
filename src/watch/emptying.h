/* SPDX-License-Identifier: Apache-2.0
 *
 * Emptying a table of PostgreSQL that others fill: at once while there is something, then ever more
 * seldom, or when it says that there is. */
#pragma once

#include "watch/pg.h"

typedef struct Emptying {
        void *self;
        /* Takes some of it: how many, 0 for none, below 0 a fault. */
        int (*take)(void *self, Err *e);
        /* After each of these: looks at what else should be known, and says how it goes
         * (watch_works). 0, or with what it all ends. */
        int (*look)(void *self, int taken, Err *e);
        int64_t poll_ms;  /* the longest rest */
        bool is_notified; /* by the channel that `pg` listens to: it rests until then */
        Pg *pg;
} Emptying;

/* One reader at a time for what is named so: the others stand by until the one before them is gone,
 * as the lock ends with the connection. 0, or a fault. */
MUST_CHECK int emptying_take_turn(Watch *w, Pg *pg, const char *space, const char *name, Err *e);
/* Until a fault, what `look` says, or -ECANCELED when the watch is to stop. */
MUST_CHECK int emptying_run(Watch *w, const Emptying *m, Err *e);
