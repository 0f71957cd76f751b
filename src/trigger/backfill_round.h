/* SPDX-License-Identifier: Apache-2.0
 *
 * One backfill that is being carried out, between the files that do it: backfiller.c gives it its
 * turns and keeps its object, backfill_round.c reads pages and records items, backfill_look.c asks
 * how jobs ended. Whatever was asked for comes back before the round goes. */
#pragma once

#include "http/url.h"
#include "trigger/backfiller.h"
#include "trigger/fetch.h"

typedef struct Round {
        Link link;
        Backfiller *owner;
        int64_t id;
        char name[ID_TEXT]; /* "bfl_..." */
        char target[JOB_TARGET_MAX_BYTES];

        Arena *arena; /* of what the object says */
        Entry *entry; /* the object as it was read or written last; NULL: it is to be read */
        Backfill *b;
        BackfillAt now;                                           /* what goes on from b->at */
        char url[URL_MAX_BYTES + 1], next_url[URL_MAX_BYTES + 1]; /* now.url; behind the page */
        bool is_again; /* the page may have been recorded before */
        bool owes;     /* a page is through: that is written before the next is read */
        bool is_dirty; /* people would see something else than the object says */
        bool is_over;  /* it has been written how it ended */
        int64_t saved_ms;
        int64_t wait_ms; /* after a fault: nothing is done before */

        Buf page; /* the list of the page under way */
        bool has_page, has_next;
        size_t pos;
        int64_t read;     /* items of the page */
        unsigned pending; /* items that are being made and recorded */
        bool is_fetching, is_saving, is_faulty;
        unsigned tries;   /* of the page */
        int64_t next_us;  /* not before: by its rate, or after a fault */
        const char *code; /* why the list is not read on; NULL: it is */
        char message[BACKFILL_MESSAGE_MAX_BYTES + 1];

        unsigned looking; /* questions under way */
        size_t look_at;
        int64_t look_ms, looked_ms; /* the pause, and when it began */
        bool has_news;              /* something ended since */

        LedgerRequest request; /* to write the object */
        Buf text;              /* the object's next one */
} Round;

/* Nothing of it is under way. */
static inline bool round_rests(const Round *r) {
        return r->pending == 0 && r->looking == 0 && !r->is_fetching && !r->is_saving;
}

/* ---- backfiller.c ---- */

/* Something came back: in the next turn of the loop it goes on with what can go on. */
void round_came_back(Round *r);
/* Counts one that did not end well. */
void round_problem(Round *r, Span key, int64_t event, const char *code, Span message);

/* ---- backfill_round.c ---- */

/* Reads the next page, or records what there is room and time for. True when a page is through:
 * what is now is to be written down. */
bool round_read(Round *r);

/* ---- backfill_look.c ---- */

/* Asks about some of the jobs that have not ended, if it is time. */
void round_look(Round *r);
/* When it is time, monotonic ms; INT64_MAX when there is nothing to ask about. */
int64_t round_look_due(const Round *r);
