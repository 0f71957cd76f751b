/* SPDX-License-Identifier: Apache-2.0
 *
 * What a target says when it refuses, read for a person: the message, and which field it means,
 * traced back through the mapping to the source's own field. Knows the common shapes: RFC 9457
 * problems, {"field","message"}, {"errors":[{...}]}, {"errors":{"field":["..."]}}, {"error":
 * {"message", "details": [{...}]}}, JSON:API's source.pointer, paths as lists; and SCIM errors,
 * which name the field in their sentence only.
 *
 * Where the mapping took an element of a list, the data says which: it is the only one, or the
 * only one that holds the value that was sent. Of `.a // .b` it is the one that was taken. */
#pragma once

#include "flow/act.h"

/* Fills message and errors of *o from the answer's body; leaves what it cannot read. `mapping` is
 * the program that made the refused body, NULL for none; `target` the one that refused: what came
 * from it is not the source's to mend. */
void complaint_read(Act *a, Span body, const Program *mapping, const Target *target, Outcome *o);
