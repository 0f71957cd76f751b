/* SPDX-License-Identifier: Apache-2.0
 *
 * A pattern as read and as run: between regex_class.c and regex.c, which read, and
 * regex_run.c, which runs. */
#pragma once

#include "json/regex.h"

typedef struct RegexRange {
        unsigned from, to; /* code points, both in */
} RegexRange;

typedef struct RegexClass {
        bool is_negated;
        const RegexRange *ranges;
        size_t n;
} RegexClass;

typedef enum RegexOp {
        REGEX_CLASS, /* one code point of `set` */
        REGEX_SPLIT, /* goes on at both x and y */
        REGEX_JUMP,  /* goes on at x */
        REGEX_START,
        REGEX_END,
        REGEX_WORD_EDGE,
        REGEX_NO_WORD_EDGE,
        REGEX_MATCH,
} RegexOp;

typedef struct RegexStep {
        RegexOp op;
        uint16_t x, y;
        RegexClass set;
} RegexStep;

struct JsonRegex {
        RegexStep *steps;
        size_t n;
};

/* The next code point of UTF-8 text (a lone surrogate's three bytes too), -1 at the end. */
int regex_point(JsonReader *r);

typedef struct RegexReader {
        const char *p, *end;
        Span pattern;
        Arena *arena;
        Err *e;
        unsigned depth; /* of groups */
} RegexReader;

int regex_refuse(const RegexReader *r, const char *why); /* -EINVAL */
int regex_no_room(const RegexReader *r);                 /* -ENOMEM */

static inline bool regex_at(const RegexReader *r, char c) {
        return r->p < r->end && *r->p == c;
}
static inline bool regex_take(RegexReader *r, char c) {
        bool is_there = regex_at(r, c);

        r->p += is_there;
        return is_there;
}
unsigned regex_point_take(RegexReader *r);
/* Everything but the ends of lines. */
extern const RegexClass regex_any;
/* \d \D \w \W \s \S by their letter; false for other letters. */
bool regex_named_set(char c, RegexClass *ret);
/* After the backslash: an escape that stands for one code point. 0 or as regex_refuse. */
MUST_CHECK int regex_escape_take(RegexReader *r, unsigned *ret);
/* After '['. 0 or as regex_refuse and regex_no_room. */
MUST_CHECK int regex_class_take(RegexReader *r, RegexClass *ret);
