/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/queue.h"

enum { IDLE_MAX = 256 }; /* kept, so that a target with a job now and then costs no memory work */

typedef struct Queue {
        Link link; /* on `turns`, `idle`, or on none */
        List ready;
        size_t running;
        size_t name_n;
        char name[];
} Queue;

void queues_init(Queues *q, size_t targets_max, size_t running_max) {
        must(running_max > 0);
        *q = (Queues){.table = table_new(targets_max + IDLE_MAX + 1), .running_max = running_max};
        list_init(&q->turns);
        list_init(&q->idle);
}

typedef struct Giving {
        void (*give)(void *arg, Job *job);
        void *arg;
} Giving;

static void give_queue(void *arg, Span key, void *value) {
        const Giving *g = arg;
        Queue *queue = value;
        Link *at;

        (void)key;
        while ((at = list_pop(&queue->ready)))
                g->give(g->arg, CONTAINER_OF(at, Job, link));
        free(queue);
}

void queues_done(Queues *q, void (*give)(void *arg, Job *job), void *arg) {
        Giving g = {give, arg};

        table_each(q->table, give_queue, &g);
        q->table = table_free(q->table);
}

static Queue *queue_of(const Queues *q, const Job *job) {
        Queue *queue = table_get(q->table, job->target);

        must(queue);
        return queue;
}

static Queue *queue_make(Queues *q, Span target) {
        Queue *queue = must_alloc(sizeof *queue + target.n);

        list_init(&queue->ready);
        link_init(&queue->link);
        queue->name_n = target.n;
        if (target.n)
                memcpy(queue->name, target.p, target.n);
        must(table_put(q->table, target, queue) == 0);
        return queue;
}

static void queue_rest(Queues *q, Queue *queue) {
        if (queue->running > 0 || queue->ready.n > 0)
                return;
        list_push(&q->idle, &queue->link);
        if (q->idle.n <= IDLE_MAX)
                return;
        Queue *oldest = CONTAINER_OF(list_pop(&q->idle), Queue, link);
        table_remove(q->table, (Span){oldest->name, oldest->name_n});
        free(oldest);
}

void queues_push(Queues *q, Job *job) {
        Queue *queue = table_get(q->table, job->target);

        if (!queue)
                queue = queue_make(q, job->target);
        if (queue->ready.n == 0) {
                if (queue->running == 0 && link_on(&queue->link))
                        list_remove(&q->idle, &queue->link);
                list_push(&q->turns, &queue->link);
        }
        list_push(&queue->ready, &job->link);
        q->n_ready++;
}

static void take_ready(Queues *q, Queue *queue, Job *job) {
        list_remove(&queue->ready, &job->link);
        q->n_ready--;
        /* Behind all others, if it has more. */
        list_remove(&q->turns, &queue->link);
        if (queue->ready.n > 0)
                list_push(&q->turns, &queue->link);
}

Job *queues_next(Queues *q) {
        size_t places = q->running_max - q->n_running;

        if (places == 0)
                return NULL;
        /* Those that are passed over run something, so there are never more of them than places
         * are taken. */
        LIST_EACH(&q->turns, at) {
                Queue *queue = CONTAINER_OF(at, Queue, link);
                Job *job;

                if (queue->running >= places)
                        continue;
                job = CONTAINER_OF(list_first(&queue->ready), Job, link);
                queue->running++;
                q->n_running++;
                take_ready(q, queue, job);
                return job;
        }
        return NULL;
}

void queues_ended(Queues *q, const Job *job) {
        Queue *queue = queue_of(q, job);

        must(queue->running > 0);
        queue->running--;
        q->n_running--;
        queue_rest(q, queue);
}
