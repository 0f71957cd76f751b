/* SPDX-License-Identifier: Apache-2.0
 *
 * How one thread tells another: a queue of notes that the receiving thread takes all at once.
 * The note lives inside the sender's object, so sending allocates nothing and cannot fail;
 * bounds are held where the objects are admitted. `wake` is called after the first note of a
 * quiet box, outside the lock, and once more when the first that presses comes behind others that
 * were sent as later. */
#pragma once

#include "base/base.h"

#include <pthread.h>

typedef struct Note Note;
struct Note {
        Note *next;
        void (*read)(Note *note); /* runs on the receiving thread, which owns the note then */
};

typedef struct Inbox {
        pthread_mutex_t lock;
        pthread_cond_t filled; /* for receivers that sleep in inbox_wait() */
        Note *first, **last;
        bool is_pressing; /* not all in it were sent as later */
        void (*wake)(void *arg);
        void *arg;
} Inbox;

void inbox_init(Inbox *b, void (*wake)(void *arg), void *arg); /* wake may be NULL */
void inbox_done(Inbox *b);
/* Any thread. */
void inbox_send(Inbox *b, Note *n);
/* For what need not be read at once: it keeps its place among the others, but inbox_gather() may
 * sleep on. */
void inbox_send_later(Inbox *b, Note *n);
/* A chain linked by ->next from `first`, whose last note's ->next is at `last`: one lock and one
 * wake for all of them. */
void inbox_send_all(Inbox *b, Note *first, Note **last);
/* The receiver: takes all notes, oldest first, linked by ->next; NULL when there are none. */
Note *inbox_take(Inbox *b);
/* The same, but sleeps until there is a note or `timeout_ms` passed (< 0: no limit). */
Note *inbox_wait(Inbox *b, int64_t timeout_ms);
/* The same, but when all that is there was sent as later, it sleeps on until something presses, at
 * most `later_us`: what gathers meanwhile costs no further waking. */
Note *inbox_gather(Inbox *b, int64_t timeout_ms, int64_t later_us);
/* Takes all and reads each; returns how many. */
size_t inbox_read(Inbox *b);
