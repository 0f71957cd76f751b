/* SPDX-License-Identifier: Apache-2.0
 *
 * A loop with a client on it, and calls whose answers are kept. A guard ends a test that hangs. */
#pragma once

#include "net/client.h"
#include "peer.h"

#include <signal.h>

enum { DESK_GUARD_MS = 30000 };

typedef struct Desk {
        uv_loop_t loop;
        uv_timer_t guard;
        Client *client;
        NetworkList allow; /* loopback */
        bool is_closed;
} Desk;

typedef struct Asked {
        ClientCall call;
        uv_loop_t *loop;
        char url[128];
        unsigned done; /* how often */
        ClientAnswer answer;
        Buf head, body; /* "name: value\n"... */
} Asked;

static inline void desk_on_guard(uv_timer_t *guard) {
        (void)guard;
        fail_msg("nothing more happened");
}

static inline Desk *desk_new(const ClientLimits *limits) {
        Desk *d = must_alloc(sizeof *d);

        signal(SIGPIPE, SIG_IGN);
        must(uv_loop_init(&d->loop) == 0);
        must(uv_timer_init(&d->loop, &d->guard) == 0);
        must(uv_timer_start(&d->guard, desk_on_guard, DESK_GUARD_MS, 0) == 0);
        must(network_parse(SPAN("127.0.0.0/8"), &d->allow.item[0], NULL) == 0);
        must(network_parse(SPAN("::1/128"), &d->allow.item[1], NULL) == 0);
        d->allow.n = 2;
        must(client_new(&d->loop, limits, &d->client, NULL) == 0);
        return d;
}

static inline void desk_on_closed(void *is_closed) {
        *(bool *)is_closed = true;
}

static inline void desk_free(Desk *d) {
        if (d->client)
                client_close(d->client, desk_on_closed, &d->is_closed);
        uv_close((uv_handle_t *)&d->guard, NULL);
        while (uv_run(&d->loop, UV_RUN_DEFAULT))
                ;
        assert_true(d->is_closed);
        assert_int_equal(uv_loop_close(&d->loop), 0);
        free(d);
}

static inline void asked_on_done(ClientCall *call, const ClientAnswer *answer) {
        Asked *a = CONTAINER_OF(call, Asked, call);

        a->done++;
        uv_stop(a->loop); /* else a turn of the loop that began with this call goes to sleep */
        a->answer = *answer;
        for (size_t i = 0; i < answer->n_headers; i++)
                must(buf_add(&a->head, answer->headers[i].name) == 0 &&
                     buf_add(&a->head, SPAN(": ")) == 0 &&
                     buf_add(&a->head, answer->headers[i].value) == 0 &&
                     buf_add_char(&a->head, '\n') == 0);
        must(buf_add(&a->body, answer->body) == 0);
        a->answer.headers = NULL;
        a->answer.body = buf_span(&a->body);
}

static inline void asked_init(Asked *a, Desk *d, const char *method, int port) {
        *a = (Asked){.loop = &d->loop, .head = BUF(1 << 20), .body = BUF(1 << 24)};
        (void)snprintf(a->url, sizeof a->url, "http://127.0.0.1:%d/there?a=b", port);
        a->call = (ClientCall){.method = method,
                               .url = a->url,
                               .allow = &d->allow,
                               .done = asked_on_done,
                               .timeout_ms = PEER_WAIT_S * 1000};
}

static inline void asked_done(Asked *a) {
        buf_done(&a->head);
        buf_done(&a->body);
}

static inline void desk_start(Desk *d, Asked *a) {
        Err e = {0};

        a->done = 0;
        buf_clear(&a->head);
        buf_clear(&a->body);
        if (client_start(d->client, &a->call, &e) < 0)
                fail_msg("%s", e.text);
        assert_int_equal(a->done, 0);
}

static inline void desk_wait(Desk *d, const Asked *a) {
        while (!a->done)
                (void)uv_run(&d->loop, UV_RUN_ONCE);
        assert_int_equal(a->done, 1);
}

static inline void desk_ask(Desk *d, Asked *a) {
        desk_start(d, a);
        desk_wait(d, a);
}
