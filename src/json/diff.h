/* SPDX-License-Identifier: Apache-2.0
 *
 * What has to be sent so that `have` becomes `want` (the members that want does not name stay as
 * they are). One function per patch format; JSON Patch and SCIM PatchOp join this file's row. */
#pragma once

#include "base/buf.h"

/* Appends the RFC 7396 merge patch with only those members of `want` that differ from `have`,
 * objects compared member by member, arrays and scalars whole. Members keep the order and the
 * exact bytes of `want`. Returns 1 when something differs, 0 when nothing does (nothing is
 * appended), or a fault from buf_add. When `want` or `have` is no object, `want` is the patch. */
MUST_CHECK int json_diff_merge(Span have, Span want, Buf *out);
/* Applies a merge patch (RFC 7396 section 2). */
MUST_CHECK int json_merge(Span target, Span patch, Buf *out);
