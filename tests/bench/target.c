/* SPDX-License-Identifier: Apache-2.0
 *
 * The other side of what is measured: an HTTP/1.1 server that plays the identity service, the
 * commercial service and the receivers of webhooks (routes.h). One thread, one epoll, the least
 * work per request, so that the figures are those of the programs between generator and target.
 *
 *     bench_target [--port N] [--hang-s 30]
 *
 * Prints "listening on 127.0.0.1:PORT", runs until SIGTERM, and then prints one line of JSON: how
 * many requests each route had, and how long webhooks took from the moment in their body
 * ("sent_ns", webhook.h) to their arrival here; those that hang are not in that. */
#include "histogram.h"
#include "loopback.h"
#include "message.h"
#include "moment.h"
#include "routes.h"
#include "webhook.h"

#include "base/list.h"

#include <getopt.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { TURN_MAX = 256, HEAD_BYTES = 256, ACCEPTS_MAX = 64 };

typedef struct Peer {
        int fd;
        Buf in;
        Link hanging; /* it has asked and will be answered later */
        int64_t until_ns;
} Peer;

typedef struct Target {
        int epoll, listener;
        int64_t hang_ns;
        List hanging; /* by until_ns, as all hang for equally long */
        uint64_t counts[ROUTES], connections, bad;
        Histogram arrivals;
        Buf body, out;
} Target;

static volatile sig_atomic_t stopping;

static void on_signal(int number) {
        (void)number;
        stopping = 1;
}

static void peer_close(Target *t, Peer *p) {
        if (link_on(&p->hanging))
                list_remove(&t->hanging, &p->hanging);
        close(p->fd);
        buf_done(&p->in);
        free(p);
}

static void summary(const Target *t, Buf *out) {
        must(buf_addf(out, "{\"connections\":%" PRIu64 ",\"bad\":%" PRIu64, t->connections,
                      t->bad) == 0);
        for (Route r = 0; r < ROUTES; r++)
                must(buf_addf(out, ",\"%s\":%" PRIu64, route_name(r), t->counts[r]) == 0);
        must(buf_add(out, SPAN(",\"arrivals\":")) == 0 && histogram_print(&t->arrivals, out) == 0 &&
             buf_add_char(out, '}') == 0);
}

static int answer(Target *t, const Peer *p, const char *status, Span body) {
        buf_clear(&t->out);
        must(buf_addf(
                     &t->out,
                     "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                     status, body.n) == 0 &&
             buf_add(&t->out, body) == 0);
        return loopback_send(p->fd, buf_span(&t->out));
}

static void hang(Target *t, Peer *p) {
        p->until_ns = now_ns() + t->hang_ns;
        list_push(&t->hanging, &p->hanging);
}

/* 0, or a fault after which the peer goes. */
static int on_request(Target *t, Peer *p, const Message *m) {
        int64_t sent_ns;

        buf_clear(&t->body);
        Route r = route_answer(m->line, &t->body);
        t->counts[r] += r != ROUTE_SUMMARY;
        switch (r) {
        case ROUTE_HANG:
                hang(t, p);
                return 0;
        case ROUTE_SINK:
                sent_ns = webhook_sent_ns(m->body);
                if (sent_ns >= 0)
                        histogram_add(&t->arrivals, now_ns() - sent_ns);
                break;
        case ROUTE_SUMMARY:
                summary(t, &t->body);
                break;
        default:
                break;
        }
        return answer(t, p,
                      r == ROUTE_UNKNOWN ? "404 Not Found"
                      : r == ROUTE_BUSY  ? "503 Busy"
                                         : "200 OK",
                      buf_span(&t->body));
}

/* Answers whatever has come whole. A peer that hangs is not read on. */
static int read_requests(Target *t, Peer *p) {
        Message m;
        int n = 0;

        while (!link_on(&p->hanging) && (n = message_read(buf_span(&p->in), &m)) > 0) {
                int r = on_request(t, p, &m);

                if (r < 0)
                        return r;
                buf_eat(&p->in, (size_t)n);
        }
        if (n < 0)
                t->bad++;
        return n;
}

static void on_readable(Target *t, Peer *p) {
        int r = loopback_read(p->fd, &p->in);

        if (r == -EAGAIN)
                return;
        if (r < 0 || read_requests(t, p) < 0)
                peer_close(t, p);
}

static void on_connection(Target *t) {
        for (int i = 0; i < ACCEPTS_MAX; i++) {
                struct epoll_event ev = {.events = EPOLLIN};
                int fd = loopback_accept(t->listener);

                if (fd < 0)
                        return;
                Peer *p = must_alloc(sizeof *p);
                *p = (Peer){.fd = fd, .in = BUF(2 * MESSAGE_MAX_BYTES)};
                ev.data.ptr = p;
                must(epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &ev) == 0);
                t->connections++;
        }
}

