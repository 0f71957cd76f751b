/* SPDX-License-Identifier: Apache-2.0
 *
 * Answer dialects: one table row and one file each. A row says which statuses its source
 * understands and how the body is written; who has an outcome to tell calls dialect_write. */
#pragma once

#include "reply/outcome.h"

typedef struct Reply {
        int status;
        const char *content_type; /* static; NULL for an empty body */
        Buf body;                 /* the caller gives it with its maximum, and frees it */
} Reply;

/* What the source understands for each kind of outcome; 0: the outcome's own status. Strangers
 * always hear 401: to them a source has no language yet. */
typedef struct DialectStatus {
        int done, accepted, refused, later;
} DialectStatus;

typedef struct Dialect {
        const char *name; /* as written after `reply:` of a source */
        const char *help;
        DialectStatus status;
        bool has_hints;   /* the source can make something of Retry-After and Location */
        size_t max_bytes; /* of a body that it reads; 0: whatever the caller allows */
        /* Writes the body, behind a status that is set already and may be changed. 0,
         * DIALECT_MISFIT or a fault of buf_add. NULL: never a body. Pure. */
        int (*write)(const Outcome *o, Reply *ret);
} Dialect;

/* The flow's data is nothing that the source could read. */
enum { DIALECT_MISFIT = 1 };

extern const Dialect *const dialects[]; /* ended by NULL; the first is the default */
const Dialect *dialect_find(Span name); /* NULL when unknown */
/* Fills *ret, whatever it held; 0 or a fault of buf_add, with *ret as it may be. Data that the
 * source cannot read (misfit, or too large for it) makes it a refusal: never a success that
 * leaves out what the flow has to say. Pure. */
MUST_CHECK int dialect_write(const Dialect *d, const Outcome *o, Reply *ret);
/* The table of dialects as Markdown: which status each gives to what. */
MUST_CHECK int dialects_print_reference(Buf *out);
