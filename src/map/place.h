/* SPDX-License-Identifier: Apache-2.0
 *
 * Which places of its input an expression reads: `.user.email | ascii_downcase` the place
 * .user.email. For src/map/trace.c alone. */
#pragma once

#include "map/lex.h"
#include "map/trace.h"

enum { PLACE_DEPTH_MAX = 24, PLACE_VARIABLES_MAX = 8 };

/* A place of the input. `origin.root.p` is NULL for the input as a whole. */
typedef struct Place {
        TraceOrigin origin;
        bool is_derived; /* made of what stands there: what is inside it does not stand there too */
} Place;

typedef struct Trace {
        Arena *arena;
        struct TraceVariable {
                Span name;
                Place place;
        } variables[PLACE_VARIABLES_MAX];
        size_t n_variables;
        unsigned depth; /* of calls within calls */
        TraceOrigin *ret;
        size_t n;
} Trace;

/* The member or element `name` of a place; an element that nobody knows. */
Place place_member(Trace *t, Place p, Span name);
Place place_each(Place p);
/* The one place that the whole expression reads, `in` being its input; false when it reads none or
 * several, or nobody can tell. */
bool place_of(Trace *t, Place in, Span expression, Place *ret);
/* Adds the origins of all places that the expression makes its value of. */
void place_collect(Trace *t, Place in, Span expression);
void place_add(Trace *t, Place p);
/* What $name stands for; NULL when unknown. */
const Place *place_variable(const Trace *t, Span name);
/* Takes `TERM as $name |` off the front of the expression, as often as it stands there. */
void place_bind(Trace *t, Place in, Span *expression);

/* ---- cutting the text ---- */

/* Cuts at the first `|` outside of all brackets; false when there is none, or when what is before
 * it binds a variable. */
bool place_split(Span expression, Span *left, Span *right);
/* After an opening token: the text up to what closes it, which is read too. */
bool place_inner(Lex *l, Span *inner, LexToken *end);
/* Without blanks and parentheses around all of it. */
Span place_bare(Span expression);
/* Is the expression one call `name(inner)`? */
bool place_is_call(Span expression, const char *name, Span *inner);
/* `if a then b elif c then d else e end`, whole: calls branch(arg, text) for b, d and e. False when
 * the expression is nothing of the kind. */
bool place_branches(Span expression, void (*branch)(void *arg, Span text), void *arg);
