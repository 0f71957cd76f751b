/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Patch (RFC 6902) from what is to what is wanted. It means what the merge patch of the same
 * two means: members that want does not name stay, a null in it takes a member away, and arrays
 * are replaced whole. Whole, since a pointer into an array counts its elements: were the array
 * changed by somebody else meanwhile, the operation would meet another element than was meant. */
#include "json/check.h"
#include "json/diff.h"
#include "json/index.h"
#include "json/place.h"

typedef struct Writer {
        Buf *out;
        size_t start;
        bool has_tests; /* each old value is tested before it is replaced or removed */
} Writer;

/* Opens one operation up to its pointer's closing quote. */
static int op_open(const Writer *w, const char *op, const JsonPlace *place) {
        int r = buf_addf(w->out, "%c{\"op\":\"%s\",\"path\":\"", w->out->n == w->start ? '[' : ',',
                         op);

        if (r == 0)
                r = json_place_print_raw(place, w->out);
        return r == 0 ? buf_add_char(w->out, '"') : r;
}

static int op_test(const Writer *w, const JsonPlace *place, Span old) {
        int r = op_open(w, "test", place);

        if (r == 0)
                r = buf_add(w->out, SPAN(",\"value\":"));
        if (r == 0)
                r = buf_add(w->out, old);
        return r == 0 ? buf_add_char(w->out, '}') : r;
}

static int op_set(const Writer *w, const JsonPlace *place, Span old, Span new) {
        int r = old.p && w->has_tests ? op_test(w, place, old) : 0;

        if (r == 0)
                r = op_open(w, old.p ? "replace" : "add", place);
        if (r == 0)
                r = buf_add(w->out, SPAN(",\"value\":"));
        if (r == 0) /* leaves out what is null in it */
                r = json_merge(SPAN("null"), new, w->out);
        return r == 0 ? buf_add_char(w->out, '}') : r;
}

static int op_remove(const Writer *w, const JsonPlace *place, Span old) {
        int r = w->has_tests ? op_test(w, place, old) : 0;

        if (r == 0)
                r = op_open(w, "remove", place);
        return r == 0 ? buf_add_char(w->out, '}') : r;
}

static int diff_at(const Writer *w, const JsonPlace *place, Span have, Span want, unsigned depth);

static int diff_objects(const Writer *w, const JsonPlace *place, Span have, Span want,
                        unsigned depth) {
        AUTO(json_index_done)
        JsonIndex old = {0};
        AUTO(json_index_done)
        JsonIndex new = {0};
        Span key, value;
        int r = 0;

        json_index_init(&old, have);
        json_index_init(&new, want);
        for (size_t pos = 0; r == 0 && json_next(want, &pos, &key, &value);) {
                Span there = json_index_find(&old, key);
                JsonPlace at = {.up = place, .key = key};

                if (json_index_find(&new, key).p != value.p)
                        continue; /* a later one of this name counts */
                if (json_kind(value) != JSON_NULL)
                        r = diff_at(w, &at, there, value, depth);
                else if (there.p && json_kind(there) != JSON_NULL)
                        r = op_remove(w, &at, there);
        }
        return r;
}

/* `have` has no .p where nothing is. */
static int diff_at(const Writer *w, const JsonPlace *place, Span have, Span want, unsigned depth) {
        if (have.p && depth < JSON_DEPTH_MAX && json_kind(have) == JSON_OBJECT &&
            json_kind(want) == JSON_OBJECT)
                return diff_objects(w, place, have, want, depth + 1);
        if (have.p && json_equal(have, want))
                return 0;
        return op_set(w, place, have, want);
}

static int diff(Span have, Span want, bool has_tests, Buf *out) {
        const Writer w = {.out = out, .start = out->n, .has_tests = has_tests};
        int r = diff_at(&w, NULL, json_trim(have), json_trim(want), 0);

        if (r == 0 && out->n == w.start)
                return 0;
        if (r == 0)
                r = buf_add_char(out, ']');
        if (r < 0)
                out->n = w.start;
        return r < 0 ? r : 1;
}

int json_diff_patch(Span have, Span want, Buf *out) {
        return diff(have, want, false, out);
}

int json_diff_patch_tested(Span have, Span want, Buf *out) {
        return diff(have, want, true, out);
}
