/* SPDX-License-Identifier: Apache-2.0
 *
 * How much a connection (or endpoint) may be asked at once and per second. One Limit is shared by
 * all loops: it is made of atomics, and beside the configuration snapshot the only thing shared.
 * Whoever is refused waits in its own loop's queue and is woken by whoever gives back. */
#pragma once

#include "base/base.h"

#include <stdatomic.h>

enum { LIMIT_LOOPS_MAX = 64 };

typedef struct Limit {
        _Atomic uint32_t in_use;
        _Atomic int64_t next_us;  /* rate: the moment (monotonic) the next permit is due at */
        _Atomic uint64_t waiting; /* bit per loop that has someone waiting for a permit */
        uint32_t concurrency;     /* 0: unlimited */
        int64_t interval_us;      /* between permits; 0: unlimited */
        int64_t burst_us;         /* how far ahead permits may be taken */
} Limit;

/* `rate` permits per `per_ms`; 0 for no rate. A burst of up to one second's share is allowed. */
void limit_init(Limit *l, uint32_t concurrency, uint32_t rate, int64_t per_ms);
/* Takes a permit: 0; or how many microseconds to wait for the rate (> 0); or -1 when all are in
 * use: the loop's bit is set and limit_give will tell. */
int64_t limit_take(Limit *l, int64_t now_us, unsigned loop);
/* Gives back. Returns the loops that have waiters (their bits are cleared; wake them all), 0 for
 * none. */
uint64_t limit_give(Limit *l) MUST_CHECK;
