/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes that are never logged, printed or shown again: no print function takes a Secret. Wiped
 * when freed. */
#pragma once

#include "base/base.h"

typedef struct Secret {
        unsigned char *hidden;
        size_t n;
} Secret;

Secret secret_copy(Span bytes);
/* Lends the bytes to the one call that signs, compares or sends them. */
static inline Span secret_reveal(const Secret *s) {
        return (Span){(const char *)s->hidden, s->n};
}
void secret_done(Secret *s);
