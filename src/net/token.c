/* SPDX-License-Identifier: Apache-2.0
 *
 * A source is in one of three states: it has a token that lasts, a fetch is on its way and all who
 * ask join it, or it has neither. A failed fetch is remembered for a moment, so that a broken
 * token server hears one request a second from us, however many calls want a token. What a server
 * says of its refusal is passed on to people, except where it repeats the secret. */
#include "net/token.h"

#include "base/clock.h"
#include "http/url.h"
#include "sign/encoding.h"

#include <jansson.h>

enum {
        FETCH_MS = 10 * 1000,
        ANSWER_MAX_BYTES = 64 * 1024,
        REQUEST_MAX_BYTES = 16 * 1024,
        CREDENTIALS_MAX_BYTES = 8 * 1024,
        TOKEN_MAX_BYTES = 16 * 1024,
        LIFE_DEFAULT_S = 300,
        LIFE_MAX_S = 24 * 3600, /* asked again once a day, whatever the server promises */
        SKEW_MAX_MS = 30 * 1000,
        FAILURE_KEPT_MS = 1000,
};

struct TokenSource {
        Client *client;
        const TokenConfig *config;
        Secret token;
        int64_t until_ms; /* the token is given out before this moment only */
        List waiters;
        bool is_fetching;
        int64_t failed_until_ms;
        char why[256];
        ClientCall call;
        HttpHeader headers[3];
        Buf body, authorization;
};

static void wipe(Buf *b) {
        if (b->p)
                explicit_bzero(b->p, b->cap);
        buf_done(b);
}

TokenSource *token_source_new(Client *c, const TokenConfig *config) {
        TokenSource *s = must_alloc(sizeof *s);

        s->client = c;
        s->config = config;
        s->body = BUF(REQUEST_MAX_BYTES);
        s->authorization = BUF(REQUEST_MAX_BYTES);
        list_init(&s->waiters);
        return s;
}

static void on_abandoned(ClientCall *c, const ClientAnswer *a) {
        (void)c;
        (void)a;
}

TokenSource *token_source_free(TokenSource *s) {
        if (!s)
                return NULL;
        if (s->is_fetching) {
                s->call.done = on_abandoned;
                client_cancel(s->client, &s->call);
        }
        secret_done(&s->token);
        wipe(&s->body);
        wipe(&s->authorization);
        free(s);
        return NULL;
}

const Secret *token_cached(TokenSource *s, int64_t now_ms) {
        return s->token.n && now_ms < s->until_ms ? &s->token : NULL;
}

/* Only those who wait now: who joins while these are told waits for what comes next. */
static void tell_all(TokenSource *s, const Secret *token) {
        char why[sizeof s->why];

        memcpy(why, s->why, sizeof why);
        for (size_t n = s->waiters.n; n > 0 && s->waiters.n > 0; n--) {
                TokenWait *w = CONTAINER_OF(list_pop(&s->waiters), TokenWait, link);

                w->done(w, token, why);
        }
}

static void failed(TokenSource *s, const char *format, ...) PRINTF_LIKE(2, 3);

static void failed(TokenSource *s, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(s->why, sizeof s->why, format, ap);
        va_end(ap);
        s->failed_until_ms = clock_mono_ms() + FAILURE_KEPT_MS;
        tell_all(s, NULL);
}

/* Seconds: a number, or a number as text, as some servers write it. */
static int64_t life_of(const json_t *answer) {
        const json_t *v = json_object_get(answer, "expires_in");
        uint64_t n = LIFE_DEFAULT_S;

        if (json_is_number(v)) {
                double life = json_number_value(v);

                n = life <= 0 ? 0 : life >= LIFE_MAX_S ? LIFE_MAX_S : (uint64_t)life;
        } else if (json_is_string(v)) {
                (void)span_to_u64(span_of(json_string_value(v)), INT64_MAX, &n);
        }
        return n > LIFE_MAX_S ? LIFE_MAX_S : (int64_t)n;
}

/* RFC 6749 appendix A.12: visible ASCII and the space, which a header can carry. */
static bool is_sendable(Span token) {
        for (size_t i = 0; i < token.n; i++)
                if (token.p[i] < 0x20 || token.p[i] >= 0x7f)
                        return false;
        return token.n > 0 && token.n <= TOKEN_MAX_BYTES;
}

/* A word of the server for people: a string without control bytes that does not hold the secret,
 * or "". */
