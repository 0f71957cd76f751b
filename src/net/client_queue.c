/* SPDX-License-Identifier: Apache-2.0
 *
 * Who gets a connection. libcurl can count connections too, but wakes the oldest waiting transfer
 * whatever its host, so calls to a dead host would stand in the way of all others. Here every host
 * has a line of its own, and a connection that falls free goes round the hosts. */
#include "net/client_parts.h"

static Span host_key(const char *url) {
        const char *authority = strstr(url, "://");

        authority = authority ? authority + 3 : url;
        return (Span){url, (size_t)(authority - url) + strcspn(authority, "/?#")};
}

static Host *host_get(Client *c, Span key) {
        Host *h = table_get(c->hosts, key);

        if (h)
                return h;
        h = must_alloc(sizeof *h);
        link_init(&h->link);
        list_init(&h->waiting);
        h->key = (Span){memcpy(must_alloc(key.n), key.p, key.n), key.n};
        if (table_put(c->hosts, h->key, h) < 0) {
                free((char *)h->key.p);
                free(h);
                return NULL;
        }
        return h;
}

static void host_settle(Client *c, Host *h) {
        bool is_ready = h->waiting.n > 0 && h->running < c->limits.per_host_max;

        if (is_ready && !link_on(&h->link))
                list_push(&c->ready, &h->link);
        else if (!is_ready && link_on(&h->link))
                list_remove(&c->ready, &h->link);
        if (h->running == 0 && h->waiting.n == 0) {
                (void)table_remove(c->hosts, h->key);
                free((char *)h->key.p);
                free(h);
        }
}

static void arm(Client *c) {
        HeapNode *first = heap_first(&c->deadlines);
        int64_t now = (int64_t)uv_now(c->loop);

        if (!first)
                (void)uv_timer_stop(&c->queue_timer);
        else
                (void)uv_timer_start(&c->queue_timer, queue_on_deadline,
                                     first->due > now ? (uint64_t)(first->due - now) : 0, 0);
}

static void stop_waiting(Transfer *t) {
        Client *c = t->client;
        bool was_first = heap_first(&c->deadlines) == &t->deadline;

        list_remove(&t->host->waiting, &t->queued);
        heap_remove(&c->deadlines, &t->deadline);
        c->waiting--;
        if (was_first)
                arm(c);
}

static int run(Transfer *t, Err *e) {
        int r = request_prepare(t, e);

        if (r < 0)
                return r;
        if (curl_multi_add_handle(t->client->multi, t->easy) != CURLM_OK)
                return FAIL(e, -EIO, "libcurl takes no call");
        t->is_running = true;
        t->host->running++;
        t->client->running++;
        return 0;
}

int queue_enter(Client *c, Transfer *t, Err *e) {
        Host *h = host_get(c, host_key(t->call->url));
        int r = 0;

        if (!h)
                return FAIL(e, -EBUSY, "calls to too many hosts are waiting");
        t->host = h;
        if (h->running < c->limits.per_host_max && c->running < c->limits.connections_max &&
            h->waiting.n == 0) {
                r = run(t, e);
        } else if (c->waiting >= c->limits.waiting_max) {
                r = FAIL(e, -EBUSY, "%zu calls are waiting for a connection already", c->waiting);
        } else {
                list_push(&h->waiting, &t->queued);
                heap_push(&c->deadlines, &t->deadline,
                          (int64_t)uv_now(c->loop) +
                                  (t->call->timeout_ms ? t->call->timeout_ms : 15000));
                c->waiting++;
                if (heap_first(&c->deadlines) == &t->deadline)
                        arm(c);
        }
        host_settle(c, h);
        if (r < 0)
                t->host = NULL;
        return r;
}

void queue_leave(Transfer *t) {
        Client *c = t->client;

        if (t->is_running) {
                t->host->running--;
                c->running--;
                t->is_running = false;
        } else if (link_on(&t->queued)) {
                stop_waiting(t);
        }
        if (t->host)
                host_settle(c, t->host);
        t->host = NULL;
}

void queue_fill(Client *c) {
        /* A call that cannot run ends here and leaves again: the loop below sees its place. */
        if (c->is_filling || c->is_closing)
                return;
        c->is_filling = true;
        while (c->running < c->limits.connections_max && c->ready.n > 0) {
                Host *h = CONTAINER_OF(list_pop(&c->ready), Host, link);
                Transfer *t = CONTAINER_OF(list_first(&h->waiting), Transfer, queued);
                Err e = {0};

                stop_waiting(t);
                if (run(t, &e) < 0)
                        client_end(t, CLIENT_FAULT, e.text);
                else
                        host_settle(c, h);
        }
        c->is_filling = false;
}

void queue_on_deadline(uv_timer_t *timer) {
        Client *c = timer->data;
        HeapNode *node;

        c->depth++;
        while ((node = heap_first(&c->deadlines)) && node->due <= (int64_t)uv_now(c->loop))
                client_end(CONTAINER_OF(node, Transfer, deadline), CLIENT_CONNECT,
                           "no connection to this host became free in time");
        c->depth--;
        client_drain(c);
}
