/* SPDX-License-Identifier: Apache-2.0
 *
 * What a jq program says, read from its tokens: forbidden words, numbers that jq would round, and
 * which members of its input it can see. The last is a proof or nothing: whatever might look at
 * the input as a whole makes it "all". */
#pragma once

#include "base/base.h"

enum {
        WORDS_NAMES_MAX = 32, /* names of members; a program with more sees all */
        WORDS_DEPTH_MAX = 128,
};

typedef struct Words {
        bool all; /* may see the whole input */
        Span names[WORDS_NAMES_MAX];
        size_t n; /* members of the input that it names; some may be of deeper objects */
} Words;

/* 0, or -EINVAL with the sentence and the offset: the program says what no program may. Names
 * point into the text. */
MUST_CHECK int words_read(Span program, Words *ret, Err *e);
