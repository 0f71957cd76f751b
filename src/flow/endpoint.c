/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/endpoint.h"

#include "base/id.h"
#include "http/bytes.h"
#include "http/url.h"
#include "map/map.h"
#include "sign/encoding.h"

#include <jansson.h>

enum {
        ENDPOINT_ARENA_MAX_BYTES = 1024 * 1024,
        ARENA_EXTRA_BYTES = 128,
        TIMEOUT_MIN_MS = 100,
        TIMEOUT_MAX_MS = 60000,
        CONCURRENCY_MAX = 1000,
        RATE_MAX = 100000,
        PAUSE_MAX_S = 7 * 24 * 3600,
        JITTER_PERCENT = 20,
};

/* One endpoint being read from its JSON. */
typedef struct Reading {
        Endpoint *p;
        const json_t *from;
        Err *e;
        size_t header_bytes, header_room;
} Reading;

static int wrong(const Reading *r, const char *member, const char *want) {
        return FAIL(r->e, -EINVAL, "%s: %s", member, want);
}

/* ---- values ---- */

/* 1 when the member is there and not null, 0 when not. */
static int text_of(Reading *r, const char *member, Span *ret) {
        const json_t *v = json_object_get(r->from, member);

        *ret = (Span){NULL, 0};
        if (!v || json_is_null(v))
                return 0;
        if (!json_is_string(v))
                return wrong(r, member, "must be a text");
        *ret = arena_span(r->p->arena, (Span){json_string_value(v), json_string_length(v)});
        return ret->p ? 1 : wrong(r, member, "is too long");
}

static int number_of(Reading *r, const char *member, int64_t min, int64_t max, int64_t *into) {
        const json_t *v = json_object_get(r->from, member);

        if (!v || json_is_null(v))
                return 0;
        if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
                return FAIL(r->e, -EINVAL,
                            "%s: must be a whole number from %" PRId64 " to %" PRId64, member, min,
                            max);
        *into = json_integer_value(v);
        return 0;
}

static int truth_of(Reading *r, const char *member, bool *into) {
        const json_t *v = json_object_get(r->from, member);

        if (v && !json_is_null(v) && !json_is_boolean(v))
                return wrong(r, member, "must be true or false");
        *into = json_is_true(v);
        return 0;
}

static int choice_of(Reading *r, const char *member, const char *const *names, int *into) {
        Span text;
        int got = text_of(r, member, &text);

        if (got <= 0)
                return got;
        for (int i = 0; names[i]; i++) {
                if (span_eq(text, span_of(names[i]))) {
                        *into = i;
                        return 0;
                }
        }
        return FAIL(r->e, -EINVAL, "%s: '%.*s' is not known; the first choice is '%s'", member,
                    text.n > 40 ? 40 : (int)text.n, text.p, names[0]);
}

static int texts_of(Reading *r, const char *member, size_t max, const Span **ret, size_t *ret_n) {
        const json_t *list = json_object_get(r->from, member);
        size_t n = json_array_size(list);
        Span *texts;

        if (!list || json_is_null(list))
                return 0;
        if (!json_is_array(list) || n > max)
                return FAIL(r->e, -EINVAL, "%s: must be a list of at most %zu texts", member, max);
        texts = arena_alloc(r->p->arena, (n + 1) * sizeof *texts);
        if (!texts)
                return wrong(r, member, "is too long");
        for (size_t i = 0; i < n; i++) {
                const json_t *v = json_array_get(list, i);

                if (!json_is_string(v) || json_string_length(v) == 0)
                        return wrong(r, member, "must hold texts only");
                texts[i] = arena_span(r->p->arena,
                                      (Span){json_string_value(v), json_string_length(v)});
                if (!texts[i].p)
                        return wrong(r, member, "is too long");
        }
        *ret = texts;
        *ret_n = n;
        return 0;
}

/* ---- where to ---- */

/* As in the Host header: without the scheme's own port, with brackets, with a final dot (the client
 * sends it), and in lower case. */
