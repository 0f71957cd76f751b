/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/queue.h"

#include "ledger/event.h"

enum {
        IDLE_MAX = 256, /* kept, so that a target with a job now and then costs no memory work */
        LEDGER_ASK_MIN = 32, /* few at a time would be many questions */
};

typedef struct Queue {
        Link link;          /* on `turns`, `idle`, that of its crowd, or on none */
        Link backlog_link;  /* on `backlogs` or on none */
        Link due_link;      /* on `due` or on none */
        HeapNode wait;      /* on `waiting` or not */
        HeapNode pace;      /* on `paced` or not ... */
        bool is_collecting; /* ... since a batch of it is not complete */
        List ready;
        size_t ready_bytes; /* of their bodies */
        size_t running, here, bytes;
        TargetLimits limits;
        Crowd *crowd;          /* that it stands in; NULL for none */
        bool has_permit;       /* of its throttle, for the next run */
        int64_t next_us;       /* pace: when the next run is due */
        int64_t backlog_after; /* ids up to it were looked at */
        int64_t backlog_news;  /* the first that came since the ledger was asked; INT64_MAX none */
        /* When the first of its waiting jobs is due, as far as we know; INT64_MAX none. While the
         * ledger is asked for them (it is neither on `due` nor on `waiting` then): of those that
         * came since. */
        int64_t due_ms;
        bool is_asked_due;
        size_t name_n;
        char name[];
} Queue;

void queues_init(Queues *q, size_t targets_max, size_t running_max, size_t here_max,
                 size_t bytes_max) {
        must(running_max > 0 && here_max > 0 && bytes_max > 0);
        *q = (Queues){.table = table_new(targets_max + IDLE_MAX + 1),
                      .running_max = running_max,
                      .here_max = here_max,
                      .bytes_max = bytes_max};
        crowds_init(&q->crowds, targets_max + IDLE_MAX + 1);
        list_init(&q->turns);
        list_init(&q->backlogs);
        list_init(&q->due);
        list_init(&q->idle);
}

typedef struct Clearing {
        Queues *q;
        List all;
} Clearing;

static void take_ready(void *arg, Span key, void *value) {
        Clearing *c = arg;
        Queue *queue = value;
        Link *at;

        (void)key;
        if (queue->crowd)
                crowds_leave(&c->q->crowds, queue->crowd, &queue->link);
        else if (queue->ready.n > 0 && link_on(&queue->link))
                list_remove(&c->q->turns, &queue->link);
        queue->crowd = NULL;
        heap_remove(&c->q->paced, &queue->pace);
        queue->is_collecting = false;
        queue->ready_bytes = 0;
        while ((at = list_pop(&queue->ready)))
                list_push(&c->all, at);
}

void queues_clear(Queues *q, void (*give)(void *arg, Job *job), void *arg) {
        Clearing c = {.q = q};
        Link *at;

        list_init(&c.all);
        table_each(q->table, take_ready, &c);
        q->n_ready = 0;
        while ((at = list_pop(&c.all)))
                give(arg, CONTAINER_OF(at, Job, link));
}

static void queue_free(Queue *queue) {
        throttle_unref(queue->limits.throttle);
        free(queue);
}

static void free_queue(void *arg, Span key, void *value) {
        (void)arg;
        (void)key;
        queue_free(value);
}

void queues_done(Queues *q) {
        table_each(q->table, free_queue, NULL);
        q->table = table_free(q->table);
        crowds_done(&q->crowds);
        heap_done(&q->waiting);
        heap_done(&q->paced);
}

static Queue *queue_find(const Queues *q, Span target) {
        return table_get(q->table, target);
}

static Queue *queue_of(const Queues *q, const Job *job) {
        Queue *queue = queue_find(q, job->target);

        must(queue);
        return queue;
}

static Queue *queue_make(Queues *q, Span target) {
        Queue *queue = queue_find(q, target);

        if (queue) {
                if (queue->here == 0 && link_on(&queue->link))
                        list_remove(&q->idle, &queue->link);
                return queue;
        }
        queue = must_alloc(sizeof *queue + target.n);
        list_init(&queue->ready);
        link_init(&queue->link);
        link_init(&queue->backlog_link);
        link_init(&queue->due_link);
        queue->due_ms = INT64_MAX;
        queue->name_n = target.n;
        if (target.n)
                memcpy(queue->name, target.p, target.n);
        must(table_put(q->table, target, queue) == 0);
        return queue;
}

static Span name_of(const Queue *queue) {
        return (Span){queue->name, queue->name_n};
}

