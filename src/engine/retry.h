/* SPDX-License-Identifier: Apache-2.0
 *
 * When to try again: a pure function of rule, tries and chance. */
#pragma once

#include "base/random.h"

enum { RETRY_STEPS_MAX = 32 };

typedef struct RetryRule {
        /* Pause before try 2, 3, ...: promise P-06's schedule by default. */
        int64_t pause_ms[RETRY_STEPS_MAX];
        unsigned n;              /* tries after the first; 0: no retry */
        unsigned jitter_percent; /* added at random, up to this share of the pause */
        int64_t hint_max_ms;     /* a target's Retry-After is honoured up to this */
} RetryRule;

/* 0, 5 s, 30 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h; 20 % jitter; hints up to 24 h. */
extern const RetryRule retry_default;
/* Is the pause before the next try shorter than `wait_ms`, or is there no next try? */
bool retry_is_sooner(const RetryRule *rule, unsigned tries, int64_t wait_ms);
/* `wait_ms` and its jitter, at most the rule's hint_max_ms before it. */
int64_t retry_wait_ms(const RetryRule *rule, int64_t wait_ms, Rng *rng);
/* Doubling from `base_ms` up to `cap_ms`, `n` tries after the first; without any, the pauses do not
 * matter. */
RetryRule retry_exponential(int64_t base_ms, int64_t cap_ms, unsigned n);

/* The pause before the next try when `tries` have been made (>= 1), or -1 when that was the last.
 * A hint (-1: none) lengthens the pause, never shortens it. */
int64_t retry_pause_ms(const RetryRule *rule, unsigned tries, int64_t hint_ms, Rng *rng);
