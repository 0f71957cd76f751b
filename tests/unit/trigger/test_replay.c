/* SPDX-License-Identifier: Apache-2.0
 *
 * Which deliveries a replay is about. */
#include "trigger/replay.h"

#include "base/id.h"
#include "unit.h"
#include "json/check.h"

#define APP   11
#define FIRST 21
#define OTHER 22
#define OFF   23

static Registry *registry;

static void put(ObjectKind kind, int64_t id, int64_t owner, const char *text) {
        Err e = {0};

        if (registry_put(registry,
                         &(Object){.kind = kind,
                                   .id = id,
                                   .owner = owner,
                                   .name = SPAN(""),
                                   .text = span_of(text),
                                   .version = id},
                         &e) < 0)
                fail_msg("%s", e.text);
}

static int set_up(void **state) {
        (void)state;
        registry = registry_new();
        put(OBJECT_APPLICATION, APP, 0, "{}");
        put(OBJECT_ENDPOINT, FIRST, APP,
            "{\"url\":\"https://a.example/\",\"profile\":\"none\",\"filterTypes\":[\"a.*\"],"
            "\"channels\":[\"eu\"]}");
        put(OBJECT_ENDPOINT, OTHER, APP, "{\"url\":\"https://b.example/\",\"profile\":\"none\"}");
        put(OBJECT_ENDPOINT, OFF, APP,
            "{\"url\":\"https://c.example/\",\"profile\":\"none\",\"disabled\":true}");
        return 0;
}

static int tear_down(void **state) {
        (void)state;
        registry = registry_free(registry);
        return 0;
}

static Span target_of(int64_t endpoint, char room[ENDPOINT_TARGET_TEXT]) {
        char id[ID_TEXT];

        id_print("ep", endpoint, id);
        (void)snprintf(room, ENDPOINT_TARGET_TEXT, "endpoint:%s", id);
        return span_of(room);
}

static Replay make(const char *text, Arena *a) {
        Replay r;

        assert_true(replay_read(span_of(text), a, &r));
        return r;
}

static void texts_are_read_and_go_on(void **state) {
        AUTO(arena_freep)
        Arena *a = arena_new(65536);
        AUTO(buf_done)
        Buf b = BUF(4096);
        JsonFault fault;
        Replay r = make("{\"kind\":\"filter\",\"application\":11,\"endpoint\":21,"
                        "\"types\":[\"a\",\"b.c\"],\"state\":\"any\",\"since\":5,\"until\":9,"
                        "\"rate\":3,\"cursor\":0,\"done\":0,\"progress\":\"running\"}",
                        a);

        (void)state;
        assert_true(r.kind == REPLAY_FILTER && r.end == REPLAY_ANY && r.is_running);
        assert_true(r.application == 11 && r.endpoint == 21 && r.rate == 3);
        assert_int_equal(r.n_types, 2);
        assert_true(span_eq(r.types[1], SPAN("b.c")));
        assert_int_equal(replay_progress(SPAN("{\"kind\":\"missing\",\"cursor\":0,\"done\":1,"
                                              "\"since\":5,\"progress\":\"running\"}"),
                                         77, 8, "done", 99, &b),
                         0);
        assert_int_equal(json_check(buf_span(&b), SIZE_MAX, &fault), 0);
        assert_true(span_eq(buf_span(&b),
                            SPAN("{\"kind\":\"missing\",\"since\":5,\"cursor\":77,\"done\":8,"
                                 "\"progress\":\"done\",\"updatedAt\":99}")));
        assert_true(replay_read(buf_span(&b), a, &r));
        assert_true(r.kind == REPLAY_MISSING && !r.is_running && r.cursor == 77 && r.done == 8);
        assert_false(replay_read(SPAN("[]"), a, &r));
}

static void queries_ask_for_no_more_than_is_needed(void **state) {
        static const struct {
                const char *text;
                int state;
                bool with_target;
        } cases[] = {
                {"{\"kind\":\"recover\",\"application\":11,\"endpoint\":21}", JOB_DEAD, true},
                {"{\"kind\":\"missing\",\"application\":11,\"endpoint\":21}", -1, false},
                {"{\"kind\":\"filter\",\"application\":11,\"state\":\"failed\"}", JOB_DEAD, false},
                {"{\"kind\":\"filter\",\"application\":11,\"state\":\"delivered\",\"endpoint\":21}",
                 JOB_DONE, true},
                {"{\"kind\":\"filter\",\"application\":11,\"state\":\"any\"}", -1, false},
        };
        AUTO(arena_freep)
        Arena *a = arena_new(65536);
        char target[ENDPOINT_TARGET_TEXT], app[ID_TEXT];

        (void)state;
        id_print("app", APP, app);
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                Replay r = make(cases[i].text, a);
                EventQuery q;

                assert_true(replay_query(&r, 7, a, &q));
                /* An endpoint's deliveries may be of events that sources told. */
                assert_true(cases[i].with_target ? !q.source.p : span_eq(q.source, span_of(app)));
                assert_true(q.oldest_first && q.with_jobs && q.max == 7);
                assert_int_equal(q.state, cases[i].state);
                assert_true(span_eq(q.target, cases[i].with_target ? target_of(FIRST, target)
                                                                   : (Span){NULL, 0}));
        }
}

