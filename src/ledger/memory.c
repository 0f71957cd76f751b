/* SPDX-License-Identifier: Apache-2.0
 *
 * The store in memory: the same answers as the others, to the letter of the contract, and nothing
 * durable. A batch is admitted whole or refused whole before any of it is written. */
#include "base/random.h"
#include "ledger/store_memory.h"

enum { EVENT_ROW_BYTES = 300 };

extern const StoreOps store_memory;

static int memory_open(const StoreOptions *o, Store **ret, Err *e) {
        Memory *m = must_alloc(sizeof *m);

        (void)e;
        m->writer = m;
        must(pthread_mutex_init(&m->lock, NULL) == 0);
        list_init(&m->events);
        list_init(&m->open);
        list_init(&m->keys);
        m->events_by_id = table_new(MEMORY_ROWS_MAX);
        m->jobs_by_id = table_new(MEMORY_ROWS_MAX);
        m->by_key = table_new(MEMORY_ROWS_MAX);
        m->once_ms = o->once_ms;
        m->bytes_max = o->bytes_max;
        random_bytes(m->secret, sizeof m->secret);
        m->store.ops = &store_memory;
        *ret = &m->store;
        return 0;
}

static MemoryJob *find_job(Memory *m, int64_t id) {
        uint64_t key = (uint64_t)id;

        return table_get(m->jobs_by_id, key_u64(&key));
}