static Span authority_of(Reading *r, const Url *url) {
        bool six = url->host_kind == URL_IPV6;
        bool has_dot = url->host.p[url->host.n] == '.'; /* the text goes on there, or ends */
        const char *before = six ? "[" : "", *after = six ? "]" : has_dot ? "." : "";
        char port[8] = "";

        if (url->port != (url->https ? 443 : 80))
                (void)snprintf(port, sizeof port, ":%u", url->port);
        char *text = arena_printf(r->p->arena, "%s" SPAN_FMT "%s%s", before, SPAN_ARG(url->host),
                                  after, port);
        for (char *c = text; c && *c; c++)
                *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
        return span_of(text);
}

static int read_url(Reading *r) {
        Endpoint *p = r->p;
        Span text;
        Url url;
        Err why = {0};
        int got = text_of(r, "url", &text);

        if (got <= 0)
                return got < 0 ? got : wrong(r, "url", "is missing");
        if (url_parse(text, &url, &why) < 0)
                return FAIL(r->e, -EINVAL, "url: %s", why.text);
        p->url = p->shown_url = text.p;
        p->path = url.path;
        p->query = url.query;
        p->authority = authority_of(r, &url);
        if (!p->authority.p)
                return wrong(r, "url", "is too long");
        got = text_of(r, "shownUrl", &text);
        if (got > 0)
                p->shown_url = text.p;
        return got < 0 ? got : 0;
}

/* ---- headers ---- */

static int add_header(Reading *r, Span name, Span value) {
        Endpoint *p = r->p;

        must(p->n_headers < r->header_room);
        r->header_bytes += name.n + value.n;
        /* Beyond that no delivery would ever leave. */
        if (r->header_bytes > ENDPOINT_HEADERS_MAX_BYTES)
                return FAIL(r->e, -EINVAL, "headers: have more than %d bytes, credentials included",
                            ENDPOINT_HEADERS_MAX_BYTES);
        p->headers[p->n_headers++] = (HttpHeader){name, value};
        return 0;
}

/* Whose values are ours: they frame the message, or say who sends what. Said twice, receivers would
 * take one or the other, or both as one. */
static const char *const ours[] = {
        "content-length",
        "transfer-encoding",
        "connection",
        "expect",
        "host",
        "upgrade",
        "te",
        "trailer",
        "keep-alive",
        "proxy-connection",
        "content-type",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "grapnel-depth",
        "content-digest",
        "signature",
        "signature-input",
        "svix-id",
        "svix-timestamp",
        "svix-signature",
        "stripe-signature",
        "x-github-delivery",
        "x-github-event",
        "x-hub-signature-256",
        "x-shopify-hmac-sha256",
        "x-shopify-topic",
        "x-shopify-triggered-at",
        "x-shopify-webhook-id",
        "x-slack-request-timestamp",
        "x-slack-signature",
        "traceparent",
};

static int check_header(const Reading *r, Span name, Span value) {
        if (name.n == 0 || name.n > 256 || http_run(name, 0, HTTP_TOKEN) != name.n)
                return wrong(r, "headers", "a name holds a byte that no header's name may hold");
        if (http_field_run(value, 0) < value.n)
                return FAIL(r->e, -EINVAL,
                            "headers: the value of " SPAN_FMT " holds a control byte",
                            SPAN_ARG(name));
        for (size_t i = 0; i < COUNT_OF(ours); i++)
                if (span_eq_nocase(name, span_of(ours[i])))
                        return FAIL(r->e, -EINVAL, "headers: %s is set by Grapnel", ours[i]);
        if (name.n > 3 && span_eq_nocase((Span){name.p, 3}, SPAN("ce-")))
                return wrong(r, "headers", "those that begin with ce- are set by Grapnel");
        return 0;
}

