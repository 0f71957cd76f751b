/* SPDX-License-Identifier: Apache-2.0 */
#include "map/mention.h"

static bool is_lower(char c) {
        return c >= 'a' && c <= 'z';
}

static bool is_upper(char c) {
        return c >= 'A' && c <= 'Z';
}

/* A letter of any language: what is not ASCII counts as one. */
static bool is_word(char c) {
        return is_lower(c) || is_upper(c) || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
               (unsigned char)c >= 0x80;
}

static bool is_quote(char c) {
        return c == '\'' || c == '"' || c == '`';
}

/* Where the text that begins behind the quote at `at` ends; 0 when it does not, or when the quote
 * is no beginning, as in "user's". */
static size_t quote_end(Span text, size_t at) {
        if (at > 0 && is_word(text.p[at - 1]))
                return 0;
        for (size_t i = at + 1; i < text.n && i - at <= MENTION_MAX_BYTES; i++)
                if (text.p[i] == text.p[at] && (i + 1 == text.n || !is_word(text.p[i + 1])))
                        return i;
        return 0;
}

/* Up to a blank that stands in no brackets. */
static size_t word_end(Span text, size_t at) {
        size_t depth = 0;

        for (; at < text.n; at++) {
                char c = text.p[at];

                if (c == '[')
                        depth++;
                else if (c == ']' && depth > 0)
                        depth--;
                else if (depth == 0 && !is_word(c) && c != '.' && c != ':' && c != '-')
                        break;
        }
        return at;
}

/* Is it a word that nobody says: with a capital, a point, a bracket or a colon in its midst? */
static bool is_name(Span word) {
        for (size_t i = 0; i + 1 < word.n; i++) {
                char c = word.p[i], next = word.p[i + 1];

                if ((is_lower(c) && is_upper(next)) || (is_word(c) && next == '[') ||
                    ((c == '.' || c == ':') && i > 0 && is_word(next)))
                        return true;
        }
        return false;
}

/* The marks of the sentence belong to it, not to the word. */
static Span without_marks(Span word) {
        while (word.n && (word.p[word.n - 1] == '.' || word.p[word.n - 1] == ':' ||
                          word.p[word.n - 1] == '-'))
                word.n--;
        return word;
}

bool mention_next(Span text, size_t *pos, Span *ret) {
        while (*pos < text.n) {
                size_t at = *pos, end;

                if (is_quote(text.p[at]) && (end = quote_end(text, at)) > 0) {
                        *pos = end + 1;
                        *ret = (Span){text.p + at + 1, end - at - 1};
                        if (ret->n)
                                return true;
                        continue;
                }
                end = word_end(text, at);
                *pos = end > at ? end : at + 1;
                *ret = without_marks((Span){text.p + at, end - at});
                if (ret->n <= MENTION_MAX_BYTES && is_name(*ret))
                        return true;
        }
        return false;
}
