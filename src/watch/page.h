/* SPDX-License-Identifier: Apache-2.0
 *
 * A page of a list, or a document, that a watch asks for and a loop reads: counted by reference, as
 * whoever asked may be told to end before the answer is there. */
#pragma once

#include "watch/triggers.h"

typedef struct PageAsk {
        const char *from; /* connection:/path?query */
        const char
                *items; /* a plain path to the list in a page; NULL: the page, or its only list */
        const Node *pages; /* how the list goes on, as written; NULL: by Link headers */
        bool is_document;  /* the page is one thing, whatever it is */
        Span url;          /* the page, as the one before it told; empty: the first */
        int64_t pages_before, items_before;
        Span etag; /* that an earlier answer had; empty: none */
} PageAsk;

typedef struct PageAnswer {
        const char *why;   /* NULL: it went well; else a sentence */
        int status;        /* of the page; 0 when none came */
        int64_t wait_ms;   /* how long the other side wants to be left alone; -1: it did not say */
        bool is_unchanged; /* it is as it was under `etag` */
        Span list;         /* JSON: an array, or the document */
        size_t n;          /* of its items */
        Span next;         /* the URL of the page behind this one; empty: it was the last */
        Span etag;         /* of the page; empty: none */
} PageAnswer;

typedef struct Page {
        _Atomic unsigned refs;
        _Atomic bool is_answered;
        int bell; /* an eventfd, readable once it is answered */
        Arena *arena;
        Triggers *set; /* what the ask points into */
        PageAsk ask;
        PageAnswer answer;
} Page;

/* Copies `url` and `etag`; the rest of the ask is of the set, of which it takes a reference. */
Page *page_new(Triggers *set, const PageAsk *ask);
Page *page_ref(Page *p);
Page *page_unref(Page *p); /* any thread; accepts NULL */
/* Once, by whoever reads it: copies the answer, and rings. */
void page_answer(Page *p, const PageAnswer *a);
