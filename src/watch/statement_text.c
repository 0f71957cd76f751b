/* SPDX-License-Identifier: Apache-2.0
 *
 * Names in place of numbers: finds the parameters of an SQL text, and nothing that only looks like
 * one. It knows as much of SQL as that takes. */
#include "watch/statement.h"

#include <ctype.h>
#include <errno.h>

typedef struct Text {
        Span sql;
        size_t at;
        Buf out;
        int fault;
        bool is_sqlite, has_ended; /* a ';' was there */
        Statement *into;
        Arena *arena;
        Err *e;
} Text;

static char peek(const Text *t, size_t ahead) {
        return t->at + ahead < t->sql.n ? t->sql.p[t->at + ahead] : 0;
}

static bool begins_name(char c) {
        return isalpha((unsigned char)c) || c == '_';
}

static bool in_name(char c) {
        return isalnum((unsigned char)c) || c == '_';
}

static void take(Text *t, size_t n) {
        if (t->fault == 0)
                t->fault = buf_add(&t->out, span_make(t->sql.p + t->at, n));
        t->at += n;
}

static void refuse(Text *t, const char *why) {
        if (t->fault == 0)
                t->fault = FAIL(t->e, -EINVAL, "%s", why);
        t->at = t->sql.n;
}

/* Up to and with the next `end`; a doubled one does not end it, as the next begins at once. */
static void take_until(Text *t, size_t from, Span end, const char *unended, bool escapes) {
        for (size_t i = from; t->at + i + end.n <= t->sql.n; i++) {
                if (escapes && t->sql.p[t->at + i] == '\\') {
                        i++;
                        continue;
                }
                if (memcmp(t->sql.p + t->at + i, end.p, end.n) == 0) {
                        take(t, i + end.n);
                        return;
                }
        }
        refuse(t, unended);
}

/* E'...' of PostgreSQL knows backslashes. */
static bool is_escaping(const Text *t) {
        char before = t->at ? t->sql.p[t->at - 1] : 0;

        return !t->is_sqlite && (before == 'e' || before == 'E') &&
               (t->at < 2 || !in_name(t->sql.p[t->at - 2]));
}

/* PostgreSQL's may lie in one another. */
static void take_comment(Text *t) {
        size_t depth = 0, i = 0;

        if (t->is_sqlite) {
                take_until(t, 2, SPAN("*/"), "a comment does not end", false);
                return;
        }
        for (; t->at + i + 1 < t->sql.n; i++) {
                if (peek(t, i) == '/' && peek(t, i + 1) == '*') {
                        depth++;
                        i++;
                } else if (peek(t, i) == '*' && peek(t, i + 1) == '/') {
                        i++;
                        if (--depth == 0) {
                                take(t, i + 1);
                                return;
                        }
                }
        }
        refuse(t, "a comment does not end");
}

static void take_line(Text *t) {
        size_t i = 0;

        while (t->at + i < t->sql.n && peek(t, i) != '\n')
                i++;
        take(t, i);
}

static size_t name_length(const Text *t, size_t from) {
        size_t n = 0;

        while (in_name(peek(t, from + n)))
                n++;
        return n;
}

/* $tag$ ... $tag$; false when it begins none. */
static bool take_dollars(Text *t) {
        size_t n = name_length(t, 1);

        if (t->is_sqlite || isdigit((unsigned char)peek(t, 1)) || peek(t, n + 1) != '$')
                return false;
        take_until(t, n + 2, span_make(t->sql.p + t->at, n + 2), "a $...$ text does not end",
                   false);
        return true;
}

static size_t number_of(Text *t, Span name) {
        Statement *s = t->into;

        for (size_t i = 0; i < s->n; i++)
                if (span_eq(name, span_of(s->parameters[i].name)))
                        return i + 1;
        if (s->n == STATEMENT_PARAMETERS_MAX)
                return 0;
        s->parameters[s->n].name = arena_text(t->arena, name);
        return s->parameters[s->n].name ? ++s->n : 0;
}

static void take_parameter(Text *t) {
        size_t n = name_length(t, 1), number = number_of(t, span_make(t->sql.p + t->at + 1, n));

        if (number == 0) {
                refuse(t, "there are too many parameters");
                return;
        }
        if (t->fault == 0)
                t->fault = buf_addf(&t->out, "%c%zu", t->is_sqlite ? '?' : '$', number);
        t->at += n + 1;
}

static void take_one(Text *t) {
        char c = peek(t, 0), next = peek(t, 1);
        bool is_blank = isspace((unsigned char)c);

        if (c == '-' && next == '-')
                take_line(t);
        else if (c == '/' && next == '*')
                take_comment(t);
        else if (t->has_ended && !is_blank && c != ';')
                refuse(t, "there is a second statement behind the ';': a call runs one");
        else if (c == ';') {
                t->has_ended = true;
                t->at++;
        } else if (c == '\'')
                take_until(t, 1, SPAN("'"), "a '...' text does not end", is_escaping(t));
        else if (c == '"')
                take_until(t, 1, SPAN("\""), "a \"...\" name does not end", false);
        else if (t->is_sqlite && (c == '`' || c == '['))
                take_until(t, 1, c == '[' ? SPAN("]") : SPAN("`"), "a quoted name does not end",
                           false);
        else if (c == ':' && next == ':')
                take(t, 2);
        else if (c == '$' && take_dollars(t))
                return;
        else if ((c == ':' || c == '$') && begins_name(next))
                take_parameter(t);
        else if (c == '$' && isdigit((unsigned char)next))
                refuse(t, "parameters have names here: :name or $name, not $1");
        else if (in_name(c)) {
                size_t n = name_length(t, 0);

                /* A '$' may stand within a name. */
                while (peek(t, n) == '$')
                        n += 1 + name_length(t, n + 1);
                take(t, n);
        } else
                take(t, 1);
}

int statement_rewrite(Span sql, bool is_sqlite, Arena *a, Statement *ret, Err *e) {
        Text t = {.sql = sql,
                  .out = BUF(1024 * 1024),
                  .is_sqlite = is_sqlite,
                  .into = ret,
                  .arena = a,
                  .e = e};

        if (memchr(sql.p, 0, sql.n))
                refuse(&t, "it holds a zero byte");
        while (t.fault == 0 && t.at < sql.n)
                take_one(&t);
        if (t.fault == 0)
                ret->sql = arena_text(a, t.out.n ? buf_span(&t.out) : SPAN(""));
        if (t.fault == 0 && !ret->sql)
                t.fault = FAIL(e, -ENOMEM, "it is too large");
        buf_done(&t.out);
        return t.fault;
}
