/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of many keys, appended to a log one after the other, may equal this one? A filter answers
 * from memory with a few places of the log to look at, nearly always none for a fresh key. Unlike
 * a Bloom filter it tells where: a repeat costs one short read, however long the log.
 *
 * Four bytes a slot, three quarters of the slots used at most: 16 bits of the key's hash and 16
 * bits of its place, which names a block of neighbours in the log. The slots are one flat array
 * that can be written to disk and read back as it is. Keys are added, and the latest taken back,
 * never removed: a filter dies whole. */
#pragma once

#include "base/base.h"

typedef struct KeyHash {
        uint64_t a, b;
} KeyHash;

typedef struct KeyFilter {
        uint32_t *slots;
        uint32_t n_slots; /* a power of two */
        uint32_t max;     /* keys */
        uint32_t per_block;
} KeyFilter;

/* `max`: at most 2^24. */
KeyFilter *key_filter_new(uint32_t max);
KeyFilter *key_filter_free(KeyFilter *f);
/* `place` < max: the key's position in the log. Returns the slot, for key_filter_take_back. */
uint32_t key_filter_add(KeyFilter *f, KeyHash key, uint32_t place);
/* Only for the latest keys, latest first. */
void key_filter_take_back(KeyFilter *f, uint32_t slot);

typedef struct KeyProbe {
        uint32_t slot, seen;
} KeyProbe;

/* Starts with a zero probe; each call finds one more block of places [*ret_first, *ret_first +
 * per_block) in which the key may be. False: there is none. */
bool key_filter_next(const KeyFilter *f, KeyHash key, KeyProbe *probe, uint32_t *ret_first);

static inline size_t key_filter_bytes(const KeyFilter *f) {
        return (size_t)f->n_slots * sizeof *f->slots;
}
