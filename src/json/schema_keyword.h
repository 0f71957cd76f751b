/* SPDX-License-Identifier: Apache-2.0
 *
 * The keywords of JSON Schema, one row each. */
#pragma once

#include "json/schema_rule.h"

typedef struct Keyword Keyword;
struct Keyword {
        const char *name;
        int (*read)(Compiler *c, Rule *rule, const Keyword *row, Span value);
        size_t offset;   /* of what it sets in the rule */
        const char *why; /* of a keyword that is refused */
};

/* NULL for notes and for what is unknown, which asserts nothing (JSON Schema core 6.5). */
const Keyword *keyword_find(Span raw_key);