static void queue_rest(Queues *q, Queue *queue) {
        if (queue->here > 0 || link_on(&queue->backlog_link) || queue->due_ms < INT64_MAX ||
            queue->is_asked_due)
                return;
        list_push(&q->idle, &queue->link);
        if (q->idle.n <= IDLE_MAX)
                return;
        Queue *oldest = CONTAINER_OF(list_pop(&q->idle), Queue, link);
        table_remove(q->table, name_of(oldest));
        queue_free(oldest);
}

/* ---- memory ---- */

static size_t bytes_of(const Job *job) {
        return job->event ? sizeof *job->event + job->event->body.n : 0;
}

/* How many more may come: as many as leave, for each of them, a place as well. */
static size_t room_of(const Queues *q, const Queue *queue) {
        size_t left = q->here_max > q->n_here ? q->here_max - q->n_here : 0;
        size_t here = queue ? queue->here : 0;

        return left > here ? (left - here + 1) / 2 : 0;
}

bool queues_room(const Queues *q, const Job *job) {
        const Queue *queue = queue_find(q, job->target);
        size_t bytes = bytes_of(job), had = queue ? queue->bytes : 0;
        size_t left = q->bytes_max > q->bytes_here ? q->bytes_max - q->bytes_here : 0;

        /* One that has nothing here may bring a large one: else it would never go. */
        if (room_of(q, queue) == 0)
                return false;
        return had + bytes <= left || (had == 0 && q->bytes_here + bytes <= 2 * q->bytes_max);
}

void queues_enter(Queues *q, const Job *job, TargetLimits limits) {
        Queue *queue = queue_make(q, job->target);

        must(limits.batch <= QUEUE_BATCH_MAX);
        if (limits.throttle)
                throttle_ref(limits.throttle);
        throttle_unref(queue->limits.throttle);
        queue->limits = limits;
        queue->here++;
        queue->bytes += bytes_of(job);
        q->n_here++;
        q->bytes_here += bytes_of(job);
}

void queues_leave(Queues *q, const Job *job) {
        Queue *queue = queue_of(q, job);

        must(queue->here > 0 && q->n_here > 0);
        queue->here--;
        queue->bytes -= bytes_of(job);
        q->n_here--;
        q->bytes_here -= bytes_of(job);
        queue_rest(q, queue);
}

/* ---- turns ---- */

static bool is_wide_enough(const Queue *queue) {
        return queue->limits.width == 0 || queue->running < queue->limits.width;
}

/* On `turns` are those that may begin a job, but for the places. */
static void take_turn(Queues *q, Queue *queue) {
        if (queue->ready.n > 0 && is_wide_enough(queue) && !link_on(&queue->link) &&
            queue->pace.at == 0)
                list_push(&q->turns, &queue->link);
}

static size_t body_of(const Job *job) {
        return job->event ? job->event->body.n : 0;
}

static bool is_batch_full(const Queue *queue) {
        return queue->ready.n >= queue->limits.batch ||
               queue->ready_bytes >= queue->limits.batch_bytes;
}

/* 0 when a run may take what is ready, or when it may at the latest. */
static int64_t collected_ms(const Queue *queue, int64_t now_ms) {
        int64_t wait_ms = queue->limits.batch_wait_ms;
        const Link *first = list_first(&queue->ready);
        int64_t since_ms;

        must(first);
        if (queue->limits.batch <= 1 || is_batch_full(queue))
                return 0;
        since_ms = CONTAINER_OF(first, Job, link)->ready_ms;
        /* A clock that went back may not hold it for long. */
        return since_ms <= now_ms && since_ms + wait_ms > now_ms ? since_ms + wait_ms : 0;
}

static void rest_until(Queues *q, Queue *queue, int64_t later_ms, bool is_collecting) {
        list_remove(&q->turns, &queue->link);
        heap_push(&q->paced, &queue->pace, later_ms);
        queue->is_collecting = is_collecting;
}

static void push(Queues *q, Job *job, bool in_front) {
        Queue *queue = queue_of(q, job);

        if (in_front)
                list_push_front(&queue->ready, &job->link);
        else
                list_push(&queue->ready, &job->link);
        queue->ready_bytes += body_of(job);
        q->n_ready++;
        /* When it may go is looked at anew. */
        if (queue->is_collecting && (in_front || is_batch_full(queue))) {
                heap_remove(&q->paced, &queue->pace);
                queue->is_collecting = false;
        }
        take_turn(q, queue);
}

void queues_push(Queues *q, Job *job, int64_t now_ms) {
        job->ready_ms = now_ms;
        push(q, job, false);
}

