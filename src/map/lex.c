/* SPDX-License-Identifier: Apache-2.0 */
#include "map/lex.h"

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_blank(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char at(const Lex *l, size_t i) {
        return i < l->text.n ? l->text.p[i] : 0;
}

/* Versions of jq disagree about where a comment ends that holds a lone CR, or a backslash before
 * its end: what one takes for a comment another runs. Such comments are refused. */
static bool skip_comment(Lex *l) {
        while (l->at < l->text.n && at(l, l->at) != '\n') {
                char c = at(l, l->at++), next = at(l, l->at);

                if ((c == '\\' && (next == '\n' || next == '\r')) || (c == '\r' && next != '\n')) {
                        l->why = "a comment may not end in a backslash, nor hold a lone CR";
                        return false;
                }
        }
        return true;
}

static bool skip_blanks(Lex *l) {
        while (l->at < l->text.n) {
                if (is_blank(at(l, l->at)))
                        l->at++;
                else if (at(l, l->at) != '#')
                        return true;
                else if (!skip_comment(l))
                        return false;
        }
        return true;
}

static size_t name_end(const Lex *l, size_t i) {
        while (is_letter(at(l, i)) || is_digit(at(l, i)))
                i++;
        return i;
}

static LexToken token(LexKind kind, size_t from, Span text) {
        return (LexToken){kind, text, from};
}

static Span cut(const Lex *l, size_t from, size_t to) {
        return (Span){l->text.p + from, to - from};
}

static LexToken bad(Lex *l, const char *why) {
        if (!l->why)
                l->why = why;
        return token(LEX_BAD, l->at, (Span){l->text.p + l->at, 0});
}

/* The rest of a string from l->at on, to its quote or to an interpolation. */
static LexToken string(Lex *l, size_t from, bool begins) {
        size_t i = l->at;

        while (i < l->text.n && at(l, i) != '"' && !(at(l, i) == '\\' && at(l, i + 1) == '('))
                i += at(l, i) == '\\' ? 2 : 1;
        if (i >= l->text.n)
                return bad(l, "a string does not end");
        Span text = cut(l, l->at, i);
        if (at(l, i) == '"') {
                l->at = i + 1;
                return token(begins ? LEX_STRING : LEX_STRING_CLOSE, from, text);
        }
        if (l->nested == LEX_NEST_MAX)
                return bad(l, "interpolations are nested too deep");
        l->parens[l->nested++] = 0;
        l->at = i + 2;
        return token(begins ? LEX_STRING_OPEN : LEX_STRING_MIDDLE, from, text);
}

static LexToken number(Lex *l, size_t from) {
        size_t i = from;

        while (is_digit(at(l, i)) || at(l, i) == '.')
                i++;
        if (at(l, i) == 'e' || at(l, i) == 'E') {
                size_t digits = i + 1 + (at(l, i + 1) == '+' || at(l, i + 1) == '-');

                if (is_digit(at(l, digits)))
                        for (i = digits; is_digit(at(l, i));)
                                i++;
        }
        l->at = i;
        return token(LEX_NUMBER, from, cut(l, from, i));
}

static LexToken word(Lex *l, size_t from) {
        size_t i = name_end(l, from);

        while (at(l, i) == ':' && at(l, i + 1) == ':' && is_letter(at(l, i + 2)))
                i = name_end(l, i + 2);
        l->at = i;
        return token(LEX_WORD, from, cut(l, from, i));
}

/* jq 1.6 allows blanks between `$` and the name. */
static LexToken variable(Lex *l, size_t from) {
        l->at = from + 1;
        if (!skip_blanks(l))
                return bad(l, NULL);
        if (!is_letter(at(l, l->at)))
                return token(LEX_MARK, from, cut(l, from, from + 1));
        LexToken name = word(l, l->at);
        return token(LEX_VARIABLE, from, name.text);
}

static LexToken sign(Lex *l, size_t from) {
        static const struct {
                Span text;
                LexKind kind;
        } signs[] = {
                {SPAN("?//"), LEX_MARK},  {SPAN("//="), LEX_ASSIGN}, {SPAN(".."), LEX_RECURSE},
                {SPAN("|="), LEX_ASSIGN}, {SPAN("+="), LEX_ASSIGN},  {SPAN("-="), LEX_ASSIGN},
                {SPAN("*="), LEX_ASSIGN}, {SPAN("/="), LEX_ASSIGN},  {SPAN("%="), LEX_ASSIGN},
                {SPAN("=="), LEX_MARK},   {SPAN("!="), LEX_MARK},    {SPAN("<="), LEX_MARK},
                {SPAN(">="), LEX_MARK},   {SPAN("//"), LEX_MARK},    {SPAN("="), LEX_ASSIGN},
        };
        Span rest = span_from(l->text, from);

        for (size_t i = 0; i < COUNT_OF(signs); i++)
                if (span_starts(rest, signs[i].text)) {
                        l->at = from + signs[i].text.n;
                        return token(signs[i].kind, from, cut(l, from, l->at));
                }
        l->at = from + 1;
        return token(LEX_MARK, from, cut(l, from, l->at));
}

/* Parentheses of the code inside an interpolation; the one that closes it goes on with the
 * string. */
static LexToken paren(Lex *l, size_t from, char c) {
        l->at = from + 1;
        if (l->nested && c == '(')
                l->parens[l->nested - 1]++;
        else if (l->nested && l->parens[l->nested - 1] > 0)
                l->parens[l->nested - 1]--;
        else if (l->nested) {
                l->nested--;
                return string(l, from, false);
        }
        return token(LEX_MARK, from, cut(l, from, l->at));
}

LexToken lex_next(Lex *l) {
        if (l->why || !skip_blanks(l))
                return bad(l, NULL);
        size_t from = l->at;
        char c = at(l, from), next = at(l, from + 1);

        if (from >= l->text.n)
                return l->nested ? bad(l, "an interpolation does not end")
                                 : token(LEX_END, from, (Span){l->text.p + from, 0});
        if (c == '"') {
                l->at++;
                return string(l, from, true);
        }
        if (c == '(' || c == ')')
                return paren(l, from, c);
        if (is_letter(c))
                return word(l, from);
        if (is_digit(c) || (c == '.' && is_digit(next)))
                return number(l, from);
        if (c == '$')
                return variable(l, from);
        if ((c == '.' && is_letter(next)) || (c == '@' && (is_letter(next) || is_digit(next)))) {
                l->at = name_end(l, from + 1);
                return token(c == '.' ? LEX_FIELD : LEX_FORMAT, from, cut(l, from + 1, l->at));
        }
        return sign(l, from);
}

LexToken lex_peek(const Lex *l) {
        Lex ahead = *l;

        return lex_next(&ahead);
}
