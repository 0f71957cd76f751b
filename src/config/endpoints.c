/* SPDX-License-Identifier: Apache-2.0
 *
 * endpoints: where messages and events are sent to as webhooks. Whom is called, and how, is said
 * with the words of connections; which events, with those of flows. What is inside the values
 * (types, keys, PEM) is judged by src/flow, which judges those of the API too. */
#include "config/tables.h"

/* One entry as its table reads it. */
typedef struct Written {
        EndpointConfig e;
        CallNodes n;
        const Node *on, *match, *types, *channels, *secret, *retry, *tls, *batch;
} Written;

#define AT(field) offsetof(Written, field)

enum { ENDPOINTS_MAX = 1000 };

static const char *const orders[] = {"none", "subject", "all", NULL};
static const char *const formats[] = {"plain", "cloudevents", "cloudevents-structured", NULL};

static const Option endpoint_options[] = {
        {.name = "url",
         .type = OPTION_TEXT,
         .offset = AT(e.target.url),
         .required = true,
         .shape = "URL",
         .help = "Where to. One that comes from `${...}` is shown without its path by the API."},
        {.name = "description",
         .type = OPTION_TEXT,
         .offset = AT(e.description),
         .help = "For people who read the API."},
        {.name = "application",
         .type = OPTION_TEXT,
         .offset = AT(e.application),
         .fallback = "main",
         .help = "The uid of the application that it belongs to, and whose messages it gets. One "
                 "that is not there is made."},
        {.name = "on",
         .type = OPTION_NODE,
         .offset = AT(on),
         .shape = "name, or list of names",
         .help = "Sources whose events are sent here too, as they came. An endpoint that has `on` "
                 "and no `application` gets nothing else."},
        {.name = "match",
         .type = OPTION_NODE,
         .offset = AT(match),
         .shape = "map of values",
         .help = "Which of these events it wants, as [flows](#flowsname) say it."},
        {.name = "types",
         .type = OPTION_NODE,
         .offset = AT(types),
         .shape = "type, or list of types",
         .help = "Only events and messages of these types; `order.*` is `order` and all that "
                 "begin with `order.`."},
        {.name = "channels",
         .type = OPTION_NODE,
         .offset = AT(channels),
         .shape = "name, or list of names",
         .help = "Only messages that name one of these channels."},
        {.name = "filter",
         .type = OPTION_EXPR,
         .offset = AT(e.filter),
         .help = "A condition on `.event` and `.meta`: what it is false or null for is not sent."},
        {.name = "transform",
         .type = OPTION_EXPR,
         .offset = AT(e.transform),
         .shape = "jq expression, or `slack`",
         .help = "Makes the body from `.event` and `.meta`. Without it the body is sent byte for "
                 "byte."},
        {.name = "profile",
         .type = OPTION_TEXT,
         .offset = AT(e.profile),
         .fallback = "standard",
         .help = "How deliveries are signed: see [signatures.md](signatures.md)."},
        {.name = "secret",
         .type = OPTION_NODE,
         .offset = AT(secret),
         .shape = "secret, or list of secrets",
         .is_secret = true,
         .help = "What signs. Of a list, the first is the newest, and all sign. No profile but "
                 "`none` does without; `grapnel secret` makes one."},
        {.name = "format",
         .type = OPTION_CHOICE,
         .offset = AT(e.format),
         .fallback = "plain",
         .choices = formats,
         .help = "The body as it is, or as a CloudEvent: in headers, or as one document."},
        {.name = "bearer",
         .type = OPTION_SECRET,
         .offset = AT(e.target.bearer),
         .help = "A token, sent as `Authorization: Bearer ...`. An endpoint has at most one of "
                 "`bearer`, `basic`, `header` and `oauth2`."},
        {.name = "basic",
         .type = OPTION_NODE,
         .offset = AT(n.basic),
         .help = "A user and a password, as in [connections](#connectionsnamebasic)."},
        {.name = "header",
         .type = OPTION_NODE,
         .offset = AT(n.header),
         .help = "A secret in a header, as in [connections](#connectionsnameheader)."},
        {.name = "oauth2",
         .type = OPTION_NODE,
         .offset = AT(n.oauth2),
         .help = "Client credentials, as in [connections](#connectionsnameoauth2)."},
        {.name = "headers",
         .type = OPTION_NODE,
         .offset = AT(n.headers),
         .shape = "map of texts",
         .help = "Plain headers sent with each request. Values from `${...}` are not shown by the "
                 "API."},
        {.name = "tls",
         .type = OPTION_NODE,
         .offset = AT(tls),
         .help = "Certificates to show and to believe: see [tls](#endpointsnametls)."},
        {.name = "limit",
         .type = OPTION_NODE,
         .offset = AT(n.limit),
         .help = "As in [connections](#connectionsnamelimit), with a rate by the second: `limit: "
                 "{concurrency: 8, rate: 50/s}`."},
        {.name = "timeout",
         .type = OPTION_DURATION,
         .offset = AT(e.target.timeout_ms),
         .fallback = "15s",
         .min = 100,
         .max = 60000,
         .help = "How long one attempt may take as a whole."},
        {.name = "retry",
         .type = OPTION_NODE,
         .offset = AT(retry),
         .shape = "map, or `none`",
         .help = "When an attempt that failed is made again, as in [retry](#flowsnameretry). "
                 "Without it: for some three days."},
        {.name = "order",
         .type = OPTION_CHOICE,
         .offset = AT(e.order),
         .fallback = "none",
         .choices = orders,
         .help = "`subject` sends what is about one subject one after the other, `all` everything; "
                 "the next waits until the one before was delivered or given up."},
        {.name = "handshake",
         .type = OPTION_BOOL,
         .offset = AT(e.handshake),
         .fallback = "false",
         .help = "Ask the receiver for its consent first, as CloudEvents web hooks do."},
        {.name = "batch",
         .type = OPTION_NODE,
         .offset = AT(batch),
         .shape = "map",
         .help = "Several events in one request: see [batch](#endpointsnamebatch)."},
        {.name = "disabled",
         .type = OPTION_BOOL,
         .offset = AT(e.disabled),
         .fallback = "false",
         .help = "Send nothing for now."},
};

