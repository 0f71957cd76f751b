/* SPDX-License-Identifier: Apache-2.0
 *
 * poll: a list, or a document, of a connection, looked at again and again and compared with what
 * was seen before. */
#pragma once

#include "watch/watch.h"

enum {
        POLL_IGNORED_MAX = 32,
        POLL_KEY_PARTS_MAX = 16,
        POLL_NAME_MAX_BYTES = 63,
        POLL_ITEMS_MAX = 100000,
        POLL_PAGES_MAX = 100, /* unless `pages` says another */
        POLL_LIST_MAX_BYTES = 256 * 1024 * 1024,
};

typedef enum PollExisting { POLL_SKIP, POLL_SEND } PollExisting;
typedef enum PollDeletions { POLL_DELETES, POLL_KEEPS } PollDeletions;

typedef struct PollOptions {
        const char *from, *items, *key, *table;
        const Node *pages, *ignore;
        int64_t every_ms, most_gone; /* percent */
        int existing;                /* PollExisting */
        int deletions;               /* PollDeletions */
        /* As read: */
        bool is_document; /* there is no key: all of it is one thing */
        const char *key_pointer, *key_name;
        const char *ignored[POLL_IGNORED_MAX];
        size_t n_ignored;
} PollOptions;

/* Looks until it is to stop. */
MUST_CHECK int poll_looks(Watch *w, const PollOptions *o, Err *e);
