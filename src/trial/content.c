/* SPDX-License-Identifier: Apache-2.0 */
#include "trial/content.h"

#include "json/check.h"
#include "json/value.h"

static int scalar_json(const Node *n, Buf *out) {
        JsonFault fault;

        if (node_is_null(n))
                return buf_add(out, SPAN("null"));
        if (!n->quoted && json_check(n->text, JSON_KEYS_MAX, &fault) == 0 &&
            json_kind(n->text) < JSON_STRING)
                return buf_add(out, n->text);
        return buf_add_json(out, n->text);
}

/* The reader held the tree's depth, so this recursion has its maximum. */
int content_json(const Node *n, Buf *out) {
        bool is_map = n->kind == NODE_MAP;
        int r;

        if (n->kind == NODE_SCALAR)
                return scalar_json(n, out);
        r = buf_add_char(out, is_map ? '{' : '[');
        for (size_t i = 0; r == 0 && i < n->n; i++) {
                if (i)
                        r = buf_add_char(out, ',');
                if (r == 0 && is_map)
                        r = buf_add_json(out, n->entries[i].key);
                if (r == 0 && is_map)
                        r = buf_add_char(out, ':');
                if (r == 0)
                        r = content_json(is_map ? n->entries[i].value : n->items[i], out);
        }
        return r == 0 ? buf_add_char(out, is_map ? '}' : ']') : r;
}

/* ---- comparing ---- */

typedef struct Comparing {
        bool exact;
        size_t n, max;
        ContentTell *tell;
        void *arg;
        Buf pointer;
} Comparing;

static void differs(Comparing *c, Span want, Span got) {
        if (c->n++ < c->max)
                c->tell(c->arg, c->pointer.n ? buf_span(&c->pointer) : SPAN(""), want, got);
}

/* A pointer too long for its room loses its end: it is only shown. */
static void go_in(Comparing *c, Span key) {
        AUTO(buf_done)
        Buf text = BUF(4096);
        int r = json_key_text(key, &text);

        if (r == 0)
                r = buf_add_char(&c->pointer, '/');
        for (size_t i = 0; r == 0 && i < text.n; i++) {
                if (text.p[i] == '~' || text.p[i] == '/')
                        r = buf_add(&c->pointer, text.p[i] == '~' ? SPAN("~0") : SPAN("~1"));
                else
                        r = buf_add_char(&c->pointer, text.p[i]);
        }
}

static void compare(Comparing *c, Span want, Span got);

static void compare_at(Comparing *c, Span key, Span want, Span got) {
        size_t before = c->pointer.n;

        go_in(c, key);
        compare(c, want, got);
        c->pointer.n = before;
}

static Span member_of(Span object, Span raw_key) {
        AUTO(buf_done)
        Buf text = BUF(64 * 1024);

        if (json_key_text(raw_key, &text) < 0)
                return (Span){NULL, 0};
        return json_member(object, text.n ? buf_span(&text) : SPAN(""));
}

static void compare_objects(Comparing *c, Span want, Span got) {
        Span key, value;

        for (size_t pos = 0; json_next(want, &pos, &key, &value);)
                compare_at(c, key, value, member_of(got, key));
        for (size_t pos = 0; c->exact && json_next(got, &pos, &key, &value);)
                if (!member_of(want, key).p)
                        compare_at(c, key, (Span){NULL, 0}, value);
}

static void compare_arrays(Comparing *c, Span want, Span got) {
        size_t n = json_length(want), m = json_length(got);

        for (size_t i = 0; i < n || i < m; i++) {
                char index[24];

                (void)snprintf(index, sizeof index, "%zu", i);
                compare_at(c, span_of(index), json_element(want, i), json_element(got, i));
        }
}

/* Both have passed json_check, which held their depth: this recursion has its maximum. */
static void compare(Comparing *c, Span want, Span got) {
        if (!want.p || !got.p) {
                if (want.p || got.p)
                        differs(c, want, got);
        } else if (json_kind(want) == JSON_OBJECT && json_kind(got) == JSON_OBJECT)
                compare_objects(c, want, got);
        else if (json_kind(want) == JSON_ARRAY && json_kind(got) == JSON_ARRAY)
                compare_arrays(c, want, got);
        else if (!json_equal(want, got))
                differs(c, want, got);
}

size_t content_compare(Span want, Span got, bool exact, size_t max, ContentTell *tell, void *arg) {
        Comparing c = {.exact = exact, .max = max, .tell = tell, .arg = arg, .pointer = BUF(4096)};

        compare(&c, want, got);
        buf_done(&c.pointer);
        return c.n;
}