static int read_headers(Reading *r) {
        json_t *map = json_object_get(r->from, "headers");
        const char *key;
        json_t *v;

        if (map && !json_is_null(map) &&
            (!json_is_object(map) || json_object_size(map) > ENDPOINT_HEADERS_MAX))
                return FAIL(r->e, -EINVAL, "headers: must be a map of at most %d texts",
                            ENDPOINT_HEADERS_MAX);
        r->header_room = json_object_size(map) + 1; /* and the credentials */
        r->p->headers = arena_alloc(r->p->arena, r->header_room * sizeof *r->p->headers);
        if (!r->p->headers)
                return wrong(r, "headers", "are too long");
        json_object_foreach(map, key, v) {
                Span name = arena_span(r->p->arena, span_of(key)), value;

                if (!json_is_string(v))
                        return wrong(r, "headers", "must be texts");
                value = arena_span(r->p->arena,
                                   (Span){json_string_value(v), json_string_length(v)});
                if (!name.p || !value.p)
                        return wrong(r, "headers", "are too long");
                int bad = check_header(r, name, value);
                if (bad < 0 || (bad = add_header(r, name, value)) < 0)
                        return bad;
        }
        return 0;
}

static int add_authorization(Reading *r, const char *scheme, Span value) {
        char *text = arena_printf(r->p->arena, "%s " SPAN_FMT, scheme, SPAN_ARG(value));

        for (size_t i = 0; i < r->p->n_headers; i++)
                if (span_eq_nocase(r->p->headers[i].name, SPAN("authorization")))
                        return wrong(r, "auth", "the headers hold an Authorization already");
        if (!text || http_field_run(value, 0) < value.n)
                return wrong(r, "auth", "is too long, or holds a control byte");
        return add_header(r, SPAN("Authorization"), span_of(text));
}

static int read_basic(Reading *r, const json_t *basic) {
        const char *user = json_string_value(json_object_get(basic, "user")),
                   *password = json_string_value(json_object_get(basic, "password"));
        AUTO(buf_done)
        Buf plain = BUF(4096), coded = BUF(8192);
        int bad;

        if (!user || !password || strchr(user, ':'))
                return wrong(r, "auth.basic", "needs a user (without a colon) and a password");
        if (buf_addf(&plain, "%s:%s", user, password) < 0 ||
            base64_print(buf_span(&plain), &coded) < 0)
                bad = wrong(r, "auth.basic", "is too long");
        else
                bad = add_authorization(r, "Basic", buf_span(&coded));
        if (plain.p)
                explicit_bzero(plain.p, plain.n);
        return bad;
}

static const char *member_text(Reading *r, const json_t *map, const char *member) {
        const json_t *v = json_object_get(map, member);

        if (!json_is_string(v))
                return NULL;
        return arena_span(r->p->arena, (Span){json_string_value(v), json_string_length(v)}).p;
}

static int read_oauth2(Reading *r, const json_t *v) {
        TokenConfig *t = &r->p->oauth2;
        const char *secret = json_string_value(json_object_get(v, "clientSecret"));
        Url url;

        t->token_url = member_text(r, v, "tokenUrl");
        t->client_id = member_text(r, v, "clientId");
        t->scope = member_text(r, v, "scope");
        t->audience = member_text(r, v, "audience");
        t->in_body = json_is_true(json_object_get(v, "inBody"));
        if (!t->token_url || !t->client_id || !secret)
                return wrong(r, "auth.oauth2", "needs tokenUrl, clientId and clientSecret");
        if (url_parse(span_of(t->token_url), &url, NULL) < 0)
                return wrong(r, "auth.oauth2.tokenUrl", "is no URL that may be called");
        r->p->oauth2_secret = secret_copy(span_of(secret));
        t->client_secret = &r->p->oauth2_secret;
        return 0;
}

static int read_auth(Reading *r) {
        const json_t *auth = json_object_get(r->from, "auth"), *v;

        if (!auth || json_is_null(auth))
                return 0;
        if ((v = json_object_get(auth, "basic")))
                return read_basic(r, v);
        if ((v = json_object_get(auth, "bearer")) && json_is_string(v))
                return add_authorization(r, "Bearer",
                                         (Span){json_string_value(v), json_string_length(v)});
        if ((v = json_object_get(auth, "oauth2")))
                return read_oauth2(r, v);
        return wrong(r, "auth",
                     "must be {\"basic\": {\"user\", \"password\"}}, {\"bearer\"} or {\"oauth2\"}");
}

