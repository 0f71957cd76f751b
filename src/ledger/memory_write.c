/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches of writes to the store in memory. A batch is admitted whole or refused whole before any
 * of it is written. */
#include "ledger/store_memory.h"

enum { EVENT_ROW_BYTES = 300 };

MemoryJob *memory_job(Memory *m, int64_t id) {
        uint64_t key = (uint64_t)id;

        return table_get(m->jobs_by_id, key_u64(&key));
}

MemoryEvent *memory_event(Memory *m, int64_t id) {
        uint64_t key = (uint64_t)id;

        return table_get(m->events_by_id, key_u64(&key));
}

void memory_move(Memory *m, MemoryJob *j, JobState state) {
        bool is_open = state < JOB_DONE;

        j->state = state;
        if (!is_open && link_on(&j->link))
                list_remove(&m->open, &j->link);
        if (!is_open || link_on(&j->link))
                return;
        Link *after = m->open.head.prev;
        while (after != &m->open.head && CONTAINER_OF(after, MemoryJob, link)->id > j->id)
                after = after->prev;
        j->link.prev = after;
        j->link.next = after->next;
        after->next->prev = &j->link;
        after->next = &j->link;
        m->open.n++;
}

MemoryJob *memory_lane_first(Memory *m, uint64_t lane) {
        LIST_EACH(&m->open, it) {
                MemoryJob *j = CONTAINER_OF(it, MemoryJob, link);

                if (j->lane == lane && (j->state != JOB_QUEUED || j->is_free))
                        return j;
        }
        return NULL;
}

static MemoryKey *key_new(const Event *event) {
        size_t n = event->source.n + 1 + event->key.n;
        MemoryKey *k = must_alloc(sizeof *k + n);

        k->n = n;
        if (event->source.n)
                memcpy(k->key, event->source.p, event->source.n);
        memcpy(k->key + event->source.n + 1, event->key.p, event->key.n);
        k->event = event->id;
        k->received_ms = event->received_ms;
        k->body = hash_bytes(event->body);
        return k;
}

void memory_key_drop(Memory *m, MemoryKey *k) {
        if (table_get(m->by_key, span_make(k->key, k->n)) == k)
                table_remove(m->by_key, span_make(k->key, k->n));
        list_remove(&m->keys, &k->link);
        free(k);
}

static void forget_key(Memory *m, const Event *event) {
        MemoryKey *k = key_new(event), *known = table_get(m->by_key, span_make(k->key, k->n));

        if (known && known->event == event->id)
                memory_key_drop(m, known);
        free(k);
}

static bool is_young(const Memory *m, const MemoryKey *k, int64_t now_ms) {
        return m->once_ms <= 0 || k->received_ms >= now_ms - m->once_ms;
}

int memory_find_key(Store *store, Span source, Span key, int64_t now_ms, int64_t *ret_event,
                    Err *e) {
        Memory *m = memory_of(store);
        MemoryKey *k = key_new(&(Event){.source = source, .key = key});
        const MemoryKey *known = table_get(m->by_key, span_make(k->key, k->n));

        (void)e;
        *ret_event = known && is_young(m, known, now_ms) ? known->event : 0;
        free(k);
        return 0;
}

/* True when the key is new, and known from now on. */
static bool key_is_new(Memory *m, Write *w) {
        Event *event = w->record.event;
        MemoryKey *k = key_new(event), *known = table_get(m->by_key, span_make(k->key, k->n));

        if (known && is_young(m, known, event->received_ms)) {
                w->record.result = known->body == k->body ? RECORD_REPEAT : RECORD_CONFLICT;
                w->record.known_event = known->event;
                free(k);
                return false;
        }
        must(table_put(m->by_key, span_make(k->key, k->n), k) == 0);
        list_push(&m->keys, &k->link);
        return true;
}

static void tell_answer(Memory *m, Write *w) {
        const MemoryEvent *event = memory_event(m, w->record.known_event);

        if (!event || !event->has_answer)
                return;
        w->record.has_answer = true;
        w->record.answer_status = event->answer_status;
        w->record.answer_type = must_alloc(event->answer_type_n + 1);
        memcpy(w->record.answer_type, event->answer, event->answer_type_n);
        w->record.answer_body = must_alloc(event->answer_body_n + 1);
        memcpy(w->record.answer_body, event->answer + event->answer_type_n, event->answer_body_n);
        w->record.answer_body_n = event->answer_body_n;
}

