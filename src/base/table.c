/* SPDX-License-Identifier: Apache-2.0
 *
 * Open addressing, linear probing, deletion by shifting back: no tombstones, so a table that
 * lives for months stays as fast as a young one. */
#include "base/table.h"

#include "base/random.h"

#include <pthread.h>

typedef struct Slot {
        uint64_t hash; /* never 0 in use */
        char *key;
        size_t n;
        void *value;
} Slot;

struct Table {
        Slot *slots;
        size_t cap, count, max;
};

static inline uint64_t rotl(uint64_t x, int by) {
        return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4]) {
        v[0] += v[1];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[0] = rotl(v[0], 32);
        v[2] += v[3];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[2] = rotl(v[2], 32);
}

uint64_t hash_keyed(Span s, uint64_t k0, uint64_t k1) {
        uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
                         k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
        uint64_t m = 0;
        size_t i = 0;

        for (; i + 8 <= s.n; i += 8) {
                memcpy(&m, s.p + i, 8);
                v[3] ^= m;
                sip_round(v);
                v[0] ^= m;
        }
        m = (uint64_t)s.n << 56;
        for (size_t k = 0; i + k < s.n; k++)
                m |= (uint64_t)(unsigned char)s.p[i + k] << (8 * k);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
        v[2] ^= 0xff;
        for (int k = 0; k < 3; k++)
                sip_round(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t process_key[2];
static pthread_once_t process_key_once = PTHREAD_ONCE_INIT;

static void process_key_make(void) {
        random_bytes(process_key, sizeof process_key);
}

uint64_t hash_bytes(Span s) {
        pthread_once(&process_key_once, process_key_make);
        return hash_keyed(s, process_key[0], process_key[1]);
}

static uint64_t slot_hash(Span key) {
        uint64_t h = hash_bytes(key);

        return h ? h : 1;
}

Table *table_new(size_t max) {
        Table *t = must_alloc(sizeof *t);

        t->max = max;
        t->cap = 16;
        t->slots = must_alloc(t->cap * sizeof *t->slots);
        return t;
}

Table *table_free(Table *t) {
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->cap; i++)
                free(t->slots[i].key);
        free(t->slots);
        free(t);
        return NULL;
}

static size_t seek(const Table *t, Span key, uint64_t hash) {
        size_t i = hash & (t->cap - 1);

        while (t->slots[i].hash) {
                const Slot *s = &t->slots[i];

                if (s->hash == hash && span_eq((Span){s->key, s->n}, key))
                        return i;
                i = (i + 1) & (t->cap - 1);
        }
        return i;
}

static void grow(Table *t) {
        Slot *old = t->slots;
        size_t cap = t->cap;

        t->cap = cap * 2;
        t->slots = must_alloc(t->cap * sizeof *t->slots);
        for (size_t i = 0; i < cap; i++)
                if (old[i].hash)
                        t->slots[seek(t, (Span){old[i].key, old[i].n}, old[i].hash)] = old[i];
        free(old);
}

int table_put(Table *t, Span key, void *value) {
        uint64_t hash = slot_hash(key);
        size_t i = seek(t, key, hash);

        if (t->slots[i].hash) {
                t->slots[i].value = value;
                return 0;
        }
        if (t->count >= t->max)
                return -ENOSPC;
        if ((t->count + 1) * 4 > t->cap * 3) {
                grow(t);
                i = seek(t, key, hash);
        }
        char *copy = must_alloc(key.n);
        if (key.n)
                memcpy(copy, key.p, key.n);
        t->slots[i] = (Slot){hash, copy, key.n, value};
        t->count++;
        return 0;
}

void *table_get(const Table *t, Span key) {
        size_t i = seek(t, key, slot_hash(key));

        return t->slots[i].hash ? t->slots[i].value : NULL;
}

void *table_remove(Table *t, Span key) {
        size_t i = seek(t, key, slot_hash(key)), mask = t->cap - 1;

        if (!t->slots[i].hash)
                return NULL;
        void *value = t->slots[i].value;
        free(t->slots[i].key);
        t->count--;
        for (size_t j = (i + 1) & mask; t->slots[j].hash; j = (j + 1) & mask) {
                size_t home = t->slots[j].hash & mask;

                /* Move back whatever would no longer be found across the hole at i. */
                if (((j - home) & mask) >= ((j - i) & mask)) {
                        t->slots[i] = t->slots[j];
                        i = j;
                }
        }
        t->slots[i] = (Slot){0};
        return value;
}

size_t table_count(const Table *t) {
        return t->count;
}

void table_each(const Table *t, void (*fn)(void *arg, Span key, void *value), void *arg) {
        for (size_t i = 0; i < t->cap; i++)
                if (t->slots[i].hash)
                        fn(arg, (Span){t->slots[i].key, t->slots[i].n}, t->slots[i].value);
}
