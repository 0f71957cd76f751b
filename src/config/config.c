/* SPDX-License-Identifier: Apache-2.0
 *
 * The file as a whole: read, checked as text, read as YAML, filled in, and then table by table.
 * Each stage runs as far as the one before left something to look at, so that one check shows as
 * many errors as there are. */
#include "config/config.h"

#include "base/log.h"
#include "config/file.h"
#include "config/listen.h"
#include "config/substitute.h"
#include "config/tables.h"
#include "config/text.h"
#include "config/yaml.h"

#include <stdatomic.h>

enum { ADMIN_TOKEN_ADVISED_BYTES = 16, NETWORKS_MAX = 256 };

/* The snapshot, and around it what the top table reads only to look at it closer. */
typedef struct Top {
        Config c;
        const char *listen, *admin;
        const Node *keep, *outbound, *limits, *connections, *databases, *sources, *flows,
                *endpoints, *statements;
} Top;

#define TOP(field) offsetof(Top, field)

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

static const Option top_options[] = {
        {.name = "listen",
         .type = OPTION_TEXT,
         .offset = TOP(listen),
         .fallback = "127.0.0.1:8080",
         .shape = "address:port",
         .help = "Where webhooks and events come in. A numeric address and a port; `0.0.0.0:8080` "
                 "is every IPv4 address of the machine, `[::1]:8080` is IPv6, port 0 lets the "
                 "system choose."},
        {.name = "admin",
         .type = OPTION_TEXT,
         .offset = TOP(admin),
         .fallback = "127.0.0.1:8081",
         .shape = "address:port",
         .help = "Where the API, the console and the metrics are. Any address that others can "
                 "reach needs an `admin_token`."},
        {.name = "admin_token",
         .type = OPTION_SECRET,
         .offset = TOP(c.admin_token),
         .help = "The bearer token that the admin address asks for. Required unless `admin` is a "
                 "loopback address."},
        {.name = "public_url",
         .type = OPTION_TEXT,
         .offset = TOP(c.public_url),
         .shape = "URL",
         .help = "Where sources reach `listen` from outside, such as `https://hooks.example.com`. "
                 "It begins the URLs of events in answers; without it they are relative."},
        {.name = "ledger",
         .type = OPTION_TEXT,
         .offset = TOP(c.ledger),
         .fallback = "sqlite:grapnel.db",
         .shape = "`sqlite:FILE` or `postgresql://...`",
         .help = "Where events, jobs and attempts are kept. A file name is relative to the folder "
                 "in which Grapnel runs."},
        {.name = "keep",
         .type = OPTION_NODE,
         .offset = TOP(keep),
         .help = "How long settled events are kept: see [keep](#keep)."},
        {.name = "once_window",
         .type = OPTION_DURATION,
         .offset = TOP(c.once_ms),
         .fallback = "7d",
         .min = 60000,
         .max = (int64_t)365 * 86400000,
         .help = "For how long a repeated delivery is known as a repeat and gets the first answer "
                 "again."},
        {.name = "outbound",
         .type = OPTION_NODE,
         .offset = TOP(outbound),
         .help = "What Grapnel may dial: see [outbound](#outbound)."},
        {.name = "threads",
         .type = OPTION_NUMBER,
         .offset = TOP(c.threads),
         .fallback = "0",
         .min = 0,
         .max = 256,
         .help = "How many loop threads serve; 0 is one per core."},
        {.name = "limits",
         .type = OPTION_NODE,
         .offset = TOP(limits),
         .help = "How much and how long the listeners bear: see [limits](#limits)."},
        {.name = "log",
         .type = OPTION_CHOICE,
         .offset = TOP(c.log_level),
         .fallback = "info",
         .choices = log_levels,
         .help = "The least level of the lines that are logged."},
        {.name = "connections",
         .type = OPTION_NODE,
         .offset = TOP(connections),
         .help = "The APIs that steps may call, by name: see "
                 "[connections](#connectionsname)."},
        {.name = "databases",
         .type = OPTION_NODE,
         .offset = TOP(databases),
         .help = "The databases of applications that triggers look at, by name: see "
                 "[databases](#databasesname)."},
        {.name = "sources",
         .type = OPTION_NODE,
         .offset = TOP(sources),
         .help = "The applications that tell Grapnel of changes, by name: see "
                 "[sources](#sourcesname)."},
        {.name = "flows",
         .type = OPTION_NODE,
         .offset = TOP(flows),
         .help = "What is done for which events, by name: see [flows](#flowsname)."},
        {.name = "endpoints",
         .type = OPTION_NODE,
         .offset = TOP(endpoints),
         .help = "Where messages and events are sent to as webhooks, by name: see "
                 "[endpoints](#endpointsname)."},
        {.name = "statements",
         .type = OPTION_NODE,
         .offset = TOP(statements),
         .help = "What the API may run in databases of applications, by name: see "
                 "[statements](#statementsname)."},
};

