/* SPDX-License-Identifier: Apache-2.0
 *
 * When the latest change was made that has been applied, by lane (one subject of one flow): a
 * change that is older and comes later may not undo it. Bounded: the lane that was not used for
 * longest is forgotten, and then the next change of it counts as the latest. */
#pragma once

#include "base/table.h"

enum { LATEST_MAX = 65536 };

typedef struct Latest Latest;

Latest *latest_new(void);
Latest *latest_free(Latest *l); /* accepts NULL */
/* A change made at that time (wall clock ms, > 0) has been applied. */
void latest_put(Latest *l, uint64_t lane, int64_t time_ms);
/* Was a later one than that applied? Not when one of the very same time was. */
bool latest_is_after(Latest *l, uint64_t lane, int64_t time_ms);
