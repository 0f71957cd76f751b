/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens from a token server that counts its requests. */
#include "base/clock.h"
#include "desk.h"
#include "net/token.h"

#define JSON_ANSWER(status, json)                                                                  \
        "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" json

typedef struct Told {
        TokenWait wait;
        Desk *desk;
        unsigned done;
        char token[64];
        bool has_token;
        char why[256];
} Told;

typedef struct Scene {
        Desk *desk;
        Peer *peer;
        Secret secret;
        TokenConfig config;
        char url[64];
        TokenSource *source;
} Scene;

static void scene_begin(Scene *s, const char *answer) {
        *s = (Scene){.desk = desk_new(NULL)};
        s->peer = peer_new(peer_serve_once, answer, NULL);
        s->secret = secret_copy(SPAN("s3cret & more"));
        (void)snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/token", s->peer->port);
        s->config = (TokenConfig){.token_url = s->url,
                                  .client_id = "grapnel:1",
                                  .client_secret = &s->secret,
                                  .allow = &s->desk->allow};
        s->source = token_source_new(s->desk->client, &s->config);
}

static void scene_end(Scene *s) {
        assert_null(token_source_free(s->source));
        desk_free(s->desk);
        peer_free(s->peer);
        secret_done(&s->secret);
}

static void on_told(TokenWait *w, const Secret *token, const char *why) {
        Told *t = CONTAINER_OF(w, Told, wait);

        t->done++;
        t->has_token = token != NULL;
        if (token)
                (void)snprintf(t->token, sizeof t->token, SPAN_FMT, SPAN_ARG(secret_reveal(token)));
        (void)snprintf(t->why, sizeof t->why, "%s", why);
        uv_stop(&t->desk->loop);
}

static void ask(Scene *s, Told *t) {
        *t = (Told){.wait.done = on_told, .desk = s->desk};
        assert_int_equal(token_wait(s->source, &t->wait, clock_mono_ms()), 0);
}

static void wait_for(Scene *s, const Told *t) {
        while (!t->done)
                (void)uv_run(&s->desk->loop, UV_RUN_DEFAULT);
        assert_int_equal(t->done, 1);
}

static void a_thousand_who_ask_share_one_fetch(void **state) {
        enum { WAITERS = 1000 };
        Told *many = must_alloc(WAITERS * sizeof *many);
        Scene s;

        (void)state;
        scene_begin(&s, JSON_ANSWER("200 OK", "{\"access_token\":\"t1\",\"token_type\":\"bEaReR\","
                                              "\"expires_in\":3600}"));
        assert_null(token_cached(s.source, clock_mono_ms()));
        for (size_t i = 0; i < WAITERS; i++) {
                ask(&s, &many[i]);
                assert_int_equal(many[i].done, 0);
        }
        for (size_t i = 0; i < WAITERS; i++) {
                wait_for(&s, &many[i]);
                assert_string_equal(many[i].token, "t1");
        }
        assert_int_equal(s.peer->requests, 1);
        const Secret *cached = token_cached(s.source, clock_mono_ms());
        assert_true(cached && span_eq(secret_reveal(cached), SPAN("t1")));
        scene_end(&s);
        free(many);
}

static void the_request_is_as_the_rfc_has_it(void **state) {
        Told t;
        Scene s;

        (void)state;
        scene_begin(&s, JSON_ANSWER("200 OK", "{\"access_token\":\"t\"}"));
        s.config.scope = "read write";
        s.config.audience = "https://api";
        ask(&s, &t);
        wait_for(&s, &t);
        Span last = buf_span(&s.peer->last);
        assert_true(span_starts(last, SPAN("POST /token HTTP/1.1\r\n")));
        /* base64 of "grapnel%3A1:s3cret%20%26%20more" */
        assert_non_null(memmem(last.p, last.n,
                               "\r\nAuthorization: Basic "
                               "Z3JhcG5lbCUzQTE6czNjcmV0JTIwJTI2JTIwbW9yZQ==\r\n",
                               67));
        assert_non_null(memmem(last.p, last.n,
                               "\r\nContent-Type: application/x-www-form-urlencoded\r\n", 51));
        const char *body = "\r\n\r\ngrant_type=client_credentials&scope=read%20write&"
                           "audience=https%3A%2F%2Fapi";
        assert_true(last.n > strlen(body) &&
                    span_eq(span_from(last, last.n - strlen(body)), span_of(body)));

        token_reject(s.source, SPAN("t"));
        s.config.in_body = true;
        s.config.scope = s.config.audience = NULL;
        ask(&s, &t);
        wait_for(&s, &t);
        last = buf_span(&s.peer->last);
        assert_null(memmem(last.p, last.n, "Authorization", 13));
        body = "\r\n\r\ngrant_type=client_credentials&client_id=grapnel%3A1&"
               "client_secret=s3cret%20%26%20more";
        assert_true(last.n > strlen(body) &&
                    span_eq(span_from(last, last.n - strlen(body)), span_of(body)));
        scene_end(&s);
}

