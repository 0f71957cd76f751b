/* SPDX-License-Identifier: Apache-2.0
 *
 * Judging one value by rules: between the judge*.c, one for each kind of value. All return 0 when
 * the value fits, 1 when it does not, or a fault. */
#pragma once

#include "json/place.h"
#include "json/schema_rule.h"

typedef struct Judge {
        JsonViolations *told; /* NULL: the first violation is enough, and is not told */
        int64_t work;         /* that is left */
        unsigned depth;
} Judge;

/* By all of the rule. */
MUST_CHECK int judge(Judge *j, const Rule *rule, Span value, const JsonPlace *place);
/* Without telling: when it need not fit. */
MUST_CHECK int judge_quietly(Judge *j, const Rule *rule, Span value, const JsonPlace *place);
/* Adds the part's verdict to *all; true when the rest need not be judged, and *all is the end. */
bool judge_is_over(const Judge *j, int verdict, int *all);
/* Takes from the work that is left what looking at those bytes costs. 0 or -EMSGSIZE. */
MUST_CHECK int judge_work(Judge *j, size_t bytes);
/* 1, after telling. */
int judge_violated(Judge *j, const JsonPlace *place, const char *keyword, const char *format, ...)
        PRINTF_LIKE(4, 5);
/* Is n less, the same, more than the number? */
int judge_count(size_t n, Span number);

MUST_CHECK int judge_number(Judge *j, const Rule *rule, Span value, const JsonPlace *place);
MUST_CHECK int judge_string(Judge *j, const Rule *rule, Span value, const JsonPlace *place);
MUST_CHECK int judge_array(Judge *j, const Rule *rule, Span value, const JsonPlace *place);
MUST_CHECK int judge_object(Judge *j, const Rule *rule, Span value, const JsonPlace *place);
/* unevaluatedItems and unevaluatedProperties, when all else fits. */
MUST_CHECK int judge_unevaluated(Judge *j, const Rule *rule, Span value, const JsonPlace *place);
/* 1 when a pattern matches the text between the quotes, 0, or a fault. */
MUST_CHECK int judge_pattern(Judge *j, const JsonRegex *regex, Span raw);