static const Option keep_options[] = {
        {.name = "for",
         .type = OPTION_DURATION,
         .offset = offsetof(Config, keep_ms),
         .fallback = "30d",
         .min = 60000,
         .max = (int64_t)3650 * 86400000,
         .help = "Settled events older than this are removed. Events with work left are never "
                 "removed."},
        {.name = "bytes",
         .type = OPTION_SIZE,
         .offset = offsetof(Config, keep_bytes),
         .fallback = "10G",
         .min = 1 << 20,
         .max = (int64_t)1 << 50,
         .help = "When the ledger is larger, the oldest settled events go first."},
};

static const Option outbound_options[] = {
        {.name = "allow",
         .type = OPTION_NODE,
         .offset = 0,
         .shape = "list of networks",
         .help = "Networks that may be dialled although they are private, loopback or otherwise "
                 "refused, such as `[10.1.0.0/16, 127.0.0.1/32]`. Nothing else lifts the refusal."},
};

static const Option limit_options[] = {
        {.name = "connections_max",
         .type = OPTION_NUMBER,
         .offset = offsetof(Config, connections_max),
         .fallback = "10000",
         .min = 1,
         .max = 1000000,
         .help = "How many clients may be connected at once; more of them wait in the system's "
                 "queue."},
        {.name = "head_timeout",
         .type = OPTION_DURATION,
         .offset = offsetof(Config, head_timeout_ms),
         .fallback = "10s",
         .min = 100,
         .max = 300000,
         .help = "How long a client may take to send a request's head."},
        {.name = "body_timeout",
         .type = OPTION_DURATION,
         .offset = offsetof(Config, body_timeout_ms),
         .fallback = "30s",
         .min = 100,
         .max = 600000,
         .help = "How long a client may take to send a request's body."},
        {.name = "idle_timeout",
         .type = OPTION_DURATION,
         .offset = offsetof(Config, idle_timeout_ms),
         .fallback = "60s",
         .min = 100,
         .max = 3600000,
         .help = "How long a connection without a request stays open."},
};

const OptionGroup top_groups[] = {
        {"The file", "Every key is optional unless it says otherwise.", top_options,
         COUNT_OF(top_options)},
        {"keep", "Retention. `keep: {for: 30d, bytes: 10G}`", keep_options, COUNT_OF(keep_options)},
        {"outbound", "The gate that every outgoing connection passes.", outbound_options,
         COUNT_OF(outbound_options)},
        {"limits", "Limits of both listeners.", limit_options, COUNT_OF(limit_options)},
        {0},
};

/* An optional map: when it is absent its table still gives the defaults. */
static void read_group(Reading *r, const Node *map, const Option *table, size_t n, void *into) {
        Node none = {.kind = NODE_MAP};
        int err = options_read(map && !node_is_null(map) ? map : &none, table, n, into, r->arena,
                               r->problems);

        (void)err; /* r->problems has counted it */
}

static void read_listen(Reading *r, const Node *root, const char *key, const char *text,
                        ListenConfig *ret) {
        const Node *n = node_get(root, key);
        char shown[VALUE_SHOWN_BYTES];
        Err e = {0};

        if (text && listen_parse(span_of(text), r->arena, ret, &e) < 0)
                problem_add(r->problems, n ? n->place : root->place, "%s: %s %s", key,
                            n ? value_shown(n, shown) : text, e.text);
}

