/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts with holes: 'identity:/users/{.event.id}'. A hole holds a jq expression; `{{` and `}}`
 * stand for one brace, outside of holes. Braces inside the expression (objects, strings with
 * interpolation) are balanced by the reader; a hole that begins with an object needs a blank
 * before it, `{ {a: .x} }`. */
#pragma once

#include "map/map.h"

enum { TEMPLATE_PARTS_MAX = 64 };

typedef struct TemplatePart {
        Span text;        /* literal, when program is NULL */
        Program *program; /* the hole */
        size_t offset;    /* of the hole in the template, for messages */
} TemplatePart;

typedef struct Template {
        TemplatePart *parts;
        size_t n;
} Template;

/* Adds the holes' programs to the set (its texts are at most MAP_TEXT_MAX_BYTES, so is this).
 * Memory from `a`; literals are unescaped copies. 0 or -EINVAL with the offset in the sentence. */
MUST_CHECK int template_parse(Span text, ProgramSet *set, Arena *a, Template *ret, Err *e);
