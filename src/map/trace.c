/* SPDX-License-Identifier: Apache-2.0
 *
 * Goes into the program with the steps of the field: through constructions of objects and lists,
 * pipes, map and if, as long as the text says where the step leads. When the steps are used up,
 * what is left of the text is where the field comes from. */
#include "map/trace.h"

#include "map/field.h"
#include "map/place.h"

/* What is left of a field's name. */
typedef struct Way {
        const FieldStep *step;
        size_t n;
        bool is_whole; /* still in the program as a whole: no part of it was found yet */
} Way;

static void follow(Trace *t, Place in, Span text, Way way);

static Way behind(Way way) {
        return (Way){way.step + 1, way.n - 1, false};
}

/* The rest of the way goes on in the data, from this place. */
static void go_on(Trace *t, Place p, Way way) {
        for (; way.n; way = behind(way)) {
                if (way.step->equals.p || way.step->is_any)
                        p = place_each(p);
                else
                        p = place_member(t, p, way.step->name);
        }
        place_add(t, p);
}

/* ---- objects: {a: .x, b} + {c: .y} ---- */

typedef struct Member {
        Span key, value; /* key.p NULL: computed; value.p NULL: {name} alone */
        bool is_variable;
} Member;

/* The text up to the comma or brace that ends the member's value; reads that, too. */
static bool read_value(Lex *l, Span *ret, bool *ret_last) {
        size_t from = l->at, depth = 0;

        for (;;) {
                Lex before = *l;
                LexToken t = lex_next(l);
                Span inner;
                LexToken end;

                if (t.kind == LEX_END || t.kind == LEX_BAD)
                        return false;
                if (depth == 0 && (lex_is(t, ',') || lex_is(t, '}'))) {
                        *ret = (Span){l->text.p + from, t.at - from};
                        *ret_last = lex_is(t, '}');
                        return true;
                }
                if (lex_is(t, '(') || lex_is(t, '[') || lex_is(t, '{') || lex_is_word(t, "if") ||
                    t.kind == LEX_STRING_OPEN) {
                        do {
                                if (!place_inner(l, &inner, &end))
                                        return false;
                        } while (end.kind == LEX_STRING_MIDDLE);
                }
                must(l->at > before.at);
        }
}

/* One member; `last` says that the brace was read. An empty `m->key` with last: there is none. */
static bool read_member(Lex *l, Member *m, bool *last) {
        LexToken t = lex_peek(l);
        Lex ahead = *l;

        *m = (Member){0};
        if (lex_is(t, '}')) {
                *last = true;
                m->key = SPAN("");
                (void)lex_next(l);
                return true;
        }
        bool plain = t.kind == LEX_WORD || t.kind == LEX_VARIABLE || t.kind == LEX_STRING;
        if (plain && !memchr(t.text.p, '\\', t.text.n))
                m->key = t.text;
        m->is_variable = t.kind == LEX_VARIABLE;
        (void)lex_next(&ahead);
        if (plain && lex_is(lex_peek(&ahead), ':')) {
                (void)lex_next(&ahead);
                *l = ahead;
                return read_value(l, &m->value, last);
        }
        Span alone;
        return read_value(l, &alone, last);
}

typedef enum Found { ABSENT, FOUND, NO_OBJECT } Found;

/* The member of that name in an object construction, or in several that are added; else the only
 * one with a name like it. A computed key could be any: then nobody knows. */
static Found find_member(Span text, Span wanted, Member *ret) {
        Lex l = lex_begin(text);
        Member alike = {0};
        size_t n_alike = 0;
        Found found = ABSENT;

        for (;;) {
                if (!lex_is(lex_next(&l), '{'))
                        return NO_OBJECT;
                for (bool last = false; !last;) {
                        Member m;

                        if (!read_member(&l, &m, &last) || !m.key.p)
                                return NO_OBJECT;
                        if (span_eq(m.key, wanted)) {
                                *ret = m;
                                found = FOUND;
                        } else if (field_names_alike(m.key, wanted)) {
                                n_alike += n_alike == 0 || !span_eq(alike.key, m.key);
                                alike = m;
                        }
                }
                LexToken more = lex_next(&l);
                if (more.kind == LEX_END)
                        break;
                if (!lex_is(more, '+') && !lex_is(more, '*'))
                        return NO_OBJECT;
        }
        if (found == ABSENT && n_alike == 1) {
                *ret = alike;
                found = FOUND;
        }
        return found;
}

