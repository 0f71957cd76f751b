/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/throttle.h"

#include "engine/limit.h"

enum { SECOND_US = 1000000 };

Throttle *throttle_new(void) {
        Throttle *t = must_alloc(sizeof *t);

        t->refs = 1;
        return t;
}

Throttle *throttle_ref(Throttle *t) {
        atomic_fetch_add(&t->refs, 1);
        return t;
}

Throttle *throttle_unref(Throttle *t) {
        if (t && atomic_fetch_sub(&t->refs, 1) == 1)
                free(t);
        return NULL;
}

void throttle_set(Throttle *t, uint32_t rate) {
        atomic_store(&t->rate, rate);
}

int64_t throttle_take(Throttle *t, int64_t now_us) {
        uint32_t rate = atomic_load(&t->rate);
        int64_t next = atomic_load(&t->next_us), interval_us, burst_us, most_us;

        if (rate == 0)
                return 0;
        interval_us = SECOND_US / rate > 0 ? SECOND_US / rate : 1;
        burst_us = SECOND_US - interval_us;
        /* Further away than by one permit for each loop is a clock that went back, or a rate that
         * was lower: neither may hold anyone for long. */
        most_us = 2 * SECOND_US + LIMIT_LOOPS_MAX * interval_us;
        for (;;) {
                int64_t from = next > now_us && next - now_us <= most_us ? next : now_us;

                if (atomic_compare_exchange_weak(&t->next_us, &next, from + interval_us))
                        return from - now_us > burst_us ? from - now_us - burst_us : 0;
        }
}
