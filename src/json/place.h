/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a value stands in its text, kept on the stack while a recursion walks down to it: written
 * as an RFC 6901 pointer only when somebody has to be told. NULL is the whole text. */
#pragma once

#include "base/buf.h"

typedef struct JsonPlace {
        const struct JsonPlace *up;
        Span key;     /* the raw key of a member; .p NULL for an element */
        size_t index; /* of an element */
} JsonPlace;

/* Appends the pointer as plain text, escapes of the keys resolved (lone surrogates in three
 * bytes). 0 or a fault as buf_add; what was added before it stays. */
MUST_CHECK int json_place_print(const JsonPlace *place, Buf *out);
/* The same as it stands between the quotes of a JSON string: keys keep their own escapes, so that
 * any key has a pointer. */
MUST_CHECK int json_place_print_raw(const JsonPlace *place, Buf *out);
