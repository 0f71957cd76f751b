/* SPDX-License-Identifier: Apache-2.0
 *
 * The front door in one thread: a server on a loop that the test turns by hand, and a client
 * socket beside it. How the bytes arrive must change neither the answer nor the work. */
#include "net/server.h"

#include "base/buf.h"
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAITS_MAX = 20000 /* of 1 ms */, LIMIT_MS = 60000 };

/* ---- what the reader of heads was asked to look at (meson.build wraps it) ---- */

static size_t looked, looks;

int __real_http_head_parse_more(Span in, HttpHeadMark *m, HttpHead *ret, HttpRefusal *refusal);
int __wrap_http_head_parse_more(Span in, HttpHeadMark *m, HttpHead *ret, HttpRefusal *refusal);
int __wrap_http_head_parse_more(Span in, HttpHeadMark *m, HttpHead *ret, HttpRefusal *refusal) {
        looked += in.n - m->run;
        looks++;
        return __real_http_head_parse_more(in, m, ret, refusal);
}

/* ---- a door that echoes ---- */

typedef struct Door {
        Loop loop;
        Server *server;
} Door;

static bool on_head(void *self, Exchange *x) {
        (void)self;
        x->body_max = 4096;
        return true;
}

/* The path, the number of headers and the body: what was understood. */
static void on_request(void *self, Exchange *x) {
        AUTO(buf_done)
        Buf b = BUF(1 << 20);

        (void)self;
        must(buf_add(&b, x->head->path) == 0);
        for (size_t i = 0; i < x->head->n_headers; i++)
                must(buf_add_char(&b, '|') == 0 && buf_add(&b, x->head->headers[i].name) == 0 &&
                     buf_add_char(&b, '=') == 0 && buf_add(&b, x->head->headers[i].value) == 0);
        must(buf_addf(&b, "|%zu|", x->body.n) == 0 && buf_add(&b, x->body) == 0);
        exchange_answer(x, &(HttpAnswer){.status = 200, .body = buf_span(&b)});
}

static void door_open(Door *d) {
        ServerLimits limits = {.connections_max = 10,
                               .head_ms = LIMIT_MS,
                               .body_ms = LIMIT_MS,
                               .idle_ms = LIMIT_MS,
                               .write_ms = LIMIT_MS};
        ServerHandler handler = {.head = on_head, .request = on_request};

        must(loop_init(&d->loop, 0, NULL) == 0);
        must(server_open(&d->loop, "127.0.0.1", 0, &limits, &handler, &d->server, NULL) == 0);
}

static void door_close(Door *d) {
        server_close(d->server, NULL, NULL);
        loop_stop(&d->loop);
        loop_run(&d->loop);
        loop_done(&d->loop);
}

