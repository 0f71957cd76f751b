/* SPDX-License-Identifier: Apache-2.0 */
#include "json/diff.h"

#include "json/check.h"
#include "json/index.h"
#include "json/text.h"

/* Appends ',' or '{', then the key as it was written and its colon. */
static int key_print(Span raw_key, bool is_first, Buf *out) {
        int r = buf_add_char(out, is_first ? '{' : ',');

        if (r == 0)
                r = buf_add_char(out, '"');
        if (r == 0)
                r = buf_add(out, raw_key);
        return r == 0 ? buf_add(out, SPAN("\":")) : r;
}

static int diff_at(Span have, Span want, Buf *out, unsigned depth);

/* Appends what the member needs: 1, 0 for nothing, or a fault. A null says that the member shall
 * not be (RFC 7396), so one that is not there needs none. */
static int diff_member(Span have, Span want, Buf *out, unsigned depth) {
        if (!have.p)
                have = SPAN("null");
        return diff_at(have, want, out, depth);
}

static int diff_objects(Span have, Span want, Buf *out, unsigned depth) {
        AUTO(json_index_done)
        JsonIndex old = {0};
        AUTO(json_index_done)
        JsonIndex new = {0};
        size_t start = out->n;
        Span key, value;
        int r;

        json_index_init(&old, have);
        json_index_init(&new, want);
        for (size_t pos = 0; json_next(want, &pos, &key, &value);) {
                size_t before = out->n;

                if (json_index_find(&new, key).p != value.p)
                        continue; /* a later one of this name counts */
                r = key_print(key, before == start, out);
                if (r == 0)
                        r = diff_member(json_index_find(&old, key), value, out, depth);
                if (r < 0)
                        return r;
                if (r == 0)
                        out->n = before;
        }
        if (out->n == start)
                return 0;
        r = buf_add_char(out, '}');
        return r < 0 ? r : 1;
}

static int diff_at(Span have, Span want, Buf *out, unsigned depth) {
        int r;

        if (depth < JSON_DEPTH_MAX && json_kind(have) == JSON_OBJECT &&
            json_kind(want) == JSON_OBJECT)
                return diff_objects(have, want, out, depth + 1);
        if (json_equal(have, want))
                return 0;
        r = buf_add(out, want);
        return r < 0 ? r : 1;
}

int json_diff_merge(Span have, Span want, Buf *out) {
        size_t start = out->n;
        int r = diff_at(json_trim(have), json_trim(want), out, 0);

        if (r < 0)
                out->n = start;
        return r;
}

static int merge_at(Span target, Span patch, Buf *out, unsigned depth);

/* The target's own members, patched where the patch names them, in the target's order. */
static int merge_old(const JsonIndex *old, const JsonIndex *new, Buf *out, bool *is_first,
                     unsigned depth) {
        Span key, value, change;
        int r = 0;

        for (size_t pos = 0; r == 0 && json_next(old->object, &pos, &key, &value);) {
                if (json_index_find(old, key).p != value.p)
                        continue;
                change = json_index_find(new, key);
                if (change.p && json_kind(change) == JSON_NULL)
                        continue;
                r = key_print(key, *is_first, out);
                *is_first = false;
                if (r == 0)
                        r = change.p ? merge_at(value, change, out, depth) : buf_add(out, value);
        }
        return r;
}

/* What the patch adds, in the patch's order. */
static int merge_new(const JsonIndex *old, const JsonIndex *new, Buf *out, bool *is_first,
                     unsigned depth) {
        Span key, value;
        int r = 0;

        for (size_t pos = 0; r == 0 && json_next(new->object, &pos, &key, &value);) {
                if (json_kind(value) == JSON_NULL || json_index_find(new, key).p != value.p ||
                    json_index_find(old, key).p)
                        continue;
                r = key_print(key, *is_first, out);
                *is_first = false;
                if (r == 0)
                        r = merge_at(SPAN("null"), value, out, depth);
        }
        return r;
}

static int merge_at(Span target, Span patch, Buf *out, unsigned depth) {
        AUTO(json_index_done)
        JsonIndex old = {0};
        AUTO(json_index_done)
        JsonIndex new = {0};
        bool is_first = true;
        int r;

        if (json_kind(patch) != JSON_OBJECT)
                return buf_add(out, patch);
        if (depth == JSON_DEPTH_MAX)
                return -EMSGSIZE;
        json_index_init(&old, target);
        json_index_init(&new, patch);
        r = merge_old(&old, &new, out, &is_first, depth + 1);
        if (r == 0)
                r = merge_new(&old, &new, out, &is_first, depth + 1);
        if (r == 0)
                r = buf_add(out, is_first ? SPAN("{}") : SPAN("}"));
        return r;
}

int json_merge(Span target, Span patch, Buf *out) {
        size_t start = out->n;
        int r = merge_at(json_trim(target), json_trim(patch), out, 0);

        if (r < 0)
                out->n = start;
        return r;
}
