/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/latest.h"

#include "base/list.h"

typedef struct Change {
        Link link;
        uint64_t lane;
        int64_t time_ms;
} Change;

struct Latest {
        Table *by_lane;
        List by_use; /* the latest used last */
};

Latest *latest_new(void) {
        Latest *l = must_alloc(sizeof *l);

        l->by_lane = table_new(LATEST_MAX);
        list_init(&l->by_use);
        return l;
}

static void forget(Latest *l, Change *c) {
        table_remove(l->by_lane, key_u64(&c->lane));
        list_remove(&l->by_use, &c->link);
        free(c);
}

Latest *latest_free(Latest *l) {
        if (!l)
                return NULL;
        while (l->by_use.n)
                forget(l, CONTAINER_OF(list_first(&l->by_use), Change, link));
        table_free(l->by_lane);
        free(l);
        return NULL;
}

static Change *find(Latest *l, uint64_t lane) {
        Change *c = table_get(l->by_lane, key_u64(&lane));

        if (c) {
                list_remove(&l->by_use, &c->link);
                list_push(&l->by_use, &c->link);
        }
        return c;
}

void latest_put(Latest *l, uint64_t lane, int64_t time_ms) {
        Change *c = find(l, lane);

        if (!c) {
                if (l->by_use.n == LATEST_MAX)
                        forget(l, CONTAINER_OF(list_first(&l->by_use), Change, link));
                c = must_alloc(sizeof *c);
                c->lane = lane;
                link_init(&c->link);
                must(table_put(l->by_lane, key_u64(&c->lane), c) == 0);
                list_push(&l->by_use, &c->link);
        }
        if (time_ms > c->time_ms)
                c->time_ms = time_ms;
}

bool latest_is_after(Latest *l, uint64_t lane, int64_t time_ms) {
        const Change *c = find(l, lane);

        return c && c->time_ms > time_ms;
}
