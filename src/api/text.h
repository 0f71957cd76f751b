/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts of objects: JSON of our own, read member by member and written anew at a change. Times
 * in them are milliseconds. */
#pragma once

#include "api/schema.h"

/* The member's raw value; .p NULL when it is not there, or null. */
Span text_member(Span text, const char *member);
int64_t text_int(Span text, const char *member, int64_t fallback);
bool text_bool(Span text, const char *member); /* false when it is not there */
/* The decoded text, in `a`. */
Span text_plain(Span text, const char *member, Arena *a);

/* Writes the member that a request leaves behind: what the request gives for `field`, else what
 * `old` has (.p NULL: nothing); null takes it away. */
void text_keep(Put *p, const char *member, const Values *v, const char *field, Span old);
/* Writes what `text` has as `key`, or null, or `otherwise`. */
void text_show(Put *p, const char *key, Span text, const char *member, const char *otherwise);
void text_show_time(Put *p, const char *key, Span text, const char *member);
