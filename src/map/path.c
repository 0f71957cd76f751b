/* SPDX-License-Identifier: Apache-2.0 */
#include "map/path.h"

#include "json/value.h"

static bool is_word(char c, bool first) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
               (!first && c >= '0' && c <= '9');
}

/* A quoted key without escapes; anything else is jq's to read. */
static bool take_quoted(Span *s, Span *key) {
        size_t end = 1;

        while (end < s->n && s->p[end] != '"') {
                if (s->p[end] == '\\' || (unsigned char)s->p[end] < 0x20)
                        return false;
                end++;
        }
        if (end >= s->n)
                return false;
        *key = (Span){s->p + 1, end - 1};
        *s = span_from(*s, end + 1);
        return true;
}

static bool take_bracket(Span *s, PathPart *part) {
        uint64_t index;
        size_t end;

        *s = span_from(*s, 1);
        if (s->n && s->p[0] == '"') {
                if (!take_quoted(s, &part->key))
                        return false;
        } else {
                end = span_find(*s, ']');
                if (!span_to_u64((Span){s->p, end}, 1000000, &index))
                        return false;
                *part = (PathPart){.index = (size_t)index};
                *s = span_from(*s, end);
        }
        if (s->n == 0 || s->p[0] != ']')
                return false;
        *s = span_from(*s, 1);
        return true;
}

static bool take_key(Span *s, PathPart *part) {
        size_t n = 0;

        if (s->n && s->p[0] == '"')
                return take_quoted(s, &part->key);
        while (n < s->n && is_word(s->p[n], n == 0))
                n++;
        part->key = (Span){s->p, n};
        *s = span_from(*s, n);
        return n > 0;
}

bool path_parse_any(Span text, Path *ret) {
        Span s = span_trim(text, " \t\r\n");

        ret->n = 0;
        ret->whole = s.n == 1 && s.p[0] == '.';
        if (s.n == 0 || s.p[0] != '.')
                return false;
        if (ret->whole)
                return true;
        while (s.n) {
                PathPart part = {{NULL, 0}, 0};
                bool ok;

                if (ret->n == PATH_PARTS_MAX)
                        return false;
                if (s.p[0] == '.') {
                        s = span_from(s, 1);
                        ok = s.n && s.p[0] == '[' ? ret->n == 0 && take_bracket(&s, &part)
                                                  : take_key(&s, &part);
                } else
                        ok = ret->n > 0 && s.p[0] == '[' && take_bracket(&s, &part);
                if (!ok)
                        return false;
                ret->part[ret->n++] = part;
        }
        return true;
}

bool path_parse(Span text, Path *ret) {
        return path_parse_any(text, ret) && (ret->n == 0 || ret->part[0].key.p);
}

Span path_follow(const Path *p, size_t first, Span value) {
        for (size_t i = first; i < p->n && value.p; i++) {
                const PathPart *part = &p->part[i];

                if (part->key.p)
                        value = json_kind(value) == JSON_OBJECT ? json_member(value, part->key)
                                                                : (Span){NULL, 0};
                else
                        value = json_kind(value) == JSON_ARRAY ? json_element(value, part->index)
                                                               : (Span){NULL, 0};
        }
        return value;
}
