/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's end of one helper: writes inputs, reads answers, watches its time, and says once
 * when it has ended and why. What the helper writes is not trusted. */
#pragma once

#include "map/pending.h"

enum { LEASH_LOAD_MAX = 16 }; /* calls on their way to a helper, in it or back */

typedef struct Leash Leash;

typedef enum LeashEnd {
        LEASH_GUILTY, /* the first call brought it about: why */
        LEASH_RESTED, /* no call did: it wanted to be replaced, or had ended before it was asked */
        LEASH_UNREAD, /* it ended without a word, and had not read the first call whole */
        LEASH_SILENT, /* it ended without a word: killed */
        LEASH_NO_START, /* it never said hello */
} LeashEnd;

typedef struct LeashOwner {
        /* An answer for the oldest call, which is off the leash. `output` is lent, and of MAP_OK
         * any bytes. */
        void (*answered)(void *arg, Pending *p, MapEnd end, Span output);
        /* The helper has ended. Its calls are to be taken back with leash_take(); the first is the
         * one that it was running, if the end is any call's fault. */
        void (*ended)(void *arg, Leash *l, LeashEnd end, const char *why);
        void *arg;
} LeashOwner;

/* Takes `fd`. The helper may be silent for `start_ms` before its first word and for `wall_ms` on
 * one run. */
MUST_CHECK int leash_new(uv_loop_t *loop, int fd, int64_t start_ms, int64_t wall_ms,
                         const LeashOwner *owner, Leash **ret, Err *e);
/* The caller sees to LEASH_LOAD_MAX; nothing is written before leash_flush(), which may find that
 * the helper has ended, but leaves it to a turn of the loop to say so. */
void leash_give(Leash *l, Pending *p);
void leash_flush(Leash *l);
size_t leash_load(const Leash *l);
/* Takes back the oldest call, NULL when there is none. */
Pending *leash_take(Leash *l);
/* Process id; 0 until the helper said hello. */
int leash_pid(const Leash *l);
/* How many answers it gave. */
uint64_t leash_answers(const Leash *l);
/* Ends the helper if it still lives, and frees the leash, for which it needs turns of the loop;
 * then calls closed(arg). No callback comes of it any more. Its calls must have been taken. */
void leash_close(Leash *l, void (*closed)(void *arg), void *arg);
