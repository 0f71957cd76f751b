/* SPDX-License-Identifier: Apache-2.0
 *
 * A trigger at work: a thread that notices changes and hands them in as events, and what the rest
 * may know of it. Kinds are written as plain blocking code against the first half of this file. */
#pragma once

#include "source/envelope.h"
#include "watch/notes.h"
#include "watch/page.h"

enum { WATCH_GAUGES_MAX = 8 };

/* ---- for kinds: on the watch's thread ---- */

const Trigger *watch_trigger(const Watch *w);
/* Is it to end? Whatever waits below ends with -ECANCELED then. */
bool watch_stops(const Watch *w);
/* Sleeps until `fd` can be read (-1: none), at most `ms`. 1: it can; 0: the time is over;
 * -ECANCELED. */
MUST_CHECK int watch_wait(Watch *w, int fd, int64_t ms);
/* The same for any of poll(2)'s events. */
MUST_CHECK int watch_poll(Watch *w, int fd, short events, int64_t ms);
/* Hands in `n` events, any number: 0 when all are in the ledger (promise 1), and what noticed them
 * may be forgotten. One whose key is known is no new event. One that can never be taken as it is
 * (too large, not what its schema says) is put aside, with its reason, for a person to look at;
 * when too many are, -ENOSPC. Waits while the ledger is busy. -ECANCELED: some may be in, some not.
 */
MUST_CHECK int watch_submit(Watch *w, const EnvelopeEvent *events, size_t n, Err *e);
/* Puts one event aside that cannot even be handed in, such as one whose body is no JSON: its `body`
 * is then JSON that tells what it was. One whose key lies there already is not counted again.
 * -ENOSPC when too many are. */
MUST_CHECK int watch_park(Watch *w, const EnvelopeEvent *event, const char *why, Err *e);
/* Reads a page of a connection: 0 with the page, whatever its answer is; the caller's (page_unref).
 * -ECANCELED. */
MUST_CHECK int watch_read(Watch *w, const PageAsk *ask, Page **ret, Err *e);
/* It works: it is connected, it looks. Until then it is starting, and after a failure failing. */
void watch_works(Watch *w);
/* It works, but a person should know something: a sentence, "" for nothing. */
void watch_remarks(Watch *w, const char *text);
/* It could not do its work this time, and goes on trying by itself: a sentence. */
void watch_fails(Watch *w, const char *why);
/* A number that says how it goes, such as "pending" or "lag_bytes"; `name` is static and its help
 * stands in docs. */
void watch_gauge(Watch *w, const char *name, int64_t value);
/* Its notebook: what it remembers. NULL with `e`. */
Notes *watch_notes(Watch *w, Err *e);

/* ---- for the rest ---- */

typedef enum WatchState {
        WATCH_STARTING,
        WATCH_WORKING,
        WATCH_FAILING, /* it is tried again by itself */
        WATCH_BROKEN,  /* a person has to act */
} WatchState;
const char *watch_state_name(WatchState s);

typedef struct WatchStatus {
        const char *source, *kind;
        WatchState state;
        char why[512];                   /* of the last failure; "" */
        int64_t since_ms, last_event_ms; /* wall; 0: never */
        uint64_t events, known, parked;  /* handed in; of these, known already; put aside */
        char parked_why[256];            /* of the last that was; "" */
        struct WatchGauge {
                const char *name;
                int64_t value;
        } gauges[WATCH_GAUGES_MAX];
        size_t n_gauges;
} WatchStatus;

/* What a submission has come to. */
typedef struct WatchTaken {
        int fault;     /* 0; -EAGAIN: try again; -EINVAL: never */
        char why[256]; /* a sentence */
        size_t n_new, n_known;
} WatchTaken;

/* Where events go, and who hears of states. Any thread calls them. */
typedef struct WatchPort {
        void *self;
        /* At most ENVELOPE_EVENTS_MAX events, in one commit or not at all. Blocks until it is
         * known; the loops that it needs run until all watches have ended. */
        void (*submit)(void *self, Span source, const EnvelopeEvent *events, size_t n,
                       WatchTaken *ret);
        /* Has the page read, on a loop; page_answer tells of it, later. Takes a reference of its
         * own. Does not wait. */
        void (*read)(void *self, Page *p);
        void (*told)(void *self, const WatchStatus *s); /* its state has changed */
        const char *notes_path; /* of the notebook's file; ":memory:" for none; lent */
} WatchPort;

typedef struct Watches Watches;
Watches *watches_new(const WatchPort *port);
/* From now on these: those that are new start, those that are gone end, the others begin anew as
 * they are written now; but one that works on a database and is written as before is left alone.
 * Does not wait. Takes over a reference. */
void watches_set(Watches *ws, Triggers *t);
/* What is to become of what a source's trigger has put aside: each is handed in once more, or none
 * is ever heard of again. Its thread does it soon. False when there is no such trigger. Any thread.
 */
typedef enum WatchWish { WATCH_WISHES_NOTHING, WATCH_RETRIES, WATCH_FORGETS } WatchWish;
bool watches_wish(Watches *ws, Span source, WatchWish wish);
/* Ends all, waiting for their threads; false when one of them did not end in time: then nothing
 * that it may touch can be freed. From the thread that sets them. */
bool watches_stop(Watches *ws, int64_t ms);
Watches *watches_free(Watches *ws); /* after watches_stop */
/* Each, lent for the call; any thread. */
void watches_each(Watches *ws, void (*each)(void *arg, const WatchStatus *s), void *arg);
