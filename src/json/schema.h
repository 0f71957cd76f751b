/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Schema, draft 2020-12: a document is compiled once and then judges any number of values.
 * docs/schemas.md lists what is supported; a keyword that would assert something and is not
 * supported is refused here, so that no schema promises what nobody keeps. References lead to
 * places in the document itself; nothing is fetched. */
#pragma once

#include "base/arena.h"
#include "json/check.h"

enum {
        JSON_SCHEMA_MAX_BYTES = 1 << 20,
        JSON_VIOLATIONS_MAX = 16,
        JSON_VIOLATION_TEXT_BYTES = 200,
};

typedef struct JsonSchema JsonSchema;

typedef struct JsonViolation {
        char pointer[JSON_POINTER_MAX_BYTES]; /* into the value; "" is the whole, and what a place
                                                 too long to be told is cut to */
        const char *keyword;                  /* static */
        char text[JSON_VIOLATION_TEXT_BYTES]; /* "has to be a string, not a number" */
} JsonViolation;

typedef struct JsonViolations {
        JsonViolation list[JSON_VIOLATIONS_MAX];
        size_t n; /* the first ones, in the order of the value as far as the schema follows it */
} JsonViolations;

/* Compiles the document, of which a copy is kept in the arena, as is everything else. Not for two
 * threads; what it gives is immutable and may be used by any. `asserts_formats`: `format` refuses
 * what is no date-time, date, time, email, uri, uuid, ipv4 or ipv6, instead of being a note.
 * 0, -EBADMSG (no JSON), -EINVAL (no schema, or one that is not supported), -EMSGSIZE, -ENOMEM,
 * with the sentence. */
MUST_CHECK int json_schema_compile(Span text, bool asserts_formats, Arena *a, JsonSchema **ret,
                                   Err *e);
/* Judges a value (which has passed json_check). 0: it fits; 1: it does not, and `ret` says where
 * and why, unless it is NULL; -EMSGSIZE: to tell would take too long (some 4 million steps and two
 * for each byte); -ENOMEM. Allocates nothing but JsonIndex does, and for long lists under
 * uniqueItems. */
MUST_CHECK int json_schema_judge(const JsonSchema *s, Span value, JsonViolations *ret);
