/* SPDX-License-Identifier: Apache-2.0 */
#include "map/trace.h"

#include "map/lex.h"

enum {
        VARIABLES_MAX = 8,
        DEPTH_MAX = 64,
        POINTER_MAX_BYTES = 512,
};

/* `.user.address as $a |` before the object. */
typedef struct Variable {
        Span name;
        TraceOrigin origin;
} Variable;

typedef struct Trace {
        Arena *arena;
        Variable variables[VARIABLES_MAX];
        size_t n_variables;
        TraceOrigin *ret;
        size_t n;
} Trace;

/* ---- chains: `.user.first`, `.user["a b"][0]`, `$u.first` ---- */

static int add_segment(Buf *pointer, Span name) {
        int r = buf_add_char(pointer, '/');

        for (size_t i = 0; i < name.n && r == 0; i++) {
                if (name.p[i] == '~')
                        r = buf_add(pointer, SPAN("~0"));
                else if (name.p[i] == '/')
                        r = buf_add(pointer, SPAN("~1"));
                else
                        r = buf_add_char(pointer, name.p[i]);
        }
        return r;
}

/* The next step of a chain, if there is one; escaped names and computed ones end it. */
static bool next_step(Lex *l, Span *ret) {
        Lex ahead = *l;
        LexToken t = lex_next(&ahead);

        if (lex_is(t, '?')) {
                *l = ahead;
                return next_step(l, ret);
        }
        if (t.kind == LEX_FIELD) {
                *l = ahead;
                *ret = t.text;
                return true;
        }
        bool dot = lex_is(t, '.');
        if (dot)
                t = lex_next(&ahead);
        bool bracket = lex_is(t, '[');
        if (bracket)
                t = lex_next(&ahead);
        bool name = t.kind == LEX_STRING && !memchr(t.text.p, '\\', t.text.n);
        bool index = t.kind == LEX_NUMBER && bracket && !memchr(t.text.p, '.', t.text.n);
        if (!(dot || bracket) || !(name || index) || (bracket && !lex_is(lex_next(&ahead), ']')))
                return false;
        *l = ahead;
        *ret = t.text;
        return true;
}

static const Variable *variable_find(const Trace *t, Span name) {
        for (size_t i = t->n_variables; i-- > 0;)
                if (span_eq(t->variables[i].name, name))
                        return &t->variables[i];
        return NULL;
}

/* Reads the chain that begins here; false, and nothing read, when none does. */
static bool read_chain(const Trace *t, Lex *l, TraceOrigin *ret) {
        Lex ahead = *l;
        LexToken first = lex_next(&ahead);
        const Variable *v = first.kind == LEX_VARIABLE ? variable_find(t, first.text) : NULL;
        AUTO(buf_done)
        Buf pointer = BUF(POINTER_MAX_BYTES);
        TraceOrigin origin = {0};
        Span step;
        int r = 0;

        if (v) {
                origin.root = v->origin.root;
                r = buf_add(&pointer, v->origin.pointer);
        } else {
                ahead = *l;
                if (first.kind == LEX_MARK && !lex_is(first, '.'))
                        return false; /* `[0]` alone is an array, `?` nothing */
                if (!next_step(&ahead, &origin.root))
                        return false;
        }
        while (r == 0 && next_step(&ahead, &step))
                r = add_segment(&pointer, step);
        origin.pointer = arena_span(t->arena, buf_span(&pointer));
        if (r < 0 || !origin.pointer.p)
                return false;
        *l = ahead;
        *ret = origin;
        return true;
}

static void add_origin(Trace *t, const TraceOrigin *o) {
        for (size_t i = 0; i < t->n; i++)
                if (span_eq(t->ret[i].root, o->root) && span_eq(t->ret[i].pointer, o->pointer))
                        return;
        if (t->n < TRACE_MAX)
                t->ret[t->n++] = *o;
}

/* ---- expressions ---- */

static bool opens(LexToken t) {
        return lex_is(t, '(') || lex_is(t, '[') || lex_is(t, '{') || t.kind == LEX_STRING_OPEN;
}

static bool closes(LexToken t) {
        return lex_is(t, ')') || lex_is(t, ']') || lex_is(t, '}') || t.kind == LEX_STRING_CLOSE;
}

/* All chains of the expression that start from the program's input: behind a pipe they do not. */
static void collect(Trace *t, Span expression) {
        Lex l = lex_begin(expression);
        bool top[DEPTH_MAX] = {true}, was_top[DEPTH_MAX] = {true};
        size_t depth = 0;

        for (;;) {
                TraceOrigin origin;

                if (top[depth] && read_chain(t, &l, &origin)) {
                        add_origin(t, &origin);
                        continue;
                }
                LexToken token = lex_next(&l);
                if (token.kind == LEX_END || token.kind == LEX_BAD)
                        return;
                if (opens(token) && depth + 1 < DEPTH_MAX) {
                        was_top[depth + 1] = top[depth + 1] = top[depth];
                        depth++;
                } else if (closes(token) && depth)
                        depth--;
                else if (lex_is(token, '|'))
                        top[depth] = false;
                else if (lex_is(token, ';') || lex_is(token, ',') || lex_is_word(token, "then") ||
                         lex_is_word(token, "else"))
                        top[depth] = was_top[depth];
        }
}

/* The text up to the comma or brace that ends the member's value; reads that, too. False when
 * there is none. */
