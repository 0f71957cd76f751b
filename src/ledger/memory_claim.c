/* SPDX-License-Identifier: Apache-2.0
 *
 * Claims from the store in memory: a walk over all open jobs. */
#include "ledger/store_memory.h"

static bool claimable(const MemoryJob *j, const ClaimAsk *ask) {
        if (j->shard % ask->shards != ask->shard || !span_eq(span_of(j->target), ask->target))
                return false;
        if (ask->is_due)
                return j->state == JOB_WAITING && j->due_ms <= ask->now_ms;
        return j->state == JOB_QUEUED && j->is_free && j->id > ask->after_id;
}

static int by_due(const void *a, const void *b) {
        const MemoryJob *x = *(MemoryJob *const *)a, *y = *(MemoryJob *const *)b;

        if (x->due_ms != y->due_ms)
                return x->due_ms < y->due_ms ? -1 : 1;
        return x->id < y->id ? -1 : x->id > y->id;
}

static int by_id(const void *a, const void *b) {
        const MemoryJob *x = *(MemoryJob *const *)a, *y = *(MemoryJob *const *)b;

        return x->id < y->id ? -1 : x->id > y->id;
}

static bool is_followed(const Memory *m, const MemoryJob *j) {
        LIST_EACH(&m->open, it) {
                const MemoryJob *other = CONTAINER_OF(it, MemoryJob, link);

                if (other->lane == j->lane && other->id > j->id &&
                    (other->state != JOB_QUEUED || other->is_free))
                        return true;
        }
        return false;
}

static void take(Memory *m, MemoryJob *j, Claim *ret) {
        const MemoryJob *first = j->lane ? memory_lane_first(m, j->lane) : NULL;

        j->is_free = false;
        if (first && first->id < j->id) {
                memory_move(m, j, JOB_BLOCKED);
                return;
        }
        memory_move(m, j, JOB_QUEUED);
        Job *job = job_new(j->id, j->event->event, span_of(j->target), j->lane);
        job->attempts = j->n_attempts;
        job->tries_from = j->tries_from;
        job->is_replay = j->is_replay;
        job->shard = j->shard;
        job->is_followed = j->lane && is_followed(m, j);
        ret->jobs[ret->n++] = job;
}

static int64_t next_due(const Memory *m, const ClaimAsk *ask) {
        int64_t next_ms = INT64_MAX;

        LIST_EACH(&m->open, it) {
                const MemoryJob *j = CONTAINER_OF(it, MemoryJob, link);

                if (j->shard % ask->shards == ask->shard && j->state == JOB_WAITING &&
                    j->due_ms < next_ms && span_eq(span_of(j->target), ask->target))
                        next_ms = j->due_ms;
        }
        return next_ms;
}

int memory_claim(Store *s, const ClaimAsk *ask, Claim *ret, Err *e) {
        Memory *m = memory_of(s);
        size_t n = 0;

        (void)e;
        must(ask->shard < ask->shards && ask->max > 0);
        *ret = (Claim){.searched_to = ask->after_id};
        ret->jobs = must_alloc(ask->max * sizeof(Job *));
        pthread_mutex_lock(&m->lock);
        AUTO(freep)
        MemoryJob **found = must_alloc((m->open.n + 1) * sizeof *found);
        LIST_EACH(&m->open, it) {
                MemoryJob *j = CONTAINER_OF(it, MemoryJob, link);

                if (claimable(j, ask))
                        found[n++] = j;
        }
        if (ask->is_due)
                qsort(found, n, sizeof *found, by_due);
        ret->more = n > ask->max;
        n = n > ask->max ? ask->max : n;
        qsort(found, n, sizeof *found, by_id);
        if (n > 0)
                ret->searched_to = found[n - 1]->id;
        for (size_t i = 0; i < n; i++)
                take(m, found[i], ret);
        ret->next_due_ms = next_due(m, ask);
        pthread_mutex_unlock(&m->lock);
        return 0;
}

typedef struct Telling {
        void (*each)(void *arg, Span target, int64_t due_ms);
        void *arg;
} Telling;

static void tell_waiting(void *telling, Span target, void *job) {
        const Telling *t = telling;

        t->each(t->arg, target, ((MemoryJob *)job)->due_ms);
}

static void note_waiting(Table *waiting, MemoryJob *j) {
        const MemoryJob *first = table_get(waiting, span_of(j->target));

        if (!first || j->due_ms < first->due_ms)
                must(table_put(waiting, span_of(j->target), j) == 0);
}

int memory_each_backlog(Store *s, void (*each)(void *arg, Span target, int64_t due_ms), void *arg,
                        Err *e) {
        Memory *m = memory_of(s)->writer;
        Table *told = table_new(MEMORY_ROWS_MAX), *waiting = table_new(MEMORY_ROWS_MAX);

        (void)e;
        pthread_mutex_lock(&m->lock);
        LIST_EACH(&m->open, it) {
                MemoryJob *j = CONTAINER_OF(it, MemoryJob, link);
                Span target = span_of(j->target);

                if (j->state == JOB_WAITING)
                        note_waiting(waiting, j);
                if (j->state != JOB_QUEUED || !j->is_free || table_get(told, target))
                        continue;
                must(table_put(told, target, j) == 0);
                each(arg, target, STORE_NOW);
        }
        table_each(waiting, tell_waiting, &(Telling){each, arg});
        pthread_mutex_unlock(&m->lock);
        table_free(told);
        table_free(waiting);
        return 0;
}

int memory_each_change(Store *store, size_t max, void (*each)(void *arg, const Change *c),
                       void *arg, Err *e) {
        Memory *m = memory_of(store)->writer;

        (void)e;
        pthread_mutex_lock(&m->lock);
        for (Link *it = m->events.head.prev; it != &m->events.head && max > 0; it = it->prev) {
                const MemoryEvent *event = CONTAINER_OF(it, MemoryEvent, link);

                for (size_t i = event->n_jobs; i-- > 0 && max > 0; max--) {
                        const MemoryJob *j = event->jobs[i];

                        if (j->state == JOB_DONE && j->lane && event->event->time_ms)
                                each(arg, &(Change){j->lane, j->shard, event->event->time_ms});
                }
        }
        pthread_mutex_unlock(&m->lock);
        return 0;
}
