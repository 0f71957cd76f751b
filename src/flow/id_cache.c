/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/id_cache.h"

#include "base/list.h"
#include "base/table.h"

#include <pthread.h>

typedef struct Kept {
        Link use; /* longest ago first */
        int64_t until_ms;
        size_t key_bytes, id_bytes;
        char bytes[]; /* key, id */
} Kept;

struct IdCache {
        pthread_mutex_t lock;
        Table *keys;
        List uses;
        size_t max;
        int64_t keep_ms;
};

static Span key_of(const Kept *k) {
        return (Span){k->bytes, k->key_bytes};
}

static Span id_of(const Kept *k) {
        return (Span){k->bytes + k->key_bytes, k->id_bytes};
}

static void drop(IdCache *c, Kept *k) {
        (void)table_remove(c->keys, key_of(k));
        list_remove(&c->uses, &k->use);
        free(k);
}

IdCache *id_cache_new(size_t max, int64_t keep_ms) {
        IdCache *c = must_alloc(sizeof *c);

        must(max > 0 && keep_ms > 0);
        must(pthread_mutex_init(&c->lock, NULL) == 0);
        c->keys = table_new(max);
        list_init(&c->uses);
        c->max = max;
        c->keep_ms = keep_ms;
        return c;
}

IdCache *id_cache_free(IdCache *c) {
        if (!c)
                return NULL;
        LIST_EACH(&c->uses, it)
        drop(c, CONTAINER_OF(it, Kept, use));
        table_free(c->keys);
        pthread_mutex_destroy(&c->lock);
        free(c);
        return NULL;
}

Span id_cache_get(IdCache *c, Span key, int64_t now_ms, Arena *a) {
        Span id = {NULL, 0};

        pthread_mutex_lock(&c->lock);
        Kept *k = table_get(c->keys, key);
        if (k && k->until_ms <= now_ms) {
                drop(c, k);
        } else if (k) {
                list_remove(&c->uses, &k->use);
                list_push(&c->uses, &k->use);
                id = arena_span(a, id_of(k));
        }
        pthread_mutex_unlock(&c->lock);
        return id;
}

static Kept *kept_new(Span key, Span id, int64_t until_ms) {
        Kept *k = must_alloc(sizeof *k + key.n + id.n);

        link_init(&k->use);
        k->until_ms = until_ms;
        k->key_bytes = key.n;
        k->id_bytes = id.n;
        memcpy(k->bytes, key.p, key.n);
        memcpy(k->bytes + key.n, id.p, id.n);
        return k;
}

void id_cache_put(IdCache *c, Span key, Span id, int64_t now_ms) {
        if (key.n > ID_CACHE_KEY_MAX_BYTES || id.n == 0 || id.n > ID_CACHE_ID_MAX_BYTES)
                return;
        pthread_mutex_lock(&c->lock);
        Kept *old = table_get(c->keys, key);
        if (old)
                drop(c, old);
        else if (c->uses.n == c->max)
                drop(c, CONTAINER_OF(list_first(&c->uses), Kept, use));
        Kept *k = kept_new(key, id, now_ms + c->keep_ms);
        must(table_put(c->keys, key, k) == 0);
        list_push(&c->uses, &k->use);
        pthread_mutex_unlock(&c->lock);
}

void id_cache_forget(IdCache *c, Span key, Span id) {
        pthread_mutex_lock(&c->lock);
        Kept *k = table_get(c->keys, key);
        if (k && span_eq(id_of(k), id))
                drop(c, k);
        pthread_mutex_unlock(&c->lock);
}

size_t id_cache_count(IdCache *c) {
        pthread_mutex_lock(&c->lock);
        size_t n = c->uses.n;
        pthread_mutex_unlock(&c->lock);
        return n;
}
