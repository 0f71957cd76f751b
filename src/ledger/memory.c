/* SPDX-License-Identifier: Apache-2.0
 *
 * The store in memory: the same answers as the others, to the letter of the contract, and nothing
 * durable. */
#include "base/random.h"
#include "ledger/store_memory.h"

extern const StoreOps store_memory;

static int memory_open(const StoreOptions *o, Store **ret, Err *e) {
        Memory *m = must_alloc(sizeof *m);

        (void)e;
        m->writer = m;
        must(pthread_mutex_init(&m->lock, NULL) == 0);
        list_init(&m->events);
        list_init(&m->open);
        list_init(&m->keys);
        for (size_t i = 0; i < COUNT_OF(m->objects); i++)
                list_init(&m->objects[i]);
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

static void drop(Memory *m, MemoryEvent *event) {
        uint64_t key = (uint64_t)event->event->id;

        table_remove(m->events_by_id, key_u64(&key));
        list_remove(&m->events, &event->link);
        m->bytes -= event->bytes;
        for (size_t i = 0; i < event->n_jobs; i++) {
                MemoryJob *j = event->jobs[i];

                key = (uint64_t)j->id;
                table_remove(m->jobs_by_id, key_u64(&key));
                if (link_on(&j->link))
                        list_remove(&m->open, &j->link);
                for (size_t k = 0; k < j->n_listed; k++)
                        free((char *)j->attempts[k].code.p);
                free(j->attempts);
                free(j->target);
                free(j);
        }
        event_unref(event->event);
        free(event->jobs);
        free(event->answer);
        free(event);
}

static bool is_open(const MemoryEvent *event) {
        for (size_t i = 0; i < event->n_jobs; i++)
                if (event->jobs[i]->state < JOB_DONE)
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
                memory_key_drop(m, k);
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
                        memory_key_drop(m, CONTAINER_OF(list_first(&m->keys), MemoryKey, link));
                memory_objects_done(m);
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
        .find_key = memory_find_key,
        .trim = memory_trim,
        .each_object = memory_each_object,
        .each_backlog = memory_each_backlog,
        .each_change = memory_each_change,
        .last_id = memory_last_id,
        .upkeep = memory_upkeep,
        .secret = memory_secret,
        .close = memory_close,
        .open_reader = memory_open_reader,
        .find_event = memory_find_event,
        .list_events = memory_list_events,
        .list_attempts = memory_list_attempts,
        .target_stats = memory_target_stats,
        .stats = memory_stats,
};