static void check_admin(Reading *r, const Node *root) {
        const Config *c = r->config;
        const Node *admin = node_get(root, "admin"), *token = node_get(root, "admin_token");
        Place at = admin ? admin->place : root->place;

        if (!c->admin.host)
                return;
        if (!host_is_loopback(span_of(c->admin.host)) && !token)
                problem_add(r->problems, at,
                            "admin: others can reach %s, so it needs a token: set admin_token: "
                            "\"${ADMIN_TOKEN}\", or listen on this machine only (127.0.0.1:%u)",
                            c->admin.host, (unsigned)c->admin.port);
        if (token && c->admin_token.n > 0 && c->admin_token.n < ADMIN_TOKEN_ADVISED_BYTES)
                problem_warn(r->problems, token->place,
                             "admin_token: shorter than %d bytes; grapnel secret makes a good one",
                             ADMIN_TOKEN_ADVISED_BYTES);
        if (c->listen.host && c->listen.port != 0 && c->listen.port == c->admin.port &&
            strcmp(c->listen.host, c->admin.host) == 0)
                problem_add(r->problems, at, "admin: listen has the same address and port");
}

static void check_public_url(Reading *r, const Node *root) {
        const Node *n = node_get(root, "public_url");
        Url url;

        if (n && r->config->public_url && url_check(r, n, "public_url", &url) == 0 && url.query.p)
                problem_add(r->problems, n->place, "public_url: a base has no query");
}

static void check_ledger(Reading *r, const Node *root) {
        Span text = span_of(r->config->ledger);
        const Node *n = node_get(root, "ledger");

        if (!n || !text.p)
                return;
        if (span_starts(text, SPAN("sqlite:")) && text.n > 7)
                return;
        if (span_starts(text, SPAN("postgresql://")) && text.n > 13)
                return;
        url_hide(r, n);
        problem_add(r->problems, n->place,
                    "ledger: neither sqlite:FILE nor postgresql://USER@HOST/DATABASE");
}

static void read_outbound(Reading *r, const Node *outbound) {
        const Node *allow = NULL;
        Config *c = r->config;

        read_group(r, outbound, outbound_options, COUNT_OF(outbound_options), &allow);
        if (!allow)
                return;
        c->n_allow = texts_read(r, allow, "allow", &c->allow, &c->allow_place);
        if (c->n_allow > NETWORKS_MAX)
                problem_add(r->problems, allow->place, "allow: more than %d networks",
                            NETWORKS_MAX);
}

static void read_tables(Reading *r, Top *top, const Node *root) {
        Config *c = &top->c;

        read_group(r, root, top_options, COUNT_OF(top_options), top);
        read_group(r, top->keep, keep_options, COUNT_OF(keep_options), c);
        read_group(r, top->limits, limit_options, COUNT_OF(limit_options), c);
        read_outbound(r, top->outbound);
        read_listen(r, root, "listen", top->listen, &c->listen);
        read_listen(r, root, "admin", top->admin, &c->admin);
        check_admin(r, root);
        check_public_url(r, root);
        check_ledger(r, root);
        connections_read(r, top->connections);
        databases_read(r, top->databases);
        sources_read(r, top->sources);
        flows_read(r, top->flows);
        endpoints_read(r, top->endpoints);
        statements_read(r, top->statements);
}

static void wipe_tree(void *root) {
        node_wipe(root);
}

static void wipe_text(void *text) {
        Span *s = text;

        explicit_bzero((char *)s->p, s->n);
}

/* A copy in the arena that is overwritten when the arena goes: secrets may stand in the file. */
static int keep_text(Arena *a, Span text, Span *ret) {
        Span *kept = arena_alloc(a, sizeof *kept);

        if (!kept)
                return -ENOMEM;
        *kept = arena_span(a, text);
        if (!kept->p || arena_defer(a, wipe_text, kept) < 0)
                return -ENOMEM;
        *ret = *kept;
        return 0;
}

/* A file that broke before its options were known: a line that reads as if it held a secret is
 * not shown either. */
