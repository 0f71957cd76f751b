/* SPDX-License-Identifier: Apache-2.0 */
#include "net/conn.h"

#include "net/address.h"

#define TLS_HANDSHAKE_BYTE 0x16

static const HttpRefusal too_large = {413, "the body is larger than is accepted here", SIZE_MAX};

static void conn_go(Conn *c);
static void start_reading(Conn *c);

static int64_t now_ms(const Conn *c) {
        return (int64_t)uv_now(&c->server->loop->uv);
}

/* ---- life ---- */

static void release(Conn *c) {
        Server *s = c->server;

        list_remove(&s->conns, &c->link);
        s->gauges.open--;
        buf_done(&c->in);
        buf_done(&c->ahead);
        buf_done(&c->body);
        buf_done(&c->out);
        free(c);
        server_conn_gone(s);
}

static void on_closed(uv_handle_t *h) {
        Conn *c = h->data;

        c->closed = true;
        if (!c->held)
                release(c);
}

/* A handler that still holds the exchange keeps the connection's memory until it answers. */
void conn_close(Conn *c) {
        if (c->state == CONN_CLOSING)
                return;
        c->state = CONN_CLOSING;
        uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void stop_reading(Conn *c) {
        (void)uv_read_stop((uv_stream_t *)&c->tcp);
        c->reading = false;
}

static void enter(Conn *c, ConnState state) {
        const ServerLimits *l = &c->server->limits;
        int64_t now = now_ms(c);

        c->state = state;
        switch (state) {
        case CONN_HEAD:
                c->deadline_ms = now + (c->in.n ? l->head_ms : l->idle_ms);
                break;
        case CONN_BODY:
                c->deadline_ms = now + l->body_ms;
                break;
        case CONN_WRITING:
                c->deadline_ms = now + l->write_ms;
                break;
        case CONN_LINGER:
                c->deadline_ms = now + CONN_LINGER_MS;
                break;
        default:
                c->deadline_ms = INT64_MAX; /* the handler has deadlines of its own */
        }
}

/* ---- answering ---- */

static void on_shutdown(uv_shutdown_t *r, int status) {
        Conn *c = r->data;

        if (status < 0)
                conn_close(c);
}

/* Closing while the other side still sends would reset the connection and take the answer with
 * it: so we say that we are done, and read on for a moment without looking. */
static void linger(Conn *c) {
        enter(c, CONN_LINGER);
        c->shutdown.data = c;
        if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) < 0)
                conn_close(c);
        else
                start_reading(c);
}

static void after_answer(Conn *c) {
        bool over = c->peer_done && c->in.n == 0;

        if (c->unread && !c->peer_done) {
                linger(c);
                return;
        }
        if (!c->keep_alive || over || c->server->draining) {
                conn_close(c);
                return;
        }
        enter(c, CONN_HEAD);
        start_reading(c);
        conn_go(c);
}

static void on_written(uv_write_t *w, int status) {
        Conn *c = w->data;

        if (c->state == CONN_CLOSING)
                return;
        if (status < 0) {
                conn_close(c);
                return;
        }
        after_answer(c);
}

/* Most answers fit into the socket's buffer: then no request of libuv is needed. */
static void send_out(Conn *c) {
        uv_buf_t b = uv_buf_init(c->out.p, (unsigned)c->out.n);
        int n = uv_try_write((uv_stream_t *)&c->tcp, &b, 1);

        if (n == (int)c->out.n) {
                after_answer(c);
                return;
        }
        if (n < 0 && n != UV_EAGAIN) {
                conn_close(c);
                return;
        }
        size_t done = n > 0 ? (size_t)n : 0;
        b = uv_buf_init(c->out.p + done, (unsigned)(c->out.n - done));
        enter(c, CONN_WRITING);
        c->write.data = c;
        if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, on_written) < 0)
                conn_close(c);
}

