/* SPDX-License-Identifier: Apache-2.0
 *
 * Plain paths, `.user.emails[0]."home page"`: read in place, without jq. */
#pragma once

#include "base/arena.h"

enum { PATH_PARTS_MAX = 16 };

typedef struct PathPart {
        Span key; /* .p NULL for an index */
        size_t index;
} PathPart;

typedef struct Path {
        PathPart part[PATH_PARTS_MAX];
        size_t n;
        bool whole; /* `.`: no parts, the whole input */
} Path;

/* Is the text a plain path? Keys point into the text. */
bool path_parse(Span text, Path *ret);
/* The same, and the first part may be an index too: for paths into a body that may be a list. */
bool path_parse_any(Span text, Path *ret);
/* From `value` along the parts from `first` on; .p NULL where nothing is. */
Span path_follow(const Path *p, size_t first, Span value);
