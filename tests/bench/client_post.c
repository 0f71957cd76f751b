/* SPDX-License-Identifier: Apache-2.0
 *
 * CPU time of the client per POST of 1 KiB on kept connections, against a responder in a child
 * process that does as little as it can. Usage: bench_client_post [calls [at once]] */
#include "base/clock.h"
#include "net/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AT_ONCE_MAX = 256, BODY_BYTES = 1024 };

typedef struct Bench {
        uv_loop_t loop;
        Client *client;
        NetworkList allow;
        char url[64], body[BODY_BYTES];
        ClientCall calls[AT_ONCE_MAX];
        size_t left, ended, failed;
} Bench;

/* Requests come whole here, and end with the body's last byte. */
static void respond(int listener) {
        static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        static char in[65536];
        int ep = epoll_create1(0), on = 1;
        struct epoll_event ready[64], ev = {.events = EPOLLIN, .data.fd = listener};

        must(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev) == 0);
        for (;;) {
                int n = epoll_wait(ep, ready, 64, -1);

                for (int i = 0; i < n; i++) {
                        int fd = ready[i].data.fd;

                        if (fd == listener) {
                                ev.data.fd = accept(listener, NULL, NULL);
                                must(ev.data.fd >= 0 &&
                                     setsockopt(ev.data.fd, IPPROTO_TCP, TCP_NODELAY, &on,
                                                sizeof on) == 0 &&
                                     epoll_ctl(ep, EPOLL_CTL_ADD, ev.data.fd, &ev) == 0);
                                continue;
                        }
                        ssize_t got = recv(fd, in, sizeof in, 0);
                        if (got <= 0)
                                close(fd);
                        else if (in[got - 1] == '.')
                                must(send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) > 0);
                }
        }
}

static pid_t responder(int *ret_port) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof at;
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        must(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 512) == 0 &&
             getsockname(fd, (struct sockaddr *)&at, &n) == 0);
        *ret_port = ntohs(at.sin_port);
        pid_t pid = fork();
        must(pid >= 0);
        if (pid == 0)
                respond(fd);
        close(fd);
        return pid;
}

static void on_done(ClientCall *call, const ClientAnswer *answer) {
        Bench *b = call->arg;

        b->ended++;
        b->failed += answer->end != CLIENT_ANSWERED || answer->status != 200;
        if (b->left > 0) {
                b->left--;
                must(client_start(b->client, call, NULL) == 0);
        } else {
                uv_stop(&b->loop);
        }
}

static int64_t cpu_us(void) {
        struct rusage u;

        must(getrusage(RUSAGE_SELF, &u) == 0);
        return (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
               u.ru_stime.tv_usec;
}

static void run(Bench *b, size_t calls, size_t at_once) {
        size_t end = b->ended + calls;

        b->left = calls - at_once;
        for (size_t i = 0; i < at_once; i++)
                must(client_start(b->client, &b->calls[i], NULL) == 0);
        while (b->ended < end)
                (void)uv_run(&b->loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv) {
        static const HttpHeader headers[] = {
                {SPAN("Content-Type"), SPAN("application/json")},
                {SPAN("Webhook-Id"), SPAN("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W")},
                {SPAN("Webhook-Timestamp"), SPAN("1674087231")},
                {SPAN("Webhook-Signature"),
                 SPAN("v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=")}};
        static Bench b;
        uint64_t calls = 100000, at_once = 32;
        int port;

        if ((argc > 1 && !span_to_u64(span_of(argv[1]), 100000000, &calls)) ||
            (argc > 2 && !span_to_u64(span_of(argv[2]), AT_ONCE_MAX, &at_once)) || at_once == 0 ||
            calls < at_once)
                return 2;
        pid_t pid = responder(&port);
        must(uv_loop_init(&b.loop) == 0);
        must(client_new(&b.loop, NULL, &b.client, NULL) == 0);
        must(network_parse(SPAN("127.0.0.1/32"), &b.allow.item[0], NULL) == 0);
        b.allow.n = 1;
        (void)snprintf(b.url, sizeof b.url, "http://127.0.0.1:%d/hook", port);
        memset(b.body, '.', sizeof b.body);
        for (size_t i = 0; i < at_once; i++)
                b.calls[i] = (ClientCall){.method = "POST",
                                          .url = b.url,
                                          .headers = headers,
                                          .n_headers = COUNT_OF(headers),
                                          .body = {b.body, sizeof b.body},
                                          .allow = &b.allow,
                                          .done = on_done,
                                          .arg = &b};
        run(&b, at_once, at_once); /* connects */
        int64_t cpu = cpu_us(), wall = clock_mono_us();
        run(&b, calls, at_once);
        cpu = cpu_us() - cpu;
        wall = clock_mono_us() - wall;
        printf("client_post: %" PRIu64 " calls, %" PRIu64
               " at once: %.1f us CPU each, %.0f/s, %zu failed\n",
               calls, at_once, (double)cpu / (double)calls, (double)calls * 1e6 / (double)wall,
               b.failed);
        client_close(b.client, NULL, NULL);
        (void)uv_run(&b.loop, UV_RUN_DEFAULT);
        must(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
        return b.failed > 0;
}
