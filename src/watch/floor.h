/* SPDX-License-Identifier: Apache-2.0
 *
 * From where on an outbox is to be read. What was deleted stays in a table of PostgreSQL, dead,
 * until it is cleaned up; as long as somebody's snapshot is older, nobody may. Whoever reads from
 * the beginning passes all of it, each time.
 *
 * Numbers are drawn by transactions that have an id by then (the column before it asks for one, and
 * the outbox's trigger runs behind the write that it tells of). So a transaction that begins to
 * write after number `top` was seen has a higher id than any that has drawn a number up to `top`;
 * and once all before it have ended, a look sees whatever there will ever be up to `top`. What was
 * seen is taken; the floor is there. */
#pragma once

#include "base/base.h"

typedef struct Floor {
        int64_t id;  /* nothing up to here is there, or will be */
        int64_t top; /* the next floor, once all transactions before `xid` have ended; 0: none */
        int64_t xid;
} Floor;

/* All that was in sight up to `last` was taken; 0: nothing was in sight. Whoever looked saw that
 * all transactions before `xmin` had ended. */
void floor_saw(Floor *f, int64_t last, int64_t xmin);
/* The same was deleted, by the transaction `xid`. */
void floor_deleted(Floor *f, int64_t last, int64_t xid);