static void hide_likely_secrets(Problems *p, Span source) {
        static const char *const words[] = {"secret", "password", "bearer", "token", "value", "@"};

        for (size_t i = 0; i < p->n; i++) {
                Span line = text_line(source, p->item[i].place.line);

                for (size_t k = 0; k < COUNT_OF(words); k++)
                        if (line.n && memmem(line.p, line.n, words[k], strlen(words[k])))
                                p->item[i].hidden = true;
        }
}

/* All stages; errors are in r->problems. */
static void read_text(Reading *r, Top *top, Span text, char *const *environment) {
        Config *c = &top->c;
        Place whole = {c->file, 0, 0};
        Node *root = NULL;
        int err;

        if (text.n > CONFIG_FILE_MAX_BYTES) {
                problem_add(r->problems, whole, "is larger than %d bytes", CONFIG_FILE_MAX_BYTES);
                return;
        }
        if (keep_text(r->arena, text, &c->source) < 0) {
                problem_no_room(r->problems, whole);
                return;
        }
        if (text_check(c->source, c->file, r->problems) < 0) {
                hide_likely_secrets(r->problems, c->source);
                return;
        }
        /* What libyaml could read is checked further even when something in it is refused. */
        err = yaml_read(c->source, c->file, r->arena, r->problems, &root);
        if (err < 0)
                hide_likely_secrets(r->problems, c->source);
        if (!root)
                return;
        if (arena_defer(r->arena, wipe_tree, root) < 0) {
                problem_no_room(r->problems, whole);
                node_wipe(root);
                return;
        }
        substitute_tree(root, environment, r->arena, r->problems);
        read_tables(r, top, root);
}

/* What could be read, whole or not. */
static Config *parse(Span text, const char *name, char *const *environment, Problems *problems) {
        Arena *a = arena_new(CONFIG_MEMORY_MAX_BYTES);
        Top *top = arena_alloc(a, sizeof *top);

        must(problems->arena && top);
        text = text_without_mark(text);
        Config *c = &top->c;
        c->arena = a;
        c->refs = 1;
        c->file = arena_text(a, span_of(name));
        must(c->file);
        /* No room for the copy: the problems are printed without their lines. */
        if (text.n > CONFIG_FILE_MAX_BYTES ||
            keep_text(problems->arena, text, &problems->source) < 0)
                problems->source = (Span){NULL, 0};

        Reading r = {c, a, problems};
        read_text(&r, top, text, environment);
        problems_sort(problems);
        return c;
}

Config *config_parse(Span text, const char *name, char *const *environment, Problems *problems) {
        size_t errors = problems->errors;
        Config *c = parse(text, name, environment, problems);

        return problems->errors > errors ? config_unref(c) : c;
}

Config *config_load_partly(const char *path, char *const *environment, Problems *problems) {
        Buf text = BUF(CONFIG_FILE_MAX_BYTES);
        Place whole = {path, 0, 0};
        Config *c = NULL;
        Err e = {0};
        int r = file_read(path, &text, &e);

        if (r < 0)
                problem_add(problems, whole, "%s", e.text);
        if (r == FILE_WORLD_WRITABLE)
                problem_warn(problems, whole,
                             "anyone on this machine can write this file; take the right away "
                             "(chmod o-w)");
        if (r >= 0)
                c = parse(buf_span(&text), path, environment, problems);
        if (text.p)
                explicit_bzero(text.p, text.cap);
        buf_done(&text);
        return c;
}

Config *config_load(const char *path, char *const *environment, Problems *problems) {
        size_t errors = problems->errors;
        Config *c = config_load_partly(path, environment, problems);

        return problems->errors > errors ? config_unref(c) : c;
}

Config *config_ref(Config *c) {
        atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
        return c;
}

Config *config_unref(Config *c) {
        if (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
                arena_free(c->arena);
        return NULL;
}

const DatabaseConfig *config_database(const Config *c, Span name) {
        return c->database_names ? table_get(c->database_names, name) : NULL;
}

const ConnectionConfig *config_connection(const Config *c, Span name) {
        return c->connection_names ? table_get(c->connection_names, name) : NULL;
}

const SourceConfig *config_source(const Config *c, Span name) {
        return c->source_names ? table_get(c->source_names, name) : NULL;
}
