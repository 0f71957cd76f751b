/* SPDX-License-Identifier: Apache-2.0
 *
 * A binary heap of things that come due: its nodes live inside their owners. Ties leave in the
 * order in which they came. */
#pragma once

#include "base/base.h"

typedef struct HeapNode {
        int64_t due; /* any unit, one per heap */
        uint64_t turn;
        size_t at; /* position + 1; 0 when not on a heap */
} HeapNode;

typedef struct Heap {
        HeapNode **nodes;
        size_t n, cap;
        uint64_t turn;
} Heap;

void heap_push(Heap *h, HeapNode *node, int64_t due);
void heap_remove(Heap *h, HeapNode *node); /* harmless when it is not on the heap */
static inline HeapNode *heap_first(const Heap *h) {
        return h->n ? h->nodes[0] : NULL;
}
/* The first node that is due at `now`, taken off; NULL when none is. */
HeapNode *heap_pop_due(Heap *h, int64_t now);
void heap_done(Heap *h);
