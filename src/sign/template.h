/* SPDX-License-Identifier: Apache-2.0
 *
 * What a signature covers, as a text with holes: "v0:{timestamp}:{body}". The holes are {body},
 * {timestamp}, {id}, {method}, {url} (the public one, with its query) and {header:Name}; what
 * stands between them is meant as it is. Read once, when the rule is made. */
#pragma once

#include "sign/sign.h"

enum { SIGN_TEMPLATE_PARTS_MAX = 16, SIGN_TEMPLATE_MAX_BYTES = 512 };

typedef enum SignHole {
        HOLE_NONE, /* a literal */
        HOLE_BODY,
        HOLE_TIMESTAMP,
        HOLE_ID,
        HOLE_METHOD,
        HOLE_URL,
        HOLE_HEADER,
} SignHole;

typedef struct SignTemplate {
        struct SignPart {
                SignHole hole;
                Span literal;
                char *header; /* in lower case */
        } parts[SIGN_TEMPLATE_PARTS_MAX];
        size_t n;
        char *text; /* what the literals point into */
} SignTemplate;

/* NULL, with the sentence in *e, for a text that is not as above, and for one that does not hold
 * {body} exactly once: whatever is signed, the body is part of it. */
SignTemplate *sign_template_new(Span text, Err *e);
SignTemplate *sign_template_free(SignTemplate *t); /* accepts NULL, returns NULL */
static inline void sign_template_freep(SignTemplate **t) {
        *t = sign_template_free(*t);
}
bool sign_template_has(const SignTemplate *t, SignHole hole);
