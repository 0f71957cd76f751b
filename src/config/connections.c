/* SPDX-License-Identifier: Apache-2.0
 *
 * connections: the APIs that steps may call. */
#include "config/listen.h"
#include "config/tables.h"

/* One entry as its table reads it: the connection, and what is looked at closer. */
typedef struct Written {
        ConnectionConfig c;
        CallNodes n;
} Written;

#define AT(field) offsetof(Written, field)

static const Option connection_options[] = {
        {.name = "url",
         .type = OPTION_TEXT,
         .offset = AT(c.url),
         .required = true,
         .shape = "URL",
         .help = "The base that the paths of steps are added to: http or https, no query."},
        {.name = "bearer",
         .type = OPTION_SECRET,
         .offset = AT(c.bearer),
         .help = "A token, sent as `Authorization: Bearer ...`. A connection has at most one of "
                 "`bearer`, `basic`, `header` and `oauth2`."},
        {.name = "basic",
         .type = OPTION_NODE,
         .offset = AT(n.basic),
         .help = "A user and a password, sent as `Authorization: Basic ...`: "
                 "`basic: {user: grapnel, password: \"${CRM_PASSWORD}\"}`."},
        {.name = "header",
         .type = OPTION_NODE,
         .offset = AT(n.header),
         .help = "A secret in a header of its own: "
                 "`header: {name: X-Api-Key, value: \"${CRM_KEY}\"}`."},
        {.name = "oauth2",
         .type = OPTION_NODE,
         .offset = AT(n.oauth2),
         .help = "Client credentials (RFC 6749 section 4.4): the token is fetched, kept until "
                 "shortly before it ends, and renewed after a 401. See "
                 "[oauth2](#connectionsnameoauth2)."},
        {.name = "limit",
         .type = OPTION_NODE,
         .offset = AT(n.limit),
         .help = "How hard this API may be called: `limit: {concurrency: 8, rate: 50/s}`. See "
                 "[limit](#connectionsnamelimit)."},
        {.name = "headers",
         .type = OPTION_NODE,
         .offset = AT(n.headers),
         .shape = "map of texts",
         .help = "Plain headers sent with each call: `headers: {Accept-Language: en}`."},
        {.name = "timeout",
         .type = OPTION_DURATION,
         .offset = AT(c.timeout_ms),
         .fallback = "10s",
         .min = 10,
         .max = 300000,
         .help = "How long one call may take as a whole."},
        {.name = "connect_timeout",
         .type = OPTION_DURATION,
         .offset = AT(c.connect_timeout_ms),
         .fallback = "5s",
         .min = 10,
         .max = 60000,
         .help = "How long it may take until the connection stands, TLS included."},
        {.name = "answer_max",
         .type = OPTION_SIZE,
         .offset = AT(c.answer_max_bytes),
         .fallback = "8M",
         .min = 1024,
         .max = 64 << 20,
         .help = "The largest answer that is read; a larger one fails the step."},
};

static const Option basic_options[] = {
        {.name = "user",
         .type = OPTION_TEXT,
         .offset = offsetof(ConnectionConfig, user),
         .required = true,
         .help = "The user's name; it holds no colon."},
        {.name = "password",
         .type = OPTION_SECRET,
         .offset = offsetof(ConnectionConfig, password),
         .required = true,
         .help = "The password."},
};

static const Option header_options[] = {
        {.name = "name",
         .type = OPTION_TEXT,
         .offset = offsetof(ConnectionConfig, header),
         .required = true,
         .help = "The header's name, such as `X-Api-Key`."},
        {.name = "value",
         .type = OPTION_SECRET,
         .offset = offsetof(ConnectionConfig, header_value),
         .required = true,
         .help = "Its value, sent as it stands."},
};

static const char *const auth_styles[] = {"basic", "post", NULL};

static const Option oauth2_options[] = {
        {.name = "token_url",
         .type = OPTION_TEXT,
         .offset = offsetof(OAuth2Config, token_url),
         .required = true,
         .shape = "URL",
         .help = "Where tokens are made."},
        {.name = "client_id",
         .type = OPTION_TEXT,
         .offset = offsetof(OAuth2Config, client_id),
         .required = true,
         .help = "The name under which the API knows Grapnel."},
        {.name = "client_secret",
         .type = OPTION_SECRET,
         .offset = offsetof(OAuth2Config, client_secret),
         .required = true,
         .help = "The client's secret."},
        {.name = "scope",
         .type = OPTION_TEXT,
         .offset = offsetof(OAuth2Config, scope),
         .help = "The scopes to ask for, divided by blanks."},
        {.name = "audience",
         .type = OPTION_TEXT,
         .offset = offsetof(OAuth2Config, audience),
         .help = "The audience to ask for, where the token server wants one."},
        {.name = "auth_style",
         .type = OPTION_CHOICE,
         .offset = offsetof(OAuth2Config, auth_style),
         .fallback = "basic",
         .choices = auth_styles,
         .help = "How the client shows its secret to the token server: in a Basic header, or as "
                 "fields of the form."},
};

