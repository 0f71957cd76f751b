/* SPDX-License-Identifier: Apache-2.0
 *
 * What the dialects share among themselves; nobody outside this room includes it. */
#pragma once

#include "reply/dialect.h"

extern const Dialect dialect_problem, dialect_plain;

enum { BODY_DONE = 1 };

static inline bool outcome_is_success(const Outcome *o) {
        return o->status >= 200 && o->status < 300;
}
/* Empties *ret and sets its status. BODY_DONE when nothing is left to say: a status that has no
 * body, or a success whose full data is the body, byte for byte. 0 otherwise. */
MUST_CHECK int body_begin(const Outcome *o, Reply *ret);
/* One member of a JSON object, with the comma before it where one is due. */
MUST_CHECK int body_add_name(Buf *b, const char *name);
/* The same with a text behind it; nothing at all for an empty text. */
MUST_CHECK int body_add_text(Buf *b, const char *name, Span text);
/* Appends one line's worth of text for a person: control characters become blanks, so that no
 * text can pass for two lines; bytes that are not UTF-8 become U+FFFD. */
MUST_CHECK int body_add_line(Buf *b, Span text);
