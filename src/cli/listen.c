/* SPDX-License-Identifier: Apache-2.0
 *
 * A receiver for those who write receivers: shows what arrives and whether it verifies. */
#include "base/clock.h"
#include "cli/command.h"
#include "cli/table.h"
#include "net/server.h"
#include "sign/sign.h"
#include "json/check.h"
#include "json/value.h"

#include <signal.h>

enum { PORT_USUAL = 9000, BODY_MAX_BYTES = 8 * 1024 * 1024 };

typedef struct Listening {
        Loop loop;
        Server *server;
        uv_signal_t interrupt, term;
        SignRule rule; /* without a scheme: nothing is verified */
        int status;
} Listening;

static bool on_head(void *self, Exchange *x) {
        (void)self;
        x->body_max = BODY_MAX_BYTES;
        return true;
}

static Span header_of(const void *arg, const char *name, size_t *count) {
        const HttpHead *h = arg;

        *count = http_head_count(h, name);
        return http_head_get(h, name);
}

static void show_verdict(const Listening *l, const Exchange *x) {
        SignInput in = {
                .get = header_of, .arg = x->head, .body = x->body, .now_ms = clock_wall_ms()};
        const char *why = "";

        if (!l->rule.scheme)
                printf("  not verified: start with --secret to do so\n");
        else if (sign_check(&l->rule, &in, &why) == SIGN_OK)
                printf("  verified\n");
        else
                printf("  NOT VERIFIED: %s\n", why);
}

/* Bytes that a terminal would obey are shown as dots. */
static void show_plain(Span s) {
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];

                (void)putchar((c < ' ' && c != '\n' && c != '\t') || c == 0x7f ? '.' : c);
        }
        (void)putchar('\n');
}

static void show_body(Span body) {
        AUTO(buf_done)
        Buf pretty = BUF(4 * BODY_MAX_BYTES);
        JsonFault fault;

        if (json_check(body, JSON_KEYS_MAX, &fault) == 0 && json_pretty(body, &pretty) == 0)
                show_plain(buf_span(&pretty));
        else if (body.n)
                show_plain(body);
}

static void on_request(void *self, Exchange *x) {
        Listening *l = self;
        char time[CLOCK_TEXT];

        clock_print(clock_wall_ms(), time);
        printf("%s %s ", time, http_method_name(x->head->method));
        show_plain(x->head->target);
        for (size_t i = 0; i < x->head->n_headers; i++) {
                printf("  " SPAN_FMT ": ", SPAN_ARG(x->head->headers[i].name));
                show_plain(x->head->headers[i].value);
        }
        show_verdict(l, x);
        show_body(x->body);
        (void)putchar('\n');
        (void)fflush(stdout);
        exchange_answer(x, &(HttpAnswer){.status = l->status});
}

static void on_signal(uv_signal_t *h, int number) {
        Listening *l = h->data;

        (void)number;
        uv_close((uv_handle_t *)&l->interrupt, NULL);
        uv_close((uv_handle_t *)&l->term, NULL);
        server_close(l->server, NULL, NULL);
        loop_stop(&l->loop);
}

static int use_secret(const CommandLine *line, Listening *l) {
        const char *secret = line_option(line, "secret");
        Err e = {0};

        if (!secret)
                return 0;
        l->rule.scheme = sign_scheme_find(SPAN("standard"));
        l->rule.secrets[l->rule.n_secrets++] = secret_copy(span_of(secret));
        if (l->rule.scheme->prepare(&l->rule, &e) == 0)
                return 0;
        return line_wrong(line, "--secret: %s", e.text);
}

static int run(const CommandLine *line) {
        static const ServerLimits limits = {.connections_max = 1000,
                                            .head_ms = 10000,
                                            .body_ms = 60000,
                                            .idle_ms = 60000,
                                            .write_ms = 60000};
        Listening l = {.status = 204};
        ServerHandler handler = {.self = &l, .head = on_head, .request = on_request};
        const char *port_text = line_option(line, "port"), *status = line_option(line, "status");
        uint64_t port = PORT_USUAL, n;
        Err e = {0};
        int r = use_secret(line, &l);

        if (r != 0)
                return r;
        if (port_text && !span_to_u64(span_of(port_text), 65535, &port))
                return line_wrong(line, "--port is a number up to 65535");
        if (status && (!span_to_u64(span_of(status), 599, &n) || n < 200))
                return line_wrong(line, "--status is a number from 200 to 599");
        l.status = status ? (int)n : l.status;
        (void)signal(SIGPIPE, SIG_IGN);
        if (loop_init(&l.loop, 0, &e) < 0 || server_open(&l.loop, "127.0.0.1", (uint16_t)port,
                                                         &limits, &handler, &l.server, &e) < 0) {
                (void)fprintf(stderr, "grapnel listen: %s\n", e.text);
                return 1;
        }
        must(uv_signal_init(&l.loop.uv, &l.interrupt) == 0 &&
             uv_signal_init(&l.loop.uv, &l.term) == 0);
        l.interrupt.data = l.term.data = &l;
        must(uv_signal_start(&l.interrupt, on_signal, SIGINT) == 0 &&
             uv_signal_start(&l.term, on_signal, SIGTERM) == 0);
        printf("listening on http://127.0.0.1:%u\n", server_port(l.server));
        (void)fflush(stdout);
        loop_run(&l.loop);
        loop_done(&l.loop);
        sign_rule_done(&l.rule);
        return 0;
}

const Command command_listen = {
        .name = "listen",
        .arguments = "",
        .help = "Receive webhooks on this machine and show them.",
        .more = "For those who write receivers: prints each request with its headers and body,\n"
                "and whether its signature is right (Standard Webhooks, v1 with a whsec_ secret\n"
                "or v1a with a whpk_ public key). Ends with Ctrl-C.\n",
        .options = {{"port", "N", "where to listen on 127.0.0.1 (9000; 0: any)", false},
                    {"secret", "SECRET", "verify with this secret or public key", false},
                    {"status", "N", "what to answer (204)", false}},
        .run = run,
};
