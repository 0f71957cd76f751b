/* SPDX-License-Identifier: Apache-2.0
 *
 * Many questions to one object in time that does not grow with its square, whoever chose the
 * keys: a table under this process's hash key, made only for objects large enough to need it.
 * The one place in this room that allocates for itself: some 50 bytes a member, given back by
 * json_index_done(). Without memory the answers are the same, only slower. */
#pragma once

#include "json/value.h"

enum { INDEX_FEW = 8 };

typedef struct JsonSlot {
        uint64_t hash;
        size_t next; /* the json_next() position of the member, plus one; 0: free */
} JsonSlot;

typedef struct JsonIndex {
        Span object;
        size_t n;                                /* members, repeats counted */
        Span keys[INDEX_FEW], values[INDEX_FEW]; /* all of them while they are few */
        JsonSlot *slots;                         /* else a table, or NULL: each question walks */
        size_t mask;
} JsonIndex;

/* `object` may be any value; one that is no object has no members. */
void json_index_init(JsonIndex *x, Span object);
void json_index_done(JsonIndex *x);
/* The last member whose key says the same as `raw_key`; .p NULL when there is none. */
Span json_index_find(const JsonIndex *x, Span raw_key);
