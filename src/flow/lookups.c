/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/lookups.h"

typedef struct Lookup {
        Link link;
        Span key, body;
        int status;
        int64_t at_ms;
        char bytes[];
} Lookup;

Lookups *lookups_new(void) {
        Lookups *l = must_alloc(sizeof *l);

        must(pthread_mutex_init(&l->lock, NULL) == 0);
        l->by_key = table_new(LOOKUPS_MAX);
        list_init(&l->by_use);
        return l;
}

static size_t size_of(const Lookup *k) {
        return sizeof *k + k->key.n * 2 + k->body.n;
}

static void forget(Lookups *l, Lookup *k) {
        table_remove(l->by_key, k->key);
        list_remove(&l->by_use, &k->link);
        l->bytes -= size_of(k);
        free(k);
}

Lookups *lookups_free(Lookups *l) {
        if (!l)
                return NULL;
        while (l->by_use.n)
                forget(l, CONTAINER_OF(list_first(&l->by_use), Lookup, link));
        table_free(l->by_key);
        (void)pthread_mutex_destroy(&l->lock);
        free(l);
        return NULL;
}

Span lookups_get(Lookups *l, Span key, int64_t ttl_ms, int64_t now_ms, Arena *a, int *ret_status) {
        Span body = {NULL, 0};

        (void)pthread_mutex_lock(&l->lock);
        Lookup *k = table_get(l->by_key, key);
        if (k && now_ms - k->at_ms < ttl_ms) {
                body = arena_span(a, k->body);
                *ret_status = k->status;
                list_remove(&l->by_use, &k->link);
                list_push(&l->by_use, &k->link);
        }
        (void)pthread_mutex_unlock(&l->lock);
        return body;
}

void lookups_put(Lookups *l, Span key, int status, Span body, int64_t now_ms) {
        Lookup *k;

        if (body.n > LOOKUP_MAX_BYTES)
                return;
        k = must_alloc(sizeof *k + key.n + body.n);
        memcpy(k->bytes, key.p, key.n);
        if (body.n)
                memcpy(k->bytes + key.n, body.p, body.n);
        k->key = (Span){k->bytes, key.n};
        k->body = (Span){k->bytes + key.n, body.n};
        k->status = status;
        k->at_ms = now_ms;
        link_init(&k->link);
        (void)pthread_mutex_lock(&l->lock);
        Lookup *old = table_get(l->by_key, key);
        if (old)
                forget(l, old);
        while (l->by_use.n &&
               (l->bytes + size_of(k) > LOOKUPS_MAX_BYTES || l->by_use.n == LOOKUPS_MAX))
                forget(l, CONTAINER_OF(list_first(&l->by_use), Lookup, link));
        must(table_put(l->by_key, k->key, k) == 0);
        list_push(&l->by_use, &k->link);
        l->bytes += size_of(k);
        (void)pthread_mutex_unlock(&l->lock);
}

void lookups_drop(Lookups *l, Span key) {
        (void)pthread_mutex_lock(&l->lock);
        Lookup *k = table_get(l->by_key, key);
        if (k)
                forget(l, k);
        (void)pthread_mutex_unlock(&l->lock);
}
