/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of dialects. A new one is a file with one Dialect in it and a row here. */
#include "reply/body.h"

const Dialect *const dialects[] = {&dialect_problem, &dialect_plain, NULL};

const Dialect *dialect_find(Span name) {
        for (const Dialect *const *d = dialects; *d; d++)
                if (span_eq(name, span_of((*d)->name)))
                        return *d;
        return NULL;
}
