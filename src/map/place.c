/* SPDX-License-Identifier: Apache-2.0 */
#include "map/place.h"

enum { POINTER_MAX_BYTES = 512 };

static bool opens(LexToken t) {
        return lex_is(t, '(') || lex_is(t, '[') || lex_is(t, '{') || t.kind == LEX_STRING_OPEN ||
               lex_is_word(t, "if");
}

static bool closes(LexToken t) {
        return lex_is(t, ')') || lex_is(t, ']') || lex_is(t, '}') || t.kind == LEX_STRING_CLOSE ||
               lex_is_word(t, "end");
}

static bool ends(LexToken t) {
        return t.kind == LEX_END || t.kind == LEX_BAD;
}

/* ---- cutting the text ---- */

static Span cut(const Lex *l, size_t from, size_t to) {
        return (Span){l->text.p + from, to - from};
}

bool place_inner(Lex *l, Span *inner, LexToken *end) {
        size_t from = l->at, depth = 0;

        for (;;) {
                LexToken t = lex_next(l);

                if (ends(t))
                        return false;
                if (depth == 0 && (closes(t) || t.kind == LEX_STRING_MIDDLE)) {
                        *inner = cut(l, from, t.at);
                        *end = t;
                        return true;
                }
                depth += opens(t);
                depth -= closes(t);
        }
}

bool place_split(Span expression, Span *left, Span *right) {
        Lex l = lex_begin(expression);

        for (size_t depth = 0;;) {
                LexToken t = lex_next(&l);

                if (ends(t) || (depth == 0 && lex_is_word(t, "as")) || (closes(t) && depth == 0))
                        return false;
                if (depth == 0 && lex_is(t, '|')) {
                        *left = (Span){expression.p, t.at};
                        *right = span_from(expression, l.at);
                        return true;
                }
                depth += opens(t);
                depth -= closes(t);
        }
}

Span place_bare(Span expression) {
        for (;;) {
                expression = span_trim(expression, " \t\r\n");
                Lex l = lex_begin(expression);
                Span inner;
                LexToken end;

                if (!lex_is(lex_next(&l), '(') || !place_inner(&l, &inner, &end) ||
                    lex_next(&l).kind != LEX_END)
                        return expression;
                expression = inner;
        }
}

bool place_is_call(Span expression, const char *name, Span *inner) {
        Lex l = lex_begin(expression);
        LexToken end;

        return lex_is_word(lex_next(&l), name) && lex_is(lex_next(&l), '(') &&
               place_inner(&l, inner, &end) && lex_next(&l).kind == LEX_END;
}

/* The text up to one of the words of this very `if`, which is read too. */
static bool read_until(Lex *l, Span *text, LexToken *word) {
        size_t from = l->at, depth = 0;

        for (;;) {
                LexToken t = lex_next(l);
                bool is_word = lex_is_word(t, "then") || lex_is_word(t, "elif") ||
                               lex_is_word(t, "else") || lex_is_word(t, "end");

                if (ends(t))
                        return false;
                if (depth == 0 && is_word) {
                        *text = cut(l, from, t.at);
                        *word = t;
                        return true;
                }
                depth += opens(t);
                depth -= closes(t);
        }
}

/* Behind `if`: the branches, without their conditions. Reads the `end` too. */
static bool read_branches(Lex *l, void (*branch)(void *arg, Span text), void *arg) {
        LexToken word = {0};
        Span text;

        for (bool is_condition = true;;) {
                if (!read_until(l, &text, &word) || is_condition != lex_is_word(word, "then"))
                        return false;
                if (!is_condition)
                        branch(arg, text);
                if (lex_is_word(word, "end"))
                        return true;
                is_condition = lex_is_word(word, "elif");
        }
}

static void no_branch(void *arg, Span text) {
        (void)arg;
        (void)text;
}

bool place_branches(Span expression, void (*branch)(void *arg, Span text), void *arg) {
        Lex l = lex_begin(expression), look;

        if (!lex_is_word(lex_next(&l), "if"))
                return false;
        look = l;
        return read_branches(&look, no_branch, NULL) && lex_next(&look).kind == LEX_END &&
               read_branches(&l, branch, arg);
}

/* ---- places ---- */