static void insert_event(Memory *m, MemoryEvent *event) {
        Link *after = m->events.head.prev;
        uint64_t key = (uint64_t)event->event->id;

        while (after != &m->events.head &&
               CONTAINER_OF(after, MemoryEvent, link)->event->id > event->event->id)
                after = after->prev;
        event->link.prev = after;
        event->link.next = after->next;
        after->next->prev = &event->link;
        after->next = &event->link;
        m->events.n++;
        must(table_put(m->events_by_id, key_u64(&key), event) == 0);
}

static size_t bytes_of(const Write *w) {
        switch (w->kind) {
        case WRITE_RECORD:
                return EVENT_ROW_BYTES + w->record.event->meta.n + w->record.event->body.n;
        case WRITE_SETTLE:
                return w->settle.attempt ? sizeof(Attempt) + w->settle.attempt->detail.n : 0;
        case WRITE_ANSWER:
                return w->answer.answer.body.n;
        case WRITE_OBJECT:
                return EVENT_ROW_BYTES + w->object.object.name.n + w->object.object.text.n;
        case WRITE_REPLAY:
        case WRITE_EXPUNGE:
                return 0;
        }
        return 0;
}

MemoryJob *memory_job_new(Memory *m, MemoryEvent *event, const Job *from, JobState state) {
        MemoryJob *j = must_alloc(sizeof *j);
        uint64_t key = (uint64_t)from->id;

        j->event = event;
        j->id = from->id;
        j->lane = from->lane;
        j->shard = from->shard;
        j->due_ms = state == JOB_WAITING ? from->due_ms : 0;
        j->target = must_alloc(from->target.n + 1);
        memcpy(j->target, from->target.p, from->target.n);
        j->is_free = state == JOB_QUEUED && from->spilled;
        link_init(&j->link);
        must(table_put(m->jobs_by_id, key_u64(&key), j) == 0);
        memory_move(m, j, state);
        m->last_id = j->id > m->last_id ? j->id : m->last_id;
        return j;
}

static void add_jobs(Memory *m, MemoryEvent *event, Write *w) {
        for (size_t i = 0; i < w->record.n_jobs; i++) {
                Job *from = w->record.jobs[i];
                const MemoryJob *first = from->lane ? memory_lane_first(m, from->lane) : NULL;

                /* One that waits takes its place in the lane when it is claimed. */
                if (from->state != JOB_WAITING)
                        from->state = first && first->id < from->id ? JOB_BLOCKED : JOB_QUEUED;
                event->jobs[i] = memory_job_new(m, event, from, from->state);
        }
}

static void record(Memory *m, Write *w) {
        w->record.result = RECORD_NEW;
        w->record.known_event = 0;
        w->record.has_answer = false;
        if (w->record.event->key.n && !key_is_new(m, w)) {
                if (w->record.result == RECORD_REPEAT)
                        tell_answer(m, w);
                return;
        }
        MemoryEvent *event = must_alloc(sizeof *event);
        event->event = event_ref(w->record.event);
        event->n_jobs = w->record.n_jobs;
        event->jobs = must_alloc((event->n_jobs + 1) * sizeof *event->jobs);
        event->bytes = bytes_of(w);
        m->bytes += event->bytes;
        insert_event(m, event);
        m->last_id = event->event->id > m->last_id ? event->event->id : m->last_id;
        add_jobs(m, event, w);
}

/* The place of a try that did not count is taken by the next one. */
static Attempt *attempt_place(Memory *m, MemoryJob *j, unsigned number) {
        Attempt *last = j->n_listed ? &j->attempts[j->n_listed - 1] : NULL;

        if (last && last->number == number) {
                j->event->bytes -= sizeof *last + last->detail.n;
                m->bytes -= sizeof *last + last->detail.n;
                free((char *)last->code.p);
                return last;
        }
        j->attempts = realloc(j->attempts, (j->n_listed + 1) * sizeof *j->attempts);
        must(j->attempts);
        return &j->attempts[j->n_listed++];
}