/* False when the text is no object. */
static bool follow_object(Trace *t, Place in, Span text, Way way) {
        Member m;
        Found found = way.step->equals.p || way.step->is_any
                              ? NO_OBJECT
                              : find_member(text, way.step->name, &m);

        if (found != FOUND)
                return found == ABSENT;
        if (m.value.p)
                follow(t, in, m.value, behind(way));
        else if (m.is_variable) {
                const Place *p = place_variable(t, m.key);

                if (p)
                        go_on(t, *p, behind(way));
        } else
                go_on(t, place_member(t, in, m.key), behind(way));
        return true;
}

/* ---- lists: [{a: .x}, {a: .y}], [.list[] | {a: .x}] ---- */

/* Functions that give one value for one. */
static bool is_plain_function(LexToken t) {
        static const char *const names[] = {
                "ascii_downcase", "ascii_upcase", "ltrimstr", "rtrimstr", "tostring",
                "tonumber",       "length",       "join",     "null",     "true",
                "false",          "and",          "or",       "not"};

        for (size_t i = 0; i < COUNT_OF(names); i++)
                if (lex_is_word(t, names[i]))
                        return true;
        return false;
}

/* Does it give exactly one value, as far as its tokens tell? */
static bool is_single(Span text) {
        LexToken before = {0};
        Lex l = lex_begin(text);

        for (;;) {
                LexToken t = lex_next(&l), next = lex_peek(&l);
                bool begins = lex_is(before, '{') || lex_is(before, ',');
                bool is_key =
                        lex_is(next, ':') || (begins && (lex_is(next, ',') || lex_is(next, '}')));

                if (t.kind == LEX_END)
                        return true;
                if (t.kind == LEX_BAD || t.kind == LEX_RECURSE ||
                    (lex_is(before, '[') && lex_is(t, ']')) ||
                    (t.kind == LEX_WORD && !is_key && !is_plain_function(t)))
                        return false;
                before = t;
        }
}

/* `"work"` as the value of `type`. */
static bool says(Span element, Span name, Span value) {
        Member m;

        if (find_member(place_bare(element), name, &m) != FOUND || !m.value.p)
                return false;
        Lex l = lex_begin(m.value);
        LexToken t = lex_next(&l);
        return t.kind == LEX_STRING && span_eq_nocase(t.text, value) &&
               lex_next(&l).kind == LEX_END;
}

enum { ELEMENTS_MAX = 64 };

/* The texts between the commas of a list. */
static size_t read_elements(Span inner, Span ret[ELEMENTS_MAX]) {
        size_t from = 0, n = 0;
        Lex l = lex_begin(inner);

        for (;;) {
                LexToken t = lex_next(&l), end;
                Span within;

                if (t.kind == LEX_BAD || n == ELEMENTS_MAX)
                        return 0;
                if (t.kind == LEX_END || lex_is(t, ',')) {
                        ret[n++] = (Span){inner.p + from, t.at - from};
                        from = l.at;
                }
                if (t.kind == LEX_END)
                        return n;
                if (lex_is(t, '(') || lex_is(t, '[') || lex_is(t, '{') || lex_is_word(t, "if") ||
                    t.kind == LEX_STRING_OPEN) {
                        do {
                                if (!place_inner(&l, &within, &end))
                                        return 0;
                        } while (end.kind == LEX_STRING_MIDDLE);
                }
        }
}

/* Which element the step means; the count when nobody can tell. */
static size_t find_element(const Span *element, size_t n, const FieldStep *step) {
        size_t index, found = n;

        if (field_is_index(step, &index)) {
                for (size_t i = 0; i < index && i < n; i++)
                        if (!is_single(element[i]))
                                return n;
                return index < n ? index : n;
        }
        if (step->equals.p)
                for (size_t i = 0; i < n; i++)
                        if (says(element[i], step->name, step->equals)) {
                                if (found < n)
                                        return n;
                                found = i;
                        }
        if (step->is_any && n == 1)
                found = 0;
        return found;
}

/* `.list[] | {a: .x}` with an index: that very element of the list, when nothing is left out. */
static bool follow_generator(Trace *t, Place in, Span element, Way way) {
        Span left, right = SPAN(".");
        Place p;
        size_t index;

        if (!place_split(element, &left, &right))
                left = element;
        if (!place_of(t, in, left, &p) || p.is_derived || !p.origin.is_each || p.origin.rest.n)
                return false;
        bool has_index = field_is_index(way.step, &index);
        /* A select before this may have left some out: the number in the list is another then. */
        Lex l = lex_begin(element);
        for (LexToken token = lex_next(&l); token.kind != LEX_END && token.kind != LEX_BAD;
             token = lex_next(&l))
                has_index = has_index && !(token.kind == LEX_WORD && !lex_is(lex_peek(&l), ':'));
        if (has_index) {
                p.origin.is_each = false;
                p = place_member(t, p, way.step->name);
        }
        follow(t, p, right, behind(way));
        return true;
}

