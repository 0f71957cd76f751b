/* SPDX-License-Identifier: Apache-2.0
 *
 * Deliveries of one loop, over a real client to a peer on loopback: what
 * happens when endpoints change or go while something is on its way to them. */
#include "base/clock.h"
#include "flow/delivery.h"
#include "flow_unit.h"
#include "net/peer.h"
#include "json/check.h"

#include <signal.h>

enum { APP = 5, GUARD_MS = 30000, SEEN_MAX = 16 };

/* One request as the peer saw it. */
typedef struct Seen {
        Note note;
        char text[4096];
        struct Scene *scene;
} Seen;

typedef struct Scene {
        Loop loop;
        uv_timer_t guard;
        Client *client;
        Ledger *ledger;
        Registry *registry;
        Outlet outlet;
        Snapshot snapshot;
        Peer *peer;
        int64_t version;
        /* The loop's: */
        Seen *seen[SEEN_MAX];
        size_t n_seen, n_ended, n_told;
        JobResult result; /* of the latest */
        char code[64], detail[256 * 1024];
        /* The peer's: */
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool is_held;
        const char *answer;
        char *kept, *kept_too; /* answers that it may still be sending */
} Scene;

static void on_guard(uv_timer_t *guard) {
        (void)guard;
        fail_msg("nothing more happened");
}

static void on_seen(Note *n) {
        Seen *seen = CONTAINER_OF(n, Seen, note);
        Scene *s = seen->scene;

        must(s->n_seen < SEEN_MAX);
        s->seen[s->n_seen++] = seen;
}

static void note_seen(Scene *s, Span request) {
        Seen *seen = must_alloc(sizeof *seen);

        seen->scene = s;
        seen->note.read = on_seen;
        (void)snprintf(seen->text, sizeof seen->text, SPAN_FMT, SPAN_ARG(request));
        inbox_send(&s->loop.inbox, &seen->note);
}

static const char consent[] = "HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: *\r\n"
                              "Content-Length: 0\r\n\r\n";
