/* SPDX-License-Identifier: Apache-2.0
 *
 * What each byte may be, looked up once: the grammars of RFC 9110 section 5.6.2 and RFC 3986
 * section 2 as one table. */
#pragma once

#include "base/base.h"

enum {
        HTTP_TOKEN = 1,       /* methods, header names, parameter names */
        HTTP_FIELD = 2,       /* header values: no controls but the tab */
        HTTP_PATH = 4,        /* paths; a percent sign is judged with what follows it */
        HTTP_QUERY = 8,       /* queries, and whole targets: HTTP_PATH and more */
        HTTP_LABEL = 16,      /* names of hosts */
        HTTP_HEX = 32,        /* hexadecimal digits */
        HTTP_UNRESERVED = 64, /* never needs percent-encoding */
};

extern const unsigned char http_bytes[256];

static inline bool http_is(char c, unsigned kinds) {
        return http_bytes[(unsigned char)c] & kinds;
}
static inline bool http_digit(char c) {
        return c >= '0' && c <= '9';
}
/* The value of a hexadecimal digit. */
static inline unsigned http_hex(char c) {
        return http_digit(c) ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}
/* How many bytes from `from` on are of that kind. */
static inline size_t http_run(Span s, size_t from, unsigned kinds) {
        size_t i = from;

        while (i < s.n && http_is(s.p[i], kinds))
                i++;
        return i - from;
}
/* The same for HTTP_FIELD, eight bytes at a time: values are most of a head. */
size_t http_field_run(Span s, size_t from);
/* Does every percent sign stand before two hexadecimal digits that are not 00? The offset of the
 * first that does not, or s.n. */
size_t http_percent_fault(Span s);
/* Decimal digits and nothing else, as a number not above `cap`: more is `cap`. */
bool http_digits(Span s, uint64_t cap, uint64_t *ret);
