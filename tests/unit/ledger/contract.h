/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of stores (ledger/store.h), held by each of them: what its tests share. */
#pragma once

#include "ledger_unit.h"

typedef struct World {
        const StoreOps *ops;
        Place place;
        Store *store, *reader;
        StoreOptions options;
} World;

static inline void open_store(World *w) {
        Err e = {0};

        assert_int_equal(w->ops->open(&w->options, &w->store, &e), 0);
        assert_int_equal(w->ops->open_reader(w->store, &w->reader, &e), 0);
}

static inline void close_store(World *w) {
        w->ops->close(w->reader);
        w->ops->close(w->store);
}

static inline int start(void **state, const StoreOps *ops) {
        World *w = must_alloc(sizeof *w);

        w->ops = ops;
        place_make(&w->place);
        w->options = (StoreOptions){
                .path = w->place.path, .node = "n", .once_ms = 1000000, .keys_per_generation = 64};
        open_store(w);
        *state = w;
        return 0;
}

static inline int start_sqlite(void **state) {
        return start(state, &store_sqlite);
}

static inline int start_memory(void **state) {
        return start(state, &store_memory);
}

static inline int end(void **state) {
        World *w = *state;

        close_store(w);
        place_done(&w->place);
        free(w);
        return 0;
}

static inline EventView *find(World *w, int64_t id) {
        EventView *v = NULL;
        Err e = {0};

        assert_int_equal(w->ops->find_event(w->reader, id, &v, &e), 0);
        return v;
}

static inline size_t trim(World *w, TrimRule rule) {
        size_t n = 0;
        Err e = {0};

        assert_int_equal(w->ops->trim(w->store, &rule, &n, &e), 0);
        return n;
}

static inline EventPage *list(World *w, EventQuery q) {
        EventPage *p = NULL;
        Err e = {0};

        assert_int_equal(w->ops->list_events(w->reader, &q, &p, &e), 0);
        return p;
}

#define BOTH(test)                                                                                 \
        {"sqlite: " #test, test, start_sqlite, end, NULL}, {                                       \
                "memory: " #test, test, start_memory, end, NULL                                    \
        }
