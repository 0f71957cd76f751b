/* SPDX-License-Identifier: Apache-2.0 */
#include "http/bytes.h"

#define T HTTP_TOKEN
#define F HTTP_FIELD
#define P HTTP_PATH
#define Q HTTP_QUERY
#define L HTTP_LABEL
#define X HTTP_HEX
#define U HTTP_UNRESERVED

/* Beyond RFC 3986, brackets and the bar stand in paths and queries, and braces, the caret and the
 * backtick in queries, because browsers and what is built on their rules send them bare and
 * every reader takes them the same way. The backslash is nowhere: some read it as a slash. */
const unsigned char http_bytes[256] = {
        ['\t'] = F,
        [' '] = F,
        ['!'] = T | F | P | Q,
        ['"'] = F,
        ['#'] = T | F,
        ['$' ... '\''] = T | F | P | Q,
        ['(' ... ')'] = F | P | Q,
        ['*' ... '+'] = T | F | P | Q,
        [','] = F | P | Q,
        ['-' ... '.'] = T | F | P | Q | L | U,
        ['/'] = F | P | Q,
        ['0' ... '9'] = T | F | P | Q | L | X | U,
        [':' ... ';'] = F | P | Q,
        ['<'] = F,
        ['='] = F | P | Q,
        ['>'] = F,
        ['?'] = F | Q,
        ['@'] = F | P | Q,
        ['A' ... 'F'] = T | F | P | Q | L | X | U,
        ['G' ... 'Z'] = T | F | P | Q | L | U,
        ['['] = F | P | Q,
        ['\\'] = F,
        [']'] = F | P | Q,
        ['^'] = T | F | Q,
        ['_'] = T | F | P | Q | L | U,
        ['`'] = T | F | Q,
        ['a' ... 'f'] = T | F | P | Q | L | X | U,
        ['g' ... 'z'] = T | F | P | Q | L | U,
        ['{'] = F | Q,
        ['|'] = T | F | P | Q,
        ['}'] = F | Q,
        ['~'] = T | F | P | Q | U,
        [0x80 ... 0xff] = F,
};

size_t http_field_run(Span s, size_t from) {
        size_t i = from;

        for (;;) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
                const uint64_t ones = UINT64_MAX / 255;

                while (s.n - i >= sizeof(uint64_t)) {
                        uint64_t word;

                        memcpy(&word, s.p + i, sizeof word);
                        /* The top bit of each byte below blank, and of each that is DEL. Borrows
                         * run upwards only, so the lowest mark is never a false one. */
                        uint64_t deleted = word ^ ones * 0x7f;
                        uint64_t marks =
                                ((word - ones * 0x20) & ~word) | ((deleted - ones) & ~deleted);
                        marks &= ones * 0x80;
                        if (marks) {
                                i += (size_t)__builtin_ctzll(marks) / 8;
                                break;
                        }
                        i += sizeof word;
                }
#endif
                while (i < s.n && http_is(s.p[i], HTTP_FIELD) && s.p[i] != '\t')
                        i++;
                if (i == s.n || s.p[i] != '\t')
                        return i - from;
                i++;
        }
}

size_t http_percent_fault(Span s) {
        size_t i = span_find(s, '%');

        while (i < s.n) {
                if (s.n - i < 3 || !http_is(s.p[i + 1], HTTP_HEX) ||
                    !http_is(s.p[i + 2], HTTP_HEX) || (s.p[i + 1] == '0' && s.p[i + 2] == '0'))
                        return i;
                i += 3;
                i += span_find(span_from(s, i), '%');
        }
        return s.n;
}

bool http_digits(Span s, uint64_t cap, uint64_t *ret) {
        uint64_t v = 0;

        for (size_t i = 0; i < s.n; i++) {
                if (!http_digit(s.p[i]))
                        return false;
                unsigned digit = (unsigned)(s.p[i] - '0');
                v = v > (UINT64_MAX - digit) / 10 ? UINT64_MAX : v * 10 + digit;
        }
        *ret = v < cap ? v : cap;
        return s.n > 0;
}