static const Option batch_options[] = {
        {.name = "events",
         .type = OPTION_NUMBER,
         .offset = offsetof(struct EndpointBatchConfig, events),
         .fallback = "100",
         .min = 2,
         .max = 250,
         .help = "So many make a batch complete."},
        {.name = "wait",
         .type = OPTION_DURATION,
         .offset = offsetof(struct EndpointBatchConfig, wait_ms),
         .fallback = "1s",
         .min = 0,
         .max = 60000,
         .help = "How long after its first event it goes as it is."},
        {.name = "bytes",
         .type = OPTION_SIZE,
         .offset = offsetof(struct EndpointBatchConfig, bytes),
         .fallback = "1M",
         .min = 1024,
         .max = 8 << 20,
         .help = "How large its body may become, but for a single event that is larger."},
};

static const Option tls_options[] = {
        {.name = "certificate",
         .type = OPTION_TEXT,
         .offset = offsetof(struct EndpointTlsConfig, certificate),
         .shape = "PEM",
         .help = "Shown to the receiver: `\"${file:/etc/grapnel/client.pem}\"`."},
        {.name = "key",
         .type = OPTION_SECRET,
         .offset = offsetof(struct EndpointTlsConfig, key),
         .shape = "PEM",
         .help = "The key of the certificate."},
        {.name = "ca",
         .type = OPTION_TEXT,
         .offset = offsetof(struct EndpointTlsConfig, ca),
         .shape = "PEM",
         .help = "The authorities to believe, instead of the system's."},
};

const OptionGroup endpoint_groups[] = {
        {"endpoints.NAME",
         "A receiver of one's own systems. Its name is made of a-z, 0-9 and `-`, and is its uid in "
         "the API, where it is an endpoint like those that the API made, but for changes: those "
         "are made here. [sending.md](sending.md#endpoints-in-the-file) tells more.",
         endpoint_options, COUNT_OF(endpoint_options)},
        {"endpoints.NAME.batch",
         "`batch: {events: 50, wait: 500ms}`: a JSON array of what would have been sent alone. See "
         "[sending.md](sending.md#several-in-one-request).",
         batch_options, COUNT_OF(batch_options)},
        {"endpoints.NAME.tls", "Certificates, in PEM.", tls_options, COUNT_OF(tls_options)},
        {0},
};

