/* SPDX-License-Identifier: Apache-2.0
 *
 * One word decides: open_until_ms. Whoever moves it from a moment that has passed to the end of
 * the probe's time is the probe; all others still find it in the future. A probe that was lost
 * (its run was cancelled) is so replaced by the next one without any book-keeping. */
#include "engine/breaker.h"

void breaker_init(Breaker *b, uint32_t failures_max, int64_t pause_ms, int64_t pause_max_ms) {
        must(failures_max > 0 && pause_ms > 0 && pause_max_ms >= pause_ms);
        *b = (Breaker){
                .failures_max = failures_max, .pause_ms = pause_ms, .pause_max_ms = pause_max_ms};
}

BreakerAnswer breaker_ask(Breaker *b, int64_t now_ms, int64_t *ret_wait_ms) {
        int64_t until = atomic_load(&b->open_until_ms);

        if (until == 0)
                return BREAKER_GO;
        if (until <= now_ms) {
                if (atomic_compare_exchange_strong(&b->open_until_ms, &until,
                                                   now_ms + BREAKER_PROBE_MAX_MS)) {
                        atomic_store(&b->is_probing, true);
                        return BREAKER_PROBE;
                }
                if (until == 0)
                        return BREAKER_GO; /* closed by another in this very moment */
        }
        /* While the probe is out its result is expected long before the word says. */
        int64_t wait = atomic_load(&b->is_probing) ? b->pause_ms : until - now_ms;
        *ret_wait_ms = wait > 0 ? wait : 1;
        return BREAKER_REFUSE;
}

static int64_t pause_of(const Breaker *b, uint32_t rounds) {
        int64_t pause = b->pause_ms;

        for (uint32_t i = 0; i < rounds && pause < b->pause_max_ms; i++)
                pause = pause > b->pause_max_ms / 2 ? b->pause_max_ms : pause * 2;
        return pause;
}

void breaker_tell(Breaker *b, BreakerAnswer as, bool reached, int64_t now_ms) {
        must(as != BREAKER_REFUSE);
        if (reached) {
                /* Also from a call that began before it opened: the target is there. */
                atomic_store(&b->failures, 0);
                atomic_store(&b->rounds, 0);
                atomic_store(&b->is_probing, false);
                atomic_store(&b->open_until_ms, 0);
                return;
        }
        if (as == BREAKER_PROBE) {
                uint32_t rounds = atomic_fetch_add(&b->rounds, 1) + 1;

                atomic_store(&b->is_probing, false);
                atomic_store(&b->open_until_ms, now_ms + pause_of(b, rounds));
                return;
        }
        if (atomic_fetch_add(&b->failures, 1) + 1 >= b->failures_max) {
                int64_t closed = 0;

                /* What began before it opened and fails later does not lengthen the pause. */
                if (atomic_compare_exchange_strong(&b->open_until_ms, &closed,
                                                   now_ms + b->pause_ms)) {
                        atomic_store(&b->failures, 0);
                        atomic_store(&b->is_probing, false);
                }
        }
}

BreakerState breaker_state(const Breaker *b, int64_t now_ms) {
        int64_t until = atomic_load(&b->open_until_ms);

        if (until == 0)
                return BREAKER_CLOSED;
        return atomic_load(&b->is_probing) || until <= now_ms ? BREAKER_HALF_OPEN : BREAKER_OPEN;
}
