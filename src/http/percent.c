/* SPDX-License-Identifier: Apache-2.0 */
#include "http/bytes.h"
#include "http/url.h"

int url_encode(Buf *out, Span s) {
        static const char digits[] = "0123456789ABCDEF";
        size_t start = out->n;
        bool is_step = span_eq(s, SPAN(".")) || span_eq(s, SPAN(".."));
        int r = 0;

        for (size_t i = 0, n; r == 0 && i < s.n; i += n) {
                n = is_step ? 0 : http_run(s, i, HTTP_UNRESERVED);
                if (n) {
                        r = buf_add(out, (Span){s.p + i, n});
                        continue;
                }
                unsigned char c = (unsigned char)s.p[i];
                n = 1;
                r = buf_add(out, (Span){(char[]){'%', digits[c >> 4], digits[c & 15]}, 3});
        }
        if (r < 0)
                out->n = start;
        return r;
}

int url_decode(Buf *out, Span s) {
        size_t start = out->n;
        int r = 0;

        if (http_percent_fault(s) < s.n)
                return -EINVAL;
        for (size_t i = 0; r == 0 && i < s.n;) {
                Span plain = span_from(s, i);

                plain.n = span_find(plain, '%');
                r = buf_add(out, plain);
                i += plain.n;
                if (r == 0 && i < s.n) {
                        r = buf_add_char(out,
                                         (char)(http_hex(s.p[i + 1]) << 4 | http_hex(s.p[i + 2])));
                        i += 3;
                }
        }
        if (r < 0)
                out->n = start;
        return r;
}
