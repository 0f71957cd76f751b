/* SPDX-License-Identifier: Apache-2.0
 *
 * The patterns of JSON Schema: the part of ECMA-262's regular expressions (with the flag u) that
 * can be matched in time that grows with the text and not with its square. All threads of a match
 * step together (after Thompson), so no pattern and no text can make it explode.
 *
 * There are: literals, `.`, classes, \d \w \s and their opposites, escapes of control characters
 * and code points, groups, `|`, `* + ? {n} {n,} {n,m}` (lazy ones too), `^ $ \b \B`. There are
 * not, and are refused: looking ahead and behind, references back, \p{...}. */
#pragma once

#include "base/arena.h"
#include "json/text.h"

enum { JSON_REGEX_MAX = 2000 }; /* instructions; counted repetitions are written out */

typedef struct JsonRegex JsonRegex;

/* `pattern` is plain UTF-8. 0, or -EINVAL / -ENOMEM with the sentence. */
MUST_CHECK int json_regex_compile(Span pattern, Arena *a, JsonRegex **ret, Err *e);
/* Does it match anywhere in the text? 1, 0, or -EMSGSIZE when *work, from which each step is
 * taken, would go below 0. */
MUST_CHECK int json_regex_find(const JsonRegex *x, JsonReader text, int64_t *work);