static const char token[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                            "Content-Length: 40\r\n\r\n"
                            "{\"access_token\":\"t\",\"expires_in\":\"3600\"}";
static const char taken[] = "HTTP/1.1 204 No Content\r\n\r\n";
static const char gone[] = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n";

static void serve(PeerLink *l) {
        Scene *s = l->peer->arg;

        while (peer_read(l)) {
                Span request = buf_span(&l->wanted);
                const char *answer;

                note_seen(s, request);
                pthread_mutex_lock(&s->lock);
                while (s->is_held)
                        pthread_cond_wait(&s->changed, &s->lock);
                answer = span_starts(request, SPAN("OPTIONS "))       ? consent
                         : span_starts(request, SPAN("POST /token ")) ? token
                                                                      : s->answer;
                pthread_mutex_unlock(&s->lock);
                if (!answer || !peer_send(l, span_of(answer)))
                        return;
        }
}

/* `answer` NULL: hangs up. */
static void peer_does(Scene *s, bool is_held, const char *answer) {
        pthread_mutex_lock(&s->lock);
        s->is_held = is_held;
        s->answer = answer;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
}

/* ---- the outlet's host ---- */

static void on_ended(void *self, Job *const *jobs, const JobResult *result, const Outcome *o,
                     size_t n) {
        Scene *s = self;

        assert_int_equal(n, 1);
        s->n_ended++;
        s->result = *result;
        (void)snprintf(s->code, sizeof s->code, SPAN_FMT, SPAN_ARG(result->attempt.code));
        (void)snprintf(s->detail, sizeof s->detail, SPAN_FMT, SPAN_ARG(result->attempt.detail));
        assert_string_equal(o->code, s->code);
        assert_int_equal(o->status < 300, result->verdict == JOB_SUCCEEDED);
        job_free(jobs[0]);
}

static void on_tell(void *self, const Endpoint *p, const char *type, Span data) {
        (void)p;
        (void)type;
        (void)data;
        ((Scene *)self)->n_told++;
}

/* ---- the scene ---- */

static void on_put(LedgerRequest *r) {
        *(bool *)r->arg = true;
}

/* Through the ledger, as the API does it. */
static void put(Scene *s, ObjectKind kind, int64_t id, const char *text, bool removes) {
        bool is_done = false;
        Object o = {.kind = kind,
                    .id = id,
                    .owner = kind == OBJECT_APPLICATION ? 0 : APP,
                    .name = SPAN(""),
                    .text = span_of(text)};
        LedgerRequest r = {
                .ask = ASK_WRITE,
                .home = &s->loop.inbox,
                .done = on_put,
                .arg = &is_done,
                .write = {.kind = WRITE_OBJECT, .object = {.object = o, .removes = removes}}};
        Err e = {0};

        assert_int_equal(ledger_send(s->ledger, &r), 0);
        while (!is_done)
                uv_run(&s->loop.uv, UV_RUN_ONCE);
        assert_int_equal(r.write.object.result, OBJECT_WRITTEN);
        if (removes)
                registry_remove(s->registry, &r.write.object.object);
        else if (registry_put(s->registry, &r.write.object.object, &e) < 0)
                fail_msg("%s", e.text);
}

/* An endpoint at this path of the peer; `more` such as
 * ",\"format\":\"cloudevents\"", or "". */
static void endpoint_put(Scene *s, int64_t id, const char *path, const char *more) {
        char text[1024];

        (void)snprintf(text, sizeof text,
                       "{\"url\":\"http://127.0.0.1:%d%s\",\"profile\":\"none\"%s}", s->peer->port,
                       path, more);
        put(s, OBJECT_ENDPOINT, id, text, false);
}

static int start(void **state) {
        Scene *s = must_alloc(sizeof *s);
        Err e = {0};

        signal(SIGPIPE, SIG_IGN);
        s->registry = registry_new();
        s->snapshot.refs = 1;
        s->answer = taken;
        must(pthread_mutex_init(&s->lock, NULL) == 0 && pthread_cond_init(&s->changed, NULL) == 0);
        must(network_parse(SPAN("127.0.0.0/8"), &s->snapshot.allow.item[0], NULL) == 0);
        s->snapshot.allow.n = 1;
        must(loop_init(&s->loop, 0, &e) == 0 && uv_timer_init(&s->loop.uv, &s->guard) == 0);
        must(uv_timer_start(&s->guard, on_guard, GUARD_MS, 0) == 0);
        must(client_new(&s->loop.uv, NULL, &s->client, &e) == 0);
        must(ledger_open(&(LedgerOptions){.url = SPAN("memory:")}, &s->ledger, &e) == 0);
        outlet_init(&s->outlet, &s->loop, s->client, s->ledger, s->registry, NULL, &s->snapshot,
                    &(OutletHost){.self = s, .ended = on_ended, .tell = on_tell});
        s->peer = peer_new(serve, NULL, s);
        put(s, OBJECT_APPLICATION, APP, "{}", false);
        *state = s;
        return 0;
}

static int end(void **state) {
        Scene *s = *state;

        peer_does(s, false, NULL);
        while (s->outlet.writes.n > 0)
                uv_run(&s->loop.uv, UV_RUN_ONCE);
        outlet_close(&s->outlet);
        client_close(s->client, NULL, NULL);
        uv_close((uv_handle_t *)&s->guard, NULL);
        ledger_close(s->ledger);
        loop_stop(&s->loop);
        loop_run(&s->loop);
        outlet_done(&s->outlet);
        peer_free(s->peer);
        free(s->kept);
        free(s->kept_too);
        (void)inbox_read(&s->loop.inbox);
        loop_done(&s->loop);
        for (size_t i = 0; i < s->n_seen; i++)
                free(s->seen[i]);
        registry_free(s->registry);
        pthread_mutex_destroy(&s->lock);
        pthread_cond_destroy(&s->changed);
        free(s);
        return 0;
}

static Job *job_of(int64_t id, int64_t endpoint) {
        Event *event = event_new(&(Event){.id = id,
                                          .received_ms = 1764000000000,
                                          .source = SPAN("app_0000000000005"),
                                          .type = SPAN("a.b"),
                                          .content_type = SPAN("application/json"),
                                          .body = SPAN("{\"n\":1}")});
        Job *job = job_new(id + 1, event, span_of(target_of(endpoint).text), 0);

        event_unref(event);
        job->attempts = 1;
        return job;
}

static void until_ended(Scene *s, size_t n) {
        while (s->n_ended < n)
                uv_run(&s->loop.uv, UV_RUN_ONCE);
        while (s->outlet.writes.n > 0)
                uv_run(&s->loop.uv, UV_RUN_ONCE);
}

static void until_seen(Scene *s, size_t n) {
        while (s->n_seen < n)
                uv_run(&s->loop.uv, UV_RUN_ONCE);
}

static Station *station(Scene *s, int64_t id) {
        return outlet_station(&s->outlet, span_of(target_of(id).text));
}

static void start_one(Scene *s, Job *job) {
        outlet_start(&s->outlet, &job, 1);
}

/* ---- */

static void a_delivery_arrives(void **state) {
        Scene *s = *state;

        endpoint_put(s, 31, "/x?y", "");
        start_one(s, job_of(100, 31));
        until_ended(s, 1);
        assert_int_equal(s->result.verdict, JOB_SUCCEEDED);
        assert_int_equal(s->result.attempt.status, 204);
        until_seen(s, 1);
        assert_int_equal(strncmp(s->seen[0]->text, "POST /x?y HTTP/1.1\r\n", 20), 0);
        assert_non_null(strstr(s->seen[0]->text, "webhook-id: msg_"));
        assert_non_null(strstr(s->seen[0]->text, "\r\n\r\n{\"n\":1}"));
}

/* 20,000 control bytes behind `n` lines of quotes. */
static void make_large(Buf *answer, size_t n) {
        char quotes[1001] = "";

        memset(quotes, '"', sizeof quotes - 1);
        assert_int_equal(buf_add(answer, SPAN("HTTP/1.1 500 Oops\r\nContent-Length: 20000\r\n")),
                         0);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(buf_addf(answer, "X-%zu: %s\r\n", i, quotes), 0);
        assert_int_equal(buf_add(answer, SPAN("\r\n")), 0);
        for (size_t i = 0; i < 20000; i++)
                assert_int_equal(buf_add_char(answer, 1), 0);
        assert_int_equal(buf_add_char(answer, 0), 0);
}

/* The log says what fits, and where it ends. */
static void the_log_says_what_fits(void **state) {
        static const size_t lines[] = {0, 29};
        Scene *s = *state;
        Buf answers[] = {BUF(1 << 20), BUF(1 << 20)};
        JsonFault fault;

        endpoint_put(s, 31, "/x", "");
        for (size_t i = 0; i < COUNT_OF(lines); i++) {
                make_large(&answers[i], lines[i]);
                peer_does(s, false, answers[i].p);
                start_one(s, job_of(100 + 2 * (int64_t)i, 31));
                until_ended(s, i + 1);
                assert_int_equal(s->result.attempt.status, 500);
                assert_int_equal(json_check(span_of(s->detail), SIZE_MAX, &fault), 0);
                assert_non_null(strstr(s->detail, "\"request\":{\"headers\":{"));
                assert_non_null(strstr(s->detail, "\"body\":\"\\u0001\\u0001"));
                assert_non_null(strstr(s->detail, "\"truncated\":true"));
                assert_true(i == 0 || strstr(s->detail, "\"X-28\":\"\\\"\\\""));
        }
        until_seen(s, COUNT_OF(lines));
        peer_does(s, false, NULL);
        s->kept = answers[0].p;
        s->kept_too = answers[1].p;
}

/* Another loop may remove it between the engine's question and its order. */
static void one_that_was_removed_meanwhile_is_no_target(void **state) {
        Scene *s = *state;

        endpoint_put(s, 31, "/x", "");
        assert_non_null(outlet_endpoint(&s->outlet, span_of(target_of(31).text)));
        put(s, OBJECT_ENDPOINT, 31, "", true);
        start_one(s, job_of(100, 31));
        until_ended(s, 1);
        assert_int_equal(s->result.verdict, JOB_FAILED);
        assert_string_equal(s->code, "no-target");
        assert_int_equal(s->n_seen, 0);
        assert_int_equal(s->outlet.deliveries.n, 0);
}

static void one_that_is_removed_on_the_way_ends_as_it_ends(void **state) {
        Scene *s = *state;

        endpoint_put(s, 31, "/x", "");
        peer_does(s, true, taken);
        start_one(s, job_of(100, 31));
        until_seen(s, 1);
        put(s, OBJECT_ENDPOINT, 31, "", true);
        assert_null(station(s, 31));
        peer_does(s, false, taken);
        until_ended(s, 1);
        assert_int_equal(s->result.verdict, JOB_SUCCEEDED);
        assert_int_equal(table_count(s->outlet.stations), 0);
}

static void one_that_is_disabled_gets_nothing(void **state) {
        Scene *s = *state;

        endpoint_put(s, 31, "/x", ",\"disabled\":true");
        start_one(s, job_of(100, 31));
        until_ended(s, 1);
        assert_int_equal(s->result.verdict, JOB_FAILED);
        assert_string_equal(s->code, "endpoint-disabled");
        assert_int_equal(s->n_seen, 0);
}

/* What an address says that the endpoint has no more is no word about the one
 * that it has. */
static void the_answer_of_an_old_address_is_no_word_about_the_new_one(void **state) {
        Scene *s = *state;

        endpoint_put(s, 31, "/old", "");
        peer_does(s, true, gone);
        start_one(s, job_of(100, 31));
        until_seen(s, 1);
        endpoint_put(s, 31, "/new", "");
        assert_string_equal(strrchr(station(s, 31)->endpoint->url, '/'), "/new");
        peer_does(s, false, gone);
        until_ended(s, 1);
        assert_int_equal(s->result.verdict, JOB_FAILED);
        assert_false(station(s, 31)->endpoint->is_disabled);
        assert_int_equal(s->n_told, 0);
        assert_int_equal(station(s, 31)->failing_since_ms, 0);
        /* The address that it has says it too. */
        start_one(s, job_of(200, 31));
        until_ended(s, 2);
        assert_true(station(s, 31)->endpoint->is_disabled);
        assert_int_equal(s->n_told, 1);
}

static void failures_of_an_old_address_are_not_the_new_ones(void **state) {
        Scene *s = *state;

        endpoint_put(s, 31, "/old", "");
        peer_does(s, true, NULL);
        for (size_t i = 0; i < BREAKER_FAILURES; i++)
                start_one(s, job_of(100 + 2 * (int64_t)i, 31));
        until_seen(s, BREAKER_FAILURES);
        endpoint_put(s, 31, "/new", "");
        (void)station(s, 31);
        peer_does(s, false, NULL);
        until_ended(s, BREAKER_FAILURES);
        assert_int_equal(s->result.verdict, JOB_RETRY);
        assert_int_equal(breaker_state(&station(s, 31)->breaker, clock_mono_ms()), BREAKER_CLOSED);
        /* Those of its own do. */
        for (size_t i = 0; i < BREAKER_FAILURES; i++)
                start_one(s, job_of(200 + 2 * (int64_t)i, 31));
        until_ended(s, 2 * BREAKER_FAILURES);
        assert_int_equal(breaker_state(&station(s, 31)->breaker, clock_mono_ms()), BREAKER_OPEN);
}

/* ---- who is asked before ---- */

static void what_waited_for_consent_is_wrapped_once(void **state) {
        Scene *s = *state;

        endpoint_put(s, 31, "/x", ",\"handshake\":true,\"format\":\"cloudevents-structured\"");
        start_one(s, job_of(100, 31));
        until_ended(s, 1);
        assert_int_equal(s->result.verdict, JOB_SUCCEEDED);
        until_seen(s, 2);
        assert_int_equal(strncmp(s->seen[0]->text, "OPTIONS /x ", 11), 0);
        const char *body = strstr(s->seen[1]->text, "\r\n\r\n{\"specversion\":");
        assert_non_null(body);
        assert_null(strstr(body + 10, "specversion"));
        assert_non_null(strstr(body, "\"data\":{\"n\":1}}"));
}

/* The credentials of the endpoint as it was are not those of the endpoint as it
 * is. */
static void each_configuration_has_tokens_of_its_own(void **state) {
        static const char format[] =
                ",\"auth\":{\"oauth2\":{\"tokenUrl\":\"http://127.0.0.1:%d/token\","
                "\"clientId\":\"id\",\"clientSecret\":\"%s\"}}";
        Scene *s = *state;
        char more[256];
        Endpoint *before;

        (void)snprintf(more, sizeof more, format, s->peer->port, "old");
        endpoint_put(s, 31, "/x", more);
        before = endpoint_ref(station(s, 31)->endpoint);
        (void)snprintf(more, sizeof more, format, s->peer->port, "new");
        endpoint_put(s, 31, "/x", more);
        /* One that began before and comes to its credentials now. */
        Job *job = job_of(100, 31);
        delivery_start(&s->outlet, &(Station){.endpoint = before}, &job, 1);
        until_ended(s, 1);
        assert_int_equal(s->result.verdict, JOB_SUCCEEDED);
        start_one(s, job_of(200, 31));
        until_ended(s, 2);
        until_seen(s, 4);
        assert_non_null(strstr(s->seen[0]->text, "Authorization: Basic aWQ6b2xk"));
        assert_non_null(strstr(s->seen[1]->text, "Authorization: Bearer t"));
        assert_non_null(strstr(s->seen[2]->text, "Authorization: Basic aWQ6bmV3"));
        endpoint_unref(before);
}

static void tokens_are_fetched_from_where_the_configuration_allows(void **state) {
        Scene *s = *state;
        Snapshot narrow = {.refs = 2};
        char more[256];

        (void)snprintf(more, sizeof more,
                       ",\"auth\":{\"oauth2\":{\"tokenUrl\":\"http://127.0.0.1:%d/token\","
                       "\"clientId\":\"id\",\"clientSecret\":\"s\"}}",
                       s->peer->port);
        endpoint_put(s, 31, "/x", more);
        start_one(s, job_of(100, 31));
        until_ended(s, 1);
        assert_int_equal(s->result.verdict, JOB_SUCCEEDED);
        outlet_reload(&s->outlet, &narrow);
        start_one(s, job_of(200, 31));
        until_ended(s, 2);
        assert_string_equal(s->code, "no-token");
        outlet_reload(&s->outlet, &s->snapshot);
        until_seen(s, 2);
}

/* ---- the end ---- */

static void what_is_cut_is_tried_again(void **state) {
        enum { N = 5 };
        Scene *s = *state;

        endpoint_put(s, 31, "/x", "");
        peer_does(s, true, taken);
        for (int64_t i = 0; i < N; i++)
                start_one(s, job_of(100 + 2 * i, 31));
        until_seen(s, N);
        outlet_cut(&s->outlet);
        assert_int_equal(s->n_ended, N);
        assert_int_equal(s->result.verdict, JOB_RETRY);
        assert_string_equal(s->code, "cancelled");
        assert_int_equal(s->outlet.deliveries.n, 0);
        /* It was ours to break off: the endpoint has done nothing wrong. */
        assert_int_equal(station(s, 31)->failing_since_ms, 0);
}

/* Endpoints come and go for years: what is remembered of those that went is not
 * for ever. */
static void stations_do_not_pile_up(void **state) {
        enum { N = 3000 };
        Scene *s = *state;
        Err e = {0};

        for (int64_t i = 0; i < N; i++) {
                Object o = endpoint_at(1000 + i, APP, 100 + 2 * i);

                assert_int_equal(registry_put(s->registry, &o, &e), 0);
                assert_non_null(station(s, o.id));
                o.version++;
                registry_remove(s->registry, &o);
        }
        assert_true(table_count(s->outlet.stations) < 1000);
        /* Those that are there stay, with what is known of them. */
        for (int64_t i = 0; i < N; i++) {
                Object o = endpoint_at(5000 + i, APP, 10000 + i);

                assert_int_equal(registry_put(s->registry, &o, &e), 0);
                station(s, o.id)->failing_since_ms = o.id;
        }
        for (int64_t i = 0; i < N; i++)
                assert_int_equal(station(s, 5000 + i)->failing_since_ms, 5000 + i);
}

#define OUTLET_TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void) {
        const struct CMUnitTest tests[] = {
                OUTLET_TEST(a_delivery_arrives),
                OUTLET_TEST(the_log_says_what_fits),
                OUTLET_TEST(one_that_was_removed_meanwhile_is_no_target),
                OUTLET_TEST(one_that_is_removed_on_the_way_ends_as_it_ends),
                OUTLET_TEST(one_that_is_disabled_gets_nothing),
                OUTLET_TEST(the_answer_of_an_old_address_is_no_word_about_the_new_one),
                OUTLET_TEST(failures_of_an_old_address_are_not_the_new_ones),
                OUTLET_TEST(what_waited_for_consent_is_wrapped_once),
                OUTLET_TEST(each_configuration_has_tokens_of_its_own),
                OUTLET_TEST(tokens_are_fetched_from_where_the_configuration_allows),
                OUTLET_TEST(what_is_cut_is_tried_again),
                OUTLET_TEST(stations_do_not_pile_up),
        };

        return cmocka_run_group_tests_name("outlet", tests, NULL, NULL);
}