static Span pointer_and(Trace *t, Span pointer, Span name) {
        AUTO(buf_done)
        Buf b = BUF(POINTER_MAX_BYTES);
        int r = buf_add(&b, pointer);

        r = r < 0 ? r : buf_add_char(&b, '/');
        for (size_t i = 0; i < name.n && r == 0; i++)
                r = name.p[i] == '~'   ? buf_add(&b, SPAN("~0"))
                    : name.p[i] == '/' ? buf_add(&b, SPAN("~1"))
                                       : buf_add_char(&b, name.p[i]);
        return r < 0 ? (Span){NULL, 0} : arena_span(t->arena, buf_span(&b));
}

Place place_member(Trace *t, Place p, Span name) {
        TraceOrigin *o = &p.origin;

        if (p.is_derived)
                return p;
        if (!o->root.p) {
                o->root = name;
                o->pointer = SPAN("");
                return p;
        }
        Span *end = o->is_each ? &o->rest : &o->pointer;
        Span longer = pointer_and(t, *end, name);
        if (longer.p)
                *end = longer;
        else
                p.is_derived = true; /* too long: it is somewhere in there */
        return p;
}

Place place_each(Place p) {
        if (p.origin.is_each || !p.origin.root.p)
                p.is_derived = true;
        if (!p.is_derived) {
                p.origin.is_each = true;
                p.origin.rest = SPAN("");
        }
        return p;
}

const Place *place_variable(const Trace *t, Span name) {
        for (size_t i = t->n_variables; i-- > 0;)
                if (span_eq(t->variables[i].name, name))
                        return &t->variables[i].place;
        return NULL;
}

void place_add(Trace *t, Place p) {
        if (!p.origin.root.p)
                return;
        for (size_t i = 0; i < t->n; i++)
                if (span_eq(t->ret[i].root, p.origin.root) &&
                    span_eq(t->ret[i].pointer, p.origin.pointer) &&
                    span_eq(t->ret[i].rest, p.origin.rest))
                        return;
        if (t->n < TRACE_MAX)
                t->ret[t->n++] = p.origin;
}

/* ---- terms: `.user.first`, `$u["a b"][0]`, `(.list[] | select(.main)).name` ---- */

/* `[`, read already: an index, a name in quotes, nothing, or what nobody knows. */
static bool read_bracket(Trace *t, Lex *l, Place *p) {
        Span inner;
        LexToken end;

        if (!place_inner(l, &inner, &end))
                return false;
        Lex in = lex_begin(inner);
        LexToken first = lex_next(&in);
        bool is_alone = lex_peek(&in).kind == LEX_END;
        bool is_name = first.kind == LEX_STRING && !memchr(first.text.p, '\\', first.text.n);
        bool is_index = first.kind == LEX_NUMBER && !memchr(first.text.p, '.', first.text.n);
        if (first.kind == LEX_END)
                *p = place_each(*p);
        else if (is_alone && (is_name || is_index))
                *p = place_member(t, *p, first.text);
        else
                p->is_derived = true;
        return true;
}

/* Whatever follows a term and belongs to it. */
static bool read_suffixes(Trace *t, Lex *l, Place *p) {
        for (;;) {
                Lex ahead = *l;
                LexToken token = lex_next(&ahead);

                if (lex_is(token, '.')) { /* `."a b"` and `.[0]` behind a term */
                        token = lex_next(&ahead);
                        if (token.kind != LEX_STRING && !lex_is(token, '['))
                                return true;
                }
                if (token.kind == LEX_FIELD)
                        *p = place_member(t, *p, token.text);
                else if (token.kind == LEX_STRING && ahead.text.p[l->at] != '"' &&
                         !memchr(token.text.p, '\\', token.text.n))
                        *p = place_member(t, *p, token.text);
                else if (lex_is(token, '[')) {
                        if (!read_bracket(t, &ahead, p))
                                return false;
                } else if (!lex_is(token, '?'))
                        return true;
                *l = ahead;
        }
}

