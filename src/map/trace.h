/* SPDX-License-Identifier: Apache-2.0
 *
 * Where does this field of the output come from? Read from the text of the program, as far as
 * plain object constructions allow: in `{email: .user.email, name: "\(.user.first) \(.user.last)"}`
 * the field /name comes from .user.first and .user.last. Used to trace a target's complaint
 * about its field back to the source's own. */
#pragma once

#include "map/map.h"

enum { TRACE_MAX = 8 };

typedef struct TraceOrigin {
        Span root;    /* "user" */
        Span pointer; /* "/first", RFC 6901; memory from the arena given */
} TraceOrigin;

/* `field` is the pointer into the output ("/email"; a plain name is taken as one too). Returns
 * how many origins were found; 0 when the text does not tell. */
size_t trace_field(Span program_text, Span field, Arena *a, TraceOrigin ret[TRACE_MAX]);
