/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

int buf_room(Buf *b, size_t n, char **ret) {
        if (n > b->max - b->n)
                return -EMSGSIZE;
        if (b->n + n > b->cap) {
                size_t cap = b->cap ? b->cap : 256;

                while (cap < b->n + n)
                        cap *= 2;
                char *p = realloc(b->p, cap);
                if (!p)
                        return -ENOMEM;
                b->p = p;
                b->cap = cap;
        }
        *ret = b->p + b->n;
        return 0;
}

int buf_add(Buf *b, Span s) {
        char *at = NULL;
        int r;

        if (s.n == 0)
                return 0;
        r = buf_room(b, s.n, &at);
        if (r < 0)
                return r;
        memcpy(at, s.p, s.n);
        b->n += s.n;
        return 0;
}

int buf_add_char(Buf *b, char c) {
        return buf_add(b, (Span){&c, 1});
}

/* Most texts fit into the room that is there: then they are formatted once. */
int buf_addf(Buf *b, const char *format, ...) {
        size_t left = b->cap - b->n;
        va_list ap;
        char *at = NULL;
        int r, n;

        va_start(ap, format);
        n = vsnprintf(left ? b->p + b->n : NULL, left, format, ap);
        va_end(ap);
        if (n < 0)
                return -EINVAL;
        r = buf_room(b, (size_t)n + 1, &at);
        if (r < 0)
                return r;
        if ((size_t)n >= left) {
                va_start(ap, format);
                (void)vsnprintf(at, (size_t)n + 1, format, ap);
                va_end(ap);
        }
        b->n += (size_t)n;
        return 0;
}

void buf_eat(Buf *b, size_t n) {
        must(n <= b->n);
        if (n == 0)
                return;
        memmove(b->p, b->p + n, b->n - n);
        b->n -= n;
}

void buf_done(Buf *b) {
        free(b->p);
        b->p = NULL;
        b->n = b->cap = 0;
}

bool buf_is_utf8(const Buf *b) {
        for (size_t i = 0, n; i < b->n; i += n) {
                n = span_utf8(buf_span(b), i);
                if (n == 0)
                        return false;
        }
        return true;
}

static int add_json_char(Buf *b, char c) {
        switch (c) {
        case '"':
                return buf_add(b, SPAN("\\\""));
        case '\\':
                return buf_add(b, SPAN("\\\\"));
        case '\n':
                return buf_add(b, SPAN("\\n"));
        case '\r':
                return buf_add(b, SPAN("\\r"));
        case '\t':
                return buf_add(b, SPAN("\\t"));
        default:
                return buf_addf(b, "\\u%04x", (unsigned)(unsigned char)c);
        }
}

int buf_add_json(Buf *b, Span s) {
        int r = buf_add_char(b, '"');

        for (size_t i = 0, n; r == 0 && i < s.n; i += n) {
                size_t plain = i;

                while (plain < s.n && (unsigned char)s.p[plain] >= 0x20 &&
                       (unsigned char)s.p[plain] < 0x7f && s.p[plain] != '"' && s.p[plain] != '\\')
                        plain++;
                if (plain > i) {
                        n = plain - i;
                        r = buf_add(b, (Span){s.p + i, n});
                        continue;
                }
                n = span_utf8(s, i);
                if (n > 1)
                        r = buf_add(b, (Span){s.p + i, n});
                else if (n == 1)
                        r = add_json_char(b, s.p[i]);
                else {
                        n = 1;
                        r = buf_add(b, SPAN("\xef\xbf\xbd"));
                }
        }
        return r < 0 ? r : buf_add_char(b, '"');
}
