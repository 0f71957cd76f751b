/* SPDX-License-Identifier: Apache-2.0
 *
 * What a poll remembers: of each item its content, a short name of that, and a number that grows
 * with each of its changes; and, of one look, which items there were. */
#pragma once

#include "watch/digest.h"
#include "watch/notes.h"

/* ---- of one look ---- */

typedef struct SeenItem {
        Digest name, content;
        int64_t page; /* from 1; 0: a free place */
} SeenItem;

/* Items by their names. All zero is an empty one. */
typedef struct SeenItems {
        SeenItem *at;
        size_t n, room; /* a power of two */
} SeenItems;

void seen_items_clear(SeenItems *s); /* gives its memory back */
/* NULL when it was not there: then it is now. Else the one that was. */
const SeenItem *seen_items_add(SeenItems *s, const SeenItem *item);
bool seen_items_has(const SeenItems *s, const Digest *name);

/* ---- in the notebook ---- */

typedef struct PollMemory {
        Notes *notes;
        /* The numbers of new items begin here: above all that were ever told, by the clock even
         * when the notebook was lost. */
        int64_t floor;
        bool is_whole; /* the very first look has come to its end */
} PollMemory;

typedef struct ItemNote {
        int64_t number;
        Digest digest;
        Span content; /* lent by the bytes that it was read from */
} ItemNote;

enum {
        ITEM_NAME_MAX_BYTES = 1024 + 2,
        ITEM_NOTE_MAX_BYTES = NOTE_VALUE_MAX_BYTES,
};

/* Reads what is remembered; when it was `about` something else, all of it is forgotten first. */
MUST_CHECK int poll_memory_open(PollMemory *m, Notes *notes, Span about, Err *e);
/* The name of an item's note, of its key's text: a long key goes by its digest. */
MUST_CHECK int item_name(Span key, Buf *ret);
bool item_note_parse(Span bytes, ItemNote *ret);
MUST_CHECK int item_put(PollMemory *m, Span name, const ItemNote *n, Err *e);
/* Writes the floor, and that it is whole, within what was begun. */
MUST_CHECK int poll_memory_put_floor(PollMemory *m, int64_t floor, Err *e);
MUST_CHECK int poll_memory_put_whole(PollMemory *m, Err *e);

/* Names, one behind the other. */
typedef struct ItemNames {
        Buf bytes;
        size_t n;
} ItemNames;
MUST_CHECK int item_names_add(ItemNames *names, Span name);
/* The name at *pos, which goes on; false at the end. */
bool item_names_next(const ItemNames *names, size_t *pos, Span *ret);
/* The items that were not seen, and how many there are in all. */
MUST_CHECK int poll_memory_missing(PollMemory *m, const SeenItems *seen, ItemNames *ret,
                                   size_t *ret_all, Err *e);
