/* SPDX-License-Identifier: Apache-2.0
 *
 * query: a SELECT, asked again and again. What is asked and how what comes back is told apart from
 * what was seen is one; how a database is asked differs (query_pg.c, query_lite.c). */
#pragma once

#include "watch/watch.h"

enum { QUERY_KEYS_MAX = 8, QUERY_NAME_MAX_BYTES = 63, QUERY_SQL_MAX_BYTES = 64 * 1024 };

typedef enum QueryExisting { QUERY_SKIP, QUERY_SEND } QueryExisting;

typedef struct QueryOptions {
        const char *name; /* of the database */
        const DatabaseConfig *database;
        const char *sql; /* one statement, without a semicolon */
        const Node *key_node;
        const char *key[QUERY_KEYS_MAX];
        size_t n_key;
        const char *cursor, *overlap_text, *table;
        int64_t overlap_ms; /* of a cursor that is a time; -1: a number was given */
        int64_t overlap_n;  /* of one that is a number; -1: a duration was given */
        bool has_overlap;
        int64_t every_ms, rows, timeout_ms;
        int existing; /* QueryExisting */
        bool remembers;
} QueryOptions;

typedef struct QueryRow {
        Span row;    /* JSON object */
        Span cursor; /* as it is noted: what the database reads it back from */
        Span time;   /* RFC 3339, when the cursor is one; .p NULL: it is none */
} QueryRow;

/* Rows in the order of cursor and key; all of it lives in the arena. */
typedef struct QueryPage {
        Arena *arena;
        QueryRow *rows;
        size_t n;
        bool is_last; /* there are no more now */
} QueryPage;

typedef struct QueryDesk {
        /* -ENOTRECOVERABLE when the database refuses the statement for what it is. */
        int (*open)(Watch *w, const QueryOptions *o, void **ret, Err *e);
        void (*close)(void *desk); /* accepts NULL */
        /* What tells whether a noted cursor is still one: its type. Lent. */
        const char *(*type)(void *desk);
        /* The highest cursor there is; nothing is appended when there is none. */
        int (*top)(void *desk, Buf *ret, Err *e);
        /* From `mark` less the overlap; from the beginning when it is empty. */
        int (*first)(void *desk, Span mark, QueryPage *ret, Err *e);
        /* Behind the last row of the page before, by cursor and key. */
        int (*next)(void *desk, QueryPage *ret, Err *e);
        /* How many rows, at most QUERY_BLIND_MAX, have no cursor or no key. */
        int (*blind)(void *desk, int64_t *ret, Err *e);
        /* Of a mark: by how much it is ahead of the database's clock; 0 when it is no time. */
        int (*ahead)(void *desk, Span mark, int64_t *ret_ms, Err *e);
} QueryDesk;

enum {
        QUERY_BLIND_MAX = 1000,
        QUERY_PAGE_BYTES = 8 * 1024 * 1024, /* a page ends with the row that reaches it */
};
extern const QueryDesk query_pg, query_lite;

/* Asks until it is to stop. */
MUST_CHECK int query_rounds(Watch *w, const QueryOptions *o, const QueryDesk *desk, Err *e);
/* Is it one statement that reads, as far as can be told without the database? 0 with the length of
 * it without a semicolon at its end; -EINVAL with a sentence. */
MUST_CHECK int query_text_check(Span sql, size_t *ret_n, Err *e);
/* Appends q."name". */
MUST_CHECK int query_column(Buf *b, const char *name);
/* Appends q."cursor", q."key", ... as a list, each followed by `after`. */
MUST_CHECK int query_order(Buf *b, const QueryOptions *o, const char *after);
