/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/api.h"

#include "http/url.h"
#include "net/client.h"

#include <signal.h>

#define SERVER_USUAL "http://127.0.0.1:8081"

enum { ANSWER_MAX_BYTES = 32 * 1024 * 1024, WAIT_MS = 60000, EXIT_FAILED = 1 };

typedef struct Calling {
        ClientCall call;
        ApiAnswer *answer;
        ClientEnd end;
        char why[256];
        bool is_whole;
} Calling;

static void on_done(ClientCall *call, const ClientAnswer *a) {
        Calling *c = call->arg;

        c->end = a->end;
        c->answer->status = a->status;
        c->is_whole = buf_add(&c->answer->body, a->body) == 0;
        (void)snprintf(c->why, sizeof c->why, "%s", a->why);
}

/* Whoever types the address decides where the call goes. */
static NetworkList anywhere(void) {
        NetworkList all = {.n = 2};

        must(network_parse(SPAN("0.0.0.0/0"), &all.item[0], NULL) == 0);
        must(network_parse(SPAN("::/0"), &all.item[1], NULL) == 0);
        return all;
}

static int run_call(Calling *c, Err *e) {
        NetworkList allow = anywhere();
        Client *client = NULL;
        uv_loop_t loop;
        int r;

        (void)signal(SIGPIPE, SIG_IGN);
        must(uv_loop_init(&loop) == 0);
        c->call.allow = &allow;
        r = client_new(&loop, NULL, &client, e);
        if (r == 0)
                r = client_start(client, &c->call, e);
        /* The client's own handles keep the loop: it is run until the call has ended. */
        while (r == 0 && c->end == CLIENT_CANCELLED)
                (void)uv_run(&loop, UV_RUN_ONCE);
        if (client)
                client_close(client, NULL, NULL);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&loop);
        return r;
}

/* What the daemon's error says, in its own words. */
static int refused(const CommandLine *l, const ApiAnswer *a, const char *url) {
        json_t *j = api_json(a);
        const json_t *detail = json_object_get(j, "detail");
        const json_t *first = json_array_get(detail, 0), *loc = json_object_get(first, "loc");
        const char *member = json_string_value(json_array_get(loc, json_array_size(loc) - 1));

        (void)fprintf(stderr, "grapnel %s: %s (%d from %s)", l->command->name,
                      json_is_string(detail) ? json_string_value(detail)
                      : first                ? api_text(first, "msg")
                                             : "the daemon refused this",
                      a->status, url);
        if (member)
                (void)fprintf(stderr, ": %s", member);
        (void)fprintf(stderr, "%s\n",
                      a->status == 401 ? "; set GRAPNEL_TOKEN to a key of the daemon" : "");
        json_decref(j);
        return EXIT_FAILED;
}

static const char *server_of(const CommandLine *l) {
        const char *given = line_option(l, "server");

        if (!given)
                given = getenv("GRAPNEL_SERVER");
        return given && *given ? given : SERVER_USUAL;
}

int api_call(const CommandLine *l, const char *method, const char *path, Span body,
             ApiAnswer *ret) {
        const char *server = server_of(l), *token = getenv("GRAPNEL_TOKEN");
        HttpHeader headers[2] = {{SPAN("Content-Type"), SPAN("application/json")}};
        char url[URL_MAX_BYTES], bearer[1024];
        size_t n = strlen(server);
        Calling c = {.answer = ret, .end = CLIENT_CANCELLED};
        Err e = {0};

        while (n > 0 && server[n - 1] == '/')
                n--;
        (void)snprintf(url, sizeof url, "%.*s/api/v1%s", (int)n, server, path);
        *ret = (ApiAnswer){.body = BUF(ANSWER_MAX_BYTES)};
        c.call = (ClientCall){.method = method,
                              .url = url,
                              .headers = headers,
                              .n_headers = 1,
                              .body = body,
                              .timeout_ms = WAIT_MS,
                              .answer_max = ANSWER_MAX_BYTES,
                              .done = on_done,
                              .arg = &c};
        if (token && *token) {
                (void)snprintf(bearer, sizeof bearer, "Bearer %s", token);
                headers[c.call.n_headers++] = (HttpHeader){SPAN("Authorization"), span_of(bearer)};
        }
        if (run_call(&c, &e) < 0 || c.end != CLIENT_ANSWERED || !c.is_whole) {
                (void)fprintf(stderr, "grapnel %s: no answer from %.*s: %s; is the daemon there?\n",
                              l->command->name, (int)n, server, e.code ? e.text : c.why);
                api_done(ret);
                return EXIT_FAILED;
        }
        if (ret->status >= 200 && ret->status < 300)
                return 0;
        int code = refused(l, ret, url);
        api_done(ret);
        return code;
}

void api_done(ApiAnswer *a) {
        buf_done(&a->body);
}

json_t *api_json(const ApiAnswer *a) {
        json_error_t why;

        return json_loadb(a->body.p ? a->body.p : "", a->body.n, JSON_DECODE_ANY, &why);
}

int api_segment(Buf *path, const char *text) {
        int r = buf_add_char(path, '/');

        return r == 0 ? url_encode(path, span_of(text)) : r;
}

const char *api_text(const json_t *object, const char *member) {
        const char *text = json_string_value(json_object_get(object, member));

        return text ? text : "";
}
