/* SPDX-License-Identifier: Apache-2.0
 *
 * Which events a flow wants: plain comparisons, made ready once when the configuration is loaded,
 * so that deciding costs a look into the bytes and nothing else. Immutable, for any thread. */
#pragma once

#include "config/config.h"

typedef struct Plan Plan;

/* Copies what it needs of `flow`. -EINVAL with a sentence when a path is not plain (`.a.b`,
 * `."a b"`, `.a["b"]`, `.a[0]`) or a value is not a scalar; the place is the rule's. */
MUST_CHECK int plan_new(const FlowConfig *flow, Plan **ret, Err *e);
Plan *plan_free(Plan *p); /* accepts NULL, returns NULL */
/* `body` has passed json_check, or is empty: then only a flow without rules matches. Texts are
 * compared as decoded, numbers by their value; nothing at a path is null, as in
 * jq. */
bool plan_matches(const Plan *p, Span source, Span body);
