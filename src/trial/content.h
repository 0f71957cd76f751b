/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in a YAML file, as the JSON that it means; and the first few places where two JSON
 * texts differ, for a person. */
#pragma once

#include "config/node.h"

/* Appends the JSON: quoted scalars are texts; plain ones are what they look like, by JSON's rules
 * for numbers, true, false and null, else texts. */
MUST_CHECK int content_json(const Node *n, Buf *out);

/* Tells each place where `got` is not what is `want`ed: an RFC 6901 pointer and both values, .p
 * NULL for nothing there. Unless `exact`, an object may have more members than are wanted. Returns
 * how many there are; at most `max` of them are told. */
typedef void ContentTell(void *arg, Span pointer, Span want, Span got);
size_t content_compare(Span want, Span got, bool exact, size_t max, ContentTell *tell, void *arg);