/* An event with these jobs: endpoint and state of each, ended by 0. */
static size_t count(const char *text, const char *type, const char *meta, const int64_t *jobs,
                    int64_t *ret_first) {
        AUTO(arena_freep)
        Arena *a = arena_new(65536);
        char targets[8][ENDPOINT_TARGET_TEXT];
        JobView views[8] = {{0}};
        Endpoint *found[8] = {NULL};
        EventView v = {.event = {.type = span_of(type), .meta = span_of(meta)}, .jobs = views};
        Replay r = make(text, a);

        for (; jobs[0]; jobs += 2) {
                views[v.n_jobs].target = target_of(jobs[0], targets[v.n_jobs]);
                views[v.n_jobs++].state = (JobState)jobs[1];
        }
        size_t n = replay_targets(&r, registry, &v, 8, found);
        *ret_first = n ? found[0]->id : 0;
        for (size_t i = 0; i < n; i++)
                endpoint_unref(found[i]);
        assert_int_equal(replay_targets(&r, registry, &v, 0, NULL), n);
        return n;
}

static void deliveries_are_chosen_by_how_they_ended(void **state) {
        static const int64_t jobs[] = {FIRST,    JOB_DEAD,      OTHER,    JOB_DONE, OFF,
                                       JOB_DEAD, 99 /* gone */, JOB_DEAD, 0};
        static const int64_t open[] = {FIRST, JOB_WAITING, OTHER, JOB_QUEUED, 0};
        int64_t first;

        (void)state;
        assert_int_equal(count("{\"kind\":\"recover\",\"endpoint\":21}", "a.b", NULL, jobs, &first),
                         1);
        assert_int_equal(first, FIRST);
        assert_int_equal(count("{\"kind\":\"recover\",\"endpoint\":22}", "a.b", NULL, jobs, &first),
                         0);
        assert_int_equal(count("{\"kind\":\"recover\",\"endpoint\":23}", "a.b", NULL, jobs, &first),
                         0); /* it is disabled */
        assert_int_equal(
                count("{\"kind\":\"filter\",\"state\":\"failed\"}", "x", NULL, jobs, &first), 1);
        assert_int_equal(
                count("{\"kind\":\"filter\",\"state\":\"delivered\"}", "x", NULL, jobs, &first), 1);
        assert_int_equal(first, OTHER);
        assert_int_equal(count("{\"kind\":\"filter\",\"state\":\"any\"}", "x", NULL, jobs, &first),
                         2);
        assert_int_equal(count("{\"kind\":\"filter\",\"state\":\"any\"}", "x", NULL, open, &first),
                         0);
}

static void missing_ones_are_wanted_and_have_no_job(void **state) {
        static const char text[] = "{\"kind\":\"missing\",\"endpoint\":21}";
        static const int64_t none[] = {OTHER, JOB_DONE, 0}, had[] = {FIRST, JOB_DEAD, 0};
        static const char eu[] = "{\"channels\":[\"us\",\"\\u0065u\"]}";
        int64_t first;

        (void)state;
        assert_int_equal(count(text, "a.b", eu, none, &first), 1);
        assert_int_equal(first, FIRST);
        assert_int_equal(count(text, "a.b", eu, had, &first), 0);
        assert_int_equal(count(text, "b", eu, none, &first), 0);
        assert_int_equal(count(text, "a.b", "{\"channels\":[\"us\"]}", none, &first), 0);
        assert_int_equal(count(text, "a.b", NULL, none, &first), 0);
        assert_int_equal(count("{\"kind\":\"missing\",\"endpoint\":23}", "a.b", eu, none, &first),
                         0);
        assert_int_equal(count("{\"kind\":\"missing\",\"endpoint\":99}", "a.b", eu, none, &first),
                         0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(texts_are_read_and_go_on),
                cmocka_unit_test(queries_ask_for_no_more_than_is_needed),
                cmocka_unit_test(deliveries_are_chosen_by_how_they_ended),
                cmocka_unit_test(missing_ones_are_wanted_and_have_no_job),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