/* ---- certificates ---- */

static int read_pem(Reading *r, const json_t *tls, const char *member, const char *begins,
                    Span *into) {
        const json_t *v = json_object_get(tls, member);

        *into = (Span){NULL, 0};
        if (!v || json_is_null(v))
                return 0;
        if (!json_is_string(v) || !strstr(json_string_value(v), begins))
                return FAIL(r->e, -EINVAL, "tls.%s: must be PEM, with a line that begins with %s",
                            member, begins);
        *into = arena_span(r->p->arena, (Span){json_string_value(v), json_string_length(v)});
        return into->p ? 0 : wrong(r, "tls", "is too long");
}

static int read_tls(Reading *r) {
        const json_t *tls = json_object_get(r->from, "tls");
        ClientTls *into = &r->p->tls;
        int bad;

        if (!tls || json_is_null(tls))
                return 0;
        if (!json_is_object(tls))
                return wrong(r, "tls", "must be {\"certificate\", \"key\", \"ca\"}");
        bad = read_pem(r, tls, "certificate", "-----BEGIN CERTIFICATE", &into->certificate);
        if (bad == 0)
                bad = read_pem(r, tls, "key", "-----BEGIN ", &into->key);
        if (bad == 0)
                bad = read_pem(r, tls, "ca", "-----BEGIN CERTIFICATE", &into->ca);
        if (bad == 0 && !into->certificate.p != !into->key.p)
                bad = wrong(r, "tls", "a certificate needs its key, and a key its certificate");
        r->p->has_tls = bad == 0;
        return bad;
}

/* ---- keys ---- */

static int read_key(Reading *r, const json_t *secret) {
        Endpoint *p = r->p;
        const json_t *key = json_object_get(secret, "key"),
                     *until = json_object_get(secret, "until");
        EndpointKey *k = &p->keys[p->n_keys];
        bool has_end = until && !json_is_null(until);

        /* An end that cannot be read must not become none. */
        if (!json_is_string(key) ||
            (has_end && (!json_is_integer(until) || json_integer_value(until) <= 0)))
                return wrong(r, "secrets", "must be a list of {\"key\", \"until\"}");
        k->until_ms = has_end ? json_integer_value(until) : 0;
        k->key = profile_key_new(p->profile,
                                 (Span){json_string_value(key), json_string_length(key)}, r->e);
        if (!k->key) {
                err_prefix(r->e, "secrets");
                return -EINVAL;
        }
        p->n_keys++;
        return 0;
}

static int read_keys(Reading *r) {
        const json_t *list = json_object_get(r->from, "secrets");
        Span name;
        int bad = text_of(r, "profile", &name);

        if (bad < 0)
                return bad;
        r->p->profile = profile_find(name.p ? name : SPAN("standard"));
        if (!r->p->profile)
                return FAIL(r->e, -EINVAL, "profile: '%.*s' is not known",
                            name.n > 40 ? 40 : (int)name.n, name.p);
        if (list && !json_is_null(list) && !json_is_array(list))
                return wrong(r, "secrets", "must be a list of {\"key\", \"until\"}");
        for (size_t i = 0; i < json_array_size(list); i++) {
                if (r->p->n_keys == PROFILE_KEYS_MAX)
                        return wrong(r, "secrets", "are too many");
                if ((bad = read_key(r, json_array_get(list, i))) < 0)
                        return bad;
        }
        if (r->p->n_keys == 0 && r->p->profile->secrets)
                return wrong(r, "secrets", "one is needed to sign with");
        return 0;
}

/* ---- how ---- */