/* Reads a term that is a place; false, and nothing read, when none begins here. */
static bool read_term(Trace *t, Place in, Lex *l, Place *ret) {
        Lex ahead = *l;
        LexToken token = lex_next(&ahead), end;
        Span inner;
        Place p = in;

        if (token.kind == LEX_VARIABLE) {
                const Place *v = place_variable(t, token.text);

                if (!v)
                        return false;
                p = *v;
        } else if (lex_is(token, '(')) {
                if (!place_inner(&ahead, &inner, &end) || !place_of(t, in, inner, &p))
                        return false;
        } else if (token.kind == LEX_FIELD)
                p = place_member(t, in, token.text);
        else if (lex_is(token, '.')) {
                Lex behind = ahead;
                LexToken next = lex_next(&behind);
                bool is_name = next.kind == LEX_STRING && !memchr(next.text.p, '\\', next.text.n);

                if (is_name) {
                        p = place_member(t, in, next.text);
                        ahead = behind;
                } else if (next.kind == LEX_STRING || next.kind == LEX_STRING_OPEN)
                        return false;
        } else
                return false;
        if (!read_suffixes(t, &ahead, &p))
                return false;
        *l = ahead;
        *ret = p;
        return true;
}

static const char *const keywords[] = {
        "and",   "or",    "not",    "then",    "else",  "elif", "end",      "if",    "try", "catch",
        "as",    "def",   "reduce", "foreach", "label", "null", "true",     "false", "now", "empty",
        "error", "input", "inputs", "range",   "limit", "env",  "infinite", "nan"};

static bool is_keyword(Span word) {
        for (size_t i = 0; i < COUNT_OF(keywords); i++)
                if (span_eq(word, span_of(keywords[i])))
                        return true;
        return false;
}

/* A function of its input: what it gives is made of the input, or is a part of it. `first(f)` and
 * `first` are the only ones that are followed. */
static bool read_function(Trace *t, Place in, Lex *l, Place *ret) {
        LexToken word = lex_next(l), end;
        bool has_arguments = lex_is(lex_peek(l), '(');
        Span arguments = {NULL, 0};

        if (word.kind != LEX_WORD || is_keyword(word.text))
                return false;
        if (has_arguments) {
                (void)lex_next(l);
                if (!place_inner(l, &arguments, &end))
                        return false;
        }
        *ret = in;
        if (lex_is_word(word, "first") && has_arguments)
                return place_of(t, in, arguments, ret) && read_suffixes(t, l, ret);
        if (lex_is_word(word, "first"))
                *ret = place_member(t, in, SPAN("0"));
        else if (!lex_is_word(word, "select"))
                ret->is_derived = true;
        return read_suffixes(t, l, ret);
}

static bool place_of_pipe(Trace *t, Place in, Span expression, Place *ret) {
        size_t variables = t->n_variables;

        place_bind(t, in, &expression);
        Lex l = lex_begin(expression);
        bool found = lex_peek(&l).kind == LEX_WORD ? read_function(t, in, &l, ret)
                                                   : read_term(t, in, &l, ret);
        if (found) {
                LexToken next = lex_next(&l);

                if (lex_is(next, '|'))
                        found = place_of(t, *ret, span_from(expression, l.at), ret);
                else
                        found = next.kind == LEX_END;
        }
        t->n_variables = variables;
        return found;
}

bool place_of(Trace *t, Place in, Span expression, Place *ret) {
        if (t->depth == PLACE_DEPTH_MAX)
                return false;
        t->depth++;
        bool found = place_of_pipe(t, in, expression, ret);
        t->depth--;
        return found;
}

void place_bind(Trace *t, Place in, Span *expression) {
        for (;;) {
                Lex l = lex_begin(*expression);
                Place p;

                if (t->n_variables == PLACE_VARIABLES_MAX || !read_term(t, in, &l, &p) ||
                    !lex_is_word(lex_next(&l), "as"))
                        return;
                LexToken name = lex_next(&l);
                if (name.kind != LEX_VARIABLE || !lex_is(lex_next(&l), '|'))
                        return;
                t->variables[t->n_variables++] = (struct TraceVariable){name.text, p};
                *expression = span_from(*expression, l.at);
        }
}

/* ---- all places of an expression ---- */

typedef struct Collecting {
        Trace *t;
        Place in;
} Collecting;

static void on_branch(void *arg, Span text) {
        Collecting *c = arg;

        place_collect(c->t, c->in, text);
}

