/* SPDX-License-Identifier: Apache-2.0
 *
 * A list that comes in pages: where the next one is, and the items of all. The next page is named
 * by a Link header (RFC 8288), by a URL or a cursor in the answer, or by counting pages or items.
 * It is asked of the same connection alone: its credentials go nowhere else. */
#pragma once

#include "flow/exchange.h"
#include "map/path.h"

typedef struct Pages {
        bool are_given;
        /* As written: */
        Expr next, list;
        const char *as, *number, *offset, *index;
        int64_t from, max;
        /* As read: */
        bool by_link;
        Path next_path, list_path;
} Pages;

/* How far a list was read. */
typedef struct PageAt {
        const char *first;    /* the URL, before anything was added to it */
        int64_t pages, items; /* read so far */
} PageAt;

extern const OptionGroup step_pages;

/* Reads `pages: {...}`; NULL for none. 0 or -EINVAL with the problems added. */
MUST_CHECK int pages_prepare(Build *b, const Node *node, Pages *ret);
/* Asks page after page; `then` hears the items of all as one JSON array, or the act has failed.
 * `missing` hears a 404 to the first. */
void pages_start(Act *a, const Pages *p, const Address *to, void (*then)(Act *a, Span items),
                 void (*missing)(Act *a));

/* ---- for those that ask for the pages one by one ---- */

/* What follows from what is written in *p. NULL, or a sentence that says what is wrong with it;
 * *ret_at is where, line 0 for all of it. */
MUST_CHECK const char *pages_settle(Pages *p, Place *ret_at);
/* The URL of the first page, in the run's arena; NULL when there is no room. */
const char *pages_first(Act *a, const Pages *p, const char *first);
/* The URL of the page behind this one, to which `at` counts; *ret is NULL when it was the last.
 * False when the act has failed. */
bool pages_next(Act *a, const Pages *p, const PageAt *at, const ClientAnswer *answer, Span value,
                Span list, const char **ret);
/* Is it a place of the connection that `base` belongs to? */
bool pages_is_same_origin(const char *url, const char *base);
