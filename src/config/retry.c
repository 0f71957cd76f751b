/* SPDX-License-Identifier: Apache-2.0
 *
 * retry: when what failed is tried again. */
#include "config/tables.h"

const Option retry_options[RETRY_OPTIONS] = {
        {.name = "tries",
         .type = OPTION_NUMBER,
         .offset = offsetof(RetryConfig, tries),
         .fallback = "10",
         .min = 1,
         .max = 32,
         .help = "How many times it is tried again after the first."},
        {.name = "base",
         .type = OPTION_DURATION,
         .offset = offsetof(RetryConfig, base_ms),
         .fallback = "5s",
         .min = 100,
         .max = 86400000,
         .help = "The pause before the second try; each later one is twice as long."},
        {.name = "max",
         .type = OPTION_DURATION,
         .offset = offsetof(RetryConfig, cap_ms),
         .fallback = "1h",
         .min = 100,
         .max = (int64_t)7 * 86400000,
         .help = "No pause is longer than this."},
};

void retry_read(Reading *r, const Node *n, RetryConfig *ret) {
        ret->given = true;
        if (n->kind == NODE_SCALAR && span_eq(n->text, SPAN("none"))) {
                ret->tries = 0;
                return;
        }
        if (options_read(n, retry_options, RETRY_OPTIONS, ret, r->arena, r->problems) < 0)
                return;
        if (ret->base_ms > ret->cap_ms)
                problem_add(r->problems, n->place,
                            "retry: the first pause (base) is longer than "
                            "the longest (max)");
}
