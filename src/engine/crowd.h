/* SPDX-License-Identifier: Apache-2.0
 *
 * Those on one loop who wait for a throttle (engine/throttle.h), in the order in which they came.
 * The first of them has a permit for a moment that is known; the next one takes the next when that
 * has come. So each loop wakes once for each permit, however many wait. */
#pragma once

#include "base/heap.h"
#include "base/list.h"
#include "base/table.h"
#include "engine/throttle.h"

typedef struct Crowd Crowd; /* of one throttle */

typedef struct Crowds {
        Table *table; /* throttle -> Crowd, while somebody waits */
        Heap due;     /* by the moment of the first one's permit, in ms */
} Crowds;

void crowds_init(Crowds *c, size_t max);
/* Nobody waits any more. */
void crowds_done(Crowds *c);
/* NULL: go, with a permit. Else `who` stands at the end of that crowd, and comes by crowds_next
 * unless crowds_leave takes it off. */
Crowd *crowds_ask(Crowds *c, Throttle *t, Link *who, int64_t now_ms);
/* Who has a permit for now, taken off; NULL for nobody. */
Link *crowds_next(Crowds *c, int64_t now_ms);
void crowds_leave(Crowds *c, Crowd *crowd, Link *who);
/* When somebody may go; INT64_MAX for nobody waits. */
int64_t crowds_due_ms(const Crowds *c);
