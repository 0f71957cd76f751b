/* SPDX-License-Identifier: Apache-2.0
 *
 * Doubly linked lists whose links live inside their members. A member is on at most one list per
 * link; an unlinked link points to itself. */
#pragma once

#include "base/base.h"

typedef struct Link {
        struct Link *prev, *next;
} Link;

typedef struct List {
        Link head;
        size_t n;
} List;

static inline void link_init(Link *l) {
        l->prev = l->next = l;
}
static inline void list_init(List *l) {
        link_init(&l->head);
        l->n = 0;
}
static inline bool link_on(const Link *l) {
        return l->next && l->next != l;
}
static inline void list_push(List *l, Link *m) { /* at the end */
        m->prev = l->head.prev;
        m->next = &l->head;
        l->head.prev->next = m;
        l->head.prev = m;
        l->n++;
}
static inline void list_push_front(List *l, Link *m) {
        m->next = l->head.next;
        m->prev = &l->head;
        l->head.next->prev = m;
        l->head.next = m;
        l->n++;
}
static inline void list_remove(List *l, Link *m) {
        m->prev->next = m->next;
        m->next->prev = m->prev;
        link_init(m);
        l->n--;
}
static inline Link *list_first(const List *l) {
        return l->n ? l->head.next : NULL;
}
static inline Link *list_pop(List *l) {
        Link *m = list_first(l);

        if (m)
                list_remove(l, m);
        return m;
}
#define LIST_EACH(l, it)                                                                           \
        for (Link *it = (l)->head.next, *it##_next = it->next; it != &(l)->head;                   \
             it = it##_next, it##_next = it->next)
