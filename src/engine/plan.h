/* SPDX-License-Identifier: Apache-2.0
 *
 * Does a flow want this event? Plain comparisons of values at plain paths: no jq, no I/O. */
#pragma once

#include "config/config.h"

typedef struct Plan {
        const struct PlanRule *rules;
        size_t n;
} Plan;

/* Compiles the rules of `match`; memory from `a`. Every error goes to the problems. */
MUST_CHECK int plan_compile(const MatchRule *match, size_t n, Arena *a, Problems *problems,
                            Plan *ret);
/* `body` is checked JSON text. A plan without rules matches everything. Strings compare by their
 * text, numbers by their value; a rule whose path leads nowhere does not match. */
bool plan_matches(const Plan *p, Span body);
/* One rule alone (below p->n): the value at its path goes to *ret_value, .p NULL where it leads
 * nowhere. */
bool plan_rule_matches(const Plan *p, size_t i, Span body, Span *ret_value);
/* The first key that a rule looks at and that `body` holds twice at its top (faults B-33): readers
 * could disagree about it. .p NULL when there is none. */
Span plan_ambiguous(const Plan *p, Span body);