/* Moves on to what was pipelined behind the answered request. */
static void drop_request(Conn *c) {
        size_t used = c->head_bytes;

        if (c->head.framing == HTTP_LENGTH)
                used += (size_t)c->head.length;
        else if (c->head.framing == HTTP_CHUNKED)
                used = c->decoded;
        if (used > c->in.n)
                used = c->in.n;
        buf_eat(&c->in, used);
        if (c->ahead.n) {
                if (buf_add(&c->in, buf_span(&c->ahead)) < 0)
                        c->keep_alive = false;
                buf_clear(&c->ahead);
        }
        buf_clear(&c->body);
        if (c->in.n == 0 && c->in.cap > 16 * 1024)
                buf_done(&c->in);
        if (c->body.cap > 16 * 1024)
                buf_done(&c->body);
        c->head_bytes = c->decoded = 0;
}

static int write_answer(Conn *c, const HttpAnswer *a) {
        Buf *o = &c->out;
        bool bodyless = a->status == 204 || a->status == 304 || a->status < 200;
        int r;

        buf_clear(o);
        r = buf_addf(o, "HTTP/1.1 %d %s\r\n", a->status, http_status_phrase(a->status));
        if (r == 0 && a->content_type)
                r = buf_addf(o, "Content-Type: %s\r\n", a->content_type);
        if (r == 0 && !bodyless)
                r = buf_addf(o, "Content-Length: %zu\r\n", a->body.n);
        for (size_t i = 0; r == 0 && i < a->n_headers; i++)
                r = buf_addf(o, SPAN_FMT ": " SPAN_FMT "\r\n", SPAN_ARG(a->headers[i].name),
                             SPAN_ARG(a->headers[i].value));
        if (r == 0 && !c->keep_alive)
                r = buf_add(o, SPAN("Connection: close\r\n"));
        else if (r == 0 && c->head.minor == 0)
                r = buf_add(o, SPAN("Connection: keep-alive\r\n"));
        if (r == 0)
                r = buf_add(o, SPAN("\r\n"));
        if (r == 0 && !bodyless && c->head.method != HTTP_HEAD)
                r = buf_add(o, a->body);
        return r;
}

void exchange_answer(Exchange *x, const HttpAnswer *a) {
        Conn *c = x->conn;

        must(!c->answered);
        c->answered = true;
        c->server->gauges.requests++;
        c->held = false;
        if (c->closed) {
                release(c);
                return;
        }
        if (c->state == CONN_CLOSING)
                return;
        if (c->state != CONN_HANDLING && c->head.framing != HTTP_NO_BODY)
                c->unread = true;
        if (a->close || c->unread || c->server->draining)
                c->keep_alive = false;
        if (write_answer(c, a) < 0) {
                conn_close(c);
                return;
        }
        if (c->keep_alive)
                drop_request(c);
        send_out(c);
}

void exchange_refuse(Exchange *x, const HttpRefusal *why) {
        AUTO(buf_done)
        Buf body = BUF(1024);
        HttpHeader more[] = {{SPAN("Allow"), SPAN("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")},
                             {SPAN("Retry-After"), SPAN("1")}};
        HttpAnswer a = {.status = why->status,
                        .content_type = "application/problem+json",
                        .headers = why->status == 503 ? more + 1 : more,
                        .n_headers = why->status == 405 || why->status == 503 ? 1 : 0,
                        .close = true};
        int r = buf_addf(&body, "{\"title\":\"%s\",\"status\":%d,\"detail\":",
                         http_status_phrase(why->status), why->status);

        if (r == 0)
                r = buf_add_json(&body, span_of(why->why));
        if (r == 0 && why->offset != SIZE_MAX)
                r = buf_addf(&body, ",\"offset\":%zu", why->offset);
        if (r == 0)
                r = buf_add_char(&body, '}');
        a.body = r == 0 ? buf_span(&body) : (Span){NULL, 0};
        x->conn->server->gauges.refused++;
        exchange_answer(x, &a);
}

/* Refusing what could not be read: whatever was asked, the answer has a body and ends the talk. */
static void refuse(Conn *c, const HttpRefusal *why) {
        c->answered = false;
        c->unread = true;
        c->head.method = HTTP_POST;
        c->head.minor = 1;
        exchange_refuse(&c->exchange, why);
}

/* ---- reading ---- */

/* What a look at the bytes came to. */
typedef enum Look { LOOK_MORE, LOOK_MOVED } Look;

