/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokens of a jq program, as far as anyone here has to read one without running it: which
 * words it says, where a hole of a template ends, where a field comes from. Text inside strings
 * is no code, but the code inside their interpolations is. Pure, constant memory; a text that jq
 * would refuse may give any tokens, but never runs off its end. */
#pragma once

#include "base/base.h"

enum { LEX_NEST_MAX = 64 }; /* strings within interpolations of strings */

typedef enum LexKind {
        LEX_END,
        LEX_BAD,           /* Lex.why says what is wrong; there are no tokens behind it */
        LEX_FIELD,         /* .name; text is the name */
        LEX_WORD,          /* keywords and functions, with their module's:: */
        LEX_VARIABLE,      /* $name; text is the name */
        LEX_NUMBER,        /* digits, fraction and exponent */
        LEX_STRING,        /* text between the quotes, still escaped */
        LEX_STRING_OPEN,   /* "...\( : code follows */
        LEX_STRING_MIDDLE, /* )...\( : more code follows */
        LEX_STRING_CLOSE,  /* )..." */
        LEX_FORMAT,        /* @base64; text is the name */
        LEX_RECURSE,       /* .. */
        LEX_ASSIGN,        /* = |= += -= *= /= %= //= */
        LEX_MARK,          /* any other sign; text is all of it: "|", "==", "?//" */
} LexKind;

typedef struct LexToken {
        LexKind kind;
        Span text;
        size_t at; /* offset of its first byte */
} LexToken;

typedef struct Lex {
        Span text;
        size_t at;                     /* behind the last token */
        unsigned parens[LEX_NEST_MAX]; /* open ones in the code of each interpolation */
        size_t nested;
        const char *why; /* a static sentence once BAD */
} Lex;

static inline Lex lex_begin(Span text) {
        return (Lex){.text = text};
}
LexToken lex_next(Lex *l);
/* The token after the last one, without going there. */
LexToken lex_peek(const Lex *l);
/* Is it the one-byte sign `c`? */
static inline bool lex_is(LexToken t, char c) {
        return t.kind == LEX_MARK && t.text.n == 1 && t.text.p[0] == c;
}
static inline bool lex_is_word(LexToken t, const char *word) {
        return t.kind == LEX_WORD && span_eq(t.text, span_of(word));
}