/* False when the text is no list. */
static bool follow_list(Trace *t, Place in, Span text, Way way) {
        Lex l = lex_begin(text);
        Span inner, element[ELEMENTS_MAX];
        LexToken end;

        if (!lex_is(lex_next(&l), '[') || !place_inner(&l, &inner, &end) ||
            lex_next(&l).kind != LEX_END)
                return false;
        size_t n = read_elements(inner, element);
        if (n == 1 && follow_generator(t, in, element[0], way))
                return true;
        size_t i = find_element(element, n, way.step);
        if (i < n)
                follow(t, in, element[i], behind(way));
        return true;
}

/* `map(f)`: f, with an element for its input. */
static bool follow_map(Trace *t, Place in, Span text, Way way) {
        size_t index;
        Span inner;

        if (!place_is_call(text, "map", &inner) || !in.origin.root.p || in.is_derived)
                return false;
        Lex l = lex_begin(inner);
        bool leaves_out = false;
        for (LexToken token = lex_next(&l); token.kind != LEX_END && token.kind != LEX_BAD;
             token = lex_next(&l))
                leaves_out |= lex_is_word(token, "select") || lex_is_word(token, "empty");
        Place p = field_is_index(way.step, &index) && !leaves_out
                          ? place_member(t, in, way.step->name)
                          : place_each(in);
        follow(t, p, inner, behind(way));
        return true;
}

/* ---- the way ---- */

typedef struct Following {
        Trace *t;
        Place in;
        Way way;
} Following;

static void on_branch(void *arg, Span text) {
        Following *f = arg;

        follow(f->t, f->in, text, f->way);
}

static void follow_step(Trace *t, Place in, Span text, Way way) {
        Following f = {t, in, way};
        Span left, right;
        Place p;

        if (place_branches(text, on_branch, &f) || follow_map(t, in, text, way))
                return;
        if (place_split(text, &left, &right)) {
                if (place_of(t, in, left, &p) && !p.is_derived)
                        follow(t, p, right, way);
                else if (!way.is_whole)
                        place_collect(t, in, text);
        } else if (follow_object(t, in, text, way) || follow_list(t, in, text, way))
                return;
        else if (place_of(t, in, text, &p)) {
                if (!p.is_derived || !way.is_whole)
                        go_on(t, p, way);
        } else if (!way.is_whole)
                place_collect(t, in, text);
}

static void follow(Trace *t, Place in, Span text, Way way) {
        size_t variables = t->n_variables;

        if (t->depth == PLACE_DEPTH_MAX)
                return;
        t->depth++;
        text = place_bare(text);
        place_bind(t, in, &text);
        text = place_bare(text);
        if (way.n == 0)
                place_collect(t, in, text);
        else
                follow_step(t, in, text, way);
        t->n_variables = variables;
        t->depth--;
}

/* Words after which a name may mean anything. */
static bool is_readable(Span text) {
        static const char *const words[] = {"def",    "reduce", "foreach", "label", "input",
                                            "inputs", "path",   "getpath", "walk",  "env"};
        Lex l = lex_begin(text);

        for (;;) {
                LexToken t = lex_next(&l);

                if (t.kind == LEX_END)
                        return true;
                if (t.kind == LEX_BAD)
                        return false;
                for (size_t i = 0; i < COUNT_OF(words); i++)
                        if (lex_is_word(t, words[i]) && !lex_is(lex_peek(&l), ':'))
                                return false;
        }
}

size_t trace_field(Span text, Span field, Arena *a, TraceOrigin ret[TRACE_MAX]) {
        Trace t = {.arena = a, .ret = ret};
        FieldStep whole = {.name = field};
        Field path;

        if (field.n == 0 || !is_readable(text))
                return 0;
        if (field.p[0] != '/')
                follow(&t, (Place){0}, text, (Way){&whole, 1, true});
        if (t.n == 0 && field_read(field, a, &path))
                follow(&t, (Place){0}, text, (Way){path.step, path.n, true});
        return t.n;
}
