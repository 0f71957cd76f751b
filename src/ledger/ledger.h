/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger thread and its batches. Loops send requests and hear back, in the order in which the
 * batches committed, through their own inbox; whatever arrives while one commit is on its way to
 * the disk shares the next. A second thread answers reading questions from a read-only handle.
 *
 * What nobody waits for (can_wait: the settle of a job with none behind it, the copy of an answer)
 * shares the commit of the next request that presses, if one comes soon, and does not have one of
 * its own.
 *
 * Requests are embedded in their senders' objects and belong to the ledger until `done` is called
 * on the sender's thread (by inbox_read of `home`). What is sent before ledger_close is answered.
 *
 * When a commit or its fsync fails the outcome is unknown (promise 3): no request of that batch is
 * answered, and `broken` is called once, on the ledger thread; the program must end and recover.
 * A full disk is not that: the batch ends with -ENOSPC (or -EAGAIN, when another program locks the
 * file) but for its settles and answers, which are kept and tried again until they fit.
 *
 * Requests of one sender take effect in the order in which they were sent: a claim sees what was
 * settled before it, a question for a key what was recorded before it. */
#pragma once

#include "base/inbox.h"
#include "ledger/store.h"
#include "ledger/view.h"

enum {
        LEDGER_BATCH_MAX = 512,    /* requests in one transaction */
        LEDGER_TOGETHER_MAX = 255, /* records that one request brings beside its first */
        LEDGER_BATCH_MAX_BYTES = 16 * 1024 * 1024,
        LEDGER_BATCH_JOBS_MAX = 4096, /* of records, unless one alone has more */
        LEDGER_PENDING_MAX = 16384,   /* records waiting; more are refused: 503 */
        LEDGER_PENDING_MAX_BYTES = 32 * 1024 * 1024,
        LEDGER_PENDING_JOBS_MAX = 256 * 1024, /* of these records: each may have thousands */
};

typedef struct Ledger Ledger;
typedef struct LedgerRequest LedgerRequest;

typedef enum LedgerAsk {
        ASK_WRITE,
        ASK_CLAIM,
        ASK_KEY,
        ASK_EVENT,
        ASK_EVENTS,
        ASK_ATTEMPTS,
        ASK_TARGET,
        ASK_STATS,
} LedgerAsk;

/* Who else hears of a request's end, on another thread: in the order of the commits too, but before
 * or after `done`. The request and its echoes must stay until all of them were heard. */
typedef struct LedgerEcho {
        Note note;
        Inbox *home;
        void (*heard)(struct LedgerEcho *echo);
        LedgerRequest *of;
} LedgerEcho;

enum { LEDGER_ECHOES_MAX = 64 };

struct LedgerRequest {
        Note note;
        LedgerAsk ask;
        Inbox *home;
        void (*done)(LedgerRequest *r);
        void *arg;
        bool can_wait;      /* nobody waits for it: it may wait a moment for a commit to share */
        LedgerEcho *echoes; /* of a write */
        size_t n_echoes;
        /* Of a record: more of them, each kind and all, that go into the same transaction right
         * behind the first. Lent; at most LEDGER_TOGETHER_MAX. */
        Write *more;
        size_t n_more;
        int result; /* out: 0 or a fault */
        Err error;  /* out */
        union {
                Write write;
                struct {
                        ClaimAsk ask;
                        Claim ret; /* out; the caller frees */
                } claim;
                struct {
                        Span source, key; /* must stay */
                        int64_t event;    /* out: 0 when the key is not known */
                } key;
                struct {
                        int64_t id;
                        EventView *ret; /* out: NULL when unknown; the caller frees */
                } event;
                struct {
                        EventQuery query; /* spans must stay */
                        EventPage *ret;
                } events;
                struct {
                        AttemptQuery query; /* spans must stay */
                        AttemptPage *ret;
                } attempts;
                struct {
                        Span target;
                        int64_t from_ms, to_ms;
                        TargetStats ret;
                } target;
                LedgerStats stats; /* out */
        };
};

typedef struct LedgerOptions {
        Span url;         /* "sqlite:grapnel.db", "memory:" */
        int64_t later_us; /* how long what can wait waits at most; 0: 2 ms */
        StoreOptions store;
        TrimRule keep;       /* before_ms is an age here: events older than now - before_ms go */
        const StoreOps *ops; /* instead of the url's scheme; NULL: by the scheme */
        void (*broken)(void *arg, const Err *why);
        void *arg;
} LedgerOptions;

MUST_CHECK int ledger_open(const LedgerOptions *o, Ledger **ret, Err *e);
/* Answers all that was sent, checkpoints, closes. */
void ledger_close(Ledger *l);

/* Any thread. Records are refused with -EAGAIN when too much is waiting (nothing was sent, done
 * will not be called): the sender answers 503. Everything else is always taken. */
MUST_CHECK int ledger_send(Ledger *l, LedgerRequest *r);
/* The latest changes that were applied (ledger/store.h). For the start too. */
MUST_CHECK int ledger_each_change(Ledger *l, size_t max, void (*each)(void *arg, const Change *c),
                                  void *arg, Err *e);
/* All objects as they are, by kind and id. For the start: it blocks, and `each` may not ask the
 * ledger for anything. */
MUST_CHECK int ledger_each_backlog(Ledger *l, void (*each)(void *arg, Span target, int64_t due_ms),
                                   void *arg, Err *e);
MUST_CHECK int ledger_each_object(Ledger *l, void (*each)(void *arg, const Object *o), void *arg,
                                  Err *e);
int64_t ledger_last_id(const Ledger *l); /* as it was at opening */
void ledger_secret(const Ledger *l, const char *purpose, unsigned char ret[32]);

typedef struct LedgerGauges {
        uint64_t batches, writes, waiting, waiting_bytes;
        uint64_t commit_us_total, commit_us_max;
} LedgerGauges;
LedgerGauges ledger_gauges(const Ledger *l); /* any thread */