void queues_push_front(Queues *q, Job *job) {
        push(q, job, true);
}

static int64_t interval_of(const Queue *queue) {
        return 1000000 / queue->limits.rate > 0 ? 1000000 / queue->limits.rate : 1;
}

/* A clock that went back may not hold it for long. */
static int64_t next_of(const Queue *queue, int64_t now_us) {
        return queue->next_us > now_us && queue->next_us - now_us <= 2000000 ? queue->next_us
                                                                             : now_us;
}

/* One second's share may be taken ahead of its time (GCRA: the moment of the next run is all that
 * is remembered). 0, or when it may go on in ms. */
static int64_t paced_ms(const Queue *queue, int64_t now_ms) {
        int64_t now_us = now_ms * 1000, from = next_of(queue, now_us), burst_us;

        if (queue->limits.rate == 0)
                return 0;
        burst_us = 1000000 - interval_of(queue);
        return from - now_us > burst_us ? (from - burst_us) / 1000 + 1 : 0;
}

static void pace(Queue *queue, int64_t now_ms) {
        if (queue->limits.rate > 0)
                queue->next_us = next_of(queue, now_ms * 1000) + interval_of(queue);
}

static size_t begin(Queues *q, Queue *queue, int64_t now_ms, List *ret) {
        const TargetLimits *l = &queue->limits;
        size_t n = 0, most = l->batch > 1 ? l->batch : 1, bytes = 0;
        Link *at;

        while (n < most && (at = list_first(&queue->ready))) {
                bytes += body_of(CONTAINER_OF(at, Job, link));
                if (n > 0 && bytes > l->batch_bytes)
                        break;
                list_remove(&queue->ready, at);
                queue->ready_bytes -= body_of(CONTAINER_OF(at, Job, link));
                list_push(ret, at);
                n++;
        }
        pace(queue, now_ms);
        queue->has_permit = false;
        queue->running++;
        q->n_running++;
        q->n_ready -= n;
        /* Behind all others, if it has more. */
        list_remove(&q->turns, &queue->link);
        take_turn(q, queue);
        return n;
}

/* True when it may go; else it waits with others who share its throttle. */
static bool is_permitted(Queues *q, Queue *queue, int64_t now_ms) {
        if (queue->has_permit || !queue->limits.throttle)
                return true;
        list_remove(&q->turns, &queue->link);
        queue->crowd = crowds_ask(&q->crowds, queue->limits.throttle, &queue->link, now_ms);
        if (queue->crowd)
                return false;
        queue->has_permit = true;
        list_push_front(&q->turns, &queue->link);
        return true;
}

/* Who has a permit goes before all others: its moment is now. */
static void resume_crowds(Queues *q, int64_t now_ms) {
        Link *at;

        while ((at = crowds_next(&q->crowds, now_ms))) {
                Queue *queue = CONTAINER_OF(at, Queue, link);

                queue->crowd = NULL;
                queue->has_permit = true;
                list_push_front(&q->turns, &queue->link);
        }
}

static void resume_paced(Queues *q, int64_t now_ms) {
        HeapNode *at;

        while ((at = heap_pop_due(&q->paced, now_ms))) {
                CONTAINER_OF(at, Queue, pace)->is_collecting = false;
                take_turn(q, CONTAINER_OF(at, Queue, pace));
        }
}

size_t queues_next(Queues *q, int64_t now_ms, List *ret) {
        size_t places = q->running_max - q->n_running;

        resume_paced(q, now_ms);
        resume_crowds(q, now_ms);
        if (places == 0)
                return 0;
        /* Those that are passed over run something, so there are never more of them than places
         * are taken. */
        LIST_EACH(&q->turns, at) {
                Queue *queue = CONTAINER_OF(at, Queue, link);
                int64_t later_ms;

                if (queue->running >= places)
                        continue;
                if ((later_ms = collected_ms(queue, now_ms)) > 0)
                        rest_until(q, queue, later_ms, true);
                else if ((later_ms = paced_ms(queue, now_ms)) > 0)
                        rest_until(q, queue, later_ms, false);
                else if (is_permitted(q, queue, now_ms))
                        return begin(q, queue, now_ms, ret);
        }
        return 0;
}

void queues_ended(Queues *q, const Job *job) {
        Queue *queue = queue_of(q, job);

        must(queue->running > 0);
        queue->running--;
        q->n_running--;
        take_turn(q, queue);
}

int64_t queues_pace_ms(const Queues *q) {
        const HeapNode *first = heap_first(&q->paced);
        int64_t crowds_ms = crowds_due_ms(&q->crowds);

        return first && first->due < crowds_ms ? first->due : crowds_ms;
}

