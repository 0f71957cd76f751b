/* SPDX-License-Identifier: Apache-2.0
 *
 * Is this one JSON text (RFC 8259), to the letter? Pure, one pass, constant stack. The bytes are
 * never changed: what passes is stored and forwarded as it came. */
#pragma once

#include "base/base.h"

enum {
        JSON_DEPTH_MAX = 128,  /* nesting; the 129th level is refused */
        JSON_KEYS_MAX = 10000, /* members of all objects together, unless the caller allows more */
        JSON_POINTER_MAX_BYTES = 512,
};

typedef struct JsonFault {
        size_t offset;   /* of the first byte that cannot be */
        const char *why; /* a static sentence */
} JsonFault;

/* 0 or -EBADMSG with *fault. */
MUST_CHECK int json_check(Span text, size_t keys_max, JsonFault *fault);

/* Finds the first number that jq 1.6 (IEEE double) would change silently: an integer beyond
 * +-2^53, or one too large for a double. 0 when there is none; 1 with the RFC 6901 pointer of it.
 * `text` must have passed json_check. */
int json_unsafe_number(Span text, char pointer[JSON_POINTER_MAX_BYTES]);
