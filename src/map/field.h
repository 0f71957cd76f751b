/* SPDX-License-Identifier: Apache-2.0
 *
 * What a target calls one of its fields, whatever its habit: `email`, `contact.email`,
 * `emails[0].address`, `$.contact["e mail"]`, `/contact/email`, `#/contact/email`,
 * `emails[type eq "work"].value`, `urn:ietf:params:scim:schemas:core:2.0:User:userName`. Pure. */
#pragma once

#include "base/arena.h"

enum { FIELD_STEPS_MAX = 16 };

typedef struct FieldStep {
        Span name;   /* of a member, or the digits of an index; of a filter, its attribute */
        Span equals; /* of a filter: the value; .p NULL otherwise */
        bool is_any; /* `[]`, `[*]`: an element, nobody says which */
} FieldStep;

typedef struct Field {
        FieldStep step[FIELD_STEPS_MAX];
        size_t n;
} Field;

/* Reads it; names lie in the text or in the arena. False for what is no name of a field. A text
 * that might be one single name too (`contact.email` as a key) is read as a path here. */
bool field_read(Span text, Arena *a, Field *ret);
/* Are they the same name but for case, `_` and `-`? firstName, first_name, FirstName. */
bool field_names_alike(Span a, Span b);
/* Is the step an index? */
bool field_is_index(const FieldStep *s, size_t *ret);