static const char *said(const TokenSource *s, const json_t *answer, const char *key) {
        Span secret = secret_reveal(s->config->client_secret);
        const char *text = json_string_value(json_object_get(answer, key));

        if (!text || (secret.n && memmem(text, strlen(text), secret.p, secret.n)))
                return "";
        for (const char *p = text; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        return "";
        return text;
}

static void refused(TokenSource *s, int status, const json_t *answer) {
        const char *error = said(s, answer, "error");
        const char *description = said(s, answer, "error_description");

        failed(s, "the token server answered %d%s%.60s%s%.120s", status, *error ? ": " : "", error,
               *description ? ", " : "", description);
}

static void take_token(TokenSource *s, const json_t *answer) {
        Span token = span_of(json_string_value(json_object_get(answer, "access_token")));
        const json_t *type = json_object_get(answer, "token_type");
        int64_t life_ms = life_of(answer) * 1000, skew_ms = life_ms / 10;

        if (type && (!json_is_string(type) ||
                     !span_eq_nocase(span_of(json_string_value(type)), SPAN("bearer")))) {
                failed(s, "the token server gave a token of the type \"%.40s\", not Bearer",
                       said(s, answer, "token_type"));
                return;
        }
        if (!is_sendable(token)) {
                failed(s, "the token server gave a token that no header can carry");
                return;
        }
        secret_done(&s->token);
        s->token = secret_copy(token);
        s->until_ms = clock_mono_ms() + life_ms - (skew_ms < SKEW_MAX_MS ? skew_ms : SKEW_MAX_MS);
        s->why[0] = 0;
        s->failed_until_ms = 0;
        /* One of those told may reject the token: the others still hear the whole of it. */
        Secret told = secret_copy(token);
        tell_all(s, &told);
        secret_done(&told);
}

static void on_answer(ClientCall *c, const ClientAnswer *a) {
        TokenSource *s = c->arg;

        s->is_fetching = false;
        wipe(&s->body);
        wipe(&s->authorization);
        if (a->end != CLIENT_ANSWERED) {
                failed(s, "no token could be fetched: %.200s", a->why);
                return;
        }
        json_t *answer = json_loadb(a->body.p ? a->body.p : "", a->body.n, 0, NULL);
        if (a->status != 200)
                refused(s, a->status, answer);
        else if (json_is_string(json_object_get(answer, "access_token")))
                take_token(s, answer);
        else if (json_object_get(answer, "error"))
                refused(s, a->status, answer);
        else
                failed(s, "the token server's answer holds no access_token");
        json_decref(answer);
}

static int add_field(Buf *b, const char *name, Span value) {
        int r = b->n ? buf_add_char(b, '&') : 0;

        if (r == 0)
                r = buf_add(b, span_of(name));
        if (r == 0)
                r = buf_add_char(b, '=');
        return r == 0 ? url_encode(b, value) : r;
}

/* RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined. */
static int write_basic(TokenSource *s) {
        Buf pair = BUF(CREDENTIALS_MAX_BYTES);
        int r = url_encode(&pair, span_of(s->config->client_id));

        if (r == 0)
                r = buf_add_char(&pair, ':');
        if (r == 0)
                r = url_encode(&pair, secret_reveal(s->config->client_secret));
        if (r == 0)
                r = buf_add(&s->authorization, SPAN("Basic "));
        if (r == 0)
                r = base64_print(buf_span(&pair), &s->authorization);
        wipe(&pair);
        return r;
}

static int write_request(TokenSource *s) {
        const TokenConfig *c = s->config;
        int r = add_field(&s->body, "grant_type", SPAN("client_credentials"));

        if (r == 0 && c->scope)
                r = add_field(&s->body, "scope", span_of(c->scope));
        if (r == 0 && c->audience)
                r = add_field(&s->body, "audience", span_of(c->audience));
        if (r == 0 && !c->in_body)
                return write_basic(s);
        if (r == 0)
                r = add_field(&s->body, "client_id", span_of(c->client_id));
        if (r == 0)
                r = add_field(&s->body, "client_secret", secret_reveal(c->client_secret));
        return r;
}

static void fetch(TokenSource *s) {
        Err e = {0};

        if (write_request(s) < 0) {
                wipe(&s->body);
                wipe(&s->authorization);
                failed(s, "the credentials for the token server are too long");
                return;
        }
        s->headers[0] =
                (HttpHeader){SPAN("Content-Type"), SPAN("application/x-www-form-urlencoded")};
        s->headers[1] = (HttpHeader){SPAN("Accept"), SPAN("application/json")};
        s->headers[2] = (HttpHeader){SPAN("Authorization"), buf_span(&s->authorization)};
        s->call = (ClientCall){.method = "POST",
                               .url = s->config->token_url,
                               .headers = s->headers,
                               .n_headers = s->config->in_body ? 2 : 3,
                               .body = buf_span(&s->body),
                               .timeout_ms = FETCH_MS,
                               .answer_max = ANSWER_MAX_BYTES,
                               .allow = s->config->allow,
                               .repeatable = true, /* a second token does no harm */
                               .done = on_answer,
                               .arg = s};
        s->is_fetching = client_start(s->client, &s->call, &e) == 0;
        if (s->is_fetching)
                return;
        wipe(&s->body);
        wipe(&s->authorization);
        failed(s, "no token could be fetched: %.200s", e.text);
}

int token_wait(TokenSource *s, TokenWait *w, int64_t now_ms) {
        if (s->waiters.n >= TOKEN_WAITERS_MAX)
                return -EAGAIN;
        list_push(&s->waiters, &w->link);
        if (s->is_fetching)
                return 0;
        if (now_ms < s->failed_until_ms)
                tell_all(s, NULL);
        else
                fetch(s);
        return 0;
}

void token_forget(TokenSource *s, TokenWait *w) {
        if (link_on(&w->link))
                list_remove(&s->waiters, &w->link);
}

void token_reject(TokenSource *s, Span token) {
        if (span_eq_secret(secret_reveal(&s->token), token))
                secret_done(&s->token);
}
