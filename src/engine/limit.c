/* SPDX-License-Identifier: Apache-2.0
 *
 * Nobody is forgotten because the two sides look crosswise: who is refused first leaves his bit
 * and then looks at the count once more; who gives back first lowers the count and then looks at
 * the bits. In the one order that all threads agree on (seq_cst), at least one of them sees the
 * other. */
#include "engine/limit.h"

void limit_init(Limit *l, uint32_t concurrency, uint32_t rate, int64_t per_ms) {
        must(rate == 0 || per_ms > 0);
        *l = (Limit){.concurrency = concurrency};
        if (rate == 0)
                return;
        l->interval_us = per_ms * 1000 / rate;
        if (l->interval_us == 0)
                l->interval_us = 1;
        /* The first permit of a burst is due now, the others ahead of their time. */
        l->burst_us = 1000000 - l->interval_us;
        if (l->burst_us < 0)
                l->burst_us = 0;
}

/* One permit of the rate (GCRA: the moment of the next permit is all that is remembered): 0, or
 * how long to wait. */
static int64_t take_rate(Limit *l, int64_t now_us) {
        int64_t next = atomic_load(&l->next_us);

        for (;;) {
                int64_t from = next > now_us ? next : now_us;

                if (from - now_us > l->burst_us)
                        return from - now_us - l->burst_us;
                if (atomic_compare_exchange_weak(&l->next_us, &next, from + l->interval_us))
                        return 0;
        }
}

static bool take_place(Limit *l) {
        uint32_t n = atomic_load(&l->in_use);

        while (l->concurrency == 0 || n < l->concurrency)
                if (atomic_compare_exchange_weak(&l->in_use, &n, n + 1))
                        return true;
        return false;
}

int64_t limit_take(Limit *l, int64_t now_us, unsigned loop) {
        must(loop < LIMIT_LOOPS_MAX);
        /* The rate comes first because it can be paid back without telling anyone; a place that
         * was held for an instant would have to be given back with a call to those who wait. */
        if (l->interval_us) {
                int64_t wait_us = take_rate(l, now_us);

                if (wait_us > 0)
                        return wait_us;
        }
        if (take_place(l))
                return 0;
        atomic_fetch_or(&l->waiting, UINT64_C(1) << loop);
        if (take_place(l))
                return 0; /* the bit stays: one needless wake-up */
        if (l->interval_us)
                atomic_fetch_sub(&l->next_us, l->interval_us);
        return -1;
}

uint64_t limit_give(Limit *l) {
        must(atomic_fetch_sub(&l->in_use, 1) > 0);
        return atomic_load(&l->waiting) ? atomic_exchange(&l->waiting, 0) : 0;
}
