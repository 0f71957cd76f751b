/* SPDX-License-Identifier: Apache-2.0
 *
 * A list that comes in pages: where the next one is, and the items of all. The next page is named
 * by a Link header (RFC 8288), by a URL or a cursor in the answer, or by counting. It is asked of
 * the same connection alone: its credentials go nowhere else. */
#pragma once

#include "flow/exchange.h"
#include "map/path.h"

typedef struct Pages {
        bool are_given;
        /* As written: */
        Expr next, list;
        const char *as, *number;
        int64_t from, max;
        /* As read: */
        bool by_link;
        Path next_path, list_path;
} Pages;

extern const OptionGroup step_pages;

/* Reads `pages: {...}`; NULL for none. 0 or -EINVAL with the problems added. */
MUST_CHECK int pages_prepare(Build *b, const Node *node, Pages *ret);
/* Asks page after page; `then` hears the items of all as one JSON array, or the act has failed.
 * `missing` hears a 404 to the first. */
void pages_start(Act *a, const Pages *p, const Address *to, void (*then)(Act *a, Span items),
                 void (*missing)(Act *a));