/* Answers those who have hung for long enough; gives the milliseconds to the next, -1 for none. */
static int release(Target *t) {
        for (Link *first; (first = list_first(&t->hanging));) {
                Peer *p = CONTAINER_OF(first, Peer, hanging);
                int64_t left = p->until_ns - now_ns();

                if (left > 0)
                        return (int)(left / 1000000) + 1;
                list_remove(&t->hanging, &p->hanging);
                if (answer(t, p, "200 OK", SPAN("{}")) < 0 || read_requests(t, p) < 0)
                        peer_close(t, p);
        }
        return -1;
}

static void run(Target *t, const sigset_t *mask) {
        struct epoll_event ready[TURN_MAX];

        while (!stopping) {
                int n = epoll_pwait(t->epoll, ready, TURN_MAX, release(t), mask);

                must(n >= 0 || errno == EINTR);
                for (int i = 0; i < n; i++)
                        if (ready[i].data.ptr)
                                on_readable(t, ready[i].data.ptr);
                        else
                                on_connection(t);
        }
}

/* SIGTERM is let in only while we wait, so that none is missed. */
static void hear_signals(sigset_t *ret_mask) {
        struct sigaction act = {.sa_handler = on_signal};
        sigset_t term;

        must(sigemptyset(&term) == 0 && sigaddset(&term, SIGTERM) == 0 &&
             sigaddset(&term, SIGINT) == 0 && sigprocmask(SIG_BLOCK, &term, ret_mask) == 0 &&
             sigaction(SIGTERM, &act, NULL) == 0 && sigaction(SIGINT, &act, NULL) == 0);
}

static bool read_options(int argc, char **argv, uint64_t *port, uint64_t *hang_s) {
        static const struct option names[] = {
                {"port", 1, NULL, 'p'}, {"hang-s", 1, NULL, 'h'}, {0}};

        for (int which; (which = getopt_long(argc, argv, "", names, NULL)) != -1;)
                if (!(which == 'p' && span_to_u64(span_of(optarg), 65535, port)) &&
                    !(which == 'h' && span_to_u64(span_of(optarg), 3600, hang_s)))
                        return false;
        return optind == argc;
}

int main(int argc, char **argv) {
        static Target t;
        struct epoll_event ev = {.events = EPOLLIN};
        uint64_t wanted = 0, hang_s = 30;
        uint16_t port = 0;
        sigset_t mask;
        Err e = {0};

        if (!read_options(argc, argv, &wanted, &hang_s)) {
                (void)fprintf(stderr, "usage: bench_target [--port N] [--hang-s N]\n");
                return 2;
        }
        hear_signals(&mask);
        t.hang_ns = (int64_t)hang_s * 1000000000;
        t.body = BUF(ROUTE_BODY_MAX_BYTES);
        t.out = BUF(ROUTE_BODY_MAX_BYTES + HEAD_BYTES);
        list_init(&t.hanging);
        t.epoll = epoll_create1(EPOLL_CLOEXEC);
        t.listener = loopback_listen((uint16_t)wanted, &port, &e);
        if (t.listener < 0) {
                (void)fprintf(stderr, "target: %s\n", e.text);
                return 1;
        }
        must(t.epoll >= 0 && epoll_ctl(t.epoll, EPOLL_CTL_ADD, t.listener, &ev) == 0);
        printf("listening on 127.0.0.1:%u\n", port);
        (void)fflush(stdout);
        run(&t, &mask);
        buf_clear(&t.body);
        summary(&t, &t.body);
        printf(SPAN_FMT "\n", SPAN_ARG(buf_span(&t.body)));
        return 0;
}
