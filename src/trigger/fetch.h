/* SPDX-License-Identifier: Apache-2.0
 *
 * One page of a list of a connection, read outside of any flow: for backfills, and for whatever
 * looks at a list by itself. It is asked as the step `get` asks: with the connection's credentials,
 * limits and breaker, of that connection alone. Who wants the next page asks for it by what this
 * answer says, now or after a restart. */
#pragma once

#include "flow/pages.h"
#include "flow/runner.h"

enum { FETCH_MAX_MS = 60000, FETCH_MAX_BYTES = 32 * 1024 * 1024 };

typedef struct FetchAsk {
        Span from; /* connection:/path?query as it is: there is nothing that could fill holes */
        /* How the list goes on (pages_settle), and where it is in a page; must stay. NULL: by Link
         * headers, and where nobody said where the list is, it is the page, or its only list. */
        const Pages *pages;
        bool is_document; /* the page is no list but one thing: all of it is told as `list` */
        bool is_guess;    /* that it goes on so: a last page that speaks of more is refused */
        Span url;         /* the page, as the answer before it told; empty: the first */
        int64_t pages_before, items_before;
        Span etag; /* that an earlier answer had: when it still holds, nothing is read */
} FetchAsk;

typedef struct FetchAnswer {
        /* NULL: it went well. Else a stable code and a sentence, whether the same may go well
         * later, and how long the other side wants to be left alone (-1: it did not say). */
        const char *code;
        Span message;
        bool is_retryable;
        int64_t wait_ms;

        bool is_unchanged; /* the list is as it was under `etag` (RFC 9110 section 13.1.2) */
        Span list;         /* a JSON array: its elements, by json_next, are the items */
        size_t n;
        int64_t total; /* items of the whole list, where the page says it; else 0 */
        Span next;     /* the URL of the page behind this one; empty: it was the last */
        Span etag;     /* of the page; empty: none */
        int status;    /* of the page; 0 when none came */
} FetchAnswer;

/* Could this be asked? -EINVAL with the sentence: the connection is not there, or the address is
 * none. */
MUST_CHECK int fetch_check(const Snapshot *s, Span from, Err *e);
/* The same before there is a snapshot of it. */
MUST_CHECK int fetch_check_in(const Config *c, Span from, Err *e);
/* On the runner's loop. `done` hears of it once, later; the answer is lent. The spans of the ask
 * are copied. */
void fetch_start(Runner *runner, const FetchAsk *ask,
                 void (*done)(void *arg, const FetchAnswer *answer), void *arg);