static void handle(Conn *c) {
        HttpRefusal why;

        /* The buffer may have moved while the body came in: then the head's spans are taken anew.
         */
        if (c->head_at != c->in.p)
                must(http_head_parse((Span){c->in.p, c->head_bytes}, &c->head, &why) > 0);
        enter(c, CONN_HANDLING);
        c->held = true;
        c->server->handler.request(c->server->handler.self, &c->exchange);
}

static Look read_counted(Conn *c) {
        if (c->in.n - c->head_bytes < c->head.length)
                return LOOK_MORE;
        c->exchange.body = (Span){c->in.p + c->head_bytes, (size_t)c->head.length};
        handle(c);
        return LOOK_MOVED;
}

/* What the decoder has eaten is not kept twice. */
static void forget_decoded(Conn *c) {
        size_t left = c->in.n - c->decoded;

        memmove(c->in.p + c->head_bytes, c->in.p + c->decoded, left);
        c->in.n = c->head_bytes + left;
        c->decoded = c->head_bytes;
}

static Look read_chunked(Conn *c) {
        Span rest = span_from(buf_span(&c->in), c->decoded);
        HttpRefusal why;

        for (;;) {
                Span piece = {NULL, 0};
                int r = http_chunked_next(&c->chunked, &rest, &piece, &why);

                c->decoded = c->in.n - rest.n;
                if (r >= 0 && buf_add(&c->body, piece) < 0) {
                        why = too_large;
                        r = -EBADMSG;
                }
                if (r < 0) {
                        refuse(c, &why);
                        return LOOK_MOVED;
                }
                if (r == 1) {
                        c->exchange.body = c->body.n ? buf_span(&c->body) : (Span){"", 0};
                        handle(c);
                        return LOOK_MOVED;
                }
                if (rest.n == 0) {
                        forget_decoded(c);
                        return LOOK_MORE;
                }
        }
}

static bool body_allowed(Conn *c) {
        if (c->head.framing == HTTP_LENGTH && c->head.length > c->exchange.body_max) {
                refuse(c, &too_large);
                return false;
        }
        c->chunked = (HttpChunked){.body_max = c->exchange.body_max};
        c->body.max = c->exchange.body_max;
        c->in.max = HTTP_HEAD_MAX_BYTES + c->exchange.body_max + CONN_READ_BYTES;
        if (c->head.expects_continue && c->head.framing != HTTP_NO_BODY &&
            c->in.n == c->head_bytes) {
                uv_buf_t b = uv_buf_init((char *)"HTTP/1.1 100 Continue\r\n\r\n", 25);

                if (uv_try_write((uv_stream_t *)&c->tcp, &b, 1) != 25) {
                        conn_close(c);
                        return false;
                }
        }
        return true;
}

static Look read_head(Conn *c) {
        HttpRefusal why = {0};
        int n = http_head_parse_more(buf_span(&c->in), &c->mark, &c->head, &why);

        if (n == 0)
                return LOOK_MORE;
        c->mark = (HttpHeadMark){0};
        if (n < 0) {
                refuse(c, &why);
                return LOOK_MOVED;
        }
        c->head_bytes = c->decoded = (size_t)n;
        c->head_at = c->in.p;
        c->keep_alive = c->head.keep_alive;
        c->answered = false;
        c->exchange.head = &c->head;
        c->exchange.body = (Span){"", 0};
        c->exchange.body_max = 0;
        c->exchange.arg = NULL;
        if (!c->server->handler.head(c->server->handler.self, &c->exchange) || !body_allowed(c))
                return LOOK_MOVED;
        if (c->head.framing == HTTP_NO_BODY)
                handle(c);
        else
                enter(c, CONN_BODY);
        return LOOK_MOVED;
}

/* Turns bytes into exchanges until more bytes are needed or an answer is awaited. A loop, not
 * recursion: a thousand pipelined requests take no more stack than one. */
