/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists from the store in memory: a walk over all events. */
#include "ledger/query.h"
#include "ledger/store_memory.h"

static bool wanted(const EventQuery *q, const MemoryEvent *m) {
        if (!query_wants_event(q, m->event))
                return false;
        for (size_t i = 0; query_asks_for_jobs(q) && i < m->n_jobs; i++)
                if (query_wants_job(q, span_of(m->jobs[i]->target), m->jobs[i]->state))
                        return true;
        return !query_asks_for_jobs(q);
}

static bool is_beyond(const EventQuery *q, int64_t id) {
        if (q->oldest_first)
                return id > q->before_id;
        return q->before_id == 0 || id < q->before_id;
}

/* False when the page was full before it. */
static bool add_event(const EventQuery *q, const MemoryEvent *event, EventPage *p) {
        if (p->n == query_page_max(q->max) || (p->n && arena_used(p->arena) > PAGE_FULL_BYTES)) {
                p->more = true;
                p->next_before_id = p->events[p->n - 1]->event.id;
                return false;
        }
        p->events[p->n++] = memory_view(p->arena, event, q->with_body, q->with_jobs);
        return true;
}

int memory_list_events(Store *s, const struct EventQuery *q, EventPage **ret, Err *e) {
        Memory *m = memory_of(s)->writer;
        Arena *a = arena_new(PAGE_MAX_BYTES);
        EventPage *p = arena_alloc(a, sizeof *p);
        bool goes_on = true;

        (void)e;
        must(p);
        p->arena = a;
        p->events = arena_alloc(a, query_page_max(q->max) * sizeof(EventView *));
        must(p->events);
        pthread_mutex_lock(&m->lock);
        const Link *end = &m->events.head, *at = q->oldest_first ? end->next : end->prev;
        for (; goes_on && at != end; at = q->oldest_first ? at->next : at->prev) {
                const MemoryEvent *event = CONTAINER_OF(at, MemoryEvent, link);

                if (is_beyond(q, event->event->id) && wanted(q, event))
                        goes_on = add_event(q, event, p);
        }
        pthread_mutex_unlock(&m->lock);
        *ret = p;
        return 0;
}

static Span keep(Arena *a, Span s) {
        Span ret = arena_span(a, s);

        must(ret.p);
        return ret;
}

/* False when the page was full before it. */
static bool add_attempt(const AttemptQuery *q, const MemoryJob *j, const Attempt *from,
                        AttemptPage *p) {
        bool is_last = from == &j->attempts[j->n_listed - 1];

        if (p->n == query_page_max(q->max) || (p->n && arena_used(p->arena) > PAGE_FULL_BYTES)) {
                p->more = true;
                p->next_job = p->attempts[p->n - 1].job;
                p->next_number = p->attempts[p->n - 1].attempt.number;
                return false;
        }
        AttemptView *v = &p->attempts[p->n++];
        *v = (AttemptView){.job = j->id,
                           .event = j->event->event->id,
                           .target = keep(p->arena, span_of(j->target)),
                           .state = j->state,
                           .is_last = is_last,
                           .due_ms = j->due_ms,
                           .attempt = *from};
        v->attempt.code = keep(p->arena, from->code);
        v->attempt.message = keep(p->arena, from->message);
        v->attempt.detail = keep(p->arena, from->detail);
        return true;
}

static bool add_job(const AttemptQuery *q, const AttemptPlace *place, const MemoryJob *j,
                    AttemptPage *p) {
        for (size_t i = j->n_listed; i > 0; i--) {
                const Attempt *a = &j->attempts[i - 1];

                if (query_is_after(place, j->event->event->id, j->id, a->number) &&
                    query_wants_attempt(q, a) && !add_attempt(q, j, a, p))
                        return false;
        }
        return true;
}

static bool add_jobs(const AttemptQuery *q, const AttemptPlace *place, const MemoryEvent *event,
                     AttemptPage *p) {
        if ((q->event && event->event->id != q->event) || !query_wants_attempts_of(q, event->event))
                return true;
        for (size_t i = event->n_jobs; i > 0; i--) {
                const MemoryJob *j = event->jobs[i - 1];

                if ((q->target.n == 0 || span_eq(q->target, span_of(j->target))) &&
                    !add_job(q, place, j, p))
                        return false;
        }
        return true;
}

int memory_list_attempts(Store *s, const struct AttemptQuery *q, AttemptPage **ret, Err *e) {
        Memory *m = memory_of(s)->writer;
        Arena *a = arena_new(PAGE_MAX_BYTES);
        AttemptPage *p = arena_alloc(a, sizeof *p);
        bool goes_on = true;

        (void)e;
        must(p);
        p->arena = a;
        p->attempts = arena_alloc(a, query_page_max(q->max) * sizeof *p->attempts);
        must(p->attempts);
        pthread_mutex_lock(&m->lock);
        const MemoryJob *before = memory_job(m, q->before_job);
        AttemptPlace place = query_place(q, before ? before->event->event->id : 0);
        for (const Link *at = m->events.head.prev; goes_on && at != &m->events.head; at = at->prev)
                goes_on = add_jobs(q, &place, CONTAINER_OF(at, MemoryEvent, link), p);
        pthread_mutex_unlock(&m->lock);
        *ret = p;
        return 0;
}

int memory_target_stats(Store *s, Span target, int64_t from_ms, int64_t to_ms,
                        struct TargetStats *ret, Err *e) {
        Memory *m = memory_of(s)->writer;
        EventQuery q = {.state = -1, .from_ms = from_ms, .to_ms = to_ms};

        (void)e;
        *ret = (TargetStats){0};
        pthread_mutex_lock(&m->lock);
        LIST_EACH(&m->events, it) {
                const MemoryEvent *event = CONTAINER_OF(it, MemoryEvent, link);

                for (size_t i = 0; query_wants_event(&q, event->event) && i < event->n_jobs; i++)
                        if (span_eq(target, span_of(event->jobs[i]->target)))
                                ret->jobs[event->jobs[i]->state]++;
        }
        pthread_mutex_unlock(&m->lock);
        return 0;
}
