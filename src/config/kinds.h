/* SPDX-License-Identifier: Apache-2.0
 *
 * Kinds of sources: what a product needs, as defaults for the very keys that a person could write.
 * A new product is a row here; code only where it asks for a scheme, dialect, envelope or handshake
 * that there is not yet. */
#pragma once

#include "config/tables.h"

typedef struct KindDefault {
        const char *key;   /* "verify.scheme", "deadline"; given twice, the values are a list */
        const char *value; /* as it would be written */
} KindDefault;

typedef struct SourceKind {
        const char *name;            /* as written after `kind:` */
        const char *help;            /* the product, and which of its calls */
        bool is_deaf;                /* nobody reads its answers: only the status counts */
        const KindDefault *defaults; /* ended by a NULL key; NULL: none */
} SourceKind;

extern const SourceKind source_kinds[]; /* ended by a NULL name */

/* The map of a source with the defaults of its kind where the person says nothing; the map itself
 * when it has no kind or an unknown one (a problem was added then). *ret_kind is NULL then.
 * A default has the place of `kind`. */
const Node *kind_apply(Reading *r, const Node *map, const SourceKind **ret_kind);