static int read_retry(Reading *r) {
        const json_t *list = json_object_get(r->from, "retry");
        RetryRule *rule = &r->p->retry;
        size_t n = json_array_size(list);

        *rule = retry_default;
        if (!list || json_is_null(list))
                return 0;
        if (!json_is_array(list) || n > RETRY_STEPS_MAX)
                return FAIL(r->e, -EINVAL, "retry: must be a list of at most %d pauses in seconds",
                            RETRY_STEPS_MAX);
        *rule = (RetryRule){.n = (unsigned)n,
                            .jitter_percent = JITTER_PERCENT,
                            .hint_max_ms = retry_default.hint_max_ms};
        for (size_t i = 0; i < n; i++) {
                const json_t *v = json_array_get(list, i);

                if (!json_is_number(v) || json_number_value(v) < 0 ||
                    json_number_value(v) > PAUSE_MAX_S)
                        return FAIL(r->e, -EINVAL, "retry: a pause is from 0 to %d seconds",
                                    PAUSE_MAX_S);
                rule->pause_ms[i] = (int64_t)(json_number_value(v) * 1000);
        }
        return 0;
}

static int read_way(Reading *r) {
        static const char *const orders[] = {"none", "subject", "all", NULL};
        static const char *const formats[] = {"plain", "cloudevents", "cloudevents-structured",
                                              NULL};
        Endpoint *p = r->p;
        int64_t concurrency = ENDPOINT_CONCURRENCY, rate = 0;
        int order = ORDER_NONE, format = FORMAT_PLAIN;
        int bad = number_of(r, "timeout", TIMEOUT_MIN_MS, TIMEOUT_MAX_MS, &p->timeout_ms);

        if (bad == 0)
                bad = number_of(r, "concurrency", 1, CONCURRENCY_MAX, &concurrency);
        if (bad == 0)
                bad = number_of(r, "rateLimit", 1, RATE_MAX, &rate);
        if (bad == 0)
                bad = number_of(r, "failingSince", 0, INT64_MAX, &p->failing_since_ms);
        if (bad == 0)
                bad = choice_of(r, "order", orders, &order);
        if (bad == 0)
                bad = choice_of(r, "format", formats, &format);
        if (bad == 0)
                bad = truth_of(r, "disabled", &p->is_disabled);
        if (bad == 0)
                bad = truth_of(r, "handshake", &p->wants_handshake);
        if (bad == 0)
                bad = truth_of(r, "eventsOnly", &p->is_events_only);
        p->concurrency = (unsigned)concurrency;
        p->rate = (uint32_t)rate;
        p->order = (EndpointOrder)order;
        p->format = (EndpointFormat)format;
        return bad < 0 ? bad : read_retry(r);
}

/* Names stand for programs that are ready made. */
static const struct {
        const char *name, *text;
} ready_made[] = {
        {"slack", "{text: \"*\\(.meta.type)*\\n```\\(.event | tojson)```\"}"},
};

Span endpoint_program(Span text) {
        for (size_t i = 0; i < COUNT_OF(ready_made); i++)
                if (span_eq(text, span_of(ready_made[i].name)))
                        return span_of(ready_made[i].text);
        return text;
}

static int read_program(Reading *r, const char *member, Span *into) {
        int got = text_of(r, member, into);

        if (got > 0 && into->n > MAP_TEXT_MAX_BYTES)
                return wrong(r, member, "is too long");
        if (got > 0)
                *into = endpoint_program(*into);
        return got < 0 ? got : 0;
}

static int read_all(Reading *r) {
        Endpoint *p = r->p;
        Span uid;
        int bad = text_of(r, "uid", &uid);

        if (bad < 0)
                return bad;
        if (uid.n > OBJECT_NAME_MAX_BYTES)
                return FAIL(r->e, -EINVAL, "uid: is longer than %d bytes", OBJECT_NAME_MAX_BYTES);
        p->uid = uid;
        bad = read_url(r);
        if (bad == 0)
                bad = texts_of(r, "filterTypes", ENDPOINT_TYPES_MAX, &p->types, &p->n_types);
        if (bad == 0)
                bad = texts_of(r, "channels", ENDPOINT_CHANNELS_MAX, &p->channels, &p->n_channels);
        if (bad == 0)
                bad = read_headers(r);
        if (bad == 0)
                bad = texts_of(r, "hiddenHeaders", ENDPOINT_HEADERS_MAX + 1, &p->hidden,
                               &p->n_hidden);
        if (bad == 0)
                bad = read_auth(r);
        if (bad == 0)
                bad = read_tls(r);
        if (bad == 0)
                bad = read_program(r, "filter", &p->filter);
        if (bad == 0)
                bad = read_program(r, "transform", &p->transform);
        if (bad == 0)
                bad = read_keys(r);
        return bad < 0 ? bad : read_way(r);
}

