/* SPDX-License-Identifier: Apache-2.0
 *
 * What a backfill would change: a part of the list is read, the flow is rehearsed with each item
 * (trigger/rehearsal.h), and only the items that would change something, or fail, are told. Nothing
 * is recorded and nothing kept: who wants the rest of the list asks again from where this ended. */
#pragma once

#include "trigger/backfill_item.h"
#include "trigger/inlet.h"

enum {
        BACKFILL_REPORT_ITEMS_MAX = 250,
        BACKFILL_REPORT_TOGETHER = 8,
        BACKFILL_REPORT_MS = 15000, /* then no further item is begun */
        BACKFILL_REPORT_MAX_BYTES = 8 * 1024 * 1024,
};

/* A place in the list. */
typedef struct BackfillPlace {
        Span url;             /* of the page; empty: the first */
        int64_t pages, items; /* before it */
        int64_t skip;         /* items of it */
} BackfillPlace;

typedef struct BackfillReported {
        const char *code; /* NULL: it went well; else why the page could not be read */
        Span message;
        Span rows; /* JSON array of {"key", "status", "code", "message", "writes"} */
        int64_t seen, changed, unchanged, failed, skipped;
        int64_t total; /* items of the list, where the page says it; else 0 */
        bool has_next;
        BackfillPlace next;
} BackfillReported;

/* The flow must be of the runner's snapshot; plan and place must stay. `done` hears of it once,
 * later; all is lent. */
void backfill_report_start(Inlet *in, Mapper *mapper, const BackfillPlan *plan,
                           const BackfillPlace *from,
                           void (*done)(void *arg, const BackfillReported *r), void *arg);
