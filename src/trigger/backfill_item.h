/* SPDX-License-Identifier: Apache-2.0
 *
 * From an item of a list to the event that a backfill makes of it: its key, and its body. */
#pragma once

#include "flow/mapper.h"
#include "trigger/backfill.h"

enum { BACKFILL_KEY_MAX_BYTES = 200 };

typedef enum BackfillMade {
        BACKFILL_MADE,
        BACKFILL_SKIPPED, /* the expression gave nothing, or null */
        BACKFILL_BROKEN,  /* it failed: `why` */
} BackfillMade;

typedef struct BackfillItem BackfillItem;
struct BackfillItem {
        /* In; the item's bytes must stay. */
        Span item;
        void (*done)(BackfillItem *i); /* perhaps before backfill_item_start returns */
        void *arg;
        /* Out: */
        char key[BACKFILL_KEY_MAX_BYTES + 1]; /* text, the same for the same item */
        BackfillMade made;
        Span body;     /* lent until done returns, or the item's own bytes */
        char why[640]; /* a sentence */
        /* Its own. */
        MapperRun run;
        MapRoot root[1];
};

void backfill_item_start(BackfillItem *i, const BackfillPlan *plan, Mapper *mapper);
