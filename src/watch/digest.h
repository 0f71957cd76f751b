/* SPDX-License-Identifier: Apache-2.0
 *
 * A short name for a JSON value that stays the same over restarts: equal values have equal ones,
 * however their members are ordered and their numbers and strings are spelled. */
#pragma once

#include "base/arena.h"

enum { DIGEST_BYTES = 16, DIGEST_TEXT = 2 * DIGEST_BYTES + 1 };

typedef struct Digest {
        unsigned char p[DIGEST_BYTES];
} Digest;

/* Of `value` (checked JSON), without those of its own members that are named. False when the arena
 * has no room. */
MUST_CHECK bool digest_json(Span value, const char *const *ignored, size_t n, Arena *a,
                            Digest *ret);
/* Of several texts, each told apart from the next. */
void digest_texts(const Span *parts, size_t n, Digest *ret);
void digest_print(const Digest *d, char ret[DIGEST_TEXT]);
