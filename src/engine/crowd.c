/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/crowd.h"

struct Crowd {
        HeapNode due;
        Throttle *throttle;
        List waiting;
};

static Span key_of(Throttle *const *t) {
        return (Span){(const char *)t, sizeof *t};
}

void crowds_init(Crowds *c, size_t max) {
        *c = (Crowds){.table = table_new(max)};
}

void crowds_done(Crowds *c) {
        must(table_count(c->table) == 0);
        c->table = table_free(c->table);
        heap_done(&c->due);
}

static void crowd_end(Crowds *c, Crowd *crowd) {
        heap_remove(&c->due, &crowd->due);
        (void)table_remove(c->table, key_of(&crowd->throttle));
        throttle_unref(crowd->throttle);
        free(crowd);
}

/* Up to the millisecond in which it is surely there. */
static int64_t moment(int64_t now_ms, int64_t wait_us) {
        return now_ms + (wait_us + 999) / 1000;
}

Crowd *crowds_ask(Crowds *c, Throttle *t, Link *who, int64_t now_ms) {
        Crowd *crowd = table_get(c->table, key_of(&t));

        if (!crowd) {
                int64_t wait_us = throttle_take(t, now_ms * 1000);

                if (wait_us == 0)
                        return NULL;
                crowd = must_alloc(sizeof *crowd);
                list_init(&crowd->waiting);
                crowd->throttle = throttle_ref(t);
                must(table_put(c->table, key_of(&t), crowd) == 0);
                heap_push(&c->due, &crowd->due, moment(now_ms, wait_us));
        }
        list_push(&crowd->waiting, who);
        return crowd;
}

Link *crowds_next(Crowds *c, int64_t now_ms) {
        HeapNode *at = heap_pop_due(&c->due, now_ms);
        Crowd *crowd;
        Link *who;

        if (!at)
                return NULL;
        crowd = CONTAINER_OF(at, Crowd, due);
        who = list_pop(&crowd->waiting);
        if (crowd->waiting.n == 0)
                crowd_end(c, crowd);
        else
                heap_push(&c->due, &crowd->due,
                          moment(now_ms, throttle_take(crowd->throttle, now_ms * 1000)));
        return who;
}

void crowds_leave(Crowds *c, Crowd *crowd, Link *who) {
        list_remove(&crowd->waiting, who);
        if (crowd->waiting.n == 0)
                crowd_end(c, crowd);
}

int64_t crowds_due_ms(const Crowds *c) {
        const HeapNode *first = heap_first(&c->due);

        return first ? first->due : INT64_MAX;
}
