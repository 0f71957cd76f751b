/* SPDX-License-Identifier: Apache-2.0
 *
 * Where does this field of the output come from? Read from the text of the program, without
 * running it: in `{email: .user.email, name: "\(.user.first) \(.user.last)"}` the field name comes
 * from .user.first and .user.last. Used to trace a target's complaint about its field back to the
 * source's own. What the text does not tell is left untold: no origin is better than a wrong one.
 */
#pragma once

#include "map/map.h"

enum { TRACE_MAX = 8 };

typedef struct TraceOrigin {
        Span root;    /* "user" */
        Span pointer; /* "/first", RFC 6901; memory from the arena given */
        /* It comes from an element of the list at `pointer`, which one is known to the data only:
         * `rest` leads on from there. */
        bool is_each;
        Span rest;
        bool is_alternative; /* one side of `//`: only one of them was taken */
} TraceOrigin;

/* `field` is what the target calls it (map/field.h). Returns how many origins were found; 0 when
 * the text does not tell. */
size_t trace_field(Span program_text, Span field, Arena *a, TraceOrigin ret[TRACE_MAX]);
