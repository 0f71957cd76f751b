/* SPDX-License-Identifier: Apache-2.0
 *
 * Applies a JSON Patch (RFC 6902) as plainly as it can be said: each operation writes the whole
 * document anew. For tests, which hold json_diff_patch() to what it promises; this file itself is
 * held to the public json-patch-tests by tests/interop. */
#pragma once

#include "json/check.h"
#include "json/place.h"
#include "json/value.h"

enum { PATCH_TEXT_MAX_BYTES = 1 << 22 };

typedef enum PatchEdit { PATCH_ADD, PATCH_REPLACE, PATCH_REMOVE } PatchEdit;

static inline int patch_edit(Span doc, Span pointer, PatchEdit edit, Span value, Buf *out);

/* Does "/segment" lead to the member of that raw key? */
static inline bool patch_leads_to(Span segment, Span raw_key) {
        AUTO(buf_done)
        Buf text = BUF(PATCH_TEXT_MAX_BYTES);

        must(json_place_print(&(JsonPlace){.key = raw_key}, &text) == 0);
        return span_eq(segment, buf_span(&text));
}

static inline int patch_object(Span doc, Span segment, Span rest, PatchEdit edit, Span value,
                               Buf *out) {
        bool is_met = false, is_first = true;
        Span key, member;
        int r = buf_add_char(out, '{');

        for (size_t pos = 0; r == 0 && json_next(doc, &pos, &key, &member);) {
                bool is_it = patch_leads_to(segment, key);

                if (is_it) { /* the last of a name counts, and is written where it stands */
                        Span last = member, k, v;

                        for (size_t p = pos; json_next(doc, &p, &k, &v);)
                                if (patch_leads_to(segment, k))
                                        last = v;
                        if (last.p != member.p)
                                continue;
                        is_met = true;
                        if (rest.n == 0 && edit == PATCH_REMOVE)
                                continue;
                }
                r = buf_addf(out, "%s\"" SPAN_FMT "\":", is_first ? "" : ",", SPAN_ARG(key));
                is_first = false;
                if (r == 0)
                        r = !is_it   ? buf_add(out, member)
                            : rest.n ? patch_edit(member, rest, edit, value, out)
                                     : buf_add(out, value);
        }
        if (r == 0 && !is_met) {
                Span name = span_from(segment, 1);

                if (rest.n || edit != PATCH_ADD)
                        return -EINVAL;
                r = buf_addf(out, "%s\"", is_first ? "" : ",");
                for (size_t i = 0; r == 0 && i < name.n; i++) {
                        unsigned char c = (unsigned char)name.p[i];

                        if (c == '~')
                                c = name.p[++i] == '0' ? '~' : '/';
                        r = c < 0x20 || c == '"' || c == '\\' ? buf_addf(out, "\\u%04x", c)
                                                              : buf_add_char(out, (char)c);
                }
                if (r == 0)
                        r = buf_addf(out, "\":" SPAN_FMT, SPAN_ARG(value));
        }
        return r == 0 ? buf_add_char(out, '}') : r;
}

static inline int patch_array(Span doc, Span segment, Span rest, PatchEdit edit, Span value,
                              Buf *out) {
        uint64_t at = json_length(doc), n = at, i = 0;
        Span number = span_from(segment, 1), key, element;
        bool is_first = true, inserts = rest.n == 0 && edit == PATCH_ADD;
        int r;

        if (!(inserts && span_eq(number, SPAN("-"))) &&
            (!span_to_u64(number, n, &at) || (number.n > 1 && number.p[0] == '0')))
                return -EINVAL;
        if (at == n && !inserts)
                return -EINVAL;
        r = buf_add_char(out, '[');
        for (size_t pos = 0; r == 0 && json_next(doc, &pos, &key, &element); i++) {
                if (i == at && rest.n == 0 && edit == PATCH_REMOVE)
                        continue;
                if (!is_first)
                        r = buf_add_char(out, ',');
                is_first = false;
                if (r == 0 && i == at && inserts)
                        r = buf_addf(out, SPAN_FMT ",", SPAN_ARG(value));
                if (r == 0)
                        r = i != at || inserts ? buf_add(out, element)
                            : rest.n           ? patch_edit(element, rest, edit, value, out)
                                               : buf_add(out, value);
        }
        if (r == 0 && at == n && !is_first)
                r = buf_add_char(out, ',');
        if (r == 0 && at == n)
                r = buf_add(out, value);
        return r == 0 ? buf_add_char(out, ']') : r;
}

