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
