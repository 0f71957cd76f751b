/* SPDX-License-Identifier: Apache-2.0 */
#include "json/check.h"
#include "json/index.h"
#include "json/number.h"
#include "json/text.h"

static bool equal_at(Span a, Span b, unsigned depth);

static bool arrays_equal(Span a, Span b, unsigned depth) {
        size_t at = 0, bt = 0;
        Span key, x, y;

        for (;;) {
                bool more = json_next(a, &at, &key, &x);

                if (more != json_next(b, &bt, &key, &y))
                        return false;
                if (!more)
                        return true;
                if (!equal_at(x, y, depth))
                        return false;
        }
}

/* Is the last value of each key of `a` what `b` has last under that key? *ret_n counts the keys. */
static bool members_equal(const JsonIndex *a, const JsonIndex *b, unsigned depth, size_t *ret_n) {
        Span key, value, other;

        *ret_n = 0;
        for (size_t pos = 0; json_next(a->object, &pos, &key, &value);) {
                if (json_index_find(a, key).p != value.p)
                        continue;
                other = json_index_find(b, key);
                if (!other.p || !equal_at(value, other, depth))
                        return false;
                ++*ret_n;
        }
        return true;
}

static size_t keys_count(const JsonIndex *x) {
        Span key, value;
        size_t n = 0;

        for (size_t pos = 0; json_next(x->object, &pos, &key, &value);)
                n += json_index_find(x, key).p == value.p;
        return n;
}

static bool objects_equal(Span a, Span b, unsigned depth) {
        AUTO(json_index_done)
        JsonIndex x = {0};
        AUTO(json_index_done)
        JsonIndex y = {0};
        size_t n;

        json_index_init(&x, a);
        json_index_init(&y, b);
        return members_equal(&x, &y, depth, &n) && n == keys_count(&y);
}

static bool equal_at(Span a, Span b, unsigned depth) {
        JsonKind kind = json_kind(a);

        if (kind != json_kind(b) || depth > JSON_DEPTH_MAX)
                return false;
        switch (kind) {
        case JSON_NUMBER:
                return json_number_equal(a, b);
        case JSON_STRING:
                return json_raw_equal((Span){a.p + 1, a.n - 2}, (Span){b.p + 1, b.n - 2});
        case JSON_ARRAY:
                return span_eq(a, b) || arrays_equal(a, b, depth + 1);
        case JSON_OBJECT:
                return span_eq(a, b) || objects_equal(a, b, depth + 1);
        default:
                return true;
        }
}

bool json_equal(Span a, Span b) {
        return equal_at(json_trim(a), json_trim(b), 0);
}
