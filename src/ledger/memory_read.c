/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions to the store in memory. */
#include "ledger/store_memory.h"

enum { VIEW_MAX_BYTES = 256 * 1024 * 1024, ATTEMPTS_LISTED = 50 };

static Span keep(Arena *a, Span s) {
        Span ret = arena_span(a, s);

        must(ret.p);
        return ret;
}

static void view_attempts(Arena *a, const MemoryJob *from, JobView *to) {
        size_t skip = from->n_listed > ATTEMPTS_LISTED ? from->n_listed - ATTEMPTS_LISTED : 0;

        to->n_listed = from->n_listed - skip;
        to->attempts = arena_alloc(a, (to->n_listed + 1) * sizeof *to->attempts);
        must(to->attempts);
        for (size_t i = 0; i < to->n_listed; i++) {
                to->attempts[i] = from->attempts[skip + i];
                to->attempts[i].code = keep(a, to->attempts[i].code);
                to->attempts[i].message = keep(a, to->attempts[i].message);
                to->attempts[i].detail = keep(a, to->attempts[i].detail);
        }
}

static EventView *view(Arena *a, const MemoryEvent *m, bool is_whole) {
        EventView *v = arena_alloc(a, sizeof *v);

        must(v);
        v->event.id = m->event->id;
        v->event.received_ms = m->event->received_ms;
        v->event.time_ms = m->event->time_ms;
        v->event.source = keep(a, m->event->source);
        v->event.key = keep(a, m->event->key);
        v->event.type = keep(a, m->event->type);
        v->event.subject = keep(a, m->event->subject);
        v->event.content_type = keep(a, m->event->content_type);
        v->event.trace = keep(a, m->event->trace);
        v->event.meta = keep(a, m->event->meta);
        v->event.body = keep(a, is_whole ? m->event->body : SPAN(""));
        v->n_jobs = m->n_jobs;
        v->jobs = arena_alloc(a, (m->n_jobs + 1) * sizeof *v->jobs);
        must(v->jobs);
        for (size_t i = 0; i < m->n_jobs; i++) {
                const MemoryJob *j = m->jobs[i];

                v->jobs[i] = (JobView){
                        .id = j->id,
                        .target = keep(a, span_of(j->target)),
                        .state = j->state,
                        .n_attempts = j->n_attempts,
                        .due_ms = j->due_ms,
                        .is_replay = j->is_replay,
                };
                if (is_whole)
                        view_attempts(a, j, &v->jobs[i]);
        }
        if (is_whole && m->has_answer) {
                v->has_answer = true;
                v->answer_status = m->answer_status;
                v->answer_type = keep(a, span_make(m->answer, m->answer_type_n));
                v->answer_body = keep(a, span_make(m->answer + m->answer_type_n, m->answer_body_n));
        }
        return v;
}

int memory_find_event(Store *s, int64_t id, EventView **ret, Err *e) {
        Memory *m = memory_of(s)->writer;
        uint64_t key = (uint64_t)id;

        (void)e;
        *ret = NULL;
        pthread_mutex_lock(&m->lock);
        const MemoryEvent *found = table_get(m->events_by_id, key_u64(&key));
        if (found) {
                Arena *a = arena_new(VIEW_MAX_BYTES);

                *ret = view(a, found, true);
                (*ret)->arena = a;
        }
        pthread_mutex_unlock(&m->lock);
        return 0;
}

static bool wanted(const EventQuery *q, const MemoryEvent *m) {
        if (q->before_id && m->event->id >= q->before_id)
                return false;
        if (q->source.n && !span_eq(q->source, m->event->source))
                return false;
        for (size_t i = 0; q->state >= 0 && i < m->n_jobs; i++)
                if ((int)m->jobs[i]->state == q->state)
                        return true;
        return q->state < 0;
}

int memory_list_events(Store *s, const struct EventQuery *q, EventPage **ret, Err *e) {
        Memory *m = memory_of(s)->writer;
        size_t max = q->max == 0 || q->max > EVENT_PAGE_MAX ? EVENT_PAGE_MAX : q->max;
        Arena *a = arena_new(VIEW_MAX_BYTES);
        EventPage *p = arena_alloc(a, sizeof *p);

        (void)e;
        must(p);
        p->arena = a;
        p->events = arena_alloc(a, max * sizeof(EventView *));
        must(p->events);
        pthread_mutex_lock(&m->lock);
        for (Link *at = m->events.head.prev; at != &m->events.head; at = at->prev) {
                const MemoryEvent *event = CONTAINER_OF(at, MemoryEvent, link);

                if (!wanted(q, event))
                        continue;
                if (p->n == max) {
                        p->more = true;
                        p->next_before_id = p->events[max - 1]->event.id;
                        break;
                }
                p->events[p->n++] = view(a, event, false);
        }
        pthread_mutex_unlock(&m->lock);
        *ret = p;
        return 0;
}

int memory_stats(Store *s, LedgerStats *ret, Err *e) {
        Memory *m = memory_of(s)->writer;

        (void)e;
        *ret = (LedgerStats){0};
        pthread_mutex_lock(&m->lock);
        ret->events = (int64_t)m->events.n;
        ret->bytes = (int64_t)m->bytes;
        LIST_EACH(&m->events, it) {
                const MemoryEvent *event = CONTAINER_OF(it, MemoryEvent, link);

                if (!ret->oldest_ms)
                        ret->oldest_ms = event->event->received_ms;
                for (size_t i = 0; i < event->n_jobs; i++) {
                        ret->jobs_waiting += event->jobs[i]->state == JOB_WAITING;
                        ret->jobs_blocked += event->jobs[i]->state == JOB_BLOCKED;
                        ret->jobs_dead += event->jobs[i]->state == JOB_DEAD;
                }
        }
        pthread_mutex_unlock(&m->lock);
        return 0;
}
