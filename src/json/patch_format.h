/* SPDX-License-Identifier: Apache-2.0
 *
 * The formats in which a change can be sent, one row each: a step's `as:` names the row. */
#pragma once

#include "json/diff.h"

#define SCIM_CONTENT_TYPE "application/scim+json" /* RFC 7644 section 8.1 */

typedef struct PatchFormat {
        const char *name;
        const char *content_type; /* the media type of what `diff` appends */
        bool needs_have;          /* says how to change what is there, so that has to be known */
        int (*diff)(Span have, Span want, Buf *out);
} PatchFormat;

enum { PATCH_FORMATS = 6, PATCH_MERGE = 0 };

/* By the same index; the names are ended by NULL. */
extern const PatchFormat patch_formats[PATCH_FORMATS];
extern const char *const patch_format_names[PATCH_FORMATS + 1];
