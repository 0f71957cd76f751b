/* SPDX-License-Identifier: Apache-2.0
 *
 * One page of a list: what is asked, and what an answer means. A dialler stands in the place of the
 * network. */
#include "trigger/fetch.h"

#include "base/clock.h"
#include "flow/writes.h"
#include "http/url.h"
#include "unit.h"

/* The connection's one answer, and what was asked last. */
typedef struct Peer {
        Loop loop;
        Client *client;
        Hub hub;
        Writes *writes;
        Snapshot *snapshot;
        Runner *runner;
        Dialler dialler;
        Note note;
        Call *call;
        ClientAnswer answer;
        char url[URL_MAX_BYTES], etag[64];
        unsigned n_calls;

        bool is_done;
        char code[64], message[512], list[512], next[512], tag[64];
        FetchAnswer told; /* its numbers alone */
        bool is_closed;
} Peer;

static void on_note(Note *n) {
        Peer *p = CONTAINER_OF(n, Peer, note);

        call_answer(p->call, &p->answer);
}

static bool take(void *self, Call *c) {
        Peer *p = self;

        p->n_calls++;
        p->call = c;
        (void)snprintf(p->url, sizeof p->url, "%s", c->url);
        p->etag[0] = 0;
        for (size_t i = 0; i < c->n_more; i++)
                if (span_eq(c->more[i].name, SPAN("If-None-Match")))
                        (void)snprintf(p->etag, sizeof p->etag, SPAN_FMT,
                                       SPAN_ARG(c->more[i].value));
        p->note.read = on_note;
        inbox_send(&p->loop.inbox, &p->note);
        return true;
}

static void drop(void *self, Call *c) {
        (void)self;
        (void)c;
}

static int set_up(void **state) {
        static const char text[] = "connections: {id: {url: 'https://id.example/api'}}\n"
                                   "sources: {app: {verify: none}}\n";
        Peer *p = must_alloc(sizeof *p);
        Problems *problems = must_alloc(sizeof *problems);
        Config *c;
        RunnerHost host = {0};
        Err e = {0};

        problems->arena = arena_new(1 << 20);
        c = config_parse(span_of(text), "grapnel.yaml", NULL, problems);
        p->snapshot = c ? snapshot_build(c, problems) : NULL;
        must(p->snapshot);
        arena_free(problems->arena);
        free(problems);
        must(loop_init(&p->loop, 0, &e) == 0);
        must(client_new(&p->loop.uv, NULL, &p->client, &e) == 0);
        p->writes = writes_new();
        hub_init(&p->hub, &p->loop, p->client, p->writes, &p->hub, 1);
        must(runner_new(&p->hub, p->snapshot, &host, &p->runner, &e) == 0);
        p->dialler = (Dialler){.self = p, .take = take, .drop = drop};
        p->runner->dialler = &p->dialler;
        *state = p;
        return 0;
}

static int tear_down(void **state) {
        Peer *p = *state;

        runner_retire(p->runner, NULL, NULL);
        hub_done(&p->hub);
        client_close(p->client, NULL, NULL);
        loop_stop(&p->loop);
        loop_run(&p->loop);
        loop_done(&p->loop);
        writes_free(p->writes);
        snapshot_unref(p->snapshot);
        free(p);
        return 0;
}

#define KEEP(into, span) (void)snprintf((into), sizeof(into), SPAN_FMT, SPAN_ARG(span))

static void on_done(void *arg, const FetchAnswer *a) {
        Peer *p = arg;

        p->is_done = true;
        p->told = *a;
        (void)snprintf(p->code, sizeof p->code, "%s", a->code ? a->code : "");
        KEEP(p->message, a->message);
        KEEP(p->list, a->list);
        KEEP(p->next, a->next);
        KEEP(p->tag, a->etag);
}

static void ask(Peer *p, const FetchAsk *q, int status, const char *body) {
        p->answer.status = status;
        p->answer.body = span_of(body);
        p->is_done = false;
        fetch_start(p->runner, q, on_done, p);
        assert_false(p->is_done); /* never from within */
        while (!p->is_done)
                (void)uv_run(&p->loop.uv, UV_RUN_ONCE);
}

