/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

static bool before(const HeapNode *a, const HeapNode *b) {
        return a->due != b->due ? a->due < b->due : a->turn < b->turn;
}

static void put(Heap *h, size_t i, HeapNode *node) {
        h->nodes[i] = node;
        node->at = i + 1;
}

static void sift_up(Heap *h, size_t i, HeapNode *node) {
        for (; i > 0 && before(node, h->nodes[(i - 1) / 2]); i = (i - 1) / 2)
                put(h, i, h->nodes[(i - 1) / 2]);
        put(h, i, node);
}

static void sift_down(Heap *h, size_t i, HeapNode *node) {
        for (;;) {
                size_t child = 2 * i + 1;

                if (child >= h->n)
                        break;
                if (child + 1 < h->n && before(h->nodes[child + 1], h->nodes[child]))
                        child++;
                if (!before(h->nodes[child], node))
                        break;
                put(h, i, h->nodes[child]);
                i = child;
        }
        put(h, i, node);
}

void heap_push(Heap *h, HeapNode *node, int64_t due) {
        must(node->at == 0);
        if (h->n == h->cap) {
                size_t cap = h->cap ? h->cap * 2 : 64;
                HeapNode **nodes = realloc(h->nodes, cap * sizeof(HeapNode *));

                must(nodes);
                h->nodes = nodes;
                h->cap = cap;
        }
        node->due = due;
        node->turn = h->turn++;
        sift_up(h, h->n++, node);
}

void heap_remove(Heap *h, HeapNode *node) {
        if (node->at == 0)
                return;
        size_t i = node->at - 1;
        must(i < h->n && h->nodes[i] == node);
        HeapNode *last = h->nodes[--h->n];
        node->at = 0;
        if (last == node)
                return;
        if (i > 0 && before(last, h->nodes[(i - 1) / 2]))
                sift_up(h, i, last);
        else
                sift_down(h, i, last);
}

HeapNode *heap_pop_due(Heap *h, int64_t now) {
        HeapNode *node = heap_first(h);

        if (!node || node->due > now)
                return NULL;
        heap_remove(h, node);
        return node;
}

void heap_done(Heap *h) {
        free(h->nodes);
        *h = (Heap){0};
}
