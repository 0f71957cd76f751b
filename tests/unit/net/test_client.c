/* SPDX-License-Identifier: Apache-2.0
 *
 * The client against servers that behave and servers that do not. */
#include "desk.h"

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* One desk, one peer, one call: what most tests need. */
typedef struct Scene {
        Desk *desk;
        Peer *peer;
        Asked asked;
} Scene;

static void scene_begin(Scene *s, void (*serve)(PeerLink *), const char *answer,
                        const char *method) {
        s->desk = desk_new(NULL);
        s->peer = peer_new(serve, answer, NULL);
        asked_init(&s->asked, s->desk, method, s->peer->port);
}

static void scene_end(Scene *s) {
        desk_free(s->desk);
        peer_free(s->peer);
        asked_done(&s->asked);
}

static void an_answer_comes_back_whole(void **state) {
        Scene s;

        (void)state;
        scene_begin(&s, peer_serve_answer,
                    "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nX-One:  a b \r\nx-two:\r\n\r\nhi",
                    "GET");
        desk_ask(s.desk, &s.asked);
        ClientAnswer *a = &s.asked.answer;
        assert_string_equal(a->why, "");
        assert_int_equal(a->end, CLIENT_ANSWERED);
        assert_int_equal(a->status, 201);
        assert_true(span_eq(a->body, SPAN("hi")));
        assert_true(
                span_eq(buf_span(&s.asked.head), SPAN("Content-Length: 2\nX-One: a b\nx-two: \n")));
        char where[64];
        (void)snprintf(where, sizeof where, "127.0.0.1:%d", s.peer->port);
        assert_string_equal(a->address, where);
        assert_true(a->connect_us > 0 && a->first_byte_us >= a->connect_us &&
                    a->total_us >= a->first_byte_us);
        scene_end(&s);
}

static void on_done_looking_up(ClientCall *call, const ClientAnswer *answer) {
        assert_true(span_eq(client_answer_get(answer, "x-ONE"), SPAN("1")));
        assert_null(client_answer_get(answer, "x-on").p);
        asked_on_done(call, answer);
}

static void headers_are_found_in_any_case(void **state) {
        Scene s;

        (void)state;
        scene_begin(&s, peer_serve_answer,
                    "HTTP/1.1 200\r\nX-One: 1\r\nX-One: 2\r\nContent-Length: 0\r\n\r\n", "GET");
        s.asked.call.done = on_done_looking_up;
        desk_ask(s.desk, &s.asked);
        assert_int_equal(s.asked.answer.end, CLIENT_ANSWERED);
        scene_end(&s);
}

static void the_request_holds_what_the_caller_said_and_no_more(void **state) {
        static const HttpHeader headers[] = {{SPAN("Webhook-Id"), SPAN("msg_1")},
                                             {SPAN("X-Empty"), SPAN("")},
                                             {SPAN("content-type"), SPAN("application/json")}};
        static const char body[] = "{\0\r\n\xff}";
        char expected[512];
        Scene s;

        (void)state;
        scene_begin(&s, peer_serve_answer, OK_ANSWER, "PATCH");
        s.asked.call.headers = headers;
        s.asked.call.n_headers = COUNT_OF(headers);
        s.asked.call.body = (Span){body, sizeof body - 1};
        desk_ask(s.desk, &s.asked);
        assert_int_equal(s.asked.answer.status, 200);
        int n = snprintf(expected, sizeof expected,
                         "PATCH /there?a=b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                         "User-Agent: grapnel/" GRAPNEL_VERSION
                         "\r\nAccept: */*\r\nWebhook-Id: msg_1\r\n"
                         "X-Empty:\r\ncontent-type: application/json\r\n"
                         "Content-Length: 6\r\n\r\n",
                         s.peer->port);
        assert_true(
                span_eq(buf_span(&s.peer->last),
                        (Span){memcpy(expected + n, body, 6) ? expected : NULL, (size_t)n + 6}));
        scene_end(&s);
}

static void bodies_pass_byte_for_byte(void **state) {
        /* From a megabyte on libcurl would like to send Expect. */
        enum { LARGEST = 3 << 20 };
        static const size_t sizes[] = {0, 1, 65535, 65536, 65537, LARGEST};
        Scene s;

        (void)state;
        scene_begin(&s, peer_serve_answer, OK_ANSWER, "POST");
        char *bytes = must_alloc(LARGEST);
        for (size_t i = 0; i < LARGEST; i++)
                bytes[i] = (char)(i * 31 + i / 256);
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
                s.asked.call.body = (Span){bytes, sizes[i]};
                desk_ask(s.desk, &s.asked);
                assert_int_equal(s.asked.answer.end, CLIENT_ANSWERED);
                Span last = buf_span(&s.peer->last);
                assert_true(last.n > sizes[i]);
                assert_true(span_eq(span_from(last, last.n - sizes[i]), s.asked.call.body));
                assert_null(memmem(last.p, last.n - sizes[i], "Expect", 6));
        }
        free(bytes);
        scene_end(&s);
}