static const Option limit_options[] = {
        {.name = "concurrency",
         .type = OPTION_NUMBER,
         .offset = offsetof(ConnectionConfig, concurrency),
         .fallback = "64",
         .min = 1,
         .max = 10000,
         .help = "How many calls may be under way at once; others wait for their turn."},
        {.name = "rate",
         .type = OPTION_RATE,
         .offset = offsetof(ConnectionConfig, rate),
         .help = "How many calls may begin per second, minute or hour. Without it, as many as "
                 "`concurrency` lets through."},
};

const OptionGroup connection_groups[] = {
        {"connections.NAME",
         "An API that steps may call. Its name is made of a-z, 0-9 and `-`. Steps write it before "
         "a path: `crm:/contacts`.",
         connection_options, COUNT_OF(connection_options)},
        {"connections.NAME.basic", "A user and a password.", basic_options,
         COUNT_OF(basic_options)},
        {"connections.NAME.header", "A secret in a header of its own.", header_options,
         COUNT_OF(header_options)},
        {"connections.NAME.oauth2", "OAuth 2 client credentials.", oauth2_options,
         COUNT_OF(oauth2_options)},
        {"connections.NAME.limit", "How hard the API may be called.", limit_options,
         COUNT_OF(limit_options)},
        {0},
};

/* Names that Grapnel's client writes itself, or that would change how a message is framed. */
static const char *const reserved_headers[] = {
        "connection", "content-length",    "expect",  "host",    "keep-alive", "proxy-connection",
        "te",         "transfer-encoding", "trailer", "upgrade",
};

static bool is_token(Span s) {
        static const char marks[] = "!#$%&'*+-.^_`|~";

        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                      (c && strchr(marks, c))))
                        return false;
        }
        return s.n > 0;
}

static bool has_control(Span s) {
        for (size_t i = 0; i < s.n; i++)
                if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
                        return true;
        return false;
}

static void check_header_name(Reading *r, Place at, Span name) {
        Node text = {.kind = NODE_SCALAR, .text = name};
        char shown[VALUE_SHOWN_BYTES];

        if (!is_token(name))
                problem_add(r->problems, at, "%s is no name of a header (RFC 9110 section 5.1)",
                            value_shown(&text, shown));
        for (size_t i = 0; i < COUNT_OF(reserved_headers); i++)
                if (span_eq_nocase(name, span_of(reserved_headers[i])))
                        problem_add(r->problems, at, "%s is written by Grapnel itself",
                                    value_shown(&text, shown));
}

/* A newline in a header's value would begin another header. `key` is where it stands in `map`. */
static void check_header_value(Reading *r, const Node *map, const char *key, Span value) {
        const Node *n = node_get(map, key);

        if (n && has_control(value))
                problem_add(r->problems, n->place,
                            "%s: holds a control character, such as a "
                            "newline at its end",
                            key);
}

/* Checks a URL and says in *ret what it names; false after adding a problem. */
static bool check_url(Reading *r, const Node *map, const char *key, const char *text, Url *ret) {
        const Node *n = node_get(map, key);

        return n && text && url_check(r, n, key, ret) == 0;
}

static void warn_plain(Reading *r, const Node *at, const char *what, const Url *url) {
        if (!url->https && !host_is_loopback(url->host))
                problem_warn(r->problems, at->place,
                             "%s is sent over http:// where anyone on the way can read it; use "
                             "https://",
                             what);
}

/* Which one was chosen; the others beside it are errors. */
static AuthKind choose_auth(Reading *r, const Node *map) {
        static const char *const keys[] = {
                [AUTH_BEARER] = "bearer",
                [AUTH_BASIC] = "basic",
                [AUTH_HEADER] = "header",
                [AUTH_OAUTH2] = "oauth2",
        };
        AuthKind first = AUTH_NONE;

        /* In the file's order: the second one is the one to complain about. */
        for (size_t i = 0; i < map->n; i++)
                for (AuthKind kind = AUTH_BEARER; kind <= AUTH_OAUTH2; kind++) {
                        if (!span_eq(map->entries[i].key, span_of(keys[kind])))
                                continue;
                        if (first == AUTH_NONE)
                                first = kind;
                        else
                                problem_add(r->problems, map->entries[i].key_place,
                                            "%s: there is one way to show who calls, and %s is "
                                            "given already",
                                            keys[kind], keys[first]);
                }
        return first;
}

static void read_oauth2(Reading *r, const Node *map, OAuth2Config *o) {
        Url url;

        if (options_read(map, oauth2_options, COUNT_OF(oauth2_options), o, r->arena, r->problems) <
                    0 &&
            map->kind != NODE_MAP)
                return;
        if (check_url(r, map, "token_url", o->token_url, &url))
                warn_plain(r, node_get(map, "token_url"), "the client's secret", &url);
}

