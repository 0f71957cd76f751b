/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory by lifetime: one arena per request, job or configuration; everything made for it dies
 * with it. Library values and descriptors join by arena_defer. Not for use by two threads. */
#pragma once

#include "base/base.h"

typedef struct Arena Arena;

/* Never NULL. `max_bytes` bounds the sum of all that is asked of it. */
Arena *arena_new(size_t max_bytes);
/* One of those that live long and in great numbers: its first block has room for `bytes` only. */
Arena *arena_new_for(size_t bytes, size_t max_bytes);
/* Runs the deferred calls, newest first, and frees all; accepts NULL, returns NULL. */
Arena *arena_free(Arena *a);
static inline void arena_freep(Arena **a) {
        *a = arena_free(*a);
}
/* Zeroed and aligned for any type; NULL when the maximum is reached. */
void *arena_alloc(Arena *a, size_t n) MUST_CHECK;
/* A copy, with a terminator after it that the span does not count; .p is NULL on no room. */
Span arena_span(Arena *a, Span s) MUST_CHECK;
char *arena_text(Arena *a, Span s) MUST_CHECK;
/* Formats into the arena; NULL when the maximum is reached. */
char *arena_printf(Arena *a, const char *format, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
MUST_CHECK int arena_defer(Arena *a, void (*fn)(void *), void *arg);
size_t arena_used(const Arena *a);