/* Unfinished jobs are on the open list, which claims and lanes walk. */
static void move(Memory *m, MemoryJob *j, JobState state) {
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

/* The first job of a lane that waits, is blocked or is held by nobody; NULL: none. */
static MemoryJob *lane_first(Memory *m, uint64_t lane) {
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

static void key_drop(Memory *m, MemoryKey *k) {
        if (table_get(m->by_key, span_make(k->key, k->n)) == k)
                table_remove(m->by_key, span_make(k->key, k->n));
        list_remove(&m->keys, &k->link);
        free(k);
}

static void forget_key(Memory *m, const Event *event) {
        MemoryKey *k = key_new(event), *known = table_get(m->by_key, span_make(k->key, k->n));

        if (known && known->event == event->id)
                key_drop(m, known);
        free(k);
}

/* True when the key is new, and known from now on. */
static bool key_is_new(Memory *m, Write *w) {
        Event *event = w->record.event;
        MemoryKey *k = key_new(event), *known = table_get(m->by_key, span_make(k->key, k->n));

        if (known && (m->once_ms <= 0 || known->received_ms >= event->received_ms - m->once_ms)) {
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
        uint64_t key = (uint64_t)w->record.known_event;
        const MemoryEvent *event = table_get(m->events_by_id, key_u64(&key));

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
                return EVENT_ROW_BYTES + w->record.event->body.n;
        case WRITE_SETTLE:
                return w->settle.attempt ? sizeof(Attempt) + w->settle.attempt->detail.n : 0;
        case WRITE_ANSWER:
                return w->answer.answer.body.n;
        }
        return 0;
}

static void add_jobs(Memory *m, MemoryEvent *event, Write *w) {
        for (size_t i = 0; i < w->record.n_jobs; i++) {
                Job *from = w->record.jobs[i];
                MemoryJob *j = &event->jobs[i];
                const MemoryJob *first = from->lane ? lane_first(m, from->lane) : NULL;
                uint64_t key = (uint64_t)from->id;

                from->state = first && first->id < from->id ? JOB_BLOCKED : JOB_QUEUED;
                j->event = event;
                j->id = from->id;
                j->lane = from->lane;
                j->shard = from->shard;
                j->target = must_alloc(from->target.n + 1);
                memcpy(j->target, from->target.p, from->target.n);
                j->is_free = from->state == JOB_QUEUED && from->spilled;
                link_init(&j->link);
                must(table_put(m->jobs_by_id, key_u64(&key), j) == 0);
                move(m, j, from->state);
                m->last_id = j->id > m->last_id ? j->id : m->last_id;
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

static void add_attempt(MemoryJob *j, const Attempt *from) {
        size_t n = from->code.n + from->message.n + from->detail.n;
        Attempt *grown = realloc(j->attempts, (j->n_listed + 1) * sizeof *grown);
        char *at = must_alloc(n + 1);

        must(grown);
        j->attempts = grown;
        Attempt *to = &j->attempts[j->n_listed++];
        *to = *from;
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
        MemoryJob *j = find_job(m, from->id);

        w->settle.woke = false;
        if (!j)
                return;
        j->n_attempts = from->attempts;
        j->due_ms = from->due_ms;
        JobState state = from->state == JOB_RUNNING ? JOB_QUEUED : from->state;
        j->is_free = state == JOB_QUEUED && from->spilled;
        move(m, j, state);
        if (a) {
                add_attempt(j, a);
                j->event->bytes += bytes_of(w);
                m->bytes += bytes_of(w);
        }
        if (w->settle.forget_key)
                forget_key(m, from->event);
        MemoryJob *first = j->lane && state >= JOB_DONE ? lane_first(m, j->lane) : NULL;
        if (first && first->state == JOB_BLOCKED) {
                first->due_ms = a ? a->started_ms + a->took_us / 1000 : 0;
                move(m, first, JOB_WAITING);
                w->settle.woke = true;
        }
}

static void answer(Memory *m, const Write *w) {
        uint64_t key = (uint64_t)w->answer.event;
        MemoryEvent *event = table_get(m->events_by_id, key_u64(&key));
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

static int memory_write(Store *s, Write *const *writes, size_t n, Err *e) {
        Memory *m = memory_of(s);
        size_t bytes = 0, jobs = 0;
        int r = 0;

        for (size_t i = 0; i < n; i++) {
                bytes += bytes_of(writes[i]);
                jobs += writes[i]->kind == WRITE_RECORD ? writes[i]->record.n_jobs : 0;
        }
        pthread_mutex_lock(&m->lock);
        if ((m->bytes_max > 0 && m->bytes + bytes > (size_t)m->bytes_max) ||
            m->events.n + n > MEMORY_ROWS_MAX || m->keys.n + n > MEMORY_ROWS_MAX ||
            table_count(m->jobs_by_id) + jobs > MEMORY_ROWS_MAX)
                r = FAIL(e, -ENOSPC, "the ledger in memory is full");
        for (size_t i = 0; r == 0 && i < n; i++) {
                if (writes[i]->kind == WRITE_RECORD)
                        record(m, writes[i]);
                else if (writes[i]->kind == WRITE_SETTLE)
                        settle(m, writes[i]);
                else
                        answer(m, writes[i]);
        }
        pthread_mutex_unlock(&m->lock);
        return r;
}

static bool claimable(const MemoryJob *j, const ClaimAsk *ask) {
        if (j->state == JOB_WAITING)
                return j->due_ms <= ask->now_ms;
        return ask->queued && j->state == JOB_QUEUED && j->is_free && j->id > ask->after_id;
}

/* Due ones by their time, before queued ones by their ids. */
static int by_turn(const void *a, const void *b) {
        const MemoryJob *x = *(MemoryJob *const *)a, *y = *(MemoryJob *const *)b;
        bool x_waits = x->state == JOB_WAITING, y_waits = y->state == JOB_WAITING;

        if (x_waits != y_waits)
                return x_waits ? -1 : 1;
        if (x_waits && x->due_ms != y->due_ms)
                return x->due_ms < y->due_ms ? -1 : 1;
        return x->id < y->id ? -1 : x->id > y->id;
}

static int by_id(const void *a, const void *b) {
        const MemoryJob *x = *(MemoryJob *const *)a, *y = *(MemoryJob *const *)b;

        return x->id < y->id ? -1 : x->id > y->id;
}

static void take(Memory *m, MemoryJob *j, Claim *ret) {
        const MemoryJob *first = j->lane ? lane_first(m, j->lane) : NULL;

        j->is_free = false;
        if (first && first->id < j->id) {
                move(m, j, JOB_BLOCKED);
                return;
        }
        move(m, j, JOB_QUEUED);
        Job *job = job_new(j->id, j->event->event, span_of(j->target), j->lane);
        job->attempts = j->n_attempts;
        job->shard = j->shard;
        ret->jobs[ret->n++] = job;
}

static int memory_claim(Store *s, const ClaimAsk *ask, Claim *ret, Err *e) {
        Memory *m = memory_of(s);
        size_t n = 0;

        (void)e;
        must(ask->shard < ask->shards && ask->max > 0);
        *ret = (Claim){.next_due_ms = INT64_MAX};
        ret->jobs = must_alloc(ask->max * sizeof(Job *));
        pthread_mutex_lock(&m->lock);
        AUTO(freep)
        MemoryJob **found = must_alloc((m->open.n + 1) * sizeof *found);
        LIST_EACH(&m->open, it) {
                MemoryJob *j = CONTAINER_OF(it, MemoryJob, link);

                if (j->shard % ask->shards == ask->shard && claimable(j, ask))
                        found[n++] = j;
        }
        qsort(found, n, sizeof *found, by_turn);
        ret->more = n > ask->max;
        n = n > ask->max ? ask->max : n;
        qsort(found, n, sizeof *found, by_id);
        for (size_t i = 0; i < n; i++)
                take(m, found[i], ret);
        LIST_EACH(&m->open, it) {
                const MemoryJob *j = CONTAINER_OF(it, MemoryJob, link);

                if (j->shard % ask->shards == ask->shard && j->state == JOB_WAITING &&
                    j->due_ms < ret->next_due_ms)
                        ret->next_due_ms = j->due_ms;
        }
        pthread_mutex_unlock(&m->lock);
        return 0;
}

static void drop(Memory *m, MemoryEvent *event) {
        uint64_t key = (uint64_t)event->event->id;

        table_remove(m->events_by_id, key_u64(&key));
        list_remove(&m->events, &event->link);
        m->bytes -= event->bytes;
        for (size_t i = 0; i < event->n_jobs; i++) {
                MemoryJob *j = &event->jobs[i];

                key = (uint64_t)j->id;
                table_remove(m->jobs_by_id, key_u64(&key));
                if (link_on(&j->link))
                        list_remove(&m->open, &j->link);
                for (size_t k = 0; k < j->n_listed; k++)
                        free((char *)j->attempts[k].code.p);
                free(j->attempts);
                free(j->target);
        }
        event_unref(event->event);
        free(event->jobs);
        free(event->answer);
        free(event);
}

static bool is_open(const MemoryEvent *event) {
        for (size_t i = 0; i < event->n_jobs; i++)
                if (event->jobs[i].state < JOB_DONE)
                        return true;
        return false;
}

static int memory_trim(Store *s, const TrimRule *rule, size_t *ret_trimmed, Err *e) {
        Memory *m = memory_of(s);
        size_t n = 0;

        (void)e;
        pthread_mutex_lock(&m->lock);
        LIST_EACH(&m->events, it) {
                MemoryEvent *event = CONTAINER_OF(it, MemoryEvent, link);
                bool is_much = rule->bytes_max > 0 && m->bytes > (size_t)rule->bytes_max;

                if (n == rule->max || (event->event->received_ms >= rule->before_ms && !is_much))
                        break;
                if (is_open(event))
                        continue;
                drop(m, event);
                n++;
        }
        pthread_mutex_unlock(&m->lock);
        *ret_trimmed = n;
        return 0;
}

static int64_t memory_last_id(Store *s) {
        return memory_of(s)->last_id;
}

static int memory_upkeep(Store *s, int64_t now_ms, int64_t *ret_next_ms, Err *e) {
        Memory *m = memory_of(s);
        Link *at;

        (void)e;
        pthread_mutex_lock(&m->lock);
        while (m->once_ms > 0 && (at = list_first(&m->keys))) {
                MemoryKey *k = CONTAINER_OF(at, MemoryKey, link);

                if (k->received_ms >= now_ms - m->once_ms)
                        break;
                key_drop(m, k);
        }
        pthread_mutex_unlock(&m->lock);
        *ret_next_ms = 1000;
        return 0;
}

static void memory_secret(Store *s, const char *purpose, unsigned char ret[32]) {
        const Memory *m = memory_of(s);
        uint64_t k[4], out[4];

        memcpy(k, m->secret, sizeof k);
        for (size_t i = 0; i < COUNT_OF(out); i++)
                out[i] = hash_keyed(span_of(purpose), k[i], k[(i + 1) % COUNT_OF(k)]);
        memcpy(ret, out, sizeof out);
}

static void memory_close(Store *s) {
        Memory *m = memory_of(s);

        if (m->writer == m) {
                while (m->events.n)
                        drop(m, CONTAINER_OF(list_first(&m->events), MemoryEvent, link));
                while (m->keys.n)
                        key_drop(m, CONTAINER_OF(list_first(&m->keys), MemoryKey, link));
                table_free(m->events_by_id);
                table_free(m->jobs_by_id);
                table_free(m->by_key);
                pthread_mutex_destroy(&m->lock);
        }
        free(m);
}

static int memory_open_reader(Store *writer, Store **ret, Err *e) {
        Memory *m = must_alloc(sizeof *m);

        (void)e;
        m->store.ops = writer->ops;
        m->writer = memory_of(writer);
        *ret = &m->store;
        return 0;
}

const StoreOps store_memory = {
        .scheme = "memory",
        .open = memory_open,
        .write = memory_write,
        .claim = memory_claim,
        .trim = memory_trim,
        .last_id = memory_last_id,
        .upkeep = memory_upkeep,
        .secret = memory_secret,
        .close = memory_close,
        .open_reader = memory_open_reader,
        .find_event = memory_find_event,
        .list_events = memory_list_events,
        .stats = memory_stats,
};
