/* SPDX-License-Identifier: Apache-2.0
 *
 * A text that is refused could have become JSON until the refused byte. One that is accepted can
 * be looked into, compared, printed and patched, and stays what it is. The input may hold two
 * texts with a NUL between them: a value and what is wanted. */
#include "json/check.h"
#include "json/diff.h"
#include "json/value.h"

/* Asking by number walks from the start: only the first elements are asked for. */
enum { KEYS_MAX = 200, ELEMENTS_MAX = 64, PRINT_MAX_BYTES = 1 << 17, TEXT_MAX_BYTES = 1 << 24 };

static bool check(Span text) {
        JsonFault fault = {0}, early = {0};

        if (json_check(text, KEYS_MAX, &fault) == 0)
                return true;
        must(fault.why && fault.offset <= text.n);
        if (json_check((Span){text.p, fault.offset}, KEYS_MAX, &early) < 0)
                must(early.offset == fault.offset);
        return false;
}

/* Looks at everything in a value once: all spans lie in it and are texts themselves. */
static void visit(Span value, unsigned depth) {
        AUTO(buf_done)
        Buf text = BUF(TEXT_MAX_BYTES);
        Span key, inner;
        JsonFault fault;
        size_t n = 0;

        must(depth <= JSON_DEPTH_MAX && json_check(value, KEYS_MAX, &fault) == 0);
        for (size_t pos = 0; json_next(value, &pos, &key, &inner); n++) {
                must(inner.p > value.p && inner.p + inner.n < value.p + value.n);
                if (json_kind(value) == JSON_ARRAY && n < ELEMENTS_MAX)
                        must(json_element(value, n).p == inner.p);
                visit(inner, depth + 1);
                buf_clear(&text);
                if (json_kind(value) == JSON_OBJECT && json_key_text(key, &text) == 0)
                        must(json_member(value, buf_span(&text)).p >= inner.p &&
                             json_member_count(value, buf_span(&text)) > 0);
        }
        must(n == json_length(value));
        buf_clear(&text);
        JsonKind kind = json_kind(value);
        if (json_text(value, &text) == 0)
                must(kind < JSON_ARRAY);
        else
                must(text.n == 0 && kind >= JSON_STRING);
}

static void check_printing(Span value) {
        AUTO(buf_done)
        Buf once = BUF(PRINT_MAX_BYTES);
        AUTO(buf_done)
        Buf twice = BUF(PRINT_MAX_BYTES);
        JsonFault fault;

        if (json_pretty(value, &once) < 0) { /* deep values are mostly indentation */
                must(once.n == 0);
                return;
        }
        must(json_check(buf_span(&once), KEYS_MAX, &fault) == 0);
        must(json_equal(value, buf_span(&once)) && json_equal(buf_span(&once), value));
        must(json_pretty(buf_span(&once), &twice) == 0);
        must(span_eq(buf_span(&once), buf_span(&twice)));
}

static void check_pointer(Span value) {
        char pointer[JSON_POINTER_MAX_BYTES] = "";

        if (json_unsafe_number(value, pointer))
                must(strlen(pointer) < sizeof pointer && (pointer[0] == 0 || pointer[0] == '/'));
}

/* After the patch there is nothing left to send. */
static void check_patching(Span have, Span want) {
        AUTO(buf_done)
        Buf patch = BUF(TEXT_MAX_BYTES);
        AUTO(buf_done)
        Buf now = BUF(TEXT_MAX_BYTES);
        AUTO(buf_done)
        Buf rest = BUF(TEXT_MAX_BYTES);
        JsonFault fault;
        int r = json_diff_merge(have, want, &patch);

        must(r == (patch.n > 0));
        if (r == 0)
                return;
        must(json_check(buf_span(&patch), KEYS_MAX, &fault) == 0);
        must(json_merge(have, buf_span(&patch), &now) == 0);
        must(json_check(buf_span(&now), 2 * KEYS_MAX, &fault) == 0);
        must(json_kind(want) != JSON_OBJECT || json_diff_merge(buf_span(&now), want, &rest) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Span all = {(const char *)data, size}, have = all, want;

        have.n = span_find(all, 0);
        want = span_from(all, have.n + 1);
        if (!check(have))
                return 0;
        visit(json_trim(have), 0);
        check_printing(have);
        check_pointer(have);
        must(json_equal(have, have));
        if (check(want)) {
                must(json_equal(have, want) == json_equal(want, have));
                check_patching(have, want);
        }
        return 0;
}
