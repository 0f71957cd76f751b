/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "ledger/key_filter.h"
#include "ledger_unit.h"

static KeyHash key_of(uint64_t n) {
        Rng r = {n};
        uint64_t a = rng_next(&r);

        return (KeyHash){a, rng_next(&r)};
}

static bool finds(const KeyFilter *f, uint64_t n, uint32_t place) {
        KeyProbe probe = {0};
        uint32_t first;

        while (key_filter_next(f, key_of(n), &probe, &first))
                if (place >= first && place < first + f->per_block)
                        return true;
        return false;
}

static size_t looks_in_vain(const KeyFilter *f, uint64_t n) {
        KeyProbe probe = {0};
        uint32_t first;
        size_t hits = 0;

        while (key_filter_next(f, key_of(n), &probe, &first))
                hits++;
        return hits;
}

static void every_key_is_found_at_its_place(void **state) {
        enum { N = 200000 };
        KeyFilter *f = key_filter_new(N);
        size_t in_vain = 0;

        (void)state;
        for (uint32_t i = 0; i < N; i++)
                (void)key_filter_add(f, key_of(i), i);
        for (uint32_t i = 0; i < N; i++)
                assert_true(finds(f, i, i));
        for (uint64_t i = N; i < 2 * N; i++)
                in_vain += looks_in_vain(f, i);
        /* 65,535 marks, a handful of neighbours looked at for each key. */
        assert_true(in_vain < N / 1000);
        key_filter_free(f);
}

static void keys_taken_back_were_never_there(void **state) {
        enum { N = 1000, KEPT = 600 };
        KeyFilter *f = key_filter_new(N), *same = key_filter_new(N);
        uint32_t slots[N];

        (void)state;
        for (uint32_t i = 0; i < N; i++) {
                slots[i] = key_filter_add(f, key_of(i), i);
                if (i < KEPT)
                        (void)key_filter_add(same, key_of(i), i);
        }
        for (uint32_t i = N; i > KEPT; i--)
                key_filter_take_back(f, slots[i - 1]);
        assert_memory_equal(f->slots, same->slots, key_filter_bytes(f));
        key_filter_free(f);
        key_filter_free(same);
}

static void one_key_may_be_at_many_places(void **state) {
        KeyFilter *f = key_filter_new(12);

        (void)state;
        for (uint32_t i = 0; i < 12; i++)
                (void)key_filter_add(f, key_of(7), i);
        for (uint32_t i = 0; i < 12; i++)
                assert_true(finds(f, 7, i));
        assert_int_equal(looks_in_vain(f, 7), 12);
        key_filter_free(f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_key_is_found_at_its_place),
                cmocka_unit_test(keys_taken_back_were_never_there),
                cmocka_unit_test(one_key_may_be_at_many_places),
        };

        return cmocka_run_group_tests_name("key_filter", tests, NULL, NULL);
}
