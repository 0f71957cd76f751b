/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a query, looked at before a database is asked: one statement, which reads. The
 * database has the last word (a read-only transaction, a file opened to be read); here a mistake is
 * told when the file is checked. */
#include "watch/query.h"

#include <ctype.h>
#include <errno.h>

typedef struct Scan {
        Span sql;
        size_t i;
        int depth;         /* of brackets */
        size_t words, end; /* where the statement ended with a semicolon; 0: it did not */
        bool opens;        /* a bracket was the last that counted */
        Err *e;
} Scan;

static bool is_word(char c) {
        return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static int one_only(Scan *s) {
        return FAIL(s->e, -EINVAL, "one statement only: something follows the semicolon");
}

/* To behind the closing quote; doubled ones are within. */
static int skip_quoted(Scan *s, char quote) {
        for (s->i++; s->i < s->sql.n; s->i++)
                if (s->sql.p[s->i] == quote) {
                        if (s->i + 1 < s->sql.n && s->sql.p[s->i + 1] == quote)
                                s->i++;
                        else {
                                s->i++;
                                return 0;
                        }
                }
        return FAIL(s->e, -EINVAL, "a quote %c is not closed", quote);
}

static int skip_comment(Scan *s) {
        const char *p = s->sql.p;

        if (p[s->i] == '-') {
                while (s->i < s->sql.n && p[s->i] != '\n')
                        s->i++;
                return 0;
        }
        for (s->i += 2; s->i + 1 < s->sql.n; s->i++)
                if (p[s->i] == '*' && p[s->i + 1] == '/') {
                        s->i += 2;
                        return 0;
                }
        return FAIL(s->e, -EINVAL, "a comment is not closed");
}

/* The first word, and each behind an opening bracket, could begin something that writes. */
static int look_at_word(Scan *s) {
        static const char *const reads[] = {"select", "with", "values", "table"};
        static const char *const writes[] = {"insert", "update", "delete", "merge"};
        size_t from = s->i;
        Span word;

        while (s->i < s->sql.n && is_word(s->sql.p[s->i]))
                s->i++;
        word = span_make(s->sql.p + from, s->i - from);
        if (s->words++ == 0) {
                for (size_t k = 0; k < COUNT_OF(reads); k++)
                        if (span_eq_nocase(word, span_of(reads[k])))
                                return 0;
                return FAIL(s->e, -EINVAL, "it has to read: SELECT ..., not " SPAN_FMT,
                            word.n > 30 ? 30 : (int)word.n, word.p);
        }
        for (size_t k = 0; s->opens && k < COUNT_OF(writes); k++)
                if (span_eq_nocase(word, span_of(writes[k])) &&
                    !(s->i < s->sql.n && s->sql.p[s->i] == '('))
                        return FAIL(s->e, -EINVAL, "it has to read, and " SPAN_FMT " writes",
                                    SPAN_ARG(word));
        return 0;
}

static int look_at_sign(Scan *s) {
        char c = s->sql.p[s->i++];

        s->depth += (c == '(') - (c == ')');
        if (s->depth < 0)
                return FAIL(s->e, -EINVAL, "a bracket is closed that was not opened");
        if (c == ';')
                s->end = s->i;
        return 0;
}

static int step(Scan *s) {
        const char *p = s->sql.p + s->i;
        char c = *p, next = s->i + 1 < s->sql.n ? p[1] : 0;
        int r;

        if (isspace((unsigned char)c)) {
                s->i++;
                return 0;
        }
        if ((c == '-' && next == '-') || (c == '/' && next == '*'))
                return skip_comment(s);
        if (s->end)
                return one_only(s);
        r = c == '\'' || c == '"' ? skip_quoted(s, c)
            : is_word(c)          ? look_at_word(s)
                                  : look_at_sign(s);
        s->opens = c == '(';
        return r;
}

int query_text_check(Span sql, size_t *ret_n, Err *e) {
        Scan s = {.sql = sql, .e = e};
        int r = 0;

        if (sql.n > QUERY_SQL_MAX_BYTES)
                return FAIL(e, -EINVAL, "it is longer than %d KiB", QUERY_SQL_MAX_BYTES / 1024);
        while (r == 0 && s.i < sql.n)
                r = step(&s);
        if (r == 0 && s.words == 0)
                r = FAIL(e, -EINVAL, "it is empty");
        if (r == 0 && s.depth)
                r = FAIL(e, -EINVAL, "a bracket is not closed");
        *ret_n = s.end ? s.end - 1 : sql.n;
        return r;
}