static void conn_go(Conn *c) {
        Look look = LOOK_MOVED;

        if (c->busy)
                return;
        c->busy = true;
        while (look == LOOK_MOVED) {
                if (c->state == CONN_HEAD && c->in.n)
                        look = read_head(c);
                else if (c->state == CONN_BODY)
                        look = c->head.framing == HTTP_LENGTH ? read_counted(c) : read_chunked(c);
                else
                        break;
        }
        c->busy = false;
        if (c->peer_done && (c->state == CONN_HEAD || c->state == CONN_BODY))
                conn_close(c);
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *ret) {
        Conn *c = h->data;

        (void)size;
        *ret = uv_buf_init(c->server->slab, CONN_READ_BYTES);
}

static void on_end(Conn *c) {
        c->peer_done = true;
        if (c->state == CONN_HANDLING || c->state == CONN_WRITING)
                stop_reading(c); /* it may have closed its half only: it still hears the answer */
        else
                conn_close(c);
}

static void on_ahead(Conn *c, Span got) {
        if (buf_add(&c->ahead, got) < 0)
                conn_close(c);
        else if (c->ahead.n >= CONN_AHEAD_MAX_BYTES)
                stop_reading(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b) {
        Conn *c = stream->data;
        Span got = {b->base, n > 0 ? (size_t)n : 0};

        if (n < 0)
                on_end(c);
        if (n <= 0 || c->state == CONN_LINGER)
                return;
        if (c->state == CONN_HANDLING || c->state == CONN_WRITING) {
                on_ahead(c, got);
                return;
        }
        if (c->state == CONN_HEAD && c->in.n == 0) {
                if ((unsigned char)got.p[0] == TLS_HANDSHAKE_BYTE) {
                        conn_close(c);
                        return;
                }
                c->deadline_ms = now_ms(c) + c->server->limits.head_ms;
        }
        if (buf_add(&c->in, got) < 0)
                conn_close(c);
        else
                conn_go(c);
}

static void start_reading(Conn *c) {
        if (c->reading || c->peer_done)
                return;
        c->reading = true;
        if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0)
                conn_close(c);
}

void conn_check_deadline(Conn *c, int64_t now) {
        static const HttpRefusal slow = {408, "the request did not arrive in time", SIZE_MAX};

        if (c->state == CONN_CLOSING || now < c->deadline_ms)
                return;
        c->server->gauges.timed_out++;
        if ((c->state == CONN_HEAD && c->in.n) || c->state == CONN_BODY) {
                refuse(c, &slow);
                return;
        }
        conn_close(c);
}

static Conn *conn_new(Server *s) {
        Conn *c = must_alloc(sizeof *c);

        c->server = s;
        c->in = BUF(HTTP_HEAD_MAX_BYTES + CONN_READ_BYTES);
        c->ahead = BUF(CONN_AHEAD_MAX_BYTES + CONN_READ_BYTES);
        c->body = BUF(0);
        c->out = BUF(64 * 1024 * 1024);
        c->exchange.conn = c;
        link_init(&c->link);
        must(uv_tcp_init(&s->loop->uv, &c->tcp) == 0);
        c->tcp.data = c;
        list_push(&s->conns, &c->link);
        s->gauges.open++;
        return c;
}

int conn_take(Server *s, int fd) {
        Conn *c = conn_new(s);
        int r = uv_tcp_open(&c->tcp, fd);

        if (r < 0) {
                conn_close(c);
                return r;
        }
        s->gauges.accepted++;
        enter(c, CONN_HEAD);
        start_reading(c);
        return 0;
}

void conn_open(Server *s) {
        Conn *c = conn_new(s);
        struct sockaddr_storage peer;
        int n = sizeof peer;

        if (uv_accept((uv_stream_t *)&s->listener, (uv_stream_t *)&c->tcp) < 0) {
                conn_close(c);
                return;
        }
        s->gauges.accepted++;
        (void)uv_tcp_nodelay(&c->tcp, 1);
        if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &n) == 0)
                address_print((struct sockaddr *)&peer, c->exchange.peer);
        enter(c, CONN_HEAD);
        if (s->gauges.open > s->limits.connections_max) {
                static const HttpRefusal full = {503, "too many connections: try again soon",
                                                 SIZE_MAX};
                s->gauges.turned_away++;
                refuse(c, &full);
                return;
        }
        start_reading(c);
}
