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
