/* SPDX-License-Identifier: Apache-2.0
 *
 * References to other texts (RFC 3986 section 5), as JSON Schema uses them. */
#pragma once

#include "base/buf.h"

/* Appends `ref` as it is meant in a text whose URI is `base` ("" where it has none). Neither has a
 * fragment. As buf_add. */
MUST_CHECK int uri_resolve(Span base, Span ref, Buf *out);
/* Appends the text with %XX taken back; -EINVAL for a broken one. */
MUST_CHECK int uri_decode(Span text, Buf *out);
/* A URI with its scheme, of characters that may stand in one. */
bool uri_is_absolute(Span text);
