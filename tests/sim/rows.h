/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger of the simulation: rows that survive crashes, with the rules of ledger/store.h for
 * records, settles and claims. Simpler than a store can be, since it judges the engine: what it
 * holds is the truth. */
#pragma once

#include "base/random.h"
#include "ledger/job.h"

enum { LOOPS_MAX = 4, TARGETS_MAX = 8 };

typedef struct Row {
        int64_t id, due_ms;
        int64_t event; /* whose it is; for stores.c */
        uint64_t lane;
        unsigned loop, target, attempts, tries_from;
        JobState state;
        uint64_t turn; /* of its record among all records; 0: not committed */
        bool is_held;  /* queued, and a process has it */
        Link in_lane;  /* unfinished ones of the lane, by id */
        HeapNode node; /* on `waiting` or `unheld` */
        bool is_made;
        /* For the judge: */
        bool is_live; /* a run of it goes on */
        bool may_die; /* something happened that justifies its death */
        int64_t hint_ms, ended_ms;
        bool not_tried; /* its last run: its target was known to be away */
} Row;

typedef struct Rows {
        Row **row; /* by id, from 1 */
        size_t n, cap;
        /* Ids come from several makers: they are handed out a little out of order. */
        size_t window, handed;
        uint64_t turns;
        List *lanes; /* by lane, from 1 */
        size_t n_lanes;
        Heap waiting[LOOPS_MAX][TARGETS_MAX]; /* by due_ms */
        Heap unheld[LOOPS_MAX][TARGETS_MAX];  /* queued and held by nobody, by id */
        size_t n_open;                        /* stored and unfinished */
} Rows;

/* Seeds in a row make streams that have nothing in common: without the mixing one would be the
 * other, a step later. */
static inline Rng rng_of(uint64_t seed) {
        Rng mixer = {seed};

        return (Rng){rng_next(&mixer)};
}

enum { WINDOW_MAX = 8 };

/* Ids come in order within `window` of each other; 1: strictly. */
void rows_init(Rows *r, size_t n_lanes, size_t window);
void rows_done(Rows *r);
Row *rows_make(Rows *r, Rng *rng); /* not stored yet; its id is set */
static inline Row *rows_get(const Rows *r, int64_t id) {
        must(id > 0 && (size_t)id <= r->n);
        return r->row[id - 1];
}

/* The new state is in the row. */
void rows_record(Rows *r, Row *row, bool spilled);
/* Delayed, until its due_ms. */
void rows_record_waiting(Rows *r, Row *row);
/* Runs it once more, if it has ended, or for the first time, if it was not stored yet; in its lane
 * and for its loop as they are now. `even_waiting`: one that waits is due at once. False: it is
 * under way. */
bool rows_replay(Rows *r, Row *row, bool even_waiting);
/* Returns whether a blocked one was woken. */
bool rows_settle(Rows *r, Row *row, const Job *job, int64_t now_ms);
typedef struct RowsClaim {
        unsigned loop;
        unsigned target;
        bool is_due;             /* its waiting ones that are due at now_ms ... */
        int64_t from_ms, now_ms; /* ... of which none is due before from_ms; else: */
        int64_t after_id;        /* its unheld ones with greater ids */
        size_t max;
        /* Out: */
        Row **found; /* by id */
        size_t n;
        bool more;
        int64_t next_due_ms, searched_to;
} RowsClaim;
void rows_claim(Rows *r, RowsClaim *c);
/* The process is gone: what it held is held by nobody. */
void rows_restart(Rows *r);
