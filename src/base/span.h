/* SPDX-License-Identifier: Apache-2.0
 *
 * A span lends bytes: a pointer and a length, never a terminator. Everything from outside is a
 * span until it has been checked; only library borders make C strings of it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct Span {
        const char *p;
        size_t n;
} Span;

#define SPAN(literal) ((Span){"" literal, sizeof(literal) - 1})
#define SPAN_FMT      "%.*s"
#define SPAN_ARG(s)   (int)(s).n, (s).p

static inline Span span_of(const char *s) {
        return s ? (Span){s, strlen(s)} : (Span){NULL, 0};
}
static inline Span span_make(const void *p, size_t n) {
        return (Span){p, n};
}
/* From `from` (clamped) to the end. */
static inline Span span_from(Span s, size_t from) {
        return from >= s.n ? (Span){s.p + s.n, 0} : (Span){s.p + from, s.n - from};
}
static inline bool span_eq(Span a, Span b) {
        return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool span_starts(Span s, Span head) {
        return s.n >= head.n && (head.n == 0 || memcmp(s.p, head.p, head.n) == 0);
}
bool span_eq_nocase(Span a, Span b);        /* ASCII letters only */
Span span_trim(Span s, const char *blanks); /* both ends */
/* Length of the UTF-8 sequence at s[i], or 0 where the bytes are none (RFC 3629). */
size_t span_utf8(Span s, size_t i);
/* Offset of byte `c`, or s.n. */
size_t span_find(Span s, char c);
/* Plain decimal digits only, at most `max`; false for empty, signs, blanks or overflow. */
bool span_to_u64(Span s, uint64_t max, uint64_t *ret);
/* Compares in a time that depends on the lengths alone: for signatures and credentials. */
bool span_eq_secret(Span a, Span b);
