/* SPDX-License-Identifier: Apache-2.0
 *
 * The circuit breaker of one connection or endpoint: after several failures in a row to reach it,
 * nobody tries for a while; then one goes ahead as the *probe*, and all follow when it gets
 * through. So a dead target costs one timeout per pause, not one per job.
 *
 * It is told the time and the results. Made of atomics: any thread may ask and tell, all loops
 * share one. What counts as a failure is the caller's decision: only what says that the target as
 * a whole is away (no connection, no TLS, no answer in time), never an answer that it gave. */
#pragma once

#include "base/base.h"

#include <stdatomic.h>

enum {
        BREAKER_FAILURES = 5,    /* in a row: sensible values for breaker_init */
        BREAKER_PAUSE_MS = 5000, /* the first; doubled by each probe that fails */
        BREAKER_PAUSE_MAX_MS = 300000,
        BREAKER_PROBE_MAX_MS = 60000, /* a probe of which nobody told is given up */
};

typedef struct Breaker {
        _Atomic int64_t open_until_ms; /* monotonic; 0: closed */
        _Atomic uint32_t failures;     /* in a row, while closed */
        _Atomic uint32_t rounds;       /* probes in a row that failed */
        _Atomic bool is_probing;
        uint32_t failures_max;
        int64_t pause_ms, pause_max_ms;
} Breaker;

typedef enum BreakerState { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN } BreakerState;
typedef enum BreakerAnswer {
        BREAKER_REFUSE = 0,
        BREAKER_GO,
        BREAKER_PROBE, /* go, and tell the result as a probe's */
} BreakerAnswer;

void breaker_init(Breaker *b, uint32_t failures_max, int64_t pause_ms, int64_t pause_max_ms);
/* `ret_wait_ms`: under BREAKER_REFUSE, how long until it is worth asking again (>= 1). */
BreakerAnswer breaker_ask(Breaker *b, int64_t now_ms, int64_t *ret_wait_ms);
/* Once for each BREAKER_GO and BREAKER_PROBE. `reached`: the target answered, whatever it said. */
void breaker_tell(Breaker *b, BreakerAnswer as, bool reached, int64_t now_ms);
/* For gauges. Half-open: the pause is over or the probe is out. */
BreakerState breaker_state(const Breaker *b, int64_t now_ms);
