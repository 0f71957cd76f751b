/* SPDX-License-Identifier: Apache-2.0 */
#include "config/node.h"

Node *node_get(const Node *map, const char *key) {
        if (!map || map->kind != NODE_MAP)
                return NULL;
        for (size_t i = 0; i < map->n; i++)
                if (span_eq(map->entries[i].key, span_of(key)))
                        return map->entries[i].value;
        return NULL;
}

bool node_is_null(const Node *n) {
        if (n->kind != NODE_SCALAR || n->quoted || n->secret)
                return false;
        return n->text.n == 0 || span_eq(n->text, SPAN("~")) || span_eq(n->text, SPAN("null"));
}

bool node_is_scalar(const Node *n) {
        return n->kind == NODE_SCALAR && !node_is_null(n);
}

/* The reader held the tree's depth, so this recursion has its maximum. */
bool node_same(const Node *a, const Node *b) {
        bool same = a->kind == b->kind && a->quoted == b->quoted && a->n == b->n &&
                    span_eq(a->text, b->text);

        for (size_t i = 0; same && i < a->n; i++)
                same = a->kind == NODE_MAP
                               ? span_eq(a->entries[i].key, b->entries[i].key) &&
                                         node_same(a->entries[i].value, b->entries[i].value)
                               : node_same(a->items[i], b->items[i]);
        return same;
}

/* As deep as that. */
void node_wipe(Node *n) {
        if (!n)
                return;
        if (n->text.n)
                explicit_bzero((char *)n->text.p, n->text.n);
        for (size_t i = 0; n->kind == NODE_MAP && i < n->n; i++)
                node_wipe(n->entries[i].value);
        for (size_t i = 0; n->kind == NODE_LIST && i < n->n; i++)
                node_wipe(n->items[i]);
}
