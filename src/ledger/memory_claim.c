/* SPDX-License-Identifier: Apache-2.0
 *
 * Claims from the store in memory: a walk over all open jobs. */
#include "ledger/store_memory.h"

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
        job->shard = j->shard;
        ret->jobs[ret->n++] = job;
}

int memory_claim(Store *s, const ClaimAsk *ask, Claim *ret, Err *e) {
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
