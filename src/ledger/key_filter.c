/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear probing over 32-bit slots: the hash's bits above, the block's number below, 0 for empty
 * (the bits of the hash are never 0). With three of four slots used a miss looks at about eight
 * neighbours, which is one or two cache lines, and one miss in 8,000 names a block in vain. */
#include "ledger/key_filter.h"

enum { BLOCKS_MAX = 1 << 16, KEYS_MAX = 1 << 24 };

KeyFilter *key_filter_new(uint32_t max) {
        KeyFilter *f = must_alloc(sizeof *f);

        must(max > 0 && max <= KEYS_MAX);
        f->max = max;
        f->per_block = (max + BLOCKS_MAX - 1) / BLOCKS_MAX;
        f->n_slots = 16;
        while ((uint64_t)f->n_slots * 3 < (uint64_t)max * 4)
                f->n_slots *= 2;
        f->slots = must_alloc(key_filter_bytes(f));
        return f;
}

KeyFilter *key_filter_free(KeyFilter *f) {
        if (f)
                free(f->slots);
        free(f);
        return NULL;
}

static uint32_t mark_of(KeyHash key) {
        uint32_t mark = (uint32_t)(key.b >> 48);

        return (mark ? mark : 1) << 16;
}

uint32_t key_filter_add(KeyFilter *f, KeyHash key, uint32_t place) {
        uint32_t slot = (uint32_t)key.a & (f->n_slots - 1);

        must(place < f->max);
        while (f->slots[slot])
                slot = (slot + 1) & (f->n_slots - 1);
        f->slots[slot] = mark_of(key) | place / f->per_block;
        return slot;
}

void key_filter_take_back(KeyFilter *f, uint32_t slot) {
        must(slot < f->n_slots && f->slots[slot]);
        f->slots[slot] = 0;
}

bool key_filter_next(const KeyFilter *f, KeyHash key, KeyProbe *probe, uint32_t *ret_first) {
        uint32_t mark = mark_of(key), mask = f->n_slots - 1;

        if (probe->seen == 0)
                probe->slot = (uint32_t)key.a & mask;
        for (; probe->seen < f->n_slots; probe->seen++) {
                uint32_t slot = f->slots[probe->slot];

                if (!slot)
                        return false;
                probe->slot = (probe->slot + 1) & mask;
                if ((slot & 0xffff0000u) == mark) {
                        probe->seen++;
                        *ret_first = (slot & 0xffffu) * f->per_block;
                        return true;
                }
        }
        return false;
}
