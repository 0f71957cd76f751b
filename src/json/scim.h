/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations of a SCIM PatchOp while they are written: between diff_scim.c and scim_list.c. */
#pragma once

#include "base/buf.h"

typedef enum ScimOp { SCIM_ADD, SCIM_REPLACE, SCIM_REMOVE } ScimOp;

typedef struct ScimProfile {
        const char *ops[3];    /* by ScimOp */
        bool has_text_boolean; /* "True" for true where it is the whole value */
        bool has_value_object; /* what is set stands in one operation without a path */
} ScimProfile;

/* urn:attr[by eq key].sub; parts that are not there have no .p. All raw, `key` with its quotes. */
typedef struct ScimPath {
        Span urn, attr, by, key, sub;
} ScimPath;

typedef struct ScimWriter {
        const ScimProfile *profile;
        Buf *out;     /* NULL: the operations are only counted */
        size_t start; /* of the document in `out` */
        size_t n_ops; /* written */
        size_t sets, removes;
        bool removes_only; /* what is set stands in the value object already */
} ScimWriter;

/* Unassigned: missing, null, an empty list. */
bool scim_is_unassigned(Span value);
/* Writes or counts one operation; `value` has no .p for SCIM_REMOVE. */
MUST_CHECK int scim_write(ScimWriter *w, ScimOp op, const ScimPath *path, Span value);
/* What is at `path` has to become `want`: the operation for it, if one is needed. */
MUST_CHECK int scim_set(ScimWriter *w, const ScimPath *path, Span have, Span want);
/* What each member of `want` needs, as a sub-attribute of `path`. */
MUST_CHECK int scim_diff_subs(ScimWriter *w, const ScimPath *path, Span have, Span want);
/* Two lists. */
MUST_CHECK int scim_diff_lists(ScimWriter *w, const ScimPath *path, Span have, Span want);
