/* SPDX-License-Identifier: Apache-2.0
 *
 * The load generator: POSTs webhooks over kept connections to a port of this machine and prints
 * one line of JSON about the answers. One thread, one epoll.
 *
 *     bench_load --port N [--path /in/shop] [--connections 32] [--seconds 3] [--count N]
 *                [--rate N] [--bytes 0] [--subjects 10000] [--message]
 *
 * Without --rate the loop is closed: each connection sends as soon as it is answered, and a latency
 * counts from the sending. With --rate the loop is open: message n is due n/rate seconds after the
 * start whatever the answers do, and its latency counts from that moment, so that a receiver that
 * stalls is charged for all who had to wait. BENCH_SECRET ("whsec_...") in the environment signs.
 *
 * Whatever was not answered DRAIN_S after the end counts as unanswered, a connection that closes
 * while it owes an answer as broken. Exit status 0 when every message was answered by a 2xx. */
#include "histogram.h"
#include "loopback.h"
#include "message.h"
#include "moment.h"
#include "webhook.h"

#include "base/list.h"

#include <getopt.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4096, TURN_MAX = 256, DRAIN_S = 10 };

#define SECOND_NS 1000000000

typedef struct Options {
        uint64_t port, connections, seconds, count, rate, bytes, subjects;
        const char *path;
        bool message; /* each is the payload of a message to the sending API */
} Options;

/* A connection: it carries one message at a time, or is on the list of the idle. */
typedef struct Line {
        int fd; /* -1: to be dialled when it is needed */
        Buf in;
        Link idle;
        int64_t since_ns; /* when what it carries was sent, or was due */
} Line;

typedef struct Load {
        Options o;
        Webhook webhook;
        int epoll;
        Line *lines;
        List idle;
        Buf out;
        int64_t start_ns, end_ns, last_ns; /* the last answer */
        uint64_t sent, answered, good, broken;
        int first_bad; /* a status that was no 2xx */
        Histogram latencies;
} Load;

/* ---- sending ---- */

static void line_open(Load *l, Line *line) {
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = line};
        Err e = {0};

        line->fd = loopback_dial((uint16_t)l->o.port, &e);
        if (line->fd < 0) {
                (void)fprintf(stderr, "load: %s\n", e.text);
                exit(1);
        }
        must(epoll_ctl(l->epoll, EPOLL_CTL_ADD, line->fd, &ev) == 0);
}

static void line_close(Load *l, Line *line) {
        if (!link_on(&line->idle)) {
                l->broken++;
                list_push(&l->idle, &line->idle);
        }
        close(line->fd);
        line->fd = -1;
        buf_clear(&line->in);
}

static int64_t due_ns(const Load *l, uint64_t number) {
        return l->start_ns + (int64_t)(number * SECOND_NS / l->o.rate);
}

/* Is there a message to send now? */
static bool wants_to_send(const Load *l, int64_t now) {
        if (l->o.count && l->sent >= l->o.count)
                return false;
        if (l->o.rate)
                return due_ns(l, l->sent) <= now && due_ns(l, l->sent) < l->end_ns;
        return now < l->end_ns;
}

static void send_one(Load *l, int64_t now) {
        Line *line = CONTAINER_OF(list_pop(&l->idle), Line, idle);

        if (line->fd < 0)
                line_open(l, line);
        line->since_ns = l->o.rate ? due_ns(l, l->sent) : now;
        webhook_make(&l->webhook, l->sent, now, &l->out);
        l->sent++;
        if (loopback_send(line->fd, buf_span(&l->out)) < 0)
                line_close(l, line);
}

/* ---- answers ---- */

static void on_answer(Load *l, Line *line, const Message *m) {
        int status = message_status(m->line);

        l->last_ns = now_ns();
        l->answered++;
        histogram_add(&l->latencies, l->last_ns - line->since_ns);
        if (status >= 200 && status < 300)
                l->good++;
        else if (!l->first_bad)
                l->first_bad = status;
        /* The warmest first: at a low rate few connections do all of the work. */
        list_push_front(&l->idle, &line->idle);
}

static void on_readable(Load *l, Line *line) {
        Message m;
        int r = loopback_read(line->fd, &line->in);

        if (r == -EAGAIN)
                return;
        int n = r < 0 ? r : message_read(buf_span(&line->in), &m);
        if (n < 0 || (n > 0 && link_on(&line->idle))) { /* an answer nobody asked for */
                line_close(l, line);
                return;
        }
        if (n > 0) {
                on_answer(l, line, &m);
                buf_eat(&line->in, (size_t)n);
        }
}

/* ---- the run ---- */

/* Until when to sleep if nothing happens. */
static int64_t next_ns(const Load *l) {
        bool more = !l->o.count || l->sent < l->o.count;

        if (l->o.rate && more && due_ns(l, l->sent) < l->end_ns && l->idle.n > 0)
                return due_ns(l, l->sent);
        return l->end_ns + (int64_t)DRAIN_S * SECOND_NS;
}

static bool is_over(const Load *l, int64_t now) {
        bool all_sent = (l->o.count && l->sent >= l->o.count) ||
                        (l->o.rate ? due_ns(l, l->sent) >= l->end_ns : now >= l->end_ns);

        return (all_sent && l->idle.n == l->o.connections) ||
               now >= l->end_ns + (int64_t)DRAIN_S * SECOND_NS;
}

