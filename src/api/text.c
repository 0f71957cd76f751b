/* SPDX-License-Identifier: Apache-2.0 */
#include "api/text.h"

#include "json/value.h"

#define PLAIN_MAX_BYTES (256 * 1024)

Span text_member(Span text, const char *member) {
        Span v = json_member(text, span_of(member));

        if (!v.p || json_kind(v) == JSON_NULL)
                return (Span){NULL, 0};
        return json_trim(v);
}

int64_t text_int(Span text, const char *member, int64_t fallback) {
        Span v = text_member(text, member);
        uint64_t n;

        return v.p && span_to_u64(v, INT64_MAX, &n) ? (int64_t)n : fallback;
}

bool text_bool(Span text, const char *member) {
        return span_eq(text_member(text, member), SPAN("true"));
}

Span text_plain(Span text, const char *member, Arena *a) {
        AUTO(buf_done)
        Buf b = BUF(PLAIN_MAX_BYTES);
        Span v = text_member(text, member);

        if (!v.p || json_kind(v) != JSON_STRING || json_text(v, &b) < 0)
                return (Span){NULL, 0};
        return arena_span(a, b.n ? buf_span(&b) : SPAN(""));
}

void text_keep(Put *p, const char *member, const Values *v, const char *field, Span old) {
        Span given = value_of(v, field);

        if (!given.p && old.p)
                given = text_member(old, member);
        if (given.p && json_kind(given) != JSON_NULL)
                put_raw(p, member, given);
}

void text_show(Put *p, const char *key, Span text, const char *member, const char *otherwise) {
        Span v = text_member(text, member);

        put_raw(p, key, v.p ? v : span_of(otherwise));
}

void text_show_time(Put *p, const char *key, Span text, const char *member) {
        put_time(p, key, text_int(text, member, 0));
}
