/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists, as the API pages through them: `limit` items after the one that `iterator` names, or with
 * "-" before it, the page that comes before that one. The answer tells the iterators of its last
 * and first item, and whether it was the last page in its direction. */
#pragma once

#include "api/op.h"

enum { LIST_LIMIT = 50, LIST_LIMIT_MAX = EVENT_PAGE_MAX };

typedef struct ListAsk {
        size_t limit;
        Span iterator; /* without its "-"; .p NULL: from the beginning */
        bool is_prev;
        bool newest_first; /* the order of the list, not of this page's search */
} ListAsk;

/* Of a query with "limit", "iterator" and maybe "order". */
ListAsk list_ask(const Op *op, bool newest_first);
/* In which order are items to be searched from the iterator? */
static inline bool list_downward(const ListAsk *l) {
        return l->newest_first != l->is_prev;
}

/* The page of objects of that kind and owner: `ret` has room for limit + 1, *ret_done says that
 * there are no more in that direction. The caller drops the entries. False when it has answered:
 * the iterator names nothing. */
bool list_objects(Op *op, const ListAsk *l, ObjectKind kind, const char *prefix, int64_t owner,
                  Entry **ret, size_t *ret_n, bool *ret_done);

/* The two halves of it, for those who search in another way: where the page begins (false when it
 * has answered), and what of one item more than wanted is the page: true when there is no more. */
bool list_after(Op *op, const ListAsk *l, const char *prefix, int64_t *ret);
bool list_cut(const ListAsk *l, Entry **entries, size_t *n);

void list_open(Put *p);
/* `first`, `last`: iterators of these items, .p NULL when there is none; no_prev: it cannot go
 * back. */
void list_close(Put *p, Span first, Span last, bool done, bool no_prev);

/* Fields of queries that ask for lists. */
#define LIST_FIELDS                                                                                \
        {.name = "limit",                                                                          \
         .type = FIELD_INTEGER,                                                                    \
         .min = 1,                                                                                 \
         .max = LIST_LIMIT_MAX,                                                                    \
         .fallback = "50",                                                                         \
         .help = "How many items at most."},                                                       \
        {                                                                                          \
                .name = "iterator", .type = FIELD_TEXT, .min = 1, .max = 300,                      \
                .help = "The iterator that an earlier answer gave."                                \
        }
#define LIST_ORDER_FIELD                                                                           \
        {                                                                                          \
                .name = "order", .type = FIELD_TEXT, .choices = list_orders,                       \
                .help = "The order in which items come."                                           \
        }
extern const char *const list_orders[];

/* The shape of a list of `item`. */
#define LIST_SCHEMA(variable, of_name, item_schema)                                                \
        static const Field variable##_fields[] = {                                                 \
                {.name = "data",                                                                   \
                 .type = FIELD_LIST,                                                               \
                 .item = FIELD_OBJECT,                                                             \
                 .of = &item_schema,                                                               \
                 .required = true},                                                                \
                {.name = "done",                                                                   \
                 .type = FIELD_BOOL,                                                               \
                 .required = true,                                                                 \
                 .help = "There are no more items in this direction."},                            \
                {.name = "iterator", .type = FIELD_TEXT, .nullable = true},                        \
                {.name = "prevIterator", .type = FIELD_TEXT, .nullable = true},                    \
        };                                                                                         \
        const Schema variable = {.name = "ListResponse_" of_name "_",                              \
                                 SCHEMA_FIELDS(variable##_fields)}
