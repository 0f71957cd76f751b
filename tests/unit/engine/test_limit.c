/* SPDX-License-Identifier: Apache-2.0
 *
 * The limit alone, and hammered by threads that play loops: each sleeps when it is refused and
 * counts on being woken. */
#include "engine/limit.h"

#include "unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <time.h>

static void a_place_is_taken_and_given_back(void **state) {
        Limit l;

        (void)state;
        limit_init(&l, 2, 0, 0);
        assert_int_equal(limit_take(&l, 0, 3), 0);
        assert_int_equal(limit_take(&l, 0, 3), 0);
        assert_int_equal(limit_take(&l, 0, 3), -1);
        assert_int_equal(limit_take(&l, 0, 5), -1);
        assert_int_equal(limit_give(&l), 1 << 3 | 1 << 5);
        assert_int_equal(limit_give(&l), 0);
        assert_int_equal(atomic_load(&l.in_use), 0);
}

static void no_limit_never_refuses(void **state) {
        Limit l;

        (void)state;
        limit_init(&l, 0, 0, 0);
        for (int i = 0; i < 100000; i++)
                assert_int_equal(limit_take(&l, 0, 0), 0);
        assert_int_equal(limit_give(&l), 0);
}

static void a_rate_allows_one_second_at_once(void **state) {
        int64_t now_us = 5000000;
        Limit l;

        (void)state;
        limit_init(&l, 0, 50, 1000);
        for (int i = 0; i < 50; i++)
                assert_int_equal(limit_take(&l, now_us, 0), 0);
        assert_int_equal(limit_take(&l, now_us, 0), 20000);
        assert_int_equal(limit_take(&l, now_us + 19999, 0), 1);
        assert_int_equal(limit_take(&l, now_us + 20000, 0), 0);
        assert_int_equal(limit_take(&l, now_us + 20000, 0), 20000);
}

static void a_slow_rate_has_no_burst(void **state) {
        Limit l;

        (void)state;
        limit_init(&l, 0, 6, 60000);
        assert_int_equal(limit_take(&l, 1, 0), 0);
        assert_int_equal(limit_take(&l, 1, 0), 10000000);
        assert_int_equal(limit_take(&l, 10000001, 0), 0);
}

static void a_refused_place_costs_no_rate(void **state) {
        Limit l;

        (void)state;
        limit_init(&l, 1, 2, 1000);
        assert_int_equal(limit_take(&l, 0, 0), 0);
        for (int i = 0; i < 10; i++)
                assert_int_equal(limit_take(&l, 0, 0), -1);
        assert_int_equal(limit_give(&l), 1);
        assert_int_equal(limit_take(&l, 0, 0), 0);
}

enum { LOOPS = 3, TURNS = 30000, PLACES = 2 };

typedef struct Hammer {
        Limit limit;
        sem_t woken[LOOPS];
        _Atomic unsigned inside, most, forgotten;
} Hammer;

typedef struct Player {
        Hammer *hammer;
        unsigned loop;
} Player;

static void wait_woken(Hammer *h, unsigned loop) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 20; /* never reached unless a wake-up was lost */
        while (sem_timedwait(&h->woken[loop], &until) < 0)
                if (errno == ETIMEDOUT) {
                        atomic_fetch_add(&h->forgotten, 1);
                        return;
                }
}

static void *play(void *arg) {
        const Player *p = arg;
        Hammer *h = p->hammer;

        for (int i = 0; i < TURNS && atomic_load(&h->forgotten) == 0; i++) {
                while (limit_take(&h->limit, 0, p->loop) != 0) {
                        wait_woken(h, p->loop);
                        if (atomic_load(&h->forgotten) > 0)
                                return NULL;
                }
                unsigned inside = atomic_fetch_add(&h->inside, 1) + 1;
                unsigned most = atomic_load(&h->most);
                while (inside > most && !atomic_compare_exchange_weak(&h->most, &most, inside))
                        ;
                if (i % 16 == 0)
                        sched_yield();
                atomic_fetch_sub(&h->inside, 1);
                uint64_t wake = limit_give(&h->limit);
                for (unsigned loop = 0; loop < LOOPS; loop++)
                        if (wake & UINT64_C(1) << loop)
                                sem_post(&h->woken[loop]);
        }
        return NULL;
}

