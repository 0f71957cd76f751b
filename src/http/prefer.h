/* SPDX-License-Identifier: Apache-2.0
 *
 * The Prefer header (RFC 7240): what the caller would like of the answer. */
#pragma once

#include "base/buf.h"

typedef enum PreferReturn { RETURN_UNSAID, RETURN_MINIMAL, RETURN_REPRESENTATION } PreferReturn;

enum { PREFER_WAIT_MAX_MS = 24 * 3600 * 1000 }; /* longer wishes are taken for this one */

typedef struct Prefer {
        bool respond_async;
        int64_t wait_ms; /* -1 when unsaid */
        PreferReturn give;
} Prefer;

#define PREFER_NONE ((Prefer){.wait_ms = -1})

/* Reads one header value into *p; a preference seen before keeps its first value, unknown and
 * malformed ones are ignored, as the RFC says. */
void prefer_read(Prefer *p, Span value);
/* The Preference-Applied value for what was honoured; appends nothing when nothing was. */
MUST_CHECK int prefer_print(const Prefer *applied, Buf *out);
