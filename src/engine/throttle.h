/* SPDX-License-Identifier: Apache-2.0
 *
 * How many runs a second several targets may begin together: those of one application, on whatever
 * loops they are. Made of atomics and shared by all loops.
 *
 * A permit is a moment. Who asks is given the next that is free, now or later, and it is his: he
 * comes back then and asks nobody. So nobody asks again and again, and none can be passed over. */
#pragma once

#include "base/base.h"

#include <stdatomic.h>

typedef struct Throttle {
        _Atomic unsigned refs;
        _Atomic uint32_t rate;   /* per second; 0: no limit */
        _Atomic int64_t next_us; /* the moment of the next permit, before its share of a burst */
} Throttle;

Throttle *throttle_new(void); /* without a limit */
Throttle *throttle_ref(Throttle *t);
Throttle *throttle_unref(Throttle *t); /* any thread; accepts NULL, returns NULL */
/* From now on; permits that were given hold. */
void throttle_set(Throttle *t, uint32_t rate);
/* Takes a permit: how many microseconds from now it is for. One second's share may go at once. Of
 * each loop one at most may be waited for. */
MUST_CHECK int64_t throttle_take(Throttle *t, int64_t now_us);
