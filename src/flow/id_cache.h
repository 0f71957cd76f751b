/* SPDX-License-Identifier: Apache-2.0
 *
 * What a target calls an entity, remembered for a while by the search that found it. Bounded: the
 * one that was used longest ago is forgotten first. Any thread. */
#pragma once

#include "base/arena.h"

enum {
        ID_CACHE_MAX = 10000, /* entries */
        ID_CACHE_KEY_MAX_BYTES = 512,
        ID_CACHE_ID_MAX_BYTES = 256, /* what is longer is not remembered */
};

typedef struct IdCache IdCache;

/* `max` entries, each for `keep_ms` after it was put. */
IdCache *id_cache_new(size_t max, int64_t keep_ms);
IdCache *id_cache_free(IdCache *c); /* accepts NULL */
/* A copy in the arena; .p NULL when it is not there, too old, or the arena is full. Times are
 * monotonic. */
Span id_cache_get(IdCache *c, Span key, int64_t now_ms, Arena *a);
void id_cache_put(IdCache *c, Span key, Span id, int64_t now_ms);
/* Forgets it, if it is still that id. */
void id_cache_forget(IdCache *c, Span key, Span id);
size_t id_cache_count(IdCache *c);