static bool read_value(Lex *l, Span *ret, bool *ret_last) {
        size_t from = l->at, depth = 0;

        for (;;) {
                LexToken t = lex_next(l);

                if (t.kind == LEX_END || t.kind == LEX_BAD)
                        return false;
                if (depth == 0 && (lex_is(t, ',') || lex_is(t, '}'))) {
                        *ret = (Span){l->text.p + from, t.at - from};
                        *ret_last = lex_is(t, '}');
                        return true;
                }
                depth += opens(t);
                depth -= closes(t);
        }
}

/* One member of an object construction. `key` is .p NULL for keys that are computed, `value` for
 * a mere `{name}`. */
static bool read_member(Lex *l, Span *key, Span *value, bool *ret_last) {
        LexToken t = lex_peek(l);
        Lex ahead = *l;

        if (lex_is(t, '}')) { /* none at all, or a comma before it, which jq refuses */
                *key = *value = (Span){NULL, 0};
                *ret_last = true;
                (void)lex_next(l);
                return true;
        }
        bool plain = t.kind == LEX_WORD || t.kind == LEX_VARIABLE || t.kind == LEX_STRING;
        *key = plain && !memchr(t.text.p, '\\', t.text.n) ? t.text : (Span){NULL, 0};
        (void)lex_next(&ahead);
        if (plain && lex_is(lex_peek(&ahead), ':')) {
                (void)lex_next(&ahead);
                *l = ahead;
                return read_value(l, value, ret_last);
        }
        if (!read_value(l, value, ret_last))
                return false;
        *value = (Span){NULL, 0};
        return true;
}

typedef enum Found { ABSENT, VALUE, NAME_ALONE, NO_OBJECT } Found;

/* What stands behind the key in an object construction, or in several that are added. */
static Found find_member(Span expression, Span wanted, Span *ret) {
        Lex l = lex_begin(expression);
        Found found = ABSENT;

        for (;;) {
                bool last = false;

                if (!lex_is(lex_next(&l), '{'))
                        return NO_OBJECT;
                while (!last) {
                        Span key, value;

                        if (!read_member(&l, &key, &value, &last))
                                return NO_OBJECT;
                        if (key.p && span_eq(key, wanted)) {
                                *ret = value;
                                found = value.p ? VALUE : NAME_ALONE;
                        }
                }
                LexToken more = lex_next(&l);
                if (more.kind == LEX_END)
                        return found;
                if (!lex_is(more, '+') && !lex_is(more, '*'))
                        return NO_OBJECT;
        }
}

/* `CHAIN as $name |` at the beginning of a program. */
static void read_bindings(Trace *t, Span *text) {
        for (;;) {
                Lex l = lex_begin(*text);
                Variable v = {0};

                if (t->n_variables == VARIABLES_MAX || !read_chain(t, &l, &v.origin) ||
                    !lex_is_word(lex_next(&l), "as"))
                        return;
                LexToken name = lex_next(&l);
                if (name.kind != LEX_VARIABLE || !lex_is(lex_next(&l), '|'))
                        return;
                v.name = name.text;
                t->variables[t->n_variables++] = v;
                *text = span_from(*text, l.at);
        }
}

static bool is_chain(const Trace *t, Span expression, TraceOrigin *ret) {
        Lex l = lex_begin(expression);

        return read_chain(t, &l, ret) && lex_next(&l).kind == LEX_END;
}

/* The first segment of a pointer, its escapes resolved, and what is behind it. */
static Span cut_segment(Arena *a, Span *pointer) {
        size_t end = span_find(*pointer, '/'), n = 0;
        char *out = arena_alloc(a, end + 1);

        for (size_t i = 0; out && i < end; i++) {
                bool escape = pointer->p[i] == '~' && i + 1 < end;

                out[n++] = !escape ? pointer->p[i] : pointer->p[++i] == '1' ? '/' : '~';
        }
        *pointer = span_from(*pointer, end + 1);
        return (Span){out, n};
}

/* The rest of the pointer goes on inside of what the chain gives. */
static size_t chain_with_rest(Trace *t, const TraceOrigin *origin, Span rest) {
        const char *slash = rest.n ? "/" : "";
        char *text = arena_printf(t->arena, SPAN_FMT "%s" SPAN_FMT, SPAN_ARG(origin->pointer),
                                  slash, SPAN_ARG(rest));

        if (!text)
                return 0;
        t->ret[0] = (TraceOrigin){origin->root, span_of(text)};
        return 1;
}

/* `{user}` is `{user: .user}`, `{$u}` is `{u: $u}`. */
static size_t name_with_rest(Trace *t, Span name, Span rest) {
        const Variable *v = variable_find(t, name);
        TraceOrigin origin = {name, {"", 0}};

        return chain_with_rest(t, v ? &v->origin : &origin, rest);
}

size_t trace_field(Span text, Span field, Arena *a, TraceOrigin ret[TRACE_MAX]) {
        Trace t = {.arena = a, .ret = ret};
        bool whole = true;

        if (field.n && field.p[0] == '/')
                field = span_from(field, 1);
        read_bindings(&t, &text);
        for (;;) {
                TraceOrigin origin;
                Span rest = field, value = {NULL, 0};

                if (is_chain(&t, text, &origin))
                        return chain_with_rest(&t, &origin, field);
                if (field.n == 0)
                        break;
                Span key = cut_segment(a, &rest);
                Found found = key.p ? find_member(text, key, &value) : ABSENT;
                if (found == NO_OBJECT && !whole)
                        break; /* from somewhere in this value */
                if (found == NAME_ALONE)
                        return name_with_rest(&t, key, rest);
                if (found != VALUE)
                        return 0;
                text = value;
                field = rest;
                whole = false;
        }
        collect(&t, text);
        return t.n;
}