static void run(Load *l) {
        struct epoll_event ready[TURN_MAX];
        int64_t now = now_ns();

        l->start_ns = l->last_ns = now;
        l->end_ns = now + (int64_t)l->o.seconds * SECOND_NS;
        while (!is_over(l, now)) {
                while (l->idle.n > 0 && wants_to_send(l, now)) {
                        send_one(l, now);
                        now = now_ns();
                }
                int64_t wait = next_ns(l) - now;
                struct timespec t = {wait > 0 ? wait / SECOND_NS : 0,
                                     wait > 0 ? wait % SECOND_NS : 0};
                int n = epoll_pwait2(l->epoll, ready, TURN_MAX, &t, NULL);

                must(n >= 0 || errno == EINTR);
                for (int i = 0; i < n; i++)
                        on_readable(l, ready[i].data.ptr);
                now = now_ns();
        }
}

static void report(const Load *l) {
        AUTO(buf_done)
        Buf latencies = BUF(HISTOGRAM_PRINT_MAX_BYTES);
        double seconds = (double)(l->last_ns - l->start_ns) / SECOND_NS;

        must(histogram_print(&l->latencies, &latencies) == 0 && buf_add_char(&latencies, 0) == 0);
        printf("{\"sent\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"good\":%" PRIu64
               ",\"broken\":%" PRIu64 ",\"unanswered\":%" PRIu64
               ",\"first_bad\":%d,\"seconds\":%.3f,\"per_second\":%.1f,\"latency\":%s}\n",
               l->sent, l->answered, l->good, l->broken, l->sent - l->answered - l->broken,
               l->first_bad, seconds, seconds > 0 ? (double)l->answered / seconds : 0.0,
               latencies.p);
}

static void begin(Load *l) {
        Err e = {0};

        if (webhook_init(&l->webhook, l->o.path, l->o.subjects, l->o.bytes, getenv("BENCH_SECRET"),
                         &e) < 0) {
                (void)fprintf(stderr, "load: %s\n", e.text);
                exit(2);
        }
        l->webhook.wraps = l->o.message;
        l->epoll = epoll_create1(EPOLL_CLOEXEC);
        must(l->epoll >= 0);
        /* At 1,000/s a timer that is 50 us late, as is usual, would be in the figures. */
        must(prctl(PR_SET_TIMERSLACK, 1) == 0);
        l->lines = must_alloc(l->o.connections * sizeof *l->lines);
        l->out = BUF(WEBHOOK_BODY_MAX_BYTES + MESSAGE_HEAD_MAX_BYTES);
        list_init(&l->idle);
        for (size_t i = 0; i < l->o.connections; i++) {
                l->lines[i] = (Line){.in = BUF(2 * MESSAGE_MAX_BYTES)};
                list_push(&l->idle, &l->lines[i].idle);
                line_open(l, &l->lines[i]);
        }
}

static void end(Load *l) {
        for (size_t i = 0; i < l->o.connections; i++) {
                if (l->lines[i].fd >= 0)
                        close(l->lines[i].fd);
                buf_done(&l->lines[i].in);
        }
        free(l->lines);
        buf_done(&l->out);
        webhook_done(&l->webhook);
        close(l->epoll);
}

/* ---- options ---- */

typedef struct Number {
        uint64_t *to, min, max;
} Number;

static bool read_options(int argc, char **argv, Options *o) {
        enum { PORT, CONNECTIONS, SECONDS, COUNT, RATE, BYTES, SUBJECTS, PATH, MESSAGE };
        static const struct option names[] = {
                {"port", 1, NULL, PORT},         {"connections", 1, NULL, CONNECTIONS},
                {"seconds", 1, NULL, SECONDS},   {"count", 1, NULL, COUNT},
                {"rate", 1, NULL, RATE},         {"bytes", 1, NULL, BYTES},
                {"subjects", 1, NULL, SUBJECTS}, {"path", 1, NULL, PATH},
                {"message", 0, NULL, MESSAGE},   {0}};
        const Number numbers[] = {
                [PORT] = {&o->port, 1, 65535},
                [CONNECTIONS] = {&o->connections, 1, CONNECTIONS_MAX},
                [SECONDS] = {&o->seconds, 1, 3600},
                [COUNT] = {&o->count, 1, UINT32_MAX},
                [RATE] = {&o->rate, 1, 1000000},
                [BYTES] = {&o->bytes, 0, WEBHOOK_BODY_MAX_BYTES - 1024},
                [SUBJECTS] = {&o->subjects, 1, 9999999},
        };

        for (int which; (which = getopt_long(argc, argv, "", names, NULL)) != -1;) {
                if (which == PATH) {
                        o->path = optarg;
                        continue;
                }
                if (which == MESSAGE) {
                        o->message = true;
                        continue;
                }
                if (which < 0 || which >= (int)COUNT_OF(numbers) ||
                    !span_to_u64(span_of(optarg), numbers[which].max, numbers[which].to) ||
                    *numbers[which].to < numbers[which].min)
                        return false;
        }
        return o->port > 0 && optind == argc;
}

int main(int argc, char **argv) {
        static Load l = {.o = {.connections = 32, .seconds = 3, .subjects = 10000, .path = "/"}};

        if (!read_options(argc, argv, &l.o)) {
                (void)fprintf(stderr, "usage: see the head of tests/bench/load.c\n");
                return 2;
        }
        begin(&l);
        run(&l);
        report(&l);
        bool good = l.good == l.sent;
        end(&l);
        return good ? 0 : 1;
}