static inline int patch_edit(Span doc, Span pointer, PatchEdit edit, Span value, Buf *out) {
        Span segment = pointer, rest;

        if (pointer.n == 0)
                return edit == PATCH_REMOVE ? -EINVAL : buf_add(out, value);
        if (pointer.p[0] != '/')
                return -EINVAL;
        segment.n = 1 + span_find(span_from(pointer, 1), '/');
        rest = span_from(pointer, segment.n);
        for (size_t i = 0; i < segment.n; i++)
                if (segment.p[i] == '~' &&
                    (i + 1 == segment.n || (segment.p[i + 1] != '0' && segment.p[i + 1] != '1')))
                        return -EINVAL;
        switch (json_kind(doc)) {
        case JSON_OBJECT:
                return patch_object(doc, segment, rest, edit, value, out);
        case JSON_ARRAY:
                return patch_array(doc, segment, rest, edit, value, out);
        default:
                return -EINVAL;
        }
}

static inline int patch_text(Span object, Span name, Buf *out) {
        Span v = json_member(object, name);

        if (!v.p || json_kind(v) != JSON_STRING)
                return -EINVAL;
        return json_text(v, out);
}

static inline int patch_op(Span doc, Span op, Buf *out) {
        AUTO(buf_done)
        Buf name = BUF(64);
        AUTO(buf_done)
        Buf path = BUF(PATCH_TEXT_MAX_BYTES);
        AUTO(buf_done)
        Buf from = BUF(PATCH_TEXT_MAX_BYTES);
        AUTO(buf_done)
        Buf between = BUF(PATCH_TEXT_MAX_BYTES);
        Span value = json_member(op, SPAN("value")), what, source;

        if (patch_text(op, SPAN("op"), &name) < 0 || patch_text(op, SPAN("path"), &path) < 0)
                return -EINVAL;
        what = buf_span(&name);
        if (span_eq(what, SPAN("remove")))
                return patch_edit(doc, buf_span(&path), PATCH_REMOVE, value, out);
        if (span_eq(what, SPAN("move")) || span_eq(what, SPAN("copy"))) {
                if (patch_text(op, SPAN("from"), &from) < 0)
                        return -EINVAL;
                source = buf_span(&from);
                value = json_at(doc, source);
                if (!value.p)
                        return -EINVAL;
                if (span_eq(what, SPAN("copy")) || span_eq(source, buf_span(&path)))
                        return patch_edit(doc, buf_span(&path), PATCH_ADD, value, out);
                if (span_starts(buf_span(&path), source) && path.p[source.n] == '/')
                        return -EINVAL;
                if (patch_edit(doc, source, PATCH_REMOVE, value, &between) < 0)
                        return -EINVAL;
                return patch_edit(buf_span(&between), buf_span(&path), PATCH_ADD, value, out);
        }
        if (!value.p)
                return -EINVAL;
        if (span_eq(what, SPAN("add")))
                return patch_edit(doc, buf_span(&path), PATCH_ADD, value, out);
        if (span_eq(what, SPAN("replace")))
                return patch_edit(doc, buf_span(&path), PATCH_REPLACE, value, out);
        if (span_eq(what, SPAN("test"))) {
                Span there = json_at(doc, buf_span(&path));

                return there.p && json_equal(there, value) ? buf_add(out, doc) : -EINVAL;
        }
        return -EINVAL;
}

/* Appends the document with all operations applied; -EINVAL, and nothing appended, when one of
 * them cannot be. */
static inline int patch_apply(Span doc, Span patch, Buf *out) {
        AUTO(buf_done)
        Buf now = BUF(PATCH_TEXT_MAX_BYTES);
        AUTO(buf_done)
        Buf next = BUF(PATCH_TEXT_MAX_BYTES);
        Span key, op;
        int r = json_kind(patch) == JSON_ARRAY ? buf_add(&now, json_trim(doc)) : -EINVAL;

        for (size_t pos = 0; r == 0 && json_next(patch, &pos, &key, &op);) {
                buf_clear(&next);
                r = patch_op(buf_span(&now), op, &next);
                if (r == 0) {
                        Buf swap = now;

                        now = next;
                        next = swap;
                }
        }
        return r == 0 ? buf_add(out, buf_span(&now)) : r;
}