/* ---- what lies in the ledger ---- */

/* How many may come from there now: with `most` at once in memory, and not a few at a time. */
static size_t ledger_room(const Queues *q, const Queue *queue, size_t most) {
        size_t room = room_of(q, queue);

        most = most > queue->here ? most - queue->here : 0;
        if (q->bytes_here + queue->bytes >= q->bytes_max && queue->here > 0)
                return 0;
        room = room < most ? room : most;
        return room < LEDGER_ASK_MIN && queue->here > 0 ? 0 : room;
}

void queues_backlog(Queues *q, Span target, int64_t id) {
        Queue *queue = queue_make(q, target);

        if (!link_on(&queue->backlog_link)) {
                list_push(&q->backlogs, &queue->backlog_link);
                queue->backlog_after = queue->backlog_news = INT64_MAX;
        }
        if (id <= queue->backlog_after)
                queue->backlog_after = id - 1;
        /* An answer on its way may not know of it. */
        if (id < queue->backlog_news)
                queue->backlog_news = id;
}

bool queues_has_backlog(const Queues *q, Span target) {
        const Queue *queue = queue_find(q, target);

        return queue && link_on(&queue->backlog_link);
}

bool queues_ask(Queues *q, size_t max, Span *ret_target, size_t *ret_max, int64_t *ret_after) {
        LIST_EACH(&q->backlogs, at) {
                Queue *queue = CONTAINER_OF(at, Queue, backlog_link);
                size_t room = ledger_room(q, queue, QUEUE_JOBS_MAX);

                if (room == 0)
                        continue;
                list_remove(&q->backlogs, at);
                list_push(&q->backlogs, at);
                queue->backlog_news = INT64_MAX;
                *ret_target = name_of(queue);
                *ret_max = room < max ? room : max;
                *ret_after = queue->backlog_after;
                return true;
        }
        return false;
}

void queues_heard(Queues *q, Span target, int64_t id, bool more) {
        Queue *queue = queue_find(q, target);
        int64_t after = more ? id : INT64_MAX;

        must(queue && link_on(&queue->backlog_link));
        if (queue->backlog_news <= after && queue->backlog_news < INT64_MAX)
                after = queue->backlog_news - 1;
        queue->backlog_after = after;
        if (after < INT64_MAX)
                return;
        list_remove(&q->backlogs, &queue->backlog_link);
        queue_rest(q, queue);
}

/* ---- what waits ---- */

void queues_due(Queues *q, Span target, int64_t due_ms) {
        Queue *queue = queue_make(q, target);

        must(due_ms < INT64_MAX);
        if (due_ms >= queue->due_ms)
                return;
        queue->due_ms = due_ms;
        if (queue->is_asked_due || link_on(&queue->due_link))
                return;
        heap_remove(&q->waiting, &queue->wait);
        heap_push(&q->waiting, &queue->wait, due_ms);
}

static void come_due(Queues *q, int64_t now_ms) {
        HeapNode *at;

        while ((at = heap_pop_due(&q->waiting, now_ms)))
                list_push(&q->due, &CONTAINER_OF(at, Queue, wait)->due_link);
}

bool queues_ask_due(Queues *q, int64_t now_ms, size_t max, Span *ret_target, size_t *ret_max,
                    int64_t *ret_from_ms) {
        come_due(q, now_ms);
        LIST_EACH(&q->due, at) {
                Queue *queue = CONTAINER_OF(at, Queue, due_link);
                size_t room = ledger_room(q, queue, SIZE_MAX);

                if (room == 0)
                        continue;
                list_remove(&q->due, at);
                *ret_target = name_of(queue);
                *ret_max = room < max ? room : max;
                *ret_from_ms = queue->due_ms;
                queue->is_asked_due = true;
                queue->due_ms = INT64_MAX;
                return true;
        }
        return false;
}

void queues_heard_due(Queues *q, Span target, int64_t next_due_ms) {
        Queue *queue = queue_find(q, target);

        must(queue && queue->is_asked_due);
        queue->is_asked_due = false;
        if (next_due_ms < queue->due_ms)
                queue->due_ms = next_due_ms;
        if (queue->due_ms < INT64_MAX)
                heap_push(&q->waiting, &queue->wait, queue->due_ms);
        else
                queue_rest(q, queue);
}

int64_t queues_due_ms(const Queues *q) {
        const HeapNode *first = heap_first(&q->waiting);

        return first ? first->due : INT64_MAX;
}
