/* SPDX-License-Identifier: Apache-2.0 */
#include "map/words.h"

#include "map/lex.h"

#include <math.h>

#define INTEGER_MAX 9007199254740992.0 /* 2^53: beyond it a double skips integers */

/* Everything that reaches outside of the program's own input, or ends the process that runs it. */
static const char *const forbidden_words[] = {
        "env",   "input",  "inputs", "input_filename", "input_line_number", "import",     "include",
        "debug", "stderr", "halt",   "halt_error",     "get_search_list",   "modulemeta",
};
static const char *const forbidden_variables[] = {"ENV", "__prog_args"};

/* Words that show nothing of the input of the place where they stand. */
static const char *const blind_words[] = {
        "if",     "then",     "elif",  "else",  "end",   "and",   "or",
        "not",    "try",      "catch", "as",    "def",   "label", "break",
        "reduce", "foreach",  "empty", "null",  "true",  "false", "now",
        "nan",    "infinite", "range", "limit", "first", "last",  "isempty",
};

/* A run of tokens that share their input: an `(...)`, `[...]`, `{...}`, interpolation, `if...end`,
 * or the program itself. */
typedef struct Level {
        char open;    /* ( [ { " i or 0 */
        bool was_top; /* did the input of the program come in here? */
        bool top;     /* does it still, after the pipes so far? */
        bool keeps;   /* the next pipe belongs to `as` or `label` and hands the input on */
} Level;

typedef struct Reader {
        Lex lex;
        LexToken before, token;
        Level levels[WORDS_DEPTH_MAX];
        size_t depth; /* of the innermost level */
        Words *words;
        Err *e;
} Reader;

static bool among(Span word, const char *const *list, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (span_eq(word, span_of(list[i])))
                        return true;
        return false;
}

static Level *innermost(Reader *r) {
        return &r->levels[r->depth];
}

static int push(Reader *r, char open) {
        bool top = innermost(r)->top;

        if (r->depth + 1 == WORDS_DEPTH_MAX)
                return FAIL(r->e, -EINVAL, "brackets are nested deeper than %d at offset %zu",
                            WORDS_DEPTH_MAX, r->token.at);
        r->levels[++r->depth] = (Level){open, top, top, false};
        return 0;
}

/* Brackets that do not match are left for jq to complain about. */
static void pop(Reader *r, char open) {
        if (r->depth && innermost(r)->open == open)
                r->depth--;
}

static void begin_again(Reader *r) {
        innermost(r)->top = innermost(r)->was_top;
        innermost(r)->keeps = false;
}

static void sees_all(Reader *r) {
        if (innermost(r)->top)
                r->words->all = true;
}

static void sees(Reader *r, Span name) {
        Words *w = r->words;

        if (!innermost(r)->top)
                return;
        if (memchr(name.p, '\\', name.n))
                w->all = true; /* escaped: not compared byte by byte */
        for (size_t i = 0; i < w->n; i++)
                if (span_eq(w->names[i], name))
                        return;
        if (w->n == WORDS_NAMES_MAX)
                w->all = true;
        else
                w->names[w->n++] = name;
}

/* `."name"` and `.["name"]` see one member, any other bare dot the whole. */
static void read_dot(Reader *r) {
        Lex ahead = r->lex;
        LexToken t = lex_next(&ahead);

        if (lex_is(t, '[')) {
                t = lex_next(&ahead);
                if (t.kind == LEX_STRING && !lex_is(lex_next(&ahead), ']'))
                        t.kind = LEX_MARK;
        }
        if (t.kind == LEX_STRING)
                sees(r, t.text);
        else
                sees_all(r);
}

static int read_mark(Reader *r) {
        char c = r->token.text.n == 1 ? r->token.text.p[0] : 0;

        switch (c) {
        case '(':
        case '[':
        case '{':
                return push(r, c);
        case ')':
                pop(r, '(');
                return 0;
        case ']':
                pop(r, '[');
                return 0;
        case '}':
                pop(r, '{');
                return 0;
        case '.':
                read_dot(r);
                return 0;
        case '|':
                if (!innermost(r)->keeps)
                        innermost(r)->top = false;
                innermost(r)->keeps = false;
                return 0;
        case ',': /* between members; elsewhere it binds tighter than the pipe before it */
                if (innermost(r)->open == '{')
                        begin_again(r);
                return 0;
        case ';':
                begin_again(r);
                return 0;
        default:
                return 0;
        }
}