/* How long an answer's token is given out, in milliseconds from when it came. */
static void a_token_ends_a_little_early(void **state) {
        static const struct {
                const char *answer;
                int64_t lasts_ms;
        } cases[] = {
                {JSON_ANSWER("200 OK", "{\"access_token\":\"t\",\"expires_in\":3600}"), 3570000},
                {JSON_ANSWER("200 OK", "{\"access_token\":\"t\",\"expires_in\":\"100\"}"), 90000},
                {JSON_ANSWER("200 OK", "{\"access_token\":\"t\",\"expires_in\":100.5}"), 90000},
                {JSON_ANSWER("200 OK", "{\"access_token\":\"t\"}"), 270000},
                {JSON_ANSWER("200 OK", "{\"access_token\":\"t\",\"expires_in\":\"soon\"}"), 270000},
                {JSON_ANSWER("200 OK", "{\"access_token\":\"t\",\"expires_in\":1e300}"),
                 86400000 - 30000},
                {JSON_ANSWER("200 OK", "{\"access_token\":\"t\",\"expires_in\":0}"), 0},
                {JSON_ANSWER("200 OK", "{\"access_token\":\"t\",\"expires_in\":-5}"), 0},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                Told t;
                Scene s;

                scene_begin(&s, cases[i].answer);
                int64_t before = clock_mono_ms();
                ask(&s, &t);
                wait_for(&s, &t);
                int64_t after = clock_mono_ms();
                assert_string_equal(t.token, "t");
                if (cases[i].lasts_ms > 0)
                        assert_non_null(token_cached(s.source, before + cases[i].lasts_ms - 1));
                assert_null(token_cached(s.source, after + cases[i].lasts_ms));
                ask(&s, &t); /* asked although one is cached, or none is: a fetch */
                wait_for(&s, &t);
                assert_int_equal(s.peer->requests, 2);
                scene_end(&s);
        }
}

static void a_rejected_token_is_dropped_once(void **state) {
        Told t;
        Scene s;

        (void)state;
        scene_begin(&s, JSON_ANSWER("200 OK", "{\"access_token\":\"new\"}"));
        ask(&s, &t);
        wait_for(&s, &t);
        token_reject(s.source, SPAN("old"));
        token_reject(s.source, SPAN(""));
        assert_non_null(token_cached(s.source, clock_mono_ms()));
        token_reject(s.source, SPAN("new"));
        assert_null(token_cached(s.source, clock_mono_ms()));
        ask(&s, &t);
        wait_for(&s, &t);
        assert_string_equal(t.token, "new");
        assert_int_equal(s.peer->requests, 2);
        scene_end(&s);
}

static void failures_say_why_but_no_secret(void **state) {
        static const struct {
                const char *answer, *why;
        } cases[] = {
                {JSON_ANSWER("401 No", "{\"error\":\"invalid_client\",\"error_description\":"
                                       "\"unknown client\"}"),
                 "the token server answered 401: invalid_client, unknown client"},
                {JSON_ANSWER("400 No", "{\"error\":\"invalid_client\",\"error_description\":"
                                       "\"bad secret s3cret & more\"}"),
                 "the token server answered 400: invalid_client"},
                {JSON_ANSWER("400 No", "{\"error\":\"a\\nb\",\"error_description\":7}"),
                 "the token server answered 400"},
                {JSON_ANSWER("500 No", "<html>"), "the token server answered 500"},
                {JSON_ANSWER("200 OK", "{\"error\":\"invalid_scope\"}"),
                 "the token server answered 200: invalid_scope"},
                {JSON_ANSWER("200 OK", "not json"),
                 "the token server's answer holds no access_token"},
                {JSON_ANSWER("200 OK", "[\"access_token\"]"),
                 "the token server's answer holds no access_token"},
                {JSON_ANSWER("200 OK", "{\"access_token\":7}"),
                 "the token server's answer holds no access_token"},
                {JSON_ANSWER("200 OK", "{\"access_token\":\"\"}"),
                 "the token server gave a token that no header can carry"},
                {JSON_ANSWER("200 OK", "{\"access_token\":\"a\\r\\nX: y\"}"),
                 "the token server gave a token that no header can carry"},
                {JSON_ANSWER("200 OK", "{\"access_token\":\"t\",\"token_type\":\"mac\"}"),
                 "the token server gave a token of the type \"mac\", not Bearer"},
                {JSON_ANSWER("302 Found", ""), "the token server answered 302"},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                Told t;
                Scene s;

                scene_begin(&s, cases[i].answer);
                ask(&s, &t);
                wait_for(&s, &t);
                assert_false(t.has_token);
                assert_string_equal(t.why, cases[i].why);
                assert_null(token_cached(s.source, clock_mono_ms()));
                scene_end(&s);
        }
}