static void add_attempt(Memory *m, MemoryJob *j, const Attempt *from) {
        char *at = must_alloc(from->code.n + from->message.n + from->detail.n + 1);
        Attempt *to = attempt_place(m, j, from->number);

        *to = *from;
        to->is_manual = j->is_replay;
        Span *spans[] = {&to->code, &to->message, &to->detail};
        for (size_t i = 0; i < COUNT_OF(spans); i++) {
                if (spans[i]->n)
                        memcpy(at, spans[i]->p, spans[i]->n);
                spans[i]->p = at;
                at += spans[i]->n;
        }
}

static void settle(Memory *m, Write *w) {
        const Job *from = w->settle.job;
        const Attempt *a = w->settle.attempt;
        MemoryJob *j = memory_job(m, from->id);

        w->settle.woke = false;
        if (!j)
                return;
        j->n_attempts = from->attempts;
        j->due_ms = from->due_ms;
        JobState state = from->state == JOB_RUNNING ? JOB_QUEUED : from->state;
        j->is_free = state == JOB_QUEUED && from->spilled;
        memory_move(m, j, state);
        if (a) {
                add_attempt(m, j, a);
                j->event->bytes += bytes_of(w);
                m->bytes += bytes_of(w);
        }
        if (w->settle.forget_key)
                forget_key(m, from->event);
        MemoryJob *first = j->lane && state >= JOB_DONE ? memory_lane_first(m, j->lane) : NULL;
        if (first && first->state == JOB_BLOCKED) {
                first->due_ms = a ? a->started_ms + a->took_us / 1000 : 0;
                memory_move(m, first, JOB_WAITING);
                w->settle.woke = true;
        }
}

static void answer(Memory *m, const Write *w) {
        MemoryEvent *event = memory_event(m, w->answer.event);
        const Answer *a = &w->answer.answer;

        if (!event || event->has_answer)
                return;
        event->has_answer = true;
        event->answer_status = a->status;
        event->answer = must_alloc(a->content_type.n + a->body.n + 1);
        if (a->content_type.n)
                memcpy(event->answer, a->content_type.p, a->content_type.n);
        if (a->body.n)
                memcpy(event->answer + a->content_type.n, a->body.p, a->body.n);
        event->answer_type_n = a->content_type.n;
        event->answer_body_n = a->body.n;
        event->bytes += bytes_of(w);
        m->bytes += bytes_of(w);
}

static void write_any(Memory *m, Write *w) {
        switch (w->kind) {
        case WRITE_RECORD:
                record(m, w);
                return;
        case WRITE_SETTLE:
                settle(m, w);
                return;
        case WRITE_ANSWER:
                answer(m, w);
                return;
        case WRITE_OBJECT:
                memory_object_write(m, w);
                return;
        case WRITE_REPLAY:
                memory_replay(m, w);
                return;
        case WRITE_EXPUNGE:
                memory_expunge(m, w);
                return;
        }
}

int memory_write(Store *s, Write *const *writes, size_t n, Err *e) {
        Memory *m = memory_of(s);
        size_t bytes = 0, jobs = 0;
        int r = 0;

        for (size_t i = 0; i < n; i++) {
                bytes += bytes_of(writes[i]);
                jobs += writes[i]->kind == WRITE_RECORD ? writes[i]->record.n_jobs : 1;
        }
        pthread_mutex_lock(&m->lock);
        if ((m->bytes_max > 0 && m->bytes + bytes > (size_t)m->bytes_max) ||
            m->events.n + n > MEMORY_ROWS_MAX || m->keys.n + n > MEMORY_ROWS_MAX ||
            table_count(m->jobs_by_id) + jobs > MEMORY_ROWS_MAX)
                r = FAIL(e, -ENOSPC, "the ledger in memory is full");
        for (size_t i = 0; r == 0 && i < n; i++)
                write_any(m, writes[i]);
        pthread_mutex_unlock(&m->lock);
        return r;
}