static void methods_without_a_body_send_none(void **state) {
        static const struct {
                const char *method;
                bool has_length;
        } cases[] = {{"GET", false}, {"DELETE", false}, {"OPTIONS", false}, {"POST", true},
                     {"PUT", true},  {"PATCH", true},   {"QUERY", false},   {"GET", false}};
        Scene s;

        (void)state;
        scene_begin(&s, peer_serve_answer, OK_ANSWER, "GET");
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                s.asked.call.method = cases[i].method;
                desk_ask(s.desk, &s.asked);
                assert_int_equal(s.asked.answer.end, CLIENT_ANSWERED);
                Span last = buf_span(&s.peer->last);
                assert_true(span_starts(last, span_of(cases[i].method)));
                assert_int_equal(memmem(last.p, last.n, "Content-Length: 0\r\n", 19) != NULL,
                                 cases[i].has_length);
                assert_null(memmem(last.p, last.n, "Content-Type", 12));
        }
        assert_int_equal(s.peer->connections, 1);
        scene_end(&s);
}

static void head_has_a_length_but_no_body(void **state) {
        Scene s;

        (void)state;
        scene_begin(&s, peer_serve_answer, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
                    "HEAD");
        for (int i = 0; i < 2; i++) {
                desk_ask(s.desk, &s.asked);
                assert_int_equal(s.asked.answer.end, CLIENT_ANSWERED);
                assert_int_equal(s.asked.body.n, 0);
        }
        assert_int_equal(s.peer->connections, 1);
        scene_end(&s);
}

static void connections_are_kept(void **state) {
        Scene s;

        (void)state;
        scene_begin(&s, peer_serve_answer, OK_ANSWER, "POST");
        s.asked.call.body = SPAN("x");
        for (int i = 0; i < 200; i++)
                desk_ask(s.desk, &s.asked);
        assert_int_equal(s.peer->connections, 1);
        assert_int_equal(s.peer->requests, 200);
        assert_int_equal(s.asked.answer.connect_us, 0);
        assert_true(s.asked.answer.address[0] != 0);
        scene_end(&s);
}

#define INTERIM     "HTTP/1.1 103 Early Hints\r\n\r\n"
#define TEN_INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM

/* Answers that are one, and answers that are none: by name of their end. */
static void answers_are_judged(void **state) {
        static const struct {
                const char *what, *answer;
                ClientEnd end;
                int status;
                const char *body;
        } cases[] = {
                {"until close", "HTTP/1.1 200 OK\r\n\r\nabc", CLIENT_ANSWERED, 200, "abc"},
                {"1.0", "HTTP/1.0 404 Gone Fishing\r\n\r\n", CLIENT_ANSWERED, 404, ""},
                {"chunked",
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n"
                 "0\r\nX-Trailer: 1\r\n\r\n",
                 CLIENT_ANSWERED, 200, "abc"},
                {"interim",
                 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nz",
                 CLIENT_ANSWERED, 200, "z"},
                {"ten interim", TEN_INTERIM "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                 CLIENT_ANSWERED, 200, ""},
                {"eleven interim",
                 TEN_INTERIM INTERIM "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                 CLIENT_BAD_ANSWER, 0, ""},
                {"204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi",
                 CLIENT_ANSWERED, 204, ""},
                {"redirect",
                 "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
                 CLIENT_ANSWERED, 302, ""},
                {"999", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", CLIENT_ANSWERED, 999, ""},
                {"401", "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 1\r\n\r\nn",
                 CLIENT_ANSWERED, 401, "n"},
                {"coded",
                 "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
                 CLIENT_ANSWERED, 200, "abc"},
                {"same length twice",
                 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
                 CLIENT_ANSWERED, 200, "x"},
                {"garbage", "SSH-2.0-OpenSSH_9.2p1\r\n", CLIENT_BAD_ANSWER, 0, ""},
                {"0.9", "<html>hello</html>", CLIENT_BAD_ANSWER, 0, ""},
                {"HTTP/2", "HTTP/2 200\r\nContent-Length: 0\r\n\r\n", CLIENT_BAD_ANSWER, 0, ""},
                {"preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", CLIENT_BAD_ANSWER, 0, ""},
                {"status of two digits", "HTTP/1.1 20 OK\r\n\r\n", CLIENT_BAD_ANSWER, 0, ""},
                {"status 000", "HTTP/1.1 000 OK\r\n\r\n", CLIENT_BAD_ANSWER, 0, ""},
                {"switch", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello",
                 CLIENT_BAD_ANSWER, 0, ""},
                {"two lengths",
                 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
                 CLIENT_BAD_ANSWER, 0, ""},
                {"length and chunks",
                 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "0\r\n\r\n",
                 CLIENT_BAD_ANSWER, 0, ""},
                {"negative", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx", CLIENT_BAD_ANSWER, 0,
                 ""},
                {"signed", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx", CLIENT_BAD_ANSWER, 0,
                 ""},
                {"overflow", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551617\r\n\r\nx",
                 CLIENT_BAD_ANSWER, 0, ""},
                {"coding below",
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                 CLIENT_BAD_ANSWER, 0, ""},
                {"bad chunk",
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
                 CLIENT_BAD_ANSWER, 200, ""},
                {"no colon", "HTTP/1.1 200 OK\r\nhello\r\n\r\n", CLIENT_BAD_ANSWER, 0, ""},
                {"blank before colon", "HTTP/1.1 200 OK\r\nX : 1\r\n\r\n", CLIENT_BAD_ANSWER, 0,
                 ""},
                {"folded", "HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\n\r\n", CLIENT_BAD_ANSWER, 0, ""},
                {"control byte", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", CLIENT_BAD_ANSWER, 0, ""},
                {"nothing", "", CLIENT_BROKEN, 0, ""},
                {"cut in the head", "HTTP/1.1 200 OK\r\nContent-Le", CLIENT_BROKEN, 0, ""},
                {"cut in the body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
                 CLIENT_BROKEN, 200, "abc"},
                {"cut in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
                 CLIENT_BROKEN, 200, "abc"},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                Scene s;

                scene_begin(&s, peer_serve_once, cases[i].answer, "POST");
                desk_ask(s.desk, &s.asked);
                ClientAnswer *a = &s.asked.answer;
                if (a->end != cases[i].end || a->status != cases[i].status ||
                    !span_eq(a->body, span_of(cases[i].body)))
                        fail_msg("%s: %s, status %d, body \"" SPAN_FMT "\", %s", cases[i].what,
                                 client_end_name(a->end), a->status, SPAN_ARG(a->body), a->why);
                assert_int_equal(a->why[0] == 0, a->end == CLIENT_ANSWERED);
                assert_int_equal(s.peer->requests, 1);
                scene_end(&s);
        }
}

static void serve_many_lines(PeerLink *l) {
        size_t n = *(size_t *)l->peer->arg;

        if (!peer_read(l) || !peer_send(l, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")))
                return;
        for (size_t i = 1; i < n; i++)
                if (!peer_send(l, SPAN("X: y\r\n")))
                        return;
        (void)peer_send(l, SPAN("\r\n"));
}

static void the_lines_of_a_head_have_a_maximum(void **state) {
        static const struct {
                size_t lines;
                ClientEnd end;
        } cases[] = {{200, CLIENT_ANSWERED}, {201, CLIENT_BAD_ANSWER}, {5000, CLIENT_BAD_ANSWER}};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                size_t lines = cases[i].lines;
                Scene s;

                scene_begin(&s, serve_many_lines, NULL, "GET");
                s.peer->arg = &lines;
                desk_ask(s.desk, &s.asked);
                assert_int_equal(s.asked.answer.end, cases[i].end);
                scene_end(&s);
        }
}

static void serve_endless_head(PeerLink *l) {
        char line[1000];

        memset(line, 'x', sizeof line);
        line[0] = 'A';
        line[1] = ':';
        line[998] = '\r';
        line[999] = '\n';
        if (!peer_read(l) || !peer_send(l, SPAN("HTTP/1.1 200 OK\r\n")))
                return;
        while (peer_send(l, (Span){line, sizeof line}))
                ;
}

static void serve_endless_interim(PeerLink *l) {
        if (peer_read(l))
                while (peer_send(l, SPAN("HTTP/1.1 100 Continue\r\n\r\n")))
                        ;
}

static void serve_endless_line(PeerLink *l) {
        if (peer_read(l) && peer_send(l, SPAN("HTTP/1.1 200 OK\r\nA: ")))
                while (peer_send(l,
                                 SPAN("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")))
                        ;
}

static void heads_that_never_end_are_cut_off(void **state) {
        void (*const serve[])(PeerLink *) = {serve_endless_head, serve_endless_interim,
                                             serve_endless_line};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(serve); i++) {
                Scene s;

                scene_begin(&s, serve[i], NULL, "GET");
                desk_ask(s.desk, &s.asked);
                ClientAnswer *a = &s.asked.answer;
                if (a->end != CLIENT_BAD_ANSWER)
                        fail_msg("%zu: %s, %s", i, client_end_name(a->end), a->why);
                scene_end(&s);
        }
}

static void serve_endless_body(PeerLink *l) {
        if (peer_read(l) &&
            peer_send(l, SPAN("HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n")))
                while (peer_send(l, SPAN("a\r\n0123456789\r\n")))
                        ;
}

static void a_body_stops_at_its_maximum(void **state) {
        Scene s;

        (void)state;
        scene_begin(&s, serve_endless_body, NULL, "GET");
        s.asked.call.answer_max = 1234;
        desk_ask(s.desk, &s.asked);
        assert_int_equal(s.asked.answer.end, CLIENT_TOO_BIG);
        assert_int_equal(s.asked.answer.status, 202);
        assert_int_equal(s.asked.body.n, 1234);
        scene_end(&s);

        scene_begin(&s, peer_serve_answer, OK_ANSWER, "GET");
        s.asked.call.answer_max = 2;
        desk_ask(s.desk, &s.asked);
        assert_int_equal(s.asked.answer.end, CLIENT_ANSWERED);
        s.asked.call.answer_max = 1;
        desk_ask(s.desk, &s.asked);
        assert_int_equal(s.asked.answer.end, CLIENT_TOO_BIG);
        scene_end(&s);
}

static void serve_reset_at_once(PeerLink *l) {
        peer_reset(l);
}
static void serve_reset_after_request(PeerLink *l) {
        (void)peer_read(l);
        peer_reset(l);
}
static void serve_reset_in_answer(PeerLink *l) {
        (void)peer_read(l);
        (void)peer_send(l, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"));
        peer_reset(l);
}

static void resets_tell_whether_the_request_was_sent(void **state) {
        void (*const serve[])(PeerLink *) = {serve_reset_at_once, serve_reset_after_request,
                                             serve_reset_in_answer};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(serve); i++) {
                Scene s;

                scene_begin(&s, serve[i], NULL, "POST");
                s.asked.call.body = SPAN("x");
                desk_ask(s.desk, &s.asked);
                ClientAnswer *a = &s.asked.answer;
                /* A reset right after accept may be seen before or after our bytes left. */
                if (a->end != CLIENT_BROKEN && !(i == 0 && a->end == CLIENT_CONNECT))
                        fail_msg("%zu: %s, %s", i, client_end_name(a->end), a->why);
                assert_int_equal(s.peer->connections, 1);
                scene_end(&s);
        }
}

static void refused_connections_are_told(void **state) {
        Scene s;

        (void)state;
        scene_begin(&s, peer_serve_answer, OK_ANSWER, "GET");
        int closed = socket(AF_INET, SOCK_STREAM, 0); /* bound, so nobody else is; not listening */
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof at;
        assert_int_equal(bind(closed, (struct sockaddr *)&at, sizeof at), 0);
        assert_int_equal(getsockname(closed, (struct sockaddr *)&at, &n), 0);
        asked_init(&s.asked, s.desk, "GET", ntohs(at.sin_port));
        desk_ask(s.desk, &s.asked);
        assert_int_equal(s.asked.answer.end, CLIENT_CONNECT);
        assert_int_equal(s.asked.answer.status, 0);
        assert_true(s.asked.answer.address[0] != 0);
        close(closed);
        scene_end(&s);
}

/* It may get the very descriptor that was the other's. */
static void then_another_connects(Desk *d, const Peer *p) {
        Asked a;

        asked_init(&a, d, "GET", p->port);
        desk_ask(d, &a);
        assert_int_equal(a.answer.end, CLIENT_ANSWERED);
        asked_done(&a);
}

/* A listener whose queue is full lets further connections wait for ever. */
static void a_connection_that_is_never_made_is_told(void **state) {
        enum { FILLERS = 8 };
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof at;
        int full = socket(AF_INET, SOCK_STREAM, 0), fillers[FILLERS];
        Peer *good = peer_new(peer_serve_once, OK_ANSWER, NULL); /* a new connection for each */
        Desk *d = desk_new(NULL);
        Asked a;

        (void)state;
        assert_int_equal(bind(full, (struct sockaddr *)&at, sizeof at), 0);
        assert_int_equal(listen(full, 0), 0);
        assert_int_equal(getsockname(full, (struct sockaddr *)&at, &n), 0);
        for (size_t i = 0; i < FILLERS; i++) {
                fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
                (void)connect(fillers[i], (struct sockaddr *)&at, sizeof at);
        }
        asked_init(&a, d, "POST", ntohs(at.sin_port));
        a.call.connect_ms = 200;
        desk_ask(d, &a);
        assert_int_equal(a.answer.end, CLIENT_CONNECT);
        then_another_connects(d, good);
        /* One that is cancelled while it connects. */
        asked_done(&a);
        asked_init(&a, d, "POST", ntohs(at.sin_port));
        desk_start(d, &a);
        for (size_t i = 0; i < 10; i++)
                (void)uv_run(&d->loop, UV_RUN_NOWAIT);
        assert_int_equal(a.done, 0);
        client_cancel(d->client, &a.call);
        assert_int_equal(a.answer.end, CLIENT_CANCELLED);
        then_another_connects(d, good);
        desk_free(d);
        peer_free(good);
        asked_done(&a);
        for (size_t i = 0; i < FILLERS; i++)
                close(fillers[i]);
        close(full);
}

static void serve_silence(PeerLink *l) {
        while (peer_read(l))
                ;
}

static void serve_slowly(PeerLink *l) {
        if (peer_read(l) && peer_send(l, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")))
                while (peer_send(l, SPAN("a")))
                        usleep(10000);
}

static void silence_ends_in_a_timeout(void **state) {
        void (*const serve[])(PeerLink *) = {serve_silence, serve_slowly};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(serve); i++) {
                Scene s;

                scene_begin(&s, serve[i], NULL, "GET");
                s.asked.call.timeout_ms = 200;
                desk_ask(s.desk, &s.asked);
                assert_int_equal(s.asked.answer.end, CLIENT_TIMEOUT);
                scene_end(&s);
        }
}

/* Answers the first request of a connection and hangs up on the second without a word: a pooled
 * connection that turns out dead when it is used. */
static void serve_first_only(PeerLink *l) {
        if (peer_read(l) && peer_send(l, span_of(l->peer->answer)) && peer_read(l))
                peer_reset(l);
}

static void dead_pooled_connections_repeat_only_what_may_be(void **state) {
        static const struct {
                const char *method;
                bool repeatable;
                ClientEnd end;
                unsigned requests; /* in all, the first call's included */
        } cases[] = {{"GET", false, CLIENT_ANSWERED, 3},
                     {"PUT", false, CLIENT_ANSWERED, 3},
                     {"POST", true, CLIENT_ANSWERED, 3},
                     {"POST", false, CLIENT_BROKEN, 2},
                     {"PATCH", false, CLIENT_BROKEN, 2}};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                Scene s;

                scene_begin(&s, serve_first_only, OK_ANSWER, cases[i].method);
                s.asked.call.repeatable = cases[i].repeatable;
                desk_ask(s.desk, &s.asked);
                assert_int_equal(s.asked.answer.end, CLIENT_ANSWERED);
                desk_ask(s.desk, &s.asked);
                if (s.asked.answer.end != cases[i].end || s.peer->requests != cases[i].requests)
                        fail_msg("%s: %s after %u requests: %s", cases[i].method,
                                 client_end_name(s.asked.answer.end), s.peer->requests,
                                 s.asked.answer.why);
                scene_end(&s);
        }
}

/* Answers, and after that says something nobody asked for. */
static void serve_unasked(PeerLink *l) {
        while (peer_read(l) && peer_send(l, span_of(l->peer->answer))) {
                usleep(1000);
                if (!peer_send(l, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")))
                        return;
                atomic_store((atomic_bool *)l->peer->arg, true);
        }
}

static void unasked_answers_are_never_taken(void **state) {
        atomic_bool was_said = false;
        Scene s;

        (void)state;
        scene_begin(&s, serve_unasked, OK_ANSWER, "GET");
        s.peer->arg = &was_said;
        for (int i = 0; i < 5; i++) {
                atomic_store(&was_said, false);
                desk_ask(s.desk, &s.asked);
                assert_true(span_eq(s.asked.answer.body, SPAN("hi")));
                while (!atomic_load(&was_said))
                        usleep(1000);
        }
        scene_end(&s);
}

static void a_connection_with_an_excess_is_not_kept(void **state) {
        Scene s;

        (void)state;
        scene_begin(&s, peer_serve_answer, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nhi", "GET");
        for (int i = 0; i < 3; i++) {
                desk_ask(s.desk, &s.asked);
                assert_true(span_eq(s.asked.answer.body, SPAN("h")));
        }
        assert_int_equal(s.peer->connections, 3);
        scene_end(&s);
}

static void proxies_of_the_environment_are_ignored(void **state) {
        static const char *const names[] = {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"};
        Peer *proxy = peer_new(peer_serve_answer, OK_ANSWER, NULL);
        char url[64];
        Scene s;

        (void)state;
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%d", proxy->port);
        for (size_t i = 0; i < COUNT_OF(names); i++)
                setenv(names[i], url, 1);
        scene_begin(&s, peer_serve_answer, OK_ANSWER, "GET");
        desk_ask(s.desk, &s.asked);
        assert_int_equal(s.asked.answer.end, CLIENT_ANSWERED);
        assert_int_equal(s.peer->requests, 1);
        assert_int_equal(proxy->connections, 0);
        scene_end(&s);
        peer_free(proxy);
        for (size_t i = 0; i < COUNT_OF(names); i++)
                unsetenv(names[i]);
}

static void the_gate_refuses_what_nobody_allowed(void **state) {
        static const char *const hosts[] = {"127.0.0.1", "localhost", "2130706433", "0x7f.1",
                                            "[::ffff:127.0.0.1]"};
        char why[128];
        Scene s;

        (void)state;
        scene_begin(&s, peer_serve_answer, OK_ANSWER, "GET");
        s.asked.call.allow = NULL;
        for (size_t i = 0; i < COUNT_OF(hosts); i++) {
                (void)snprintf(s.asked.url, sizeof s.asked.url, "http://%s:%d/", hosts[i],
                               s.peer->port);
                desk_ask(s.desk, &s.asked);
                if (s.asked.answer.end != CLIENT_GATE)
                        fail_msg("%s: %s", hosts[i], client_end_name(s.asked.answer.end));
                assert_string_equal(s.asked.answer.address, "");
        }
        asked_init(&s.asked, s.desk, "GET", s.peer->port);
        s.asked.call.allow = NULL;
        desk_ask(s.desk, &s.asked);
        (void)snprintf(why, sizeof why,
                       "127.0.0.1:%d is loopback; allow it with outbound.allow: 127.0.0.1/32",
                       s.peer->port);
        assert_string_equal(s.asked.answer.why, why);
        assert_int_equal(s.peer->connections, 0);
        scene_end(&s);
}

static void a_pooled_connection_is_judged_again(void **state) {
        NetworkList other = {.n = 1};
        Scene s;

        (void)state;
        scene_begin(&s, peer_serve_answer, OK_ANSWER, "GET");
        desk_ask(s.desk, &s.asked);
        assert_int_equal(s.asked.answer.end, CLIENT_ANSWERED);
        assert_int_equal(network_parse(SPAN("127.0.0.2/32"), &other.item[0], NULL), 0);
        s.asked.call.allow = &other;
        desk_ask(s.desk, &s.asked);
        assert_int_equal(s.asked.answer.end, CLIENT_GATE);
        assert_int_equal(s.peer->requests, 1);
        scene_end(&s);
}

static void names_that_do_not_resolve_are_told(void **state) {
        Scene s;

        (void)state;
        scene_begin(&s, peer_serve_answer, OK_ANSWER, "GET");
        (void)snprintf(s.asked.url, sizeof s.asked.url, "http://nobody.invalid:%d/", s.peer->port);
        desk_ask(s.desk, &s.asked);
        assert_int_equal(s.asked.answer.end, CLIENT_NAME);
        scene_end(&s);
}

static void bad_requests_do_not_start(void **state) {
        static const HttpHeader bad[] = {{SPAN("X"), SPAN("a\r\nEvil: 1")},
                                         {SPAN("X"), SPAN("a\n")},
                                         {SPAN("X"), SPAN("a\0b")},
                                         {SPAN("X: y\r\nZ"), SPAN("a")},
                                         {SPAN("X Y"), SPAN("a")},
                                         {SPAN("X\0"), SPAN("a")},
                                         {SPAN(""), SPAN("a")},
                                         {SPAN("Content-length"), SPAN("3")},
                                         {SPAN("Transfer-Encoding"), SPAN("chunked")}};
        static const char *const methods[] = {"", "GE T", "GET\r\n", NULL};
        Err e = {0};
        Scene s;

        (void)state;
        scene_begin(&s, peer_serve_answer, OK_ANSWER, "GET");
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
                s.asked.call.headers = &bad[i];
                s.asked.call.n_headers = 1;
                assert_int_equal(client_start(s.desk->client, &s.asked.call, NULL), -EINVAL);
        }
        s.asked.call.n_headers = 0;
        for (size_t i = 0; i < COUNT_OF(methods); i++) {
                s.asked.call.method = methods[i];
                assert_int_equal(client_start(s.desk->client, &s.asked.call, &e), -EINVAL);
        }
        for (int c = 0; c < 256; c++) {
                char byte = (char)c;
                HttpHeader h = {SPAN("X"), {&byte, 1}};

                s.asked.call.method = "GET";
                s.asked.call.headers = &h;
                s.asked.call.n_headers = 1;
                bool is_refused = client_start(s.desk->client, &s.asked.call, NULL) == -EINVAL;
                assert_int_equal(is_refused, (c < 32 && c != '\t') || c == 127);
                client_cancel(s.desk->client, &s.asked.call);
        }
        assert_int_equal(s.peer->requests, 0);
        scene_end(&s);
}

static void other_schemes_end_as_our_fault(void **state) {
        static const char *const urls[] = {"file:///etc/passwd", "gopher://127.0.0.1/", "ftp://a/",
                                           "http://", "http://u:p@127.0.0.1/"};
        Scene s;

        (void)state;
        scene_begin(&s, peer_serve_answer, OK_ANSWER, "GET");
        for (size_t i = 0; i < COUNT_OF(urls); i++) {
                (void)snprintf(s.asked.url, sizeof s.asked.url, "%s", urls[i]);
                desk_ask(s.desk, &s.asked);
                if (s.asked.answer.end != CLIENT_FAULT)
                        fail_msg("%s: %s", urls[i], client_end_name(s.asked.answer.end));
                assert_int_equal(s.asked.body.n, 0);
        }
        scene_end(&s);
}

static void a_call_can_be_cancelled_at_any_moment(void **state) {
        Scene s;

        (void)state;
        scene_begin(&s, serve_slowly, NULL, "GET");
        for (unsigned turns = 0; turns < 30; turns++) {
                desk_start(s.desk, &s.asked);
                for (unsigned i = 0; i < turns && !s.asked.done; i++)
                        (void)uv_run(&s.desk->loop, UV_RUN_ONCE);
                if (!s.asked.done) {
                        client_cancel(s.desk->client, &s.asked.call);
                        assert_int_equal(s.asked.answer.end, CLIENT_CANCELLED);
                }
                assert_int_equal(s.asked.done, 1);
                client_cancel(s.desk->client, &s.asked.call);
                assert_int_equal(s.asked.done, 1);
        }
        scene_end(&s);
}

typedef struct Chain {
        Asked asked; /* first: `done` finds the chain by it */
        Desk *desk;
        Asked *other;
        unsigned left;
        bool closes;
} Chain;

static void on_chain(ClientCall *call, const ClientAnswer *answer) {
        Chain *c = CONTAINER_OF(call, Chain, asked.call);

        asked_on_done(call, answer);
        if (c->other)
                client_cancel(c->desk->client, &c->other->call);
        if (c->left > 0) {
                c->left--;
                assert_int_equal(client_start(c->desk->client, call, NULL), 0);
        } else if (c->closes) {
                client_close(c->desk->client, desk_on_closed, &c->desk->is_closed);
                c->desk->client = NULL;
        }
}

static void done_may_start_cancel_and_close(void **state) {
        Scene s;
        Chain c = {.left = 9, .closes = true};

        (void)state;
        scene_begin(&s, peer_serve_answer, OK_ANSWER, "GET");
        asked_init(&c.asked, s.desk, "GET", s.peer->port);
        Peer *silent = peer_new(serve_silence, NULL, NULL);
        asked_init(&s.asked, s.desk, "GET", silent->port);
        c.asked.call.done = on_chain;
        c.desk = s.desk;
        c.other = &s.asked;
        desk_start(s.desk, &s.asked);
        desk_start(s.desk, &c.asked);
        while (s.desk->client)
                (void)uv_run(&s.desk->loop, UV_RUN_ONCE);
        assert_int_equal(c.asked.done, 10);
        assert_int_equal(s.asked.done, 1);
        assert_int_equal(s.asked.answer.end, CLIENT_CANCELLED);
        asked_done(&c.asked);
        scene_end(&s);
        peer_free(silent);
}

static void closing_ends_what_runs_and_what_waits(void **state) {
        static Asked many[40];
        Desk *d = desk_new(&(ClientLimits){.connections_max = 8, .per_host_max = 4});
        Peer *p = peer_new(serve_silence, NULL, NULL);

        (void)state;
        for (size_t i = 0; i < COUNT_OF(many); i++) {
                asked_init(&many[i], d, "GET", p->port);
                desk_start(d, &many[i]);
        }
        while (p->requests < 4)
                (void)uv_run(&d->loop, UV_RUN_NOWAIT);
        desk_free(d);
        for (size_t i = 0; i < COUNT_OF(many); i++) {
                assert_int_equal(many[i].done, 1);
                assert_int_equal(many[i].answer.end, CLIENT_CANCELLED);
                asked_done(&many[i]);
        }
        assert_int_equal(p->connections, 4);
        peer_free(p);
}

static void a_thousand_calls_share_few_connections(void **state) {
        enum { CALLS = 1000 };
        Asked *many = must_alloc(CALLS * sizeof *many);
        Desk *d = desk_new(&(ClientLimits){.connections_max = 16, .per_host_max = 8});
        Peer *p = peer_new(peer_serve_answer, OK_ANSWER, NULL);

        (void)state;
        for (size_t i = 0; i < CALLS; i++) {
                asked_init(&many[i], d, "POST", p->port);
                many[i].call.body = SPAN("hello");
                desk_start(d, &many[i]);
        }
        for (size_t i = 0; i < CALLS; i++) {
                desk_wait(d, &many[i]);
                assert_int_equal(many[i].answer.end, CLIENT_ANSWERED);
                asked_done(&many[i]);
        }
        assert_int_equal(p->requests, CALLS);
        assert_in_range(p->connections, 1, 8);
        desk_free(d);
        peer_free(p);
        free(many);
}

static void a_silent_host_does_not_hold_up_another(void **state) {
        enum { STUCK = 50, LIVELY = 50 };
        static Asked stuck[STUCK], lively[LIVELY];
        Desk *d = desk_new(&(ClientLimits){.connections_max = 4, .per_host_max = 3});
        Peer *silent = peer_new(serve_silence, NULL, NULL);
        Peer *good = peer_new(peer_serve_answer, OK_ANSWER, NULL);

        (void)state;
        for (size_t i = 0; i < STUCK; i++) {
                asked_init(&stuck[i], d, "GET", silent->port);
                desk_start(d, &stuck[i]);
        }
        for (size_t i = 0; i < LIVELY; i++) {
                asked_init(&lively[i], d, "GET", good->port);
                desk_start(d, &lively[i]);
        }
        for (size_t i = 0; i < LIVELY; i++) {
                desk_wait(d, &lively[i]);
                assert_int_equal(lively[i].answer.end, CLIENT_ANSWERED);
        }
        for (size_t i = 0; i < STUCK; i++)
                assert_int_equal(stuck[i].done, 0);
        assert_int_equal(good->connections, 1);
        desk_free(d);
        peer_free(silent);
        peer_free(good);
        for (size_t i = 0; i < STUCK; i++)
                asked_done(&stuck[i]);
        for (size_t i = 0; i < LIVELY; i++)
                asked_done(&lively[i]);
}

static void waiting_has_a_limit_and_an_end(void **state) {
        static Asked many[4];
        Desk *d = desk_new(
                &(ClientLimits){.connections_max = 1, .per_host_max = 1, .waiting_max = 2});
        Peer *p = peer_new(serve_silence, NULL, NULL);
        Err e = {0};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(many); i++)
                asked_init(&many[i], d, "GET", p->port);
        desk_start(d, &many[0]);
        many[1].call.timeout_ms = 100;
        desk_start(d, &many[1]);
        desk_start(d, &many[2]);
        assert_int_equal(client_start(d->client, &many[3].call, &e), -EBUSY);
        desk_wait(d, &many[1]);
        assert_int_equal(many[1].answer.end, CLIENT_CONNECT);
        assert_int_equal(many[0].done, 0);
        desk_start(d, &many[3]); /* there is room again */
        client_cancel(d->client, &many[3].call);
        client_cancel(d->client, &many[0].call);
        assert_int_equal(many[2].done, 0);
        desk_free(d);
        peer_free(p);
        for (size_t i = 0; i < COUNT_OF(many); i++)
                asked_done(&many[i]);
}

static void every_end_has_a_name(void **state) {
        (void)state;
        assert_string_equal(client_end_name(CLIENT_ANSWERED), "answered");
        for (int i = 0; i <= CLIENT_FAULT; i++)
                assert_non_null(client_end_name((ClientEnd)i));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_answer_comes_back_whole),
                cmocka_unit_test(headers_are_found_in_any_case),
                cmocka_unit_test(the_request_holds_what_the_caller_said_and_no_more),
                cmocka_unit_test(bodies_pass_byte_for_byte),
                cmocka_unit_test(methods_without_a_body_send_none),
                cmocka_unit_test(head_has_a_length_but_no_body),
                cmocka_unit_test(connections_are_kept),
                cmocka_unit_test(answers_are_judged),
                cmocka_unit_test(the_lines_of_a_head_have_a_maximum),
                cmocka_unit_test(heads_that_never_end_are_cut_off),
                cmocka_unit_test(a_body_stops_at_its_maximum),
                cmocka_unit_test(resets_tell_whether_the_request_was_sent),
                cmocka_unit_test(refused_connections_are_told),
                cmocka_unit_test(a_connection_that_is_never_made_is_told),
                cmocka_unit_test(silence_ends_in_a_timeout),
                cmocka_unit_test(dead_pooled_connections_repeat_only_what_may_be),
                cmocka_unit_test(unasked_answers_are_never_taken),
                cmocka_unit_test(a_connection_with_an_excess_is_not_kept),
                cmocka_unit_test(proxies_of_the_environment_are_ignored),
                cmocka_unit_test(the_gate_refuses_what_nobody_allowed),
                cmocka_unit_test(a_pooled_connection_is_judged_again),
                cmocka_unit_test(names_that_do_not_resolve_are_told),
                cmocka_unit_test(bad_requests_do_not_start),
                cmocka_unit_test(other_schemes_end_as_our_fault),
                cmocka_unit_test(a_call_can_be_cancelled_at_any_moment),
                cmocka_unit_test(done_may_start_cancel_and_close),
                cmocka_unit_test(closing_ends_what_runs_and_what_waits),
                cmocka_unit_test(a_thousand_calls_share_few_connections),
                cmocka_unit_test(a_silent_host_does_not_hold_up_another),
                cmocka_unit_test(waiting_has_a_limit_and_an_end),
                cmocka_unit_test(every_end_has_a_name),
        };

        return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
