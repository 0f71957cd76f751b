/* SPDX-License-Identifier: Apache-2.0 */
#include "json/index.h"

#include "json/text.h"

/* The slot of that key, or the free one where it belongs. */
static JsonSlot *slot_find(const JsonIndex *x, Span raw_key, uint64_t hash, Span *ret_value) {
        for (size_t i = hash & x->mask;; i = (i + 1) & x->mask) {
                JsonSlot *slot = &x->slots[i];
                size_t pos = slot->next - 1;
                Span key;

                *ret_value = (Span){NULL, 0};
                if (slot->next == 0)
                        return slot;
                if (slot->hash == hash && json_next(x->object, &pos, &key, ret_value) &&
                    json_raw_equal(key, raw_key))
                        return slot;
        }
}

static void table_fill(JsonIndex *x) {
        Span key, value, ignored;
        size_t size = 16;

        while (size < x->n * 2)
                size *= 2;
        x->slots = calloc(size, sizeof *x->slots);
        if (!x->slots)
                return;
        x->mask = size - 1;
        for (size_t pos = 0, at = 0; json_next(x->object, &pos, &key, &value); at = pos) {
                uint64_t hash = json_raw_hash(key);

                *slot_find(x, key, hash, &ignored) = (JsonSlot){.hash = hash, .next = at + 1};
        }
}

void json_index_init(JsonIndex *x, Span object) {
        Span key, value;

        x->object = json_kind(object) == JSON_OBJECT ? object : (Span){NULL, 0};
        x->slots = NULL;
        x->n = 0;
        for (size_t pos = 0; json_next(x->object, &pos, &key, &value); x->n++)
                if (x->n < INDEX_FEW) {
                        x->keys[x->n] = key;
                        x->values[x->n] = value;
                }
        if (x->n > INDEX_FEW)
                table_fill(x);
}

void json_index_done(JsonIndex *x) {
        free(x->slots);
        x->slots = NULL;
}

Span json_index_find(const JsonIndex *x, Span raw_key) {
        Span key, value, found = {NULL, 0};

        if (x->slots) {
                (void)slot_find(x, raw_key, json_raw_hash(raw_key), &value);
                return value;
        }
        if (x->n <= INDEX_FEW) {
                for (size_t i = x->n; i-- > 0;)
                        if (json_raw_equal(x->keys[i], raw_key))
                                return x->values[i];
                return found;
        }
        for (size_t pos = 0; json_next(x->object, &pos, &key, &value);)
                if (json_raw_equal(key, raw_key))
                        found = value;
        return found;
}
