/* SPDX-License-Identifier: Apache-2.0
 *
 * What a target says when it refuses, read for a person: the message, and which field it means,
 * traced back through the mapping to the source's own field. Knows the common shapes: RFC 9457
 * problems, {"field","message"}, {"errors":[{...}]}, {"errors":{"field":["..."]}}, SCIM errors. */
#pragma once

#include "flow/act.h"

/* Fills message and errors of *o from the answer's body; leaves what it cannot read. `mapping` is
 * the program that made the refused body, NULL for none; `target` the one that refused: what came
 * from it is not the source's to mend. */
void complaint_read(Act *a, Span body, const Program *mapping, const Target *target, Outcome *o);
