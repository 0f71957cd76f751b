/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking into checked JSON text without parsing it whole: a value is the span of its bytes.
 * Among members of one name the last counts, as in jq; json_member_count tells repeats. */
#pragma once

#include "base/buf.h"

typedef enum JsonKind {
        JSON_NULL,
        JSON_FALSE,
        JSON_TRUE,
        JSON_NUMBER,
        JSON_STRING,
        JSON_ARRAY,
        JSON_OBJECT,
} JsonKind;

/* All functions take text that has passed json_check; blanks around it are fine. */
JsonKind json_kind(Span value);
/* The value without blanks around it. */
Span json_trim(Span value);
/* The member's value; .p NULL when `object` is no object or has no such member. `key` is the
 * plain (decoded) key. */
Span json_member(Span object, Span key);
size_t json_member_count(Span object, Span key);
/* Element `i` of an array; .p NULL when there is none. */
Span json_element(Span array, size_t i);
size_t json_length(Span array_or_object);

/* Walks members or elements: start with pos = 0; false at the end. `key` is the raw key between
 * its quotes (empty for arrays), still escaped. */
bool json_next(Span container, size_t *pos, Span *key, Span *value);

/* Appends the text of a string value (escapes resolved, UTF-8), or the raw bytes of a number,
 * true, false; nothing for null. -EINVAL for arrays and objects, and for strings with lone
 * surrogates; -EMSGSIZE as buf_add. */
MUST_CHECK int json_text(Span value, Buf *out);
/* Like json_text for a raw key from json_next. */
MUST_CHECK int json_key_text(Span raw_key, Buf *out);
/* RFC 6901. The value at `pointer`, .p NULL when nothing is there or the pointer is malformed. */
Span json_at(Span value, Span pointer);
/* Same value? Objects without order, numbers by their decimal value (1.0 is 1; no rounding),
 * strings by their decoded text. Bounded by JSON_DEPTH_MAX. */
bool json_equal(Span a, Span b);
/* One for all spellings of a value: equal values have equal hashes, under this process's key. */
uint64_t json_hash(Span value);
/* Indented by two blanks, for people. */
MUST_CHECK int json_pretty(Span value, Buf *out);