static void read_auth(Reading *r, const Node *map, const CallNodes *w, ConnectionConfig *c,
                      const Url *url) {
        static const char *const what[] = {
                [AUTH_NONE] = "",
                [AUTH_BEARER] = "the token",
                [AUTH_BASIC] = "the password",
                [AUTH_HEADER] = "the secret",
                [AUTH_OAUTH2] = "the token",
        };
        int err = 0;

        c->auth = choose_auth(r, map);
        if (w->basic) {
                err = options_read(w->basic, basic_options, COUNT_OF(basic_options), c, r->arena,
                                   r->problems);
                Span user = span_of(c->user);
                if (c->user && (has_control(user) || span_find(user, ':') < user.n))
                        err = problem_add(r->problems, node_get(w->basic, "user")->place,
                                          "user: holds a colon or a control character");
        }
        if (w->header) {
                err = options_read(w->header, header_options, COUNT_OF(header_options), c, r->arena,
                                   r->problems);
                if (c->header)
                        check_header_name(r, node_get(w->header, "name")->place,
                                          span_of(c->header));
                check_header_value(r, w->header, "value", secret_reveal(&c->header_value));
        }
        (void)err; /* r->problems has counted it */
        if (w->oauth2)
                read_oauth2(r, w->oauth2, &c->oauth2);
        check_header_value(r, map, "bearer", secret_reveal(&c->bearer));
        if (c->auth != AUTH_NONE && url->host.p)
                warn_plain(r, node_get(map, "url"), what[c->auth], url);
}

static void read_headers(Reading *r, const Node *headers, ConnectionConfig *c) {
        const Option row = {.name = "headers", .type = OPTION_TEXT};

        if (headers->bad)
                return;
        if (headers->kind != NODE_MAP || headers->n > CONFIG_HEADERS_MAX) {
                problem_add(r->problems, headers->place,
                            "headers: a map from at most %d names to texts is expected",
                            CONFIG_HEADERS_MAX);
                return;
        }
        c->headers = arena_alloc(r->arena, (headers->n + 1) * sizeof *c->headers);
        if (!c->headers) {
                problem_no_room(r->problems, headers->place);
                return;
        }
        for (size_t i = 0; i < headers->n; i++) {
                const NodeEntry *entry = &headers->entries[i];
                struct ConnectionHeader *h = &c->headers[c->n_headers];

                check_header_name(r, entry->key_place, entry->key);
                if (c->auth != AUTH_NONE && c->auth != AUTH_HEADER &&
                    span_eq_nocase(entry->key, SPAN("authorization")))
                        problem_add(r->problems, entry->key_place,
                                    "there is an Authorization header already");
                if (option_read_one(entry->value, &row, &h->value, r->arena, r->problems) < 0)
                        continue;
                if (has_control(span_of(h->value)))
                        problem_add(r->problems, entry->value->place,
                                    "headers: the value holds a control character");
                h->name = entry->key.p;
                c->n_headers++;
        }
}

void call_read(Reading *r, const Node *map, const CallNodes *n, ConnectionConfig *c, Url *ret) {
        Node none = {.kind = NODE_MAP};
        int err;

        (void)check_url(r, map, "url", c->url, ret);
        read_auth(r, map, n, c, ret);
        if (n->headers)
                read_headers(r, n->headers, c);
        err = options_read(n->limit ? n->limit : &none, limit_options, COUNT_OF(limit_options), c,
                           r->arena, r->problems);
        (void)err; /* r->problems has counted it */
}

/* The URL without its final slashes, so that a step's path can follow. */
static void read_base(Reading *r, const Node *map, ConnectionConfig *c, const Url *url) {
        Span base = span_of(c->url);

        if (!url->host.p)
                return;
        if (url->query.p)
                problem_add(r->problems, node_get(map, "url")->place,
                            "url: a base has no query; the steps add theirs");
        while (base.n && base.p[base.n - 1] == '/')
                base.n--;
        c->url = arena_text(r->arena, base);
        if (!c->url)
                problem_no_room(r->problems, map->place);
}

static void read_connection(Reading *r, const Node *map, ConnectionConfig *c) {
        Written w = {.c = *c};
        Url url = {0};
        int err = options_read(map, connection_options, COUNT_OF(connection_options), &w, r->arena,
                               r->problems);

        (void)err; /* r->problems has counted it */
        if (map->kind != NODE_MAP)
                return;
        call_read(r, map, &w.n, &w.c, &url);
        read_base(r, map, &w.c, &url);
        *c = w.c;
}

void connections_read(Reading *r, const Node *map) {
        Config *config = r->config;
        void *room = NULL;
        size_t n = named_room(r, map, "connection", sizeof *config->connections, &room);

        if (n == 0)
                return;
        config->connections = room;
        config->connection_names = named_table(r, n);
        for (size_t i = 0; config->connection_names && i < n; i++) {
                ConnectionConfig *c = &config->connections[i];

                c->name = named_key(r, &map->entries[i], "connection");
                c->place = map->entries[i].key_place;
                c->index = i;
                read_connection(r, map->entries[i].value, c);
                if (c->name)
                        must(table_put(config->connection_names, span_of(c->name), c) == 0);
        }
        config->n_connections = n;
}