static void a_page_and_what_is_behind_it(void **state) {
        Peer *p = *state;
        Pages pages = {.next = {.text = SPAN(".after")}, .as = "c", .list = {.text = SPAN(".l")}};
        Place at;
        HttpHeader tag = {SPAN("ETag"), SPAN("\"v1\"")};
        FetchAsk q = {.from = SPAN("id:/users?size=2"), .pages = &pages};

        assert_null(pages_settle(&pages, &at));
        p->answer.headers = &tag;
        p->answer.n_headers = 1;
        ask(p, &q, 200, "{\"l\":[1,2],\"after\":\"a b\",\"total\":5}");
        assert_string_equal(p->url, "https://id.example/api/users?size=2");
        assert_string_equal(p->code, "");
        assert_string_equal(p->list, "[1,2]");
        assert_string_equal(p->next, "https://id.example/api/users?size=2&c=a%20b");
        assert_string_equal(p->tag, "\"v1\"");
        assert_true(p->told.n == 2 && p->told.total == 5 && p->told.status == 200);

        /* From there, after a restart too. */
        char next[512];
        (void)snprintf(next, sizeof next, "%s", p->next);
        q.url = span_of(next);
        q.pages_before = 1;
        q.items_before = 2;
        ask(p, &q, 200, "{\"l\":[3]}");
        assert_string_equal(p->url, next);
        assert_string_equal(p->next, "");
        assert_string_equal(p->list, "[3]");
}

static void a_list_that_is_as_it_was(void **state) {
        Peer *p = *state;
        FetchAsk q = {.from = SPAN("id:/users"), .etag = SPAN("\"v1\"")};

        ask(p, &q, 304, "");
        assert_string_equal(p->etag, "\"v1\"");
        assert_true(p->told.is_unchanged && p->told.n == 0 && p->told.status == 304);
        assert_string_equal(p->code, "");
        ask(p, &q, 200, "[]");
        assert_false(p->told.is_unchanged);
        /* Nobody asked for that. */
        q.etag = SPAN("");
        ask(p, &q, 304, "");
        assert_string_equal(p->etag, "");
        assert_string_equal(p->code, "target-refused");
}

static void counted_pages_go_on_from_where_they_were(void **state) {
        Peer *p = *state;
        Pages pages = {.offset = "skip", .list = {.text = SPAN(".")}};
        Place at;
        FetchAsk q = {.from = SPAN("id:/users"), .pages = &pages};

        assert_null(pages_settle(&pages, &at));
        ask(p, &q, 200, "[1,2,3]");
        assert_string_equal(p->url, "https://id.example/api/users?skip=0");
        assert_string_equal(p->next, "https://id.example/api/users?skip=3");
        q.url = SPAN("https://id.example/api/users?skip=3");
        q.pages_before = 1;
        q.items_before = 3;
        ask(p, &q, 200, "[4]");
        assert_string_equal(p->next, "https://id.example/api/users?skip=4");
        ask(p, &q, 200, "[]");
        assert_string_equal(p->next, "");
}

static void what_went_wrong_is_said(void **state) {
        Peer *p = *state;
        FetchAsk q = {.from = SPAN("id:/users")};
        HttpHeader later = {SPAN("Retry-After"), SPAN("7")};

        p->answer.headers = &later;
        p->answer.n_headers = 1;
        ask(p, &q, 503, "");
        assert_string_equal(p->code, "target-failed");
        assert_true(p->told.is_retryable && p->told.wait_ms == 7000 && p->told.status == 503);
        p->answer.n_headers = 0;
        ask(p, &q, 401, "");
        assert_string_equal(p->code, "target-denied");
        assert_true(!p->told.is_retryable && p->told.wait_ms == -1);
        ask(p, &q, 200, "[1,");
        assert_string_equal(p->code, "unreadable-answer");

        /* A place elsewhere is not asked, whoever says that it is the next. */
        unsigned before = p->n_calls;
        q.url = SPAN("https://id.example.evil/api/users");
        ask(p, &q, 200, "[]");
        assert_string_equal(p->code, "address-refused");
        q = (FetchAsk){.from = SPAN("nobody:/users")};
        ask(p, &q, 200, "[]");
        assert_string_equal(p->message, "there is no connection 'nobody'");
        assert_int_equal(p->n_calls, before);
}

static void what_could_be_asked(void **state) {
        static const struct {
                const char *from;
                bool is_fine;
        } cases[] = {{"id:/users", true},    {"id:/u?a=b&c=%20", true},
                     {"id:users", false},    {"id:", false},
                     {"id", false},          {"", false},
                     {":/users", false},     {"x:/users", false},
                     {"id:/u/{.id}", false}, {"id:/a b", false},
                     {"id:/a#b", false}};
        Peer *p = *state;

        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                Err e = {0};
                int r = fetch_check(p->snapshot, span_of(cases[i].from), &e);

                if ((r == 0) != cases[i].is_fine || (r < 0 && !e.text[0]))
                        fail_msg("%s: %d %s", cases[i].from, r, e.text);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_page_and_what_is_behind_it, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_list_that_is_as_it_was, set_up, tear_down),
                cmocka_unit_test_setup_teardown(counted_pages_go_on_from_where_they_were, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(what_went_wrong_is_said, set_up, tear_down),
                cmocka_unit_test_setup_teardown(what_could_be_asked, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
