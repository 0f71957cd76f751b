/* SPDX-License-Identifier: Apache-2.0
 *
 * What came of a test beside what was expected of it: each difference, with both sides. */
#pragma once

#include "trial/mock.h"

typedef struct SeenRun {
        const char *flow, *code;
        int status;
        Span message;
} SeenRun;

enum { JUDGE_RUNS_MAX = 256, JUDGE_MISSES_MAX = 50, JUDGE_TEXT_MAX_BYTES = 2000 };

/* What the source heard and what was done. */
typedef struct Seen {
        int status;
        HttpHeader *headers;
        size_t n_headers;
        Span body;
        const MadeCall *calls;
        size_t n_calls;
        const SeenRun *runs; /* in the order of their ends */
        size_t n_runs;
} Seen;

typedef struct Miss {
        Span what;      /* "reply status", "call 2 body /email" */
        Span want, got; /* .p NULL: nothing */
        Span advice;    /* lines to paste into the test; .p NULL: none */
} Miss;

typedef struct Verdict {
        Arena *arena;
        Miss misses[JUDGE_MISSES_MAX];
        size_t n, more; /* more: how many there was no room for */
} Verdict;

/* Adds every difference; none: the test has passed. */
void judge_play(const Fixture *f, const Seen *seen, Verdict *ret);
/* One that the caller found. `want` and `got` may be .p NULL. */
void verdict_add(Verdict *v, Span want, Span got, const char *what, ...) PRINTF_LIKE(4, 5);
