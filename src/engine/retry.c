/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/retry.h"

#include "base/base.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

enum { JITTER_PERCENT = 20 };

const RetryRule retry_default = {
        .pause_ms = {5 * SECOND, 30 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR,
                     10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR},
        .n = 10,
        .jitter_percent = JITTER_PERCENT,
        .hint_max_ms = 24 * HOUR,
};

RetryRule retry_exponential(int64_t base_ms, int64_t cap_ms, unsigned n) {
        RetryRule rule = {.jitter_percent = JITTER_PERCENT, .hint_max_ms = 24 * HOUR};
        int64_t pause = base_ms;

        must(n == 0 || (base_ms > 0 && cap_ms >= base_ms));
        rule.n = n < RETRY_STEPS_MAX ? n : RETRY_STEPS_MAX;
        for (unsigned i = 0; i < rule.n; i++) {
                rule.pause_ms[i] = pause;
                pause = pause > cap_ms / 2 ? cap_ms : pause * 2;
        }
        return rule;
}

/* Hints get their jitter too: a target that sent the same hint to a thousand callers does not want
 * them all back in one instant. */
static int64_t with_jitter(const RetryRule *rule, int64_t pause, Rng *rng) {
        must(rule->jitter_percent <= 100);
        uint64_t jitter = (uint64_t)pause * rule->jitter_percent / 100;

        return pause + (int64_t)rng_below(rng, jitter + 1);
}

static int64_t capped(const RetryRule *rule, int64_t hint_ms) {
        return hint_ms < rule->hint_max_ms ? hint_ms : rule->hint_max_ms;
}

bool retry_is_sooner(const RetryRule *rule, unsigned tries, int64_t wait_ms) {
        must(tries >= 1 && rule->n <= RETRY_STEPS_MAX);
        return tries > rule->n || rule->pause_ms[tries - 1] < wait_ms;
}

int64_t retry_wait_ms(const RetryRule *rule, int64_t wait_ms, Rng *rng) {
        return with_jitter(rule, capped(rule, wait_ms > 0 ? wait_ms : 1), rng);
}

int64_t retry_pause_ms(const RetryRule *rule, unsigned tries, int64_t hint_ms, Rng *rng) {
        must(tries >= 1 && rule->n <= RETRY_STEPS_MAX);
        if (tries > rule->n)
                return -1;

        int64_t pause = rule->pause_ms[tries - 1];
        int64_t hint = capped(rule, hint_ms);
        return with_jitter(rule, hint > pause ? hint : pause, rng);
}
