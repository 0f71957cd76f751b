/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with a request, member by member, as the API's document says it:
 * {"detail": [{"loc": ["body", "url"], "msg": "...", "type": "..."}]}. */
#pragma once

#include "api/put.h"

enum { COMPLAINTS_MAX = 20, COMPLAINT_DEPTH_MAX = 12 };

/* A place in the request: its own word and those of what it stands in. */
typedef struct Where {
        const struct Where *in; /* NULL: the first word, "body", "query", "path" or "header" */
        Span word;
} Where;

typedef struct Complaints {
        Put json; /* the elements of "detail" so far */
        size_t n;
} Complaints;

#define COMPLAINTS ((Complaints){.json = PUT(16 * 1024)})

void complaints_done(Complaints *c);
/* More than COMPLAINTS_MAX are counted, not kept. `type` as in the document: "value_error",
 * "type_error.string", "value_error.missing", ... */
void complain(Complaints *c, const Where *at, const char *type, const char *format, ...)
        PRINTF_LIKE(4, 5);
/* Writes the object. */
MUST_CHECK int complaints_print(const Complaints *c, Buf *out);
