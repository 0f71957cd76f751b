/* SPDX-License-Identifier: Apache-2.0
 *
 * A hash table from byte strings or numbers to pointers, seeded at start so that nobody outside
 * can choose keys that collide. Keys are copied; values are borrowed. */
#pragma once

#include "base/base.h"

typedef struct Table Table;

/* `max` bounds the number of entries. Never NULL. */
Table *table_new(size_t max);
Table *table_free(Table *t); /* the values are the caller's */
/* 0, or -ENOSPC at the maximum; replaces the value of a key that is there. */
MUST_CHECK int table_put(Table *t, Span key, void *value);
void *table_get(const Table *t, Span key); /* NULL when absent */
void *table_remove(Table *t, Span key);    /* the value that was there, or NULL */
size_t table_count(const Table *t);
/* Calls fn for each entry; fn may not change the table. */
void table_each(const Table *t, void (*fn)(void *arg, Span key, void *value), void *arg);

static inline Span key_u64(const uint64_t *n) {
        return (Span){(const char *)n, sizeof *n};
}
/* SipHash-1-3 (Aumasson, Bernstein) under this process's random key. */
uint64_t hash_bytes(Span s);
/* The same under a given key: stable across processes, for placing subjects on loops. */
uint64_t hash_keyed(Span s, uint64_t k0, uint64_t k1);
