/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#define BLOCK_BYTES 4000

typedef struct Block {
        struct Block *next;
        size_t used, cap;
        _Alignas(max_align_t) char bytes[];
} Block;

typedef struct Defer {
        struct Defer *next;
        void (*fn)(void *);
        void *arg;
} Defer;

struct Arena {
        Block *blocks;
        Defer *defers;
        size_t used, max;
        size_t first; /* bytes of the first block */
};

Arena *arena_new_for(size_t bytes, size_t max_bytes) {
        Arena *a = must_alloc(sizeof *a);

        a->max = max_bytes;
        a->first = bytes;
        return a;
}

Arena *arena_new(size_t max_bytes) {
        return arena_new_for(BLOCK_BYTES, max_bytes);
}

Arena *arena_free(Arena *a) {
        if (!a)
                return NULL;
        for (Defer *d = a->defers; d; d = d->next)
                d->fn(d->arg);
        for (Block *b = a->blocks, *next; b; b = next) {
                next = b->next;
                free(b);
        }
        free(a);
        return NULL;
}

static size_t block_for(const Arena *a, size_t n) {
        if (!a->blocks)
                return n > a->first ? n : a->first;
        return n > BLOCK_BYTES / 2 ? n : BLOCK_BYTES;
}

static void *take(Arena *a, size_t n) {
        Block *b = a->blocks;

        n = (n + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
        if (n > a->max - a->used)
                return NULL;
        if (!b || b->cap - b->used < n) {
                size_t cap = block_for(a, n);

                b = malloc(sizeof *b + cap);
                if (!b)
                        return NULL;
                b->used = 0;
                b->cap = cap;
                /* A large block of its own goes behind the current one, which still has room. */
                if (a->blocks && cap == n) {
                        b->next = a->blocks->next;
                        a->blocks->next = b;
                } else {
                        b->next = a->blocks;
                        a->blocks = b;
                }
        }
        void *p = b->bytes + b->used;
        b->used += n;
        a->used += n;
        return p;
}

void *arena_alloc(Arena *a, size_t n) {
        if (n > a->max)
                return NULL;
        void *p = take(a, n);
        return p ? memset(p, 0, n) : NULL;
}

Span arena_span(Arena *a, Span s) {
        char *p = s.n < a->max ? take(a, s.n + 1) : NULL;

        if (!p)
                return (Span){NULL, 0};
        if (s.n)
                memcpy(p, s.p, s.n);
        p[s.n] = 0;
        return (Span){p, s.n};
}

char *arena_text(Arena *a, Span s) {
        return (char *)arena_span(a, s).p;
}

char *arena_printf(Arena *a, const char *format, ...) {
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(NULL, 0, format, ap);
        va_end(ap);
        if (n < 0 || (size_t)n >= a->max)
                return NULL;
        char *p = take(a, (size_t)n + 1);
        if (!p)
                return NULL;
        va_start(ap, format);
        (void)vsnprintf(p, (size_t)n + 1, format, ap);
        va_end(ap);
        return p;
}

int arena_defer(Arena *a, void (*fn)(void *), void *arg) {
        Defer *d = take(a, sizeof *d);

        if (!d)
                return -ENOMEM;
        *d = (Defer){a->defers, fn, arg};
        a->defers = d;
        return 0;
}

size_t arena_used(const Arena *a) {
        return a->used;
}