/* Is the token the key of a member? There, every word is but a name. */
static bool is_key(Reader *r) {
        return innermost(r)->open == '{' && (lex_is(r->before, '{') || lex_is(r->before, ','));
}

static int read_word(Reader *r) {
        Span word = r->token.text;

        if (is_key(r)) {
                sees(r, word); /* `{user}` is `{user: .user}` */
                return 0;
        }
        if (among(word, forbidden_words, COUNT_OF(forbidden_words)))
                return FAIL(r->e, -EINVAL,
                            "'" SPAN_FMT "' at offset %zu is not allowed: a program sees its "
                            "input and nothing else",
                            SPAN_ARG(word), r->token.at);
        if (lex_is_word(r->token, "if"))
                return push(r, 'i');
        if (lex_is_word(r->token, "end"))
                pop(r, 'i');
        else if (innermost(r)->open == 'i' &&
                 (lex_is_word(r->token, "then") || lex_is_word(r->token, "elif") ||
                  lex_is_word(r->token, "else")))
                begin_again(r);
        else if (lex_is_word(r->token, "as") || lex_is_word(r->token, "label"))
                innermost(r)->keeps = true;
        else if (!among(word, blind_words, COUNT_OF(blind_words)))
                sees_all(r);
        return 0;
}

static int read_variable(Reader *r) {
        if (among(r->token.text, forbidden_variables, COUNT_OF(forbidden_variables)))
                return FAIL(r->e, -EINVAL,
                            "'$" SPAN_FMT "' at offset %zu is not allowed: a program sees its "
                            "input and nothing else",
                            SPAN_ARG(r->token.text), r->token.at);
        return 0;
}

/* Promise 7 holds for the numbers in the program's own text, too. */
static int read_number(Reader *r) {
        char digits[400];
        Span text = r->token.text;
        bool exact = text.n < sizeof digits;

        if (exact) {
                memcpy(digits, text.p, text.n);
                digits[text.n] = 0;
                double value = strtod(digits, NULL);
                bool integer = strspn(digits, "0123456789") == text.n;

                exact = isfinite(value) && (!integer || value < INTEGER_MAX ||
                                            strcmp(digits, "9007199254740992") == 0);
        }
        return exact ? 0
                     : FAIL(r->e, -EINVAL,
                            "the number at offset %zu is too large for jq to keep exact: write it "
                            "as a string",
                            r->token.at);
}

static int read_token(Reader *r) {
        bool string = r->token.kind == LEX_STRING || r->token.kind == LEX_STRING_OPEN;
        LexKind next;

        if (string && is_key(r)) {
                if (r->token.kind == LEX_STRING)
                        sees(r, r->token.text);
                else
                        sees_all(r); /* `{"a\(1)"}` is a look-up, too */
        }
        switch (r->token.kind) {
        case LEX_BAD:
                return FAIL(r->e, -EINVAL, "%s (at offset %zu)", r->lex.why, r->token.at);
        case LEX_FIELD:
                sees(r, r->token.text);
                return 0;
        case LEX_WORD:
                return read_word(r);
        case LEX_VARIABLE:
                return read_variable(r);
        case LEX_NUMBER:
                return read_number(r);
        case LEX_STRING_OPEN:
                return push(r, '"');
        case LEX_STRING_MIDDLE:
                pop(r, '"');
                return push(r, '"');
        case LEX_STRING_CLOSE:
                pop(r, '"');
                return 0;
        case LEX_FORMAT: /* alone it formats the input; before a string, its interpolations */
                next = lex_peek(&r->lex).kind;
                if (is_key(r) || (next != LEX_STRING && next != LEX_STRING_OPEN))
                        sees_all(r);
                return 0;
        case LEX_RECURSE:
        case LEX_ASSIGN: /* gives the whole input with a part of it changed */
                sees_all(r);
                return 0;
        case LEX_MARK:
                return read_mark(r);
        default:
                return 0;
        }
}

int words_read(Span program, Words *ret, Err *e) {
        Words words = {0};
        Reader r = {.lex = lex_begin(program), .words = &words, .e = e};
        int result = 0;

        r.levels[0] = (Level){.was_top = true, .top = true};
        for (r.token = lex_next(&r.lex); result == 0 && r.token.kind != LEX_END;
             r.token = lex_next(&r.lex)) {
                result = read_token(&r);
                r.before = r.token;
        }
        if (result == 0)
                *ret = words;
        return result;
}
