/* SPDX-License-Identifier: Apache-2.0
 *
 * `grapnel explain`: what the configuration makes of one request, rule by rule with the value that
 * each saw. Nothing is called and nothing is recorded: the request goes through the daemon's own
 * code on a stage, once as it is for its verification, once signed for the rest. */
#include "app/commands.h"
#include "app/daemon.h"
#include "app/explanation.h"
#include "cli/api.h"
#include "config/file.h"
#include "trial/names.h"

#include <unistd.h>

extern char **environ;

#define CONFIG_DEFAULT "grapnel.yaml"

enum {
        EXPLAIN_ARENA_BYTES = 128 * 1024 * 1024,
        EXPLAIN_BODY_MAX_BYTES = 16 * 1024 * 1024,
        EXPLAIN_PAGE_BYTES = 16 * 1024 * 1024,
};

/* ---- what is asked about ---- */

static int read_input(const CommandLine *l, Buf *out) {
        const char *path = line_option(l, "request");
        char chunk[65536];
        ssize_t n;
        Err e = {0};

        if (path && strcmp(path, "-") != 0)
                return file_read(path, out, &e) < 0 ? line_wrong(l, "%s: %s", path, e.text) : 0;
        if (!path && isatty(STDIN_FILENO))
                return line_wrong(l, "no request: give --request FILE, --event ID, or the body on "
                                     "standard input");
        while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0)
                if (buf_add(out, (Span){chunk, (size_t)n}) < 0)
                        return line_wrong(l, "the request is larger than %d bytes",
                                          EXPLAIN_BODY_MAX_BYTES);
        return 0;
}

/* A whole HTTP request, as somebody recorded it: lines may end as in a text file. */
static bool read_head(Explaining *x, Span text) {
        while (text.n) {
                Span line = {text.p, span_find(text, '\n')};
                size_t colon;

                text = span_from(text, line.n + 1);
                line = span_trim(line, "\r");
                if (line.n == 0) {
                        x->body = text.n ? text : SPAN("");
                        return true;
                }
                colon = span_find(line, ':');
                if (colon < line.n && x->n_headers < HTTP_HEADERS_MAX)
                        x->headers[x->n_headers++] = (HttpHeader){
                                {line.p, colon}, span_trim(span_from(line, colon + 1), " \t")};
        }
        return false;
}

static int read_request(Explaining *x) {
        AUTO(buf_done)
        Buf in = BUF(EXPLAIN_BODY_MAX_BYTES);
        int r = read_input(x->line, &in);
        Span text;

        if (r != 0)
                return r;
        text = arena_span(x->arena, in.n ? buf_span(&in) : SPAN(""));
        must(text.p);
        if (!span_starts(text, SPAN("POST ")))
                x->body = text;
        else if (!read_head(x, span_from(text, span_find(text, '\n') + 1)))
                return line_wrong(x->line, "the request has no empty line behind its headers");
        return 0;
}

static int add_headers(Explaining *x) {
        for (int i = 0; line_nth(x->line, "header", i); i++) {
                Span text = span_of(line_nth(x->line, "header", i));
                size_t colon = span_find(text, ':');

                if (colon == text.n || x->n_headers == HTTP_HEADERS_MAX)
                        return line_wrong(x->line, "--header is 'Name: value'");
                x->headers[x->n_headers++] =
                        (HttpHeader){{text.p, colon}, span_trim(span_from(text, colon + 1), " \t")};
        }
        return 0;
}

/* Of the running daemon. */
static int read_event(Explaining *x, const char *id, const char **ret_source) {
        char path[128];
        ApiAnswer answer;
        int r;

        (void)snprintf(path, sizeof path, "/events/%.64s", id);
        r = api_call(x->line, "GET", path, (Span){NULL, 0}, &answer);
        if (r != 0)
                return r;
        Span text = arena_span(x->arena, buf_span(&answer.body));
        api_done(&answer);
        if (text.p && explain_recorded(x, text, ret_source))
                return 0;
        (void)fprintf(stderr, "grapnel explain: the daemon has not kept the body of %s\n", id);
        return 1;
}

static int find(Explaining *x, const char *name) {
        const Config *c = x->snapshot->config;
        char target[JOB_TARGET_MAX_BYTES];

        x->source = snapshot_source(x->snapshot, span_of(name));
        if (x->source)
                return 0;
        (void)snprintf(target, sizeof target, "flow:%s", name);
        x->only = snapshot_flow(x->snapshot, span_of(target));
        if (!x->only)
                return line_wrong(x->line, "%s has no source and no flow '%s'", c->file, name);
        x->source = snapshot_source(x->snapshot, span_of(x->only->config->on[0]));
        must(x->source); /* the configuration was checked */
        return 0;
}

