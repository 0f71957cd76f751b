/* SPDX-License-Identifier: Apache-2.0
 *
 * What people and programs ask of the ledger: one event with its jobs and attempts, pages of
 * events, totals. */
#pragma once

#include "base/arena.h"
#include "ledger/job.h"

typedef struct JobView {
        int64_t id;
        Span target;
        JobState state;
        unsigned n_attempts;
        int64_t due_ms;
        Attempt *attempts; /* oldest first; at most the last 50 */
        size_t n_listed;
} JobView;

/* All spans live in the view's arena; event_view_free ends all. */
typedef struct EventView {
        Arena *arena;
        Event event; /* refs unused; its spans are lent by the arena */
        JobView *jobs;
        size_t n_jobs;
        bool has_answer;
        int answer_status;
        Span answer_type, answer_body;
} EventView;

EventView *event_view_free(EventView *v);

enum { EVENT_PAGE_MAX = 250 };

typedef struct EventQuery {
        int64_t before_id; /* newest first; ids below this one; 0 from the newest */
        Span source;       /* empty: all */
        int state;         /* events with a job in this state; -1: all */
        size_t max;        /* at most EVENT_PAGE_MAX */
} EventQuery;

typedef struct EventPage {
        Arena *arena;
        EventView **events; /* without bodies and attempts */
        size_t n;
        bool more;
        /* With `more`: the next page's before_id. A page may be short, even empty, when the search
         * looked at as many events as one page may cost. */
        int64_t next_before_id;
} EventPage;

EventPage *event_page_free(EventPage *p);

typedef struct LedgerStats {
        int64_t events, jobs_waiting, jobs_blocked, jobs_dead, bytes;
        int64_t oldest_ms; /* received time of the oldest event; 0 for none */
} LedgerStats;
