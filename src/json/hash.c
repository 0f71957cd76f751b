/* SPDX-License-Identifier: Apache-2.0 */
#include "json/check.h"
#include "json/index.h"
#include "json/number.h"
#include "json/text.h"

#include "base/table.h"

static uint64_t mix(uint64_t a, uint64_t b) {
        uint64_t both[2] = {a, b};

        return hash_bytes((Span){(const char *)both, sizeof both});
}

static uint64_t hash_at(Span value, unsigned depth) {
        JsonKind kind = json_kind(value);
        uint64_t sum = (uint64_t)kind;
        Span key, inner;

        if (kind == JSON_NUMBER)
                return mix(sum, json_number_hash(value));
        if (kind == JSON_STRING)
                return mix(sum, json_raw_hash((Span){value.p + 1, value.n - 2}));
        if (depth == JSON_DEPTH_MAX)
                return sum;
        if (kind == JSON_ARRAY)
                for (size_t pos = 0; json_next(value, &pos, &key, &inner);)
                        sum = mix(sum, hash_at(inner, depth + 1));
        if (kind == JSON_OBJECT) {
                AUTO(json_index_done)
                JsonIndex x = {0};

                json_index_init(&x, value);
                for (size_t pos = 0; json_next(value, &pos, &key, &inner);)
                        if (json_index_find(&x, key).p == inner.p) /* in any order: a sum */
                                sum += mix(json_raw_hash(key), hash_at(inner, depth + 1));
        }
        return mix(sum, (uint64_t)kind);
}

uint64_t json_hash(Span value) {
        return hash_at(json_trim(value), 0);
}