/* The values of an object construction; its keys are nothing of it. */
static void collect_object(Trace *t, Place in, Span inner) {
        Lex l = lex_begin(inner);

        for (bool is_key = true;;) {
                LexToken token = lex_peek(&l), end;
                Span within;

                if (ends(token))
                        return;
                if (is_key && token.kind == LEX_VARIABLE && place_variable(t, token.text))
                        place_add(t, *place_variable(t, token.text));
                if (!is_key) {
                        size_t from = l.at;
                        Lex ahead = l;

                        for (size_t depth = 0; !ends(token = lex_peek(&ahead));) {
                                if (depth == 0 && lex_is(token, ','))
                                        break;
                                depth += opens(token);
                                depth -= closes(token);
                                (void)lex_next(&ahead);
                        }
                        place_collect(t, in, cut(&l, from, token.at));
                        l = ahead;
                        is_key = true;
                        continue;
                }
                (void)lex_next(&l);
                if (opens(token) && !lex_is_word(token, "if")) {
                        if (!place_inner(&l, &within, &end))
                                return;
                } else if (lex_is(token, ':'))
                        is_key = false;
                else if (token.kind == LEX_WORD && !lex_is(lex_peek(&l), ':'))
                        place_add(t, place_member(t, in, token.text)); /* {name} */
        }
}

/* A bracket, a string with code in it, an `if`: whatever stands inside. */
static bool collect_inside(Trace *t, Place in, LexToken open, Lex *l) {
        Collecting c = {t, in};
        LexToken end = {0};
        Span inner;

        if (lex_is_word(open, "if"))
                return read_branches(l, on_branch, &c);
        do {
                if (!place_inner(l, &inner, &end))
                        return false;
                if (lex_is(open, '{'))
                        collect_object(t, in, inner);
                else
                        place_collect(t, in, inner);
        } while (end.kind == LEX_STRING_MIDDLE);
        return true;
}

/* One operand; false at what nobody can read. */
static bool collect_operand(Trace *t, Place in, Lex *l) {
        Place p, ignored = {.is_derived = true};
        Lex ahead = *l;

        if (read_term(t, in, &ahead, &p)) {
                place_add(t, p);
                *l = ahead;
                return true;
        }
        LexToken token = lex_peek(l);
        if (token.kind == LEX_WORD && !is_keyword(token.text) && read_function(t, in, &ahead, &p)) {
                place_add(t, p);
                *l = ahead;
                return true;
        }
        (void)lex_next(l);
        if (opens(token) && !collect_inside(t, in, token, l))
                return false;
        bool is_term = opens(token) || token.kind == LEX_VARIABLE || token.kind == LEX_STRING;
        if (token.kind == LEX_WORD &&
            lex_is(lex_peek(l), '(')) { /* its arguments see who knows what */
                LexToken end;
                Span inner;

                (void)lex_next(l);
                if (!place_inner(l, &inner, &end))
                        return false;
                is_term = true;
        }
        return !is_term || read_suffixes(t, l, &ignored);
}

static void collect_all(Trace *t, Place in, Span expression) {
        size_t before = t->n;
        bool has_alternatives = false;
        Lex l = lex_begin(expression);

        for (;;) {
                LexToken token = lex_peek(&l);

                if (ends(token) || closes(token))
                        break;
                has_alternatives |= token.kind == LEX_MARK && span_eq(token.text, SPAN("//"));
                if (token.kind == LEX_RECURSE || token.kind == LEX_ASSIGN ||
                    !collect_operand(t, in, &l))
                        break;
        }
        for (size_t i = before; has_alternatives && i < t->n; i++)
                t->ret[i].is_alternative = true;
}

static void collect_pipe(Trace *t, Place in, Span expression) {
        Span left, right;
        Place p;

        if (place_of(t, in, expression, &p))
                place_add(t, p);
        else if (!place_split(expression, &left, &right))
                collect_all(t, in, expression);
        else if (place_of(t, in, left, &p))
                place_collect(t, p, right);
        else
                place_collect(t, in, left);
}

void place_collect(Trace *t, Place in, Span expression) {
        size_t variables = t->n_variables;

        if (t->depth == PLACE_DEPTH_MAX)
                return;
        t->depth++;
        place_bind(t, in, &expression);
        collect_pipe(t, in, expression);
        t->depth--;
        t->n_variables = variables;
}