static int door_dial(Door *d) {
        struct sockaddr_in at = {.sin_family = AF_INET,
                                 .sin_port = htons(server_port(d->server)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

        must(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
        must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
        return fd;
}

/* What was sent over loopback lies at the door when send() returns: a few turns take it in. */
static void door_turn(Door *d) {
        for (int i = 0; i < 3; i++)
                (void)uv_run(&d->loop.uv, UV_RUN_NOWAIT);
}

static void door_send(Door *d, int fd, Span s) {
        must(send(fd, s.p, s.n, MSG_NOSIGNAL) == (ssize_t)s.n);
        door_turn(d);
}

/* Everything up to the end of the connection. */
static void door_hear(Door *d, int fd, Buf *out) {
        for (int i = 0; i < WAITS_MAX; i++) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                char *at;

                (void)poll(&p, 1, 1);
                (void)uv_run(&d->loop.uv, UV_RUN_NOWAIT);
                must(buf_room(out, 65536, &at) == 0);
                ssize_t n = recv(fd, at, 65536, MSG_DONTWAIT);
                if (n == 0 || (n < 0 && errno != EAGAIN))
                        return;
                if (n > 0)
                        out->n += (size_t)n;
        }
        fail_msg("the connection stays open after " SPAN_FMT, SPAN_ARG(buf_span(out)));
}

/* ---- tests ---- */

static void a_trickled_head_costs_what_a_whole_one_costs(void **state) {
        AUTO(buf_done)
        Buf in = BUF(1 << 20), answer = BUF(1 << 20);
        Door d = {0};
        int fd;

        (void)state;
        door_open(&d);
        must(buf_add(&in, SPAN("GET /")) == 0);
        while (in.n < 8000)
                must(buf_add_char(&in, 'y') == 0);
        must(buf_add(&in, SPAN(" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nLong: ")) == 0);
        while (in.n < 24000)
                must(buf_add_char(&in, 'z') == 0);
        for (int i = 0; i < 90; i++)
                must(buf_addf(&in, "\r\nX-%d: %80s", i, "y") == 0);
        must(buf_add(&in, SPAN("\r\n\r\n")) == 0);
        assert_in_range(in.n, 31000, HTTP_HEAD_MAX_BYTES);

        looked = looks = 0;
        fd = door_dial(&d);
        for (size_t i = 0; i < in.n; i++)
                door_send(&d, fd, (Span){in.p + i, 1});
        door_hear(&d, fd, &answer);
        assert_true(span_starts(buf_span(&answer), SPAN("HTTP/1.1 200 OK\r\n")));
        assert_true(looks > in.n / 2); /* it did come in pieces */
        /* A method of three bytes and a version of eight are looked at again while they come. */
        assert_true(looked < 2 * in.n);
        close(fd);
        door_close(&d);
}

static void ask(Door *d, Span request, size_t piece, size_t first, Buf *answer) {
        int fd = door_dial(d);

        buf_clear(answer);
        if (first)
                door_send(d, fd, (Span){request.p, first});
        for (size_t i = first; i < request.n; i += piece)
                door_send(d, fd,
                          (Span){request.p + i, request.n - i < piece ? request.n - i : piece});
        door_hear(d, fd, answer);
        close(fd);
}

static void the_cut_changes_nothing(void **state) {
        static const char *const requests[] = {
                "POST /in/a?b=c HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: "
                "5\r\n\r\nhello",
                "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: "
                "chunked\r\n\r\n3\r\nabc\r\n2;e=f\r\nde\r\n0\r\nTrailer: dropped\r\n\r\n",
                "\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: "
                "b\r\nContent-Length: 1\r\n\r\nxGET /3 HTTP/1.0\r\n\r\n",
                "GET /good HTTP/1.1\r\nHost: a\r\n\r\nGET /bad HTTP/1.1\r\nHost : a\r\n\r\nGET /",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
        };
        AUTO(buf_done)
        Buf whole = BUF(1 << 20), cut = BUF(1 << 20);
        Door d = {0};

        (void)state;
        door_open(&d);
        for (size_t i = 0; i < COUNT_OF(requests); i++) {
                Span request = span_of(requests[i]);

                ask(&d, request, request.n, 0, &whole);
                assert_true(span_starts(buf_span(&whole), SPAN("HTTP/1.1 ")));
                for (size_t at = 0; at <= request.n; at++) {
                        /* At 0: byte by byte. */
                        ask(&d, request, at ? request.n : 1, at, &cut);
                        if (!span_eq(buf_span(&cut), buf_span(&whole)))
                                fail_msg("request %zu cut at %zu: " SPAN_FMT, i, at,
                                         SPAN_ARG(buf_span(&cut)));
                }
        }
        door_close(&d);
}

static void whoever_waits_for_100_hears_it_once(void **state) {
        static const char head[] = "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                   "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        AUTO(buf_done)
        Buf answer = BUF(1 << 20);
        char got[64] = "";
        Door d = {0};
        int fd;

        (void)state;
        door_open(&d);
        fd = door_dial(&d);
        door_send(&d, fd, span_of(head));
        assert_int_equal(recv(fd, got, sizeof got, MSG_DONTWAIT), 25);
        assert_memory_equal(got, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        door_send(&d, fd, SPAN("{}"));
        door_hear(&d, fd, &answer);
        assert_true(span_starts(buf_span(&answer), SPAN("HTTP/1.1 200 OK\r\n")));
        close(fd);

        /* A body that is already there needs no invitation. */
        buf_clear(&answer);
        fd = door_dial(&d);
        door_send(&d, fd,
                  SPAN("POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                       "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"));
        door_hear(&d, fd, &answer);
        assert_true(span_starts(buf_span(&answer), SPAN("HTTP/1.1 200 OK\r\n")));
        close(fd);
        door_close(&d);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_trickled_head_costs_what_a_whole_one_costs),
                cmocka_unit_test(the_cut_changes_nothing),
                cmocka_unit_test(whoever_waits_for_100_hears_it_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
