/* SPDX-License-Identifier: Apache-2.0 */
#include "net/token.h"

#include "base/clock.h"
#include "http/url.h"
#include "sign/encoding.h"

#include <jansson.h>

#define FETCH_MS         10000
#define ANSWER_MAX_BYTES (64 * 1024)
#define LIFE_DEFAULT_S   300
#define SKEW_MAX_MS      30000 /* a token is not used in its last moments */
#define FAILURE_KEEP_MS  1000  /* a token server that fails is not hammered */

struct TokenSource {
        Client *client;
        const TokenConfig *config;
        Secret token;
        int64_t until_ms;
        List waiters;
        bool fetching;
        int64_t failed_until_ms;
        char why[256];
        ClientCall call;
        HttpHeader headers[3];
        Buf body, authorization;
};

TokenSource *token_source_new(Client *c, const TokenConfig *config) {
        TokenSource *s = must_alloc(sizeof *s);

        s->client = c;
        s->config = config;
        s->body = BUF(16 * 1024);
        s->authorization = BUF(16 * 1024);
        list_init(&s->waiters);
        return s;
}

static void wipe(Buf *b) {
        if (b->p)
                explicit_bzero(b->p, b->cap);
        buf_clear(b);
}

static void on_cancelled(ClientCall *c, const ClientAnswer *a) {
        (void)c;
        (void)a;
}

TokenSource *token_source_free(TokenSource *s) {
        if (!s)
                return NULL;
        if (s->fetching) {
                s->call.done = on_cancelled;
                client_cancel(s->client, &s->call);
        }
        secret_done(&s->token);
        wipe(&s->body);
        wipe(&s->authorization);
        buf_done(&s->body);
        buf_done(&s->authorization);
        free(s);
        return NULL;
}

const Secret *token_cached(TokenSource *s, int64_t now_ms) {
        return s->token.n && now_ms < s->until_ms ? &s->token : NULL;
}

static void tell_all(TokenSource *s, const Secret *token) {
        List told;

        /* Waiters that join while these are told wait for the next. */
        list_init(&told);
        for (Link *l; (l = list_pop(&s->waiters));)
                list_push(&told, l);
        for (Link *l; (l = list_pop(&told));) {
                TokenWait *w = CONTAINER_OF(l, TokenWait, link);

                w->done(w, token, s->why);
        }
}

static void failed(TokenSource *s, const char *format, ...) PRINTF_LIKE(2, 3);
static void failed(TokenSource *s, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(s->why, sizeof s->why, format, ap);
        va_end(ap);
        s->failed_until_ms = clock_mono_ms() + FAILURE_KEEP_MS;
        tell_all(s, NULL);
}

/* Seconds of life: a number, or a number as text as some servers write it. */
static int64_t life_of(const json_t *answer) {
        const json_t *v = json_object_get(answer, "expires_in");
        uint64_t n = LIFE_DEFAULT_S;

        if (json_is_integer(v) && json_integer_value(v) > 0)
                n = (uint64_t)json_integer_value(v);
        else if (json_is_string(v))
                (void)span_to_u64(span_of(json_string_value(v)), INT32_MAX, &n);
        return n > INT32_MAX ? INT32_MAX : (int64_t)n;
}

static void take_token(TokenSource *s, const json_t *answer) {
        const char *token = json_string_value(json_object_get(answer, "access_token"));
        const char *type = json_string_value(json_object_get(answer, "token_type"));
        int64_t life = life_of(answer) * 1000, skew = life / 10;

        if (!token || !*token) {
                failed(s, "the token server's answer holds no access_token");
                return;
        }
        if (type && !span_eq_nocase(span_of(type), SPAN("bearer"))) {
                failed(s, "the token server gave a token of type '%.40s', not Bearer", type);
                return;
        }
        secret_done(&s->token);
        s->token = secret_copy(span_of(token));
        s->until_ms = clock_mono_ms() + life - (skew < SKEW_MAX_MS ? skew : SKEW_MAX_MS);
        s->why[0] = 0;
        tell_all(s, &s->token);
}

static void on_answer(ClientCall *c, const ClientAnswer *a) {
        TokenSource *s = c->arg;
        json_t *answer;

        s->fetching = false;
        wipe(&s->body);
        wipe(&s->authorization);
        if (a->end != CLIENT_ANSWERED) {
                failed(s, "no token could be fetched: %.200s", a->why);
                return;
        }
        answer = json_loadb(a->body.p ? a->body.p : "", a->body.n, 0, NULL);
        if (a->status == 200 && json_is_object(answer)) {
                take_token(s, answer);
        } else {
                const char *error = json_string_value(json_object_get(answer, "error"));
                const char *more = json_string_value(json_object_get(answer, "error_description"));

                failed(s, "the token server answered %d%s%.60s%s%.120s", a->status,
                       error ? ": " : "", error ? error : "", more ? ", " : "", more ? more : "");
        }
        json_decref(answer);
}

static int add_field(Buf *b, const char *name, Span value) {
        int r = b->n ? buf_add_char(b, '&') : 0;

        if (r == 0)
                r = buf_addf(b, "%s=", name);
        return r == 0 ? url_encode(b, value) : r;
}

/* RFC 6749 2.3.1: id and secret are form-encoded before they are joined. */
static int write_basic(TokenSource *s) {
        AUTO(buf_done)
        Buf pair = BUF(8192);
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
        if (r == 0 && c->in_body) {
                r = add_field(&s->body, "client_id", span_of(c->client_id));
                if (r == 0)
                        r = add_field(&s->body, "client_secret", secret_reveal(c->client_secret));
        } else if (r == 0)
                r = write_basic(s);
        return r;
}

static void fetch(TokenSource *s) {
        Err e = {0};

        wipe(&s->body);
        wipe(&s->authorization);
        if (write_request(s) < 0) {
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
                               .done = on_answer,
                               .arg = s};
        s->fetching = client_start(s->client, &s->call, &e) == 0;
        if (!s->fetching)
                failed(s, "no token could be fetched: %.200s", e.text);
}

int token_wait(TokenSource *s, TokenWait *w, int64_t now_ms) {
        if (s->waiters.n >= TOKEN_WAITERS_MAX)
                return -EAGAIN;
        list_push(&s->waiters, &w->link);
        if (s->fetching)
                return 0;
        if (now_ms < s->failed_until_ms)
                tell_all(s, NULL);
        else
                fetch(s);
        return 0;
}

void token_forget(TokenSource *s, TokenWait *w) {
        list_remove(&s->waiters, &w->link);
}

void token_reject(TokenSource *s, Span token) {
        if (span_eq_secret(secret_reveal(&s->token), token))
                secret_done(&s->token);
}
