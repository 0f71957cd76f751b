/* SPDX-License-Identifier: Apache-2.0
 *
 * Token by token: the depth is counted, never recursed into. */
#include "json/scan.h"

static int new_line(Buf *out, size_t depth) {
        int r = buf_add_char(out, '\n');

        for (size_t i = 0; r == 0 && i < depth; i++)
                r = buf_add(out, SPAN("  "));
        return r;
}

/* The bracket at p, and the closing one with it when nothing stands between. */
static int open_print(const char **p, const char *end, size_t *depth, Buf *out) {
        const char *next = json_blanks(*p + 1, end);
        int r = buf_add_char(out, **p);

        if (r == 0 && next < end && (*next == '}' || *next == ']')) {
                *p = next + 1;
                return buf_add_char(out, *next);
        }
        *p = next;
        return r == 0 ? new_line(out, ++*depth) : r;
}

static int token_print(const char **p, const char *end, size_t *depth, Buf *out) {
        const char *from = *p;
        int r;

        switch (*from) {
        case '{':
        case '[':
                return open_print(p, end, depth, out);
        case '}':
        case ']':
                r = new_line(out, *depth ? --*depth : 0);
                break;
        case ',':
                ++*p;
                r = buf_add_char(out, ',');
                return r == 0 ? new_line(out, *depth) : r;
        case ':':
                ++*p;
                return buf_add(out, SPAN(": "));
        default:
                *p = json_value_end(from, end);
                if (*p > from)
                        return buf_add(out, (Span){from, (size_t)(*p - from)});
                r = 0;
                break;
        }
        ++*p;
        return r == 0 ? buf_add_char(out, *from) : r;
}

int json_pretty(Span value, Buf *out) {
        const char *p = value.p, *end = value.p + value.n;
        size_t depth = 0, start = out->n;
        int r = 0;

        for (p = json_blanks(p, end); r == 0 && p < end; p = json_blanks(p, end))
                r = token_print(&p, end, &depth, out);
        if (r < 0)
                out->n = start;
        return r;
}