int endpoint_make(const Object *o, Endpoint **ret, Err *e) {
        json_error_t why;
        json_t *from = json_loadb(o->text.p, o->text.n, JSON_REJECT_DUPLICATES, &why);
        Endpoint *p;
        char id[ID_TEXT];
        int bad;

        if (!json_is_object(from)) {
                json_decref(from);
                return FAIL(e, -EINVAL, "the endpoint is no JSON object");
        }
        p = must_alloc(sizeof *p);
        p->refs = 1;
        /* There may be a hundred thousand of them: what it takes is about what its text holds. */
        p->arena = arena_new_for(o->text.n + ARENA_EXTRA_BYTES, ENDPOINT_ARENA_MAX_BYTES);
        p->id = o->id;
        p->application = o->owner;
        p->version = o->version;
        p->timeout_ms = ENDPOINT_TIMEOUT_MS;
        id_print("ep", o->id, id);
        (void)snprintf(p->target, sizeof p->target, "endpoint:%s", id);
        bad = read_all(&(Reading){.p = p, .from = from, .e = e});
        json_decref(from);
        if (bad < 0)
                endpoint_unref(p);
        else
                *ret = p;
        return bad < 0 ? bad : 0;
}

Endpoint *endpoint_ref(Endpoint *p) {
        atomic_fetch_add(&p->refs, 1);
        return p;
}

Endpoint *endpoint_unref(Endpoint *p) {
        if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
                return NULL;
        for (size_t i = 0; i < p->n_keys; i++)
                profile_key_free(p->keys[i].key);
        secret_done(&p->oauth2_secret);
        arena_free(p->arena);
        free(p);
        return NULL;
}

bool endpoint_hides_header(Span name) {
        static const char *const names[] = {
                "authorization",
                "proxy-authorization",
                "proxy-authenticate",
                "www-authenticate",
                "x-auth-token",
                "x-api-key",
                "api-key",
                "cookie",
        };

        for (size_t i = 0; i < COUNT_OF(names); i++)
                if (span_eq_nocase(name, span_of(names[i])))
                        return true;
        return false;
}

bool endpoint_hides(const Endpoint *p, Span name) {
        for (size_t i = 0; i < p->n_hidden; i++)
                if (span_eq_nocase(name, p->hidden[i]))
                        return true;
        return endpoint_hides_header(name);
}

/* ---- does it want this? ---- */

/* "order.*" is order and all that begins with "order.". */
static bool type_matches(Span want, Span type) {
        if (want.n >= 2 && want.p[want.n - 1] == '*' && want.p[want.n - 2] == '.') {
                Span prefix = {want.p, want.n - 1};

                return span_starts(type, prefix) || span_eq(type, (Span){want.p, want.n - 2});
        }
        return span_eq(want, type);
}

static bool wants_type(const Endpoint *p, Span type) {
        for (size_t i = 0; i < p->n_types; i++)
                if (type_matches(p->types[i], type))
                        return true;
        return p->n_types == 0;
}

static bool wants_channel(const Endpoint *p, const Span *channels, size_t n) {
        for (size_t i = 0; i < p->n_channels; i++)
                for (size_t k = 0; k < n; k++)
                        if (span_eq(p->channels[i], channels[k]))
                                return true;
        return p->n_channels == 0;
}

bool endpoint_wants(const Endpoint *p, Span type, const Span *channels, size_t n_channels) {
        return !p->is_disabled && !p->is_events_only && wants_type(p, type) &&
               wants_channel(p, channels, n_channels);
}

bool endpoint_wants_event(const Endpoint *p, Span type) {
        return !p->is_disabled && wants_type(p, type);
}