static void a_failing_server_is_asked_once_a_while(void **state) {
        Told first, more[50], later;
        Scene s;

        (void)state;
        scene_begin(&s, JSON_ANSWER("503 Later", ""));
        ask(&s, &first);
        wait_for(&s, &first);
        int64_t failed = clock_mono_ms();
        for (size_t i = 0; i < COUNT_OF(more); i++) {
                more[i] = (Told){.wait.done = on_told, .desk = s.desk};
                /* As if no time had passed, however slow this machine is. */
                assert_int_equal(token_wait(s.source, &more[i].wait, failed), 0);
                wait_for(&s, &more[i]);
                assert_false(more[i].has_token);
                assert_string_equal(more[i].why, "the token server answered 503");
        }
        assert_int_equal(s.peer->requests, 1);
        later = (Told){.wait.done = on_told, .desk = s.desk};
        assert_int_equal(token_wait(s.source, &later.wait, failed + 1001), 0);
        assert_int_equal(later.done, 0);
        wait_for(&s, &later);
        assert_int_equal(s.peer->requests, 2);
        scene_end(&s);
}

static void token_servers_are_behind_the_gate_too(void **state) {
        Told t;
        Scene s;

        (void)state;
        scene_begin(&s, JSON_ANSWER("200 OK", "{\"access_token\":\"t\"}"));
        s.config.allow = NULL;
        ask(&s, &t);
        wait_for(&s, &t);
        assert_false(t.has_token);
        assert_non_null(strstr(t.why, "is loopback"));
        assert_int_equal(s.peer->connections, 0);
        scene_end(&s);
}

static void waiting_can_be_given_up(void **state) {
        Told stays, leaves;
        Scene s;

        (void)state;
        scene_begin(&s, JSON_ANSWER("200 OK", "{\"access_token\":\"t\"}"));
        ask(&s, &leaves);
        ask(&s, &stays);
        token_forget(s.source, &leaves.wait);
        token_forget(s.source, &leaves.wait);
        wait_for(&s, &stays);
        assert_int_equal(leaves.done, 0);
        scene_end(&s);

        scene_begin(&s, JSON_ANSWER("200 OK", "{\"access_token\":\"t\"}"));
        ask(&s, &leaves);
        token_forget(s.source, &leaves.wait);
        scene_end(&s); /* with the fetch on its way */
        assert_int_equal(leaves.done, 0);
}

static void waiters_have_a_maximum(void **state) {
        Told *many = must_alloc((TOKEN_WAITERS_MAX + 1) * sizeof *many), *last;
        Scene s;

        (void)state;
        scene_begin(&s, JSON_ANSWER("200 OK", "{\"access_token\":\"t\"}"));
        for (size_t i = 0; i < TOKEN_WAITERS_MAX; i++)
                ask(&s, &many[i]);
        last = &many[TOKEN_WAITERS_MAX];
        *last = (Told){.wait.done = on_told, .desk = s.desk};
        assert_int_equal(token_wait(s.source, &last->wait, clock_mono_ms()), -EAGAIN);
        wait_for(&s, &many[TOKEN_WAITERS_MAX - 1]);
        assert_int_equal(last->done, 0);
        scene_end(&s);
        free(many);
}

typedef struct Picky {
        Told told; /* first */
        Scene *scene;
        unsigned rejections;
} Picky;

/* Takes no token at first sight: rejects it and asks again, inside done. */
static void on_told_picky(TokenWait *w, const Secret *token, const char *why) {
        Picky *p = CONTAINER_OF(w, Picky, told.wait);

        on_told(w, token, why);
        if (token && p->rejections > 0) {
                p->rejections--;
                token_reject(p->scene->source, secret_reveal(token));
                assert_int_equal(token_wait(p->scene->source, w, clock_mono_ms()), 0);
        }
}

static void who_is_told_may_reject_and_ask_again(void **state) {
        Picky picky = {.rejections = 2};
        Told other;
        Scene s;

        (void)state;
        scene_begin(&s, JSON_ANSWER("200 OK", "{\"access_token\":\"t\"}"));
        picky.scene = &s;
        ask(&s, &picky.told);
        picky.told.wait.done = on_told_picky;
        ask(&s, &other);
        wait_for(&s, &other);
        assert_string_equal(other.token, "t");
        while (picky.told.done < 3)
                (void)uv_run(&s.desk->loop, UV_RUN_DEFAULT);
        assert_int_equal(s.peer->requests, 3);
        scene_end(&s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_thousand_who_ask_share_one_fetch),
                cmocka_unit_test(the_request_is_as_the_rfc_has_it),
                cmocka_unit_test(a_token_ends_a_little_early),
                cmocka_unit_test(a_rejected_token_is_dropped_once),
                cmocka_unit_test(failures_say_why_but_no_secret),
                cmocka_unit_test(a_failing_server_is_asked_once_a_while),
                cmocka_unit_test(token_servers_are_behind_the_gate_too),
                cmocka_unit_test(waiting_can_be_given_up),
                cmocka_unit_test(waiters_have_a_maximum),
                cmocka_unit_test(who_is_told_may_reject_and_ask_again),
        };

        return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
