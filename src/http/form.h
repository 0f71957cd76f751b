/* SPDX-License-Identifier: Apache-2.0
 *
 * application/x-www-form-urlencoded (WHATWG URL section 5.1), read strictly: what browsers would
 * mend is refused, so that nobody reads it in another way than we do. */
#pragma once

#include "base/arena.h"

enum {
        FORM_PAIRS_MAX = 1000,
        FORM_MAX_BYTES = 16 << 20,
};

typedef struct FormPair {
        Span name, value; /* decoded; no NUL in them; any other bytes */
} FormPair;

typedef struct FormFault {
        size_t offset;   /* of the pair that cannot be */
        const char *why; /* a static sentence */
} FormFault;

/* The pairs of a body, or of a URL's query, in their order, into `a`. '+' is a blank, %XX a byte; a
 * pair without '=' has an empty value. 0; -EBADMSG with *fault for a bad percent, a NUL, bytes
 * beyond printable ASCII, an empty pair ("a=1&&b=2") or name, or more than FORM_PAIRS_MAX pairs;
 * -ENOMEM when `a` is full. Empty text is no pairs. */
MUST_CHECK int form_parse(Span text, Arena *a, FormPair **ret, size_t *ret_n, FormFault *fault);
