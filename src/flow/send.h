/* SPDX-License-Identifier: Apache-2.0
 *
 * What the steps that write share: a body made by an expression, sent, and remembered for the
 * message that a person reads. */
#pragma once

#include "flow/exchange.h"

/* Sends `body` (.p NULL for none) made by `mapping`. The step's value is the answer's JSON, null
 * when it has no body. `writes`: it counts as a change at the target. */
void send_start(Run *r, const char *method, const Address *to, Span body, const Program *mapping,
                const char *content_type, bool writes);
/* A PATCH of that body; `told` is the object whose members a person hears of as changed. */
void send_patch(Run *r, const Address *to, Span body, Span told, const Program *mapping,
                const char *content_type);
