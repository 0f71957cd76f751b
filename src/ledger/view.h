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
        bool is_replay; /* it was run again by hand, or by a replay */
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
        bool oldest_first; /* then ids above before_id */
        Span source;       /* empty: all */
        Span target;       /* events with a job for this target; empty: all */
        int state;         /* events with a job (for the target) in this state; -1: all */
        const Span *types; /* any of these; n_types 0: all */
        size_t n_types;
        Span channel;           /* a member of `channels` in the event's meta; empty: all */
        int64_t from_ms, to_ms; /* received in [from, to); 0: no bound */
        bool with_body, with_jobs;
        size_t max; /* at most EVENT_PAGE_MAX */
} EventQuery;

typedef struct EventPage {
        Arena *arena;
        EventView **events; /* without attempts; bodies and jobs as asked for */
        size_t n;
        bool more;
        /* With `more`: the next page's before_id. A page may be short, even empty, when the search
         * looked at as many events as one page may cost. */
        int64_t next_before_id;
} EventPage;

EventPage *event_page_free(EventPage *p);

/* Attempts, the latest event first, of each event its latest job first, and of each job its latest
 * attempt first. One of event and target is given, or both. */
typedef struct AttemptQuery {
        int64_t event;
        Span target;
        /* The page after this attempt, or with next_job and next_number of a page: what comes after
         * it; 0 from the latest. */
        int64_t before_job;
        unsigned before_number;
        int success;       /* 1: with a 2xx outcome only; 0: without; -1: all */
        int status_class;  /* 2: of outcome 200 to 299, and so on; 0: all */
        const Span *types; /* of the event */
        size_t n_types;
        Span channel;           /* of the event */
        int64_t from_ms, to_ms; /* begun in [from, to); 0: no bound */
        size_t max;             /* at most EVENT_PAGE_MAX */
} AttemptQuery;

typedef struct AttemptView {
        int64_t job, event;
        Span target;
        JobState state; /* of the job */
        bool is_last;   /* of the job */
        int64_t due_ms; /* of the job, under JOB_WAITING */
        Attempt attempt;
} AttemptView;

typedef struct AttemptPage {
        Arena *arena;
        AttemptView *attempts;
        size_t n;
        bool more; /* then the next page's before_job and before_number (never 0) are these. A
                      page may be short, even empty, as one of events may. */
        int64_t next_job;
        unsigned next_number;
} AttemptPage;

AttemptPage *attempt_page_free(AttemptPage *p);

/* Jobs of one target whose events were received in a span of time ([from, to); 0: no bound), by
 * state. So many that they cannot be counted in seconds: -ETIMEDOUT. */
typedef struct TargetStats {
        int64_t jobs[JOB_STATES];
} TargetStats;

typedef struct LedgerStats {
        int64_t events, jobs_waiting, jobs_blocked, jobs_dead, bytes;
        int64_t oldest_ms; /* received time of the oldest event; 0 for none */
} LedgerStats;