/* Names of applications come into URLs. */
static bool is_uid(Span s) {
        for (size_t i = 0; i < s.n; i++)
                if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
                      (s.p[i] >= '0' && s.p[i] <= '9') || strchr("-_.", s.p[i])))
                        return false;
        return s.n >= 1 && s.n <= CONFIG_NAME_MAX_BYTES;
}

static void check_application(Reading *r, const Node *map, const EndpointConfig *e) {
        const Node *n = node_get(map, "application");
        char shown[VALUE_SHOWN_BYTES];

        if (n && e->application && !is_uid(span_of(e->application)))
                problem_add(r->problems, n->place,
                            "application: %s is no uid: letters, digits, '-', '_' and '.', at most "
                            "%d of them",
                            value_shown(n, shown), CONFIG_NAME_MAX_BYTES);
}

/* A plan looks at events of sources alone, channels at messages alone. */
static void check_what_it_gets(Reading *r, const Node *map, const EndpointConfig *e) {
        const Node *match = node_get(map, "match"), *channels = node_get(map, "channels");

        if (match && !node_get(map, "on"))
                problem_add(r->problems, match->place,
                            "match: looks at events of sources; say which: on: NAME. For messages "
                            "there are types and filter");
        if (channels && !e->wants_messages)
                problem_add(r->problems, channels->place,
                            "channels: events of sources name none; give the application whose "
                            "messages it is to get too");
}

static void check_rate(Reading *r, const Node *limit, const EndpointConfig *e) {
        const Node *rate = node_get(limit, "rate");

        if (rate && e->target.rate.count && e->target.rate.per_ms != 1000)
                problem_add(r->problems, rate->place, "rate: an endpoint's is by the second: 50/s");
}

static void read_texts(Reading *r, const Node *n, const char *what, const char ***ret,
                       size_t *ret_n) {
        if (!n)
                return;
        *ret_n = texts_read(r, n, what, ret, NULL);
        if (n->kind == NODE_LIST && n->n == 0)
                problem_add(r->problems, n->place, "%s: the list is empty", what);
}

static void read_endpoint(Reading *r, const Node *map, EndpointConfig *e) {
        Written w = {.e = *e};
        Url url = {0};
        int err = options_read(map, endpoint_options, COUNT_OF(endpoint_options), &w, r->arena,
                               r->problems);

        if (map->kind != NODE_MAP)
                return;
        w.e.map = map;
        w.e.retry.tries = -1;
        w.e.wants_messages = !w.on || node_get(map, "application");
        w.e.headers = w.n.headers;
        call_read(r, map, &w.n, &w.e.target, &url);
        if (w.on)
                on_read(r, w.on, &w.e.on, &w.e.n_on);
        if (w.match)
                match_read(r, w.match, &w.e.match, &w.e.n_match);
        read_texts(r, w.types, "types", &w.e.types, &w.e.n_types);
        read_texts(r, w.channels, "channels", &w.e.channels, &w.e.n_channels);
        read_texts(r, w.secret, "secret", &w.e.secrets, &w.e.n_secrets);
        if (w.retry && !w.retry->bad)
                retry_read(r, w.retry, &w.e.retry);
        if (w.tls)
                err = options_read(w.tls, tls_options, COUNT_OF(tls_options), &w.e.tls, r->arena,
                                   r->problems);
        if (w.batch)
                err = options_read(w.batch, batch_options, COUNT_OF(batch_options), &w.e.batch,
                                   r->arena, r->problems);
        (void)err; /* r->problems has counted it */
        check_application(r, map, &w.e);
        check_what_it_gets(r, map, &w.e);
        check_rate(r, w.n.limit, &w.e);
        *e = w.e;
}

void endpoints_read(Reading *r, const Node *map) {
        Config *config = r->config;
        void *room = NULL;
        size_t n = named_room(r, map, "endpoint", sizeof *config->endpoints, &room);

        if (n > ENDPOINTS_MAX) {
                problem_add(r->problems, map->place,
                            "endpoints: more than %d; for as many as that there is the API",
                            ENDPOINTS_MAX);
                return;
        }
        config->endpoints = room;
        for (size_t i = 0; i < n; i++) {
                EndpointConfig *e = &config->endpoints[i];

                e->name = named_key(r, &map->entries[i], "endpoint");
                e->place = map->entries[i].key_place;
                read_endpoint(r, map->entries[i].value, e);
        }
        config->n_endpoints = n;
}
