/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

static char lower(char c) {
        return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool span_eq_nocase(Span a, Span b) {
        if (a.n != b.n)
                return false;
        for (size_t i = 0; i < a.n; i++)
                if (lower(a.p[i]) != lower(b.p[i]))
                        return false;
        return true;
}

Span span_trim(Span s, const char *blanks) {
        while (s.n && strchr(blanks, s.p[0]) && s.p[0]) {
                s.p++;
                s.n--;
        }
        while (s.n && strchr(blanks, s.p[s.n - 1]) && s.p[s.n - 1])
                s.n--;
        return s;
}

size_t span_find(Span s, char c) {
        const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

        return at ? (size_t)(at - s.p) : s.n;
}

bool span_to_u64(Span s, uint64_t max, uint64_t *ret) {
        uint64_t v = 0;

        if (s.n == 0 || s.n > 20)
                return false;
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] < '0' || s.p[i] > '9')
                        return false;
                unsigned digit = (unsigned)(s.p[i] - '0');
                if (v > (UINT64_MAX - digit) / 10)
                        return false;
                v = v * 10 + digit;
        }
        if (v > max)
                return false;
        *ret = v;
        return true;
}

bool span_eq_secret(Span a, Span b) {
        unsigned char differs = a.n != b.n;

        /* An asm barrier per byte would be stronger still; volatile keeps compilers from leaving
         * the loop early, which is what the length-only promise needs. */
        for (size_t i = 0; i < a.n && b.n; i++) {
                volatile unsigned char x =
                        (unsigned char)((unsigned char)a.p[i] ^ (unsigned char)b.p[i % b.n]);
                differs |= x;
        }
        return !differs;
}

size_t span_utf8(Span s, size_t i) {
        unsigned char c = (unsigned char)s.p[i];
        size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : 0;

        if (c >= 0xf0 && c < 0xf5)
                n = 4;
        if (n == 0 || n > s.n - i)
                return 0;
        for (size_t k = 1; k < n; k++)
                if (((unsigned char)s.p[i + k] & 0xc0) != 0x80)
                        return 0;
        if (n > 2) {
                unsigned char d = (unsigned char)s.p[i + 1];
                if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) ||
                    (c == 0xf4 && d > 0x8f))
                        return 0;
        }
        return n;
}