static void nobody_is_forgotten_and_never_too_many(void **state) {
        Hammer h = {0};
        Player players[LOOPS];
        pthread_t threads[LOOPS];

        (void)state;
        limit_init(&h.limit, PLACES, 0, 0);
        for (unsigned i = 0; i < LOOPS; i++)
                assert_int_equal(sem_init(&h.woken[i], 0, 0), 0);
        for (unsigned i = 0; i < LOOPS; i++) {
                players[i] = (Player){&h, i};
                assert_int_equal(pthread_create(&threads[i], NULL, play, &players[i]), 0);
        }
        for (unsigned i = 0; i < LOOPS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(atomic_load(&h.forgotten), 0);
        assert_in_range(atomic_load(&h.most), 1, PLACES);
        assert_int_equal(atomic_load(&h.limit.in_use), 0);
        for (unsigned i = 0; i < LOOPS; i++)
                sem_destroy(&h.woken[i]);
}

/* One place, two loops, one turn at a time: who is refused can only be woken by the one give of
 * that turn, so a wake-up that is lost in the crossing shows. */
enum { DUELS = 200000, HOLD_MAX = 64 };

typedef struct Duel {
        Hammer hammer;
        _Atomic unsigned arrived;
} Duel;

typedef struct Duelist {
        Duel *duel;
        unsigned loop;
} Duelist;

/* Both go on from here, within nanoseconds of each other when each has a core. */
static void meet(Duel *d, unsigned nth) {
        atomic_fetch_add(&d->arrived, 1);
        for (unsigned spins = 0; atomic_load(&d->arrived) < 2 * nth; spins++)
                if (spins > 2000)
                        sched_yield();
}

static void *duel(void *arg) {
        const Duelist *p = arg;
        Hammer *h = &p->duel->hammer;

        for (unsigned i = 0; i < DUELS && atomic_load(&h->forgotten) == 0; i++) {
                meet(p->duel, 2 * i + 1);
                while (limit_take(&h->limit, 0, p->loop) != 0 && atomic_load(&h->forgotten) == 0)
                        wait_woken(h, p->loop);
                for (unsigned hold = i * (p->loop + 1) % HOLD_MAX; hold > 0; hold--)
                        (void)atomic_load(&h->limit.waiting);
                if (atomic_load(&h->forgotten) == 0) {
                        uint64_t wake = limit_give(&h->limit);

                        for (unsigned loop = 0; loop < LOOPS; loop++)
                                if (wake & UINT64_C(1) << loop)
                                        sem_post(&h->woken[loop]);
                }
                meet(p->duel, 2 * i + 2);
        }
        return NULL;
}

static void a_wake_up_is_not_lost_in_a_crossing(void **state) {
        Duel d = {0};
        Duelist duelists[2];
        pthread_t threads[2];

        (void)state;
        limit_init(&d.hammer.limit, 1, 0, 0);
        for (unsigned i = 0; i < LOOPS; i++)
                assert_int_equal(sem_init(&d.hammer.woken[i], 0, 0), 0);
        for (unsigned i = 0; i < 2; i++) {
                duelists[i] = (Duelist){&d, i};
                assert_int_equal(pthread_create(&threads[i], NULL, duel, &duelists[i]), 0);
        }
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(atomic_load(&d.hammer.forgotten), 0);
        for (unsigned i = 0; i < LOOPS; i++)
                sem_destroy(&d.hammer.woken[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_place_is_taken_and_given_back),
                cmocka_unit_test(no_limit_never_refuses),
                cmocka_unit_test(a_rate_allows_one_second_at_once),
                cmocka_unit_test(a_slow_rate_has_no_burst),
                cmocka_unit_test(a_refused_place_costs_no_rate),
                cmocka_unit_test(nobody_is_forgotten_and_never_too_many),
                cmocka_unit_test(a_wake_up_is_not_lost_in_a_crossing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
