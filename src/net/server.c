/* SPDX-License-Identifier: Apache-2.0 */
#include "net/server.h"

#include "net/conn.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#define BACKLOG 1024

static int address_read(const char *host, uint16_t port, struct sockaddr_storage *ret, Err *e) {
        if (uv_ip4_addr(host, port, (struct sockaddr_in *)ret) == 0 ||
            uv_ip6_addr(host, port, (struct sockaddr_in6 *)ret) == 0)
                return 0;
        return FAIL(e, -EINVAL, "cannot listen on '%s': give a numeric address", host);
}

/* Bound by hand, as libuv 1.44 knows no SO_REUSEPORT. `shared` joins the other loops' sockets;
 * the first loop asks without it, so that a second daemon on the port is told, not joined. */
static int bound_socket(const char *host, uint16_t port, bool shared, Err *e) {
        struct sockaddr_storage at = {0};
        int on = 1, fd, r;

        r = address_read(host, port, &at, e);
        if (r < 0)
                return r;
        fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return FAIL(e, -errno, "socket: %s", strerror(errno));
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
            (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
            bind(fd, (struct sockaddr *)&at,
                 at.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in)) < 0) {
                r = FAIL(e, -errno, "cannot listen on %s port %u: %s", host, port, strerror(errno));
                close(fd);
                return r;
        }
        return fd;
}

static void on_connection(uv_stream_t *listener, int status) {
        Server *s = listener->data;

        if (status == 0)
                conn_open(s);
}

static void on_sweep(uv_timer_t *t) {
        Server *s = t->data;
        int64_t now = (int64_t)uv_now(&s->loop->uv);

        LIST_EACH(&s->conns, it)
        conn_check_deadline(CONTAINER_OF(it, Conn, link), now);
}

static uint16_t port_of(const uv_tcp_t *tcp) {
        struct sockaddr_storage at = {0};
        int n = sizeof at;

        if (uv_tcp_getsockname(tcp, (struct sockaddr *)&at, &n) < 0)
                return 0;
        return ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                              : ((struct sockaddr_in *)&at)->sin_port);
}

static void finish(Server *s) {
        if (!s->closing || s->handles > 0 || s->conns.n > 0)
                return;
        if (s->closed)
                s->closed(s->closed_arg);
        free(s->slab);
        free(s);
}

static void on_handle_closed(uv_handle_t *h) {
        Server *s = h->data;

        s->handles--;
        finish(s);
}

void server_conn_gone(Server *s) {
        finish(s);
}

Server *server_new(Loop *loop, const ServerLimits *limits, const ServerHandler *handler) {
        Server *s = must_alloc(sizeof *s);

        s->loop = loop;
        s->limits = *limits;
        s->handler = *handler;
        s->slab = must_alloc(CONN_READ_BYTES);
        list_init(&s->conns);
        must(uv_timer_init(&loop->uv, &s->sweep) == 0);
        s->sweep.data = s;
        s->handles = 1;
        must(uv_timer_start(&s->sweep, on_sweep, CONN_SWEEP_MS, CONN_SWEEP_MS) == 0);
        return s;
}

int server_give(Server *s, int fd) {
        return conn_take(s, fd);
}

int server_open(Loop *loop, const char *host, uint16_t port, const ServerLimits *limits,
                const ServerHandler *handler, Server **ret, Err *e) {
        int fd;

        if (loop->index == 0 && port != 0) {
                fd = bound_socket(host, port, false, e);
                if (fd < 0)
                        return fd;
                close(fd);
        }
        fd = bound_socket(host, port, true, e);
        if (fd < 0)
                return fd;

        Server *s = server_new(loop, limits, handler);
        must(uv_tcp_init(&loop->uv, &s->listener) == 0);
        s->listener.data = s;
        s->handles++;
        s->listener_open = true;
        int r = uv_tcp_open(&s->listener, fd);
        if (r == 0)
                r = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection);
        if (r < 0) {
                server_close(s, NULL, NULL);
                return FAIL(e, r, "cannot listen on %s port %u: %s", host, port, uv_strerror(r));
        }
        s->port = port_of(&s->listener);
        *ret = s;
        return 0;
}

uint16_t server_port(const Server *s) {
        return s->port;
}

static void close_listener(Server *s) {
        if (!s->listener_open)
                return;
        s->listener_open = false;
        uv_close((uv_handle_t *)&s->listener, on_handle_closed);
}

void server_drain(Server *s) {
        s->draining = true;
        close_listener(s);
        LIST_EACH(&s->conns, it) {
                Conn *c = CONTAINER_OF(it, Conn, link);

                if (c->state == CONN_HEAD && c->in.n == 0)
                        conn_close(c);
        }
}

bool server_idle(const Server *s) {
        return s->conns.n == 0;
}

void server_close(Server *s, void (*closed)(void *arg), void *arg) {
        must(!s->closing);
        s->closing = true;
        s->closed = closed;
        s->closed_arg = arg;
        close_listener(s);
        uv_close((uv_handle_t *)&s->sweep, on_handle_closed);
        LIST_EACH(&s->conns, it)
        conn_close(CONTAINER_OF(it, Conn, link));
}

ServerGauges server_gauges(const Server *s) {
        return s->gauges;
}
