/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers that steps may use again for a time (`cache: 10m`), shared by all loops. One of a
 * snapshot: a reload begins anew. Bounded in bytes; who was not used for longest leaves first. */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "base/table.h"

#include <pthread.h>

enum {
        LOOKUPS_MAX_BYTES = 16 * 1024 * 1024,
        LOOKUPS_MAX = 65536,
        LOOKUP_MAX_BYTES = 1024 * 1024, /* a larger answer is not kept */
};

typedef struct Lookups {
        pthread_mutex_t lock;
        Table *by_key;
        List by_use; /* the latest last */
        size_t bytes;
} Lookups;

Lookups *lookups_new(void);
Lookups *lookups_free(Lookups *l); /* accepts NULL */
/* The answer kept under that key, copied to `a`, with its status; .p NULL when there is none, or it
 * is older than `ttl_ms`, or `a` is full. Any thread. */
Span lookups_get(Lookups *l, Span key, int64_t ttl_ms, int64_t now_ms, Arena *a, int *ret_status);
/* Keeps a copy; forgets the one that was there. Any thread. */
void lookups_put(Lookups *l, Span key, int status, Span body, int64_t now_ms);
/* Forgets it. Any thread. */
void lookups_drop(Lookups *l, Span key);
