/* SPDX-License-Identifier: Apache-2.0
 *
 * Backfills: one flow run for each item of a list. What people asked for, and how far it is, is an
 * object whose text says it, so that it survives a restart:
 *
 *   {"flow", "source", "from": texts, "event", "key": texts or not there, "pages": {"next", "as",
 *    "number", "offset", "index", "list": texts, "from", "max": numbers}, "rate": per second (0: as
 *    fast as it goes), "createdAt": ms,
 *    "progress": "running" | "done" | "failed" | "cancelled", "updatedAt": ms, "total": items that
 *    the list is said to hold (0: unsaid), "counts": {...}, "open": n, "error": {"code", "message"}
 *    or not there, "problems": [{"key", "event", "code", "message"}],
 *    "at": {"pages", "items": n, "url": text, "isRead": bool, "counts": {...}, "problems": n,
 *    "open": [ids of events]}}
 *
 * `at` is where a restart goes on: the page that is next, what was counted when it began, and the
 * events whose jobs had not ended then. What was counted since, beside it, is for people: it is
 * counted once more after a restart. */
#pragma once

#include "flow/pages.h"
#include "flow/registry.h"

enum {
        BACKFILL_OPEN_MAX = 256,    /* events whose jobs have not ended */
        BACKFILL_PROBLEMS_MAX = 10, /* of those kept to be shown */
        BACKFILL_MESSAGE_MAX_BYTES = 1000,
        BACKFILL_PAGES_MAX = 10000, /* unless it says another number */
        BACKFILL_TEXT_MAX_BYTES = 128 * 1024,
};

typedef enum BackfillProgress {
        BACKFILL_RUNNING,
        BACKFILL_DONE,
        BACKFILL_FAILED, /* the list could not be read on; it may be resumed */
        BACKFILL_CANCELLED,
} BackfillProgress;
extern const char *const backfill_progresses[];

typedef struct BackfillCounts {
        int64_t seen;      /* items of the list */
        int64_t succeeded; /* their jobs ended well, and something was done */
        int64_t unchanged; /* their jobs ended well, and there was nothing to do */
        int64_t failed;    /* all that did not end well, of which ... */
        int64_t dead;      /* ... are recorded, and their jobs are dead */
        int64_t skipped;   /* the event's expression gave nothing */
        int64_t repeated;  /* had the key of one before: not recorded again */
} BackfillCounts;

typedef struct BackfillProblem {
        Span key, code, message; /* of an item */
        int64_t event;           /* 0: it was not recorded */
} BackfillProblem;

/* What a backfill is to do. */
typedef struct BackfillPlan {
        Span flow, source, from;
        Span event;     /* a jq expression on an item; empty: the event is the item */
        Span key;       /* a plain path in an item; empty: .id, or all of it */
        bool has_pages; /* they say something; has_way: how the list goes on */
        bool has_way;
        Pages pages; /* settled */
        Path key_path;
        int64_t rate, pages_max;
} BackfillPlan;

/* Where it is. */
typedef struct BackfillAt {
        int64_t pages, items; /* read */
        Span url;             /* of the next page; empty: the first, or see is_read */
        bool is_read;         /* there is no next page */
        BackfillCounts counts;
        size_t n_problems;
        int64_t open[BACKFILL_OPEN_MAX]; /* events */
        size_t n_open;
} BackfillAt;

typedef struct Backfill {
        BackfillPlan plan;
        bool is_begun; /* it has been written how far it is */
        BackfillProgress progress;
        BackfillAt at;
        int64_t total;
        BackfillProblem problems[BACKFILL_PROBLEMS_MAX];
        size_t n_problems;
} Backfill;

/* What a request says (flow, source, from, event, key, pages, rate, maxPages as in the object):
 * NULL, or the sentence that says what is wrong with pages or key; *ret_member says which. Spans
 * live in `a`. */
MUST_CHECK const char *backfill_plan(Span text, Arena *a, BackfillPlan *ret,
                                     const char **ret_member);
/* Reads an object's text; what it holds lives in `a`. False: it is none. */
MUST_CHECK bool backfill_read(Span text, Arena *a, Backfill *ret);

/* What an object's text says further on, beside what it was asked for. */
typedef struct BackfillNews {
        BackfillProgress progress;
        const BackfillAt *at;
        const BackfillCounts *counts; /* by now */
        size_t n_open;
        int64_t total;
        const BackfillProblem *problems;
        size_t n_problems;
        const char *code; /* of the error; NULL: none */
        Span message;
} BackfillNews;

/* Appends the text with these news in place of those that it holds. */
MUST_CHECK int backfill_print(Span text, const BackfillNews *news, int64_t now_ms, Buf *out);
/* Appends it with another progress, all else as it is but for an error, which goes. */
MUST_CHECK int backfill_turn(Span text, BackfillProgress progress, int64_t now_ms, Buf *out);
