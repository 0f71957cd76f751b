/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing run of bytes that cannot be made without saying how large it may get. */
#pragma once

#include "base/base.h"

typedef struct Buf {
        char *p;
        size_t n, cap, max;
} Buf;

#define BUF(max_bytes) ((Buf){.max = (max_bytes)})

/* All return 0, -EMSGSIZE (the maximum is reached; nothing was added) or -ENOMEM. */
MUST_CHECK int buf_add(Buf *b, Span s);
MUST_CHECK int buf_add_char(Buf *b, char c);
MUST_CHECK int buf_addf(Buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* Makes room for `n` more bytes and lends the place; commit with b->n += used. */
MUST_CHECK int buf_room(Buf *b, size_t n, char **ret);
/* Drops the first `n` bytes. */
void buf_eat(Buf *b, size_t n);
/* Keeps the memory, forgets the bytes. */
static inline void buf_clear(Buf *b) {
        b->n = 0;
}
void buf_done(Buf *b);
static inline Span buf_span(const Buf *b) {
        return (Span){b->p, b->n};
}
/* Is all of it UTF-8 (RFC 3629)? */
bool buf_is_utf8(const Buf *b);
/* Appends `s` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
MUST_CHECK int buf_add_json(Buf *b, Span s);
