/* SPDX-License-Identifier: Apache-2.0
 *
 * Answer dialects: one table row and one file each. */
#pragma once

#include "reply/outcome.h"

typedef struct Reply {
        int status;
        const char *content_type; /* static; NULL for an empty body */
        Buf body;                 /* the caller gives it with its maximum, and frees it */
} Reply;

typedef struct Dialect {
        const char *name; /* as written after `reply:` of a source */
        const char *help;
        /* Fills *ret, whatever it held; 0 or a fault of buf_add, with *ret as it may be. Pure. */
        int (*write)(const Outcome *o, Reply *ret);
} Dialect;

extern const Dialect *const dialects[]; /* ended by NULL; the first is the default */
const Dialect *dialect_find(Span name); /* NULL when unknown */
