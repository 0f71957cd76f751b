/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of fields that stand in a sentence. A SCIM error has no member for the field that it is
 * about (RFC 7644, section 3.12): it says "Attribute 'id' is readOnly". What stands in quotes may
 * be such a name, and so may a word that is in no dictionary: `userName`, `emails.value`,
 * `emails[type eq "work"].value`, `urn:...:userName`. Whether there is such a field, the caller
 * has to know: values stand in quotes as well. Pure. */
#pragma once

#include "base/base.h"

enum { MENTION_MAX_BYTES = 200 };

/* The next of them in the text from *pos on, which it moves; *ret lies in the text. False when
 * there are no more. */
bool mention_next(Span text, size_t *pos, Span *ret);
