/* SPDX-License-Identifier: Apache-2.0 */
#include "map/trace.h"

static bool is_word(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
               (c >= '0' && c <= '9');
}

/* The end of the value that begins at `i`: the comma or brace that closes it at this level. */
static size_t value_end(Span s, size_t i) {
        unsigned depth = 0, strings = 0;
        bool in_string = false;
        unsigned open_at[32];

        for (; i < s.n; i++) {
                char c = s.p[i];

                if (in_string) {
                        if (c == '\\' && i + 1 < s.n && s.p[i + 1] == '(') {
                                if (strings == COUNT_OF(open_at))
                                        return s.n;
                                open_at[strings++] = depth++;
                                in_string = false;
                                i++;
                        } else if (c == '\\')
                                i++;
                        else if (c == '"')
                                in_string = false;
                } else if (c == '"')
                        in_string = true;
                else if (c == '(' || c == '[' || c == '{')
                        depth++;
                else if ((c == ')' || c == ']' || c == '}') && depth) {
                        depth--;
                        if (strings && open_at[strings - 1] == depth) {
                                strings--;
                                in_string = true;
                        }
                } else if (depth == 0 && (c == ',' || c == '}'))
                        return i;
        }
        return s.n;
}

static Span trim(Span s) {
        return span_trim(s, " \t\r\n");
}

/* The expression behind `key` in the object construction that `s` begins with. */
static Span find_member(Span s, Span key) {
        s = trim(s);
        if (s.n == 0 || s.p[0] != '{')
                return (Span){NULL, 0};
        for (size_t i = 1; i < s.n && s.p[i - 1] != 0;) {
                size_t end = value_end(s, i), colon = i;
                Span entry = trim((Span){s.p + i, end - i});
                Span name = entry;

                if (entry.n == 0)
                        break;
                if (entry.p[0] == '"') {
                        colon = 1 + span_find(span_from(entry, 1), '"');
                        name = (Span){entry.p + 1, colon - 1};
                        colon = colon + 1 + span_find(span_from(entry, colon + 1), ':');
                } else {
                        colon = span_find(entry, ':');
                        name = trim((Span){entry.p, colon});
                }
                if (span_eq(name, key))
                        return colon < entry.n ? trim(span_from(entry, colon + 1))
                                               : (Span){NULL, 0};
                if (end >= s.n || s.p[end] == '}')
                        break;
                i = end + 1;
        }
        return (Span){NULL, 0};
}

/* A run of names that begins at the dot: `.user.first` gives root and pointer. */
static size_t take_path(Span s, size_t i, Arena *a, TraceOrigin *ret) {
        AUTO(buf_done)
        Buf pointer = BUF(1024);
        bool first = true;

        *ret = (TraceOrigin){{NULL, 0}, {NULL, 0}};
        while (i + 1 < s.n && s.p[i] == '.' && is_word(s.p[i + 1]) &&
               !(s.p[i + 1] >= '0' && s.p[i + 1] <= '9')) {
                size_t from = ++i;

                while (i < s.n && is_word(s.p[i]))
                        i++;
                Span name = {s.p + from, i - from};
                if (first)
                        ret->root = name;
                else if (buf_add_char(&pointer, '/') < 0 || buf_add(&pointer, name) < 0)
                        return i;
                first = false;
                if (i + 1 < s.n && s.p[i] == '[' && s.p[i + 1] >= '0' && s.p[i + 1] <= '9') {
                        size_t digits = span_find(span_from(s, i), ']');

                        if (buf_add_char(&pointer, '/') < 0 ||
                            buf_add(&pointer, (Span){s.p + i + 1, digits - 1}) < 0)
                                return i;
                        i += digits + 1;
                }
        }
        ret->pointer = arena_span(a, buf_span(&pointer));
        return i;
}

static bool seen(const TraceOrigin *list, size_t n, const TraceOrigin *o) {
        for (size_t i = 0; i < n; i++)
                if (span_eq(list[i].root, o->root) && span_eq(list[i].pointer, o->pointer))
                        return true;
        return false;
}

size_t trace_field(Span text, Span field, Arena *a, TraceOrigin ret[TRACE_MAX]) {
        Span expr = text;
        size_t n = 0;

        if (field.n && field.p[0] == '/')
                field = span_from(field, 1);
        while (field.n && expr.p) {
                size_t end = span_find(field, '/');

                expr = find_member(expr, (Span){field.p, end});
                field = span_from(field, end + 1);
        }
        if (!expr.p)
                return 0;
        for (size_t i = 0; i < expr.n && n < TRACE_MAX;) {
                char last = i ? expr.p[i - 1] : 0;
                TraceOrigin o;

                if (expr.p[i] != '.' || is_word(last) || last == ']' || last == ')') {
                        i++;
                        continue;
                }
                size_t next = take_path(expr, i, a, &o);
                if (o.root.p && o.pointer.p && !seen(ret, n, &o))
                        ret[n++] = o;
                i = next > i ? next : i + 1;
        }
        return n;
}
