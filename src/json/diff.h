/* SPDX-License-Identifier: Apache-2.0
 *
 * What has to be sent so that `have` becomes `want`, one function per patch format. All mean the
 * same: members that want does not name stay as they are, a null in want takes a member away, and
 * an array is the whole list. `have` and `want` have passed json_check; what is sent has the bytes
 * of `want`, so no number is rounded.
 *
 * All return 1 when something differs, 0 when nothing does (nothing is appended), or a fault
 * (nothing is appended): -EMSGSIZE and -ENOMEM as buf_add, and what the format says. */
#pragma once

#include "base/buf.h"

/* Appends the RFC 7396 merge patch with only those members of `want` that differ from `have`,
 * objects compared member by member, arrays and scalars whole. Members keep the order and the
 * exact bytes of `want`. When `want` or `have` is no object, `want` is the patch. */
MUST_CHECK int json_diff_merge(Span have, Span want, Buf *out);
/* Applies a merge patch (RFC 7396 section 2). */
MUST_CHECK int json_merge(Span target, Span patch, Buf *out);

/* Appends the JSON Patch (RFC 6902): `add`, `replace` and `remove`, in the order of `want`. Where
 * the merge patch would write a member, this does, and applied to `have` both give the same. */
MUST_CHECK int json_diff_patch(Span have, Span want, Buf *out);
/* The same with a `test` of the old value before each `replace` and `remove`, so that a patch on
 * what somebody else has changed meanwhile is refused as a whole. That a member which is added is
 * still missing cannot be tested (RFC 6902 has no such test). */
MUST_CHECK int json_diff_patch_tested(Span have, Span want, Buf *out);

/* Appends the SCIM PatchOp (RFC 7644 section 3.5.2). An attribute that is null, [] or missing is
 * one and the same: unassigned (RFC 7643 section 2.5). Complex attributes are changed by their
 * sub-attributes, extensions by paths that begin with their URN, lists element by element where
 * their elements can be told apart by `type` or `value` (see scim_list.c), else whole. `schemas`,
 * `id` and `meta` are left alone: the server keeps them. Names are compared by their spelling.
 * -EINVAL when both are not objects, or a name that is needed in a path is no attribute's name. */
MUST_CHECK int json_diff_scim(Span have, Span want, Buf *out);
/* As Microsoft Entra writes it: `Add`, `Replace`, `Remove`; a boolean that is the whole value of
 * an operation as the text "True" or "False". */
MUST_CHECK int json_diff_scim_entra(Span have, Span want, Buf *out);
/* As Okta writes it: one `replace` without a path, whose value holds the attributes that differ,
 * each as a whole with what it has now; then a `remove` with a path for what goes. */
MUST_CHECK int json_diff_scim_okta(Span have, Span want, Buf *out);