/* ---- the command ---- */

static int print(const Explaining *x) {
        AUTO(buf_done)
        Buf b = BUF(EXPLAIN_PAGE_BYTES);
        bool is_json = line_option(x->line, "json");
        int r = is_json ? buf_addf(&b, "{\"source\":\"%s\",\"refused\":%s,\"status\":%d,\"rows\":",
                                   x->source->config->name, x->refused ? "true" : "false",
                                   x->refused)
                        : 0;

        if (r == 0)
                r = is_json ? rows_json(x->rows, &b) : rows_print(x->rows, &b);
        if (r == 0 && is_json)
                r = buf_add_char(&b, '}');
        if (r == 0 && x->refused == 401 && !is_json)
                r = buf_add(&b, SPAN("\nIt is refused (401). The rest is told as if it had been "
                                     "verified.\n"));
        if (r == 0 && is_json)
                r = buf_add_char(&b, '\n');
        (void)fwrite(b.p ? b.p : "", 1, b.n, stdout);
        return r < 0;
}

static int load(Explaining *x) {
        const char *config = line_option(x->line, "config");
        char **environment, **made;
        Err e = {0};

        config = config ? config : CONFIG_DEFAULT;
        if (names_for(config, line_option(x->line, "env"), environ, x->arena, &environment, &made,
                      &e) < 0)
                return line_wrong(x->line, "%s", e.text);
        for (size_t i = 0; made[i]; i++)
                (void)fprintf(stderr, "%s%s%s", i ? ", " : "no value is given for ", made[i],
                              made[i + 1] ? "" : ": made up, and no real signature will hold\n");
        x->snapshot = daemon_load(config, environment);
        if (!x->snapshot)
                return 1;
        if (player_new(x->snapshot, &x->player, &e) == 0)
                return 0;
        (void)fprintf(stderr, "grapnel explain: %s\n", e.text);
        return 1;
}

static int run_with(Explaining *x) {
        const CommandLine *l = x->line;
        const char *event = line_option(l, "event"), *name = l->n_words ? l->words[0] : NULL;
        Err e = {0};
        int r = load(x);

        if (r == 0)
                r = event ? read_event(x, event, name ? &(const char *){NULL} : &name)
                          : read_request(x);
        if (r == 0)
                r = add_headers(x);
        if (r == 0)
                r = find(x, name);
        if (r != 0)
                return r;
        if (explain(x, &e) == 0)
                return print(x);
        (void)fprintf(stderr, "grapnel explain: %s\n", e.text);
        return 1;
}

static int run(const CommandLine *l) {
        Explaining x = {.line = l};
        int r;

        if (l->n_words == 0 && !line_option(l, "event"))
                return line_wrong(l, "it needs SOURCE or FLOW, or --event ID");
        x.arena = arena_new(EXPLAIN_ARENA_BYTES);
        x.rows = arena_alloc(x.arena, sizeof *x.rows);
        must(x.rows);
        x.rows->arena = x.arena;
        r = run_with(&x);
        player_free(x.player);
        snapshot_unref(x.snapshot);
        arena_free(x.arena);
        return r;
}

const Command command_explain = {
        .name = "explain",
        .arguments = "[SOURCE|FLOW]",
        .help = "Show each rule with the value that it saw.",
        .more = "Of a request from SOURCE, or for FLOW: is it verified, by which of the secrets,\n"
                "how old is it; what its key, type and time are; of each flow every rule of its\n"
                "match and what stands there, the conditions that the event alone decides, and\n"
                "how the source is answered. Nothing is called and nothing is recorded.\n"
                "\n"
                "The request is a file (its body, or all of it from POST on), the body on\n"
                "standard input, or an event of the running daemon. Of headers that may hold a\n"
                "secret only their presence is told.\n" API_HELP,
        .words_max = 1,
        .options = {{"request", "FILE", "the body, or a whole request (-: standard input)", false},
                    {"header", "LINE", "'Name: value'; several may be given", true},
                    {"event", "ID", "an event that the daemon has recorded", false},
                    {"config", "FILE", "the configuration (grapnel.yaml)", false},
                    {"env", "FILE", "lines NAME=value for the configuration", false},
                    API_OPTION_SERVER,
                    API_OPTION_JSON},
        .run = run,
};
