/* SPDX-License-Identifier: Apache-2.0
 *
 * How an endpoint is approached: the headers of its own, the credentials and certificates that
 * Grapnel shows it, and those that it believes. */
#include "flow/endpoint_reading.h"

#include "http/bytes.h"
#include "http/url.h"
#include "sign/encoding.h"

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
        "grapnel-ids",
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
                return reading_wrong(r, "headers",
                                     "a name holds a byte that no header's name may hold");
        if (http_field_run(value, 0) < value.n)
                return FAIL(r->e, -EINVAL,
                            "headers: the value of " SPAN_FMT " holds a control byte",
                            SPAN_ARG(name));
        for (size_t i = 0; i < COUNT_OF(ours); i++)
                if (span_eq_nocase(name, span_of(ours[i])))
                        return FAIL(r->e, -EINVAL, "headers: %s is set by Grapnel", ours[i]);
        if (name.n > 3 && span_eq_nocase((Span){name.p, 3}, SPAN("ce-")))
                return reading_wrong(r, "headers", "those that begin with ce- are set by Grapnel");
        return 0;
}

int reading_headers(Reading *r) {
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
                return reading_wrong(r, "headers", "are too long");
        json_object_foreach(map, key, v) {
                Span name = arena_span(r->p->arena, span_of(key)), value;

                if (!json_is_string(v))
                        return reading_wrong(r, "headers", "must be texts");
                value = arena_span(r->p->arena,
                                   (Span){json_string_value(v), json_string_length(v)});
                if (!name.p || !value.p)
                        return reading_wrong(r, "headers", "are too long");
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
                        return reading_wrong(r, "auth",
                                             "the headers hold an Authorization already");
        if (!text || http_field_run(value, 0) < value.n)
                return reading_wrong(r, "auth", "is too long, or holds a control byte");
        return add_header(r, SPAN("Authorization"), span_of(text));
}

static int read_basic(Reading *r, const json_t *basic) {
        const char *user = json_string_value(json_object_get(basic, "user")),
                   *password = json_string_value(json_object_get(basic, "password"));
        AUTO(buf_done)
        Buf plain = BUF(4096), coded = BUF(8192);
        int bad;

        if (!user || !password || strchr(user, ':'))
                return reading_wrong(r, "auth.basic",
                                     "needs a user (without a colon) and a password");
        if (buf_addf(&plain, "%s:%s", user, password) < 0 ||
            base64_print(buf_span(&plain), &coded) < 0)
                bad = reading_wrong(r, "auth.basic", "is too long");
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
                return reading_wrong(r, "auth.oauth2", "needs tokenUrl, clientId and clientSecret");
        if (url_parse(span_of(t->token_url), &url, NULL) < 0)
                return reading_wrong(r, "auth.oauth2.tokenUrl", "is no URL that may be called");
        r->p->oauth2_secret = secret_copy(span_of(secret));
        t->client_secret = &r->p->oauth2_secret;
        return 0;
}

int reading_auth(Reading *r) {
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
        return reading_wrong(
                r, "auth",
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
        return into->p ? 0 : reading_wrong(r, "tls", "is too long");
}

int reading_tls(Reading *r) {
        const json_t *tls = json_object_get(r->from, "tls");
        ClientTls *into = &r->p->tls;
        int bad;

        if (!tls || json_is_null(tls))
                return 0;
        if (!json_is_object(tls))
                return reading_wrong(r, "tls", "must be {\"certificate\", \"key\", \"ca\"}");
        bad = read_pem(r, tls, "certificate", "-----BEGIN CERTIFICATE", &into->certificate);
        if (bad == 0)
                bad = read_pem(r, tls, "key", "-----BEGIN ", &into->key);
        if (bad == 0)
                bad = read_pem(r, tls, "ca", "-----BEGIN CERTIFICATE", &into->ca);
        if (bad == 0 && !into->certificate.p != !into->key.p)
                bad = reading_wrong(r, "tls",
                                    "a certificate needs its key, and a key its certificate");
        r->p->has_tls = bad == 0;
        return bad;
}
