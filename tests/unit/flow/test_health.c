/* SPDX-License-Identifier: Apache-2.0
 *
 * The health of an endpoint over days, by a clock that the test moves: the outlet's stations with a
 * real ledger behind them, without a client. */
#include "base/clock.h"
#include "flow/outlet.h"
#include "unit.h"

#include <unistd.h>

enum { HOUR_MS = 3600 * 1000, GUARD_MS = 30000 };
#define DAY_MS   (24 * (int64_t)HOUR_MS)
#define BEGIN_MS INT64_C(1800000000000)
#define TARGET   SPAN("endpoint:ep_000000000000z")

static const int64_t app_id = 5, ep_id = 31; /* ep_000000000000z */

/* One start of the process. */
typedef struct Scene {
        Loop loop;
        uv_timer_t guard;
        Ledger *ledger;
        Registry *registry;
        Outlet outlet;
        Snapshot snapshot;
        unsigned told;
        char said[512]; /* the latest */
} Scene;

static char folder[] = "/tmp/grapnel-health-XXXXXX", url[96];

static void on_guard(uv_timer_t *guard) {
        (void)guard;
        fail_msg("nothing more happened");
}

static void on_tell(void *self, const Endpoint *p, const char *type, Span data) {
        Scene *s = self;

        assert_string_equal(type, "endpoint.disabled");
        assert_int_equal(p->id, ep_id);
        (void)snprintf(s->said, sizeof s->said, SPAN_FMT, SPAN_ARG(data));
        s->told++;
}

static void on_object(void *arg, const Object *o) {
        Scene *s = arg;
        Err e = {0};

        assert_int_equal(registry_put(s->registry, o, &e), 0);
}

static void start(Scene *s) {
        Err e = {0};

        *s = (Scene){.registry = registry_new(), .snapshot = {.refs = 1}};
        assert_int_equal(loop_init(&s->loop, 0, &e), 0);
        assert_int_equal(uv_timer_init(&s->loop.uv, &s->guard), 0);
        assert_int_equal(uv_timer_start(&s->guard, on_guard, GUARD_MS, 0), 0);
        assert_int_equal(ledger_open(&(LedgerOptions){.url = span_of(url)}, &s->ledger, &e), 0);
        assert_int_equal(ledger_each_object(s->ledger, on_object, s, &e), 0);
        outlet_init(&s->outlet, &s->loop, NULL, s->ledger, s->registry, NULL, &s->snapshot,
                    &(OutletHost){.self = s, .tell = on_tell});
}

/* As the process ends: what is on its way to the ledger gets there. */
static void stop(Scene *s) {
        while (s->outlet.writes.n > 0)
                uv_run(&s->loop.uv, UV_RUN_ONCE);
        outlet_close(&s->outlet);
        outlet_done(&s->outlet);
        ledger_close(s->ledger);
        registry_free(s->registry);
        uv_close((uv_handle_t *)&s->guard, NULL);
        loop_stop(&s->loop);
        loop_run(&s->loop);
        loop_done(&s->loop);
}

static void turn(Scene *s) {
        while (s->outlet.writes.n > 0)
                uv_run(&s->loop.uv, UV_RUN_ONCE);
}

static void on_put(LedgerRequest *r) {
        *(bool *)r->arg = true;
}

/* By whoever uses the API. */
static void put(Scene *s, ObjectKind kind, int64_t id, int64_t owner, const char *text) {
        bool is_done = false;
        LedgerRequest r = {.ask = ASK_WRITE,
                           .home = &s->loop.inbox,
                           .done = on_put,
                           .arg = &is_done,
                           .write = {.kind = WRITE_OBJECT,
                                     .object = {.object = {.kind = kind,
                                                           .id = id,
                                                           .owner = owner,
                                                           .name = SPAN(""),
                                                           .text = span_of(text)}}}};
        Err e = {0};

        assert_int_equal(ledger_send(s->ledger, &r), 0);
        while (!is_done)
                uv_run(&s->loop.uv, UV_RUN_ONCE);
        assert_int_equal(r.result, 0);
        assert_int_equal(r.write.object.result, OBJECT_WRITTEN);
        assert_int_equal(registry_put(s->registry, &r.write.object.object, &e), 0);
}

#define PLAIN "\"url\":\"http://127.0.0.1:9/x\",\"profile\":\"none\""

static Station *station(Scene *s) {
        Station *one = outlet_station(&s->outlet, TARGET);

        assert_non_null(one);
        return one;
}

/* An attempt ended so, at that moment; and what follows of it. */
static void fails(Scene *s, int64_t at_ms) {
        health_bad(&s->outlet, station(s), at_ms);
        turn(s);
}

static void succeeds(Scene *s) {
        health_good(&s->outlet, station(s));
        turn(s);
}

static bool is_disabled(Scene *s) {
        return station(s)->endpoint->is_disabled;
}

static int setup(void **state) {
        static Scene s;
        char text[64];

        memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
        assert_non_null(mkdtemp(folder));
        (void)snprintf(url, sizeof url, "sqlite:%s/t.db", folder);
        start(&s);
        (void)snprintf(text, sizeof text, "{" PLAIN "}");
        put(&s, OBJECT_APPLICATION, app_id, 0, "{}");
        put(&s, OBJECT_ENDPOINT, ep_id, app_id, text);
        *state = &s;
        return 0;
}

static int teardown(void **state) {
        static const char *const files[] = {"t.db", "t.db-wal", "t.db-shm", "t.db.lock",
                                            "t.db-lock"};
        char path[128];

        stop(*state);
        for (size_t i = 0; i < COUNT_OF(files); i++) {
                (void)snprintf(path, sizeof path, "%s/%s", folder, files[i]);
                (void)unlink(path);
        }
        assert_int_equal(rmdir(folder), 0);
        return 0;
}

/* ---- */

static void five_days_of_nothing_but_failure_disable_it(void **state) {
        Scene *s = *state;

        for (int64_t hour = 0; hour < 5 * 24; hour++) {
                fails(s, BEGIN_MS + hour * HOUR_MS);
                assert_false(is_disabled(s));
        }
        fails(s, BEGIN_MS + 5 * DAY_MS - 1);
        assert_false(is_disabled(s));
        assert_int_equal(s->told, 0);
        fails(s, BEGIN_MS + 5 * DAY_MS);
        assert_true(is_disabled(s));
        assert_string_equal(s->said, "{\"type\":\"endpoint.disabled\",\"data\":{\"appId\":"
                                     "\"app_0000000000005\",\"endpointId\":\"ep_000000000000z\","
                                     "\"failSince\":\"2027-01-15T08:00:00.000Z\","
                                     "\"trigger\":\"failing\"}}");
        /* Attempts that were under way say nothing new. */
        fails(s, BEGIN_MS + 5 * DAY_MS + 1);
        assert_int_equal(s->told, 1);
}

static void one_success_begins_the_count_anew(void **state) {
        Scene *s = *state;

        fails(s, BEGIN_MS);
        fails(s, BEGIN_MS + 4 * DAY_MS);
        succeeds(s);
        fails(s, BEGIN_MS + 5 * DAY_MS);
        fails(s, BEGIN_MS + 10 * DAY_MS - 1);
        assert_false(is_disabled(s));
        fails(s, BEGIN_MS + 10 * DAY_MS);
        assert_true(is_disabled(s));
}

static void a_restart_goes_on_counting(void **state) {
        Scene *s = *state;

        fails(s, BEGIN_MS);
        stop(s);
        start(s);
        fails(s, BEGIN_MS + 3 * DAY_MS);
        stop(s);
        start(s);
        fails(s, BEGIN_MS + 5 * DAY_MS - 1);
        assert_false(is_disabled(s));
        fails(s, BEGIN_MS + 5 * DAY_MS);
        assert_true(is_disabled(s));
        stop(s);
        start(s);
        assert_true(is_disabled(s));
        assert_int_equal(s->told, 0); /* it was told before */
}

static void a_success_is_known_after_a_restart(void **state) {
        Scene *s = *state;

        fails(s, BEGIN_MS);
        succeeds(s);
        stop(s);
        start(s);
        assert_int_equal(station(s)->failing_since_ms, 0);
        fails(s, BEGIN_MS + 5 * DAY_MS);
        assert_false(is_disabled(s));
}

static void one_that_was_enabled_again_has_five_days_again(void **state) {
        Scene *s = *state;

        fails(s, BEGIN_MS);
        fails(s, BEGIN_MS + 5 * DAY_MS);
        assert_true(is_disabled(s));
        put(s, OBJECT_ENDPOINT, ep_id, app_id, "{" PLAIN "}");
        fails(s, BEGIN_MS + 6 * DAY_MS);
        assert_false(is_disabled(s));
        fails(s, BEGIN_MS + 11 * DAY_MS);
        assert_true(is_disabled(s));
        assert_int_equal(s->told, 2);
}

static void one_that_was_enabled_again_is_tried_at_once(void **state) {
        Scene *s = *state;
        int64_t wait_ms;

        for (unsigned i = 0; i < BREAKER_FAILURES; i++)
                breaker_tell(&station(s)->breaker, BREAKER_GO, false, BEGIN_MS);
        assert_int_equal(breaker_ask(&station(s)->breaker, BEGIN_MS, &wait_ms), BREAKER_REFUSE);
        put(s, OBJECT_ENDPOINT, ep_id, app_id, "{" PLAIN ",\"disabled\":true}");
        assert_int_equal(breaker_ask(&station(s)->breaker, BEGIN_MS, &wait_ms), BREAKER_REFUSE);
        put(s, OBJECT_ENDPOINT, ep_id, app_id, "{" PLAIN "}");
        assert_int_equal(breaker_ask(&station(s)->breaker, BEGIN_MS, &wait_ms), BREAKER_GO);
}

static void one_that_says_that_it_is_gone_is_disabled_at_once(void **state) {
        Scene *s = *state;

        health_gone(&s->outlet, station(s));
        /* Another answer of the same kind, before the ledger has written the first. */
        health_gone(&s->outlet, station(s));
        turn(s);
        assert_true(is_disabled(s));
        assert_int_equal(s->told, 1);
        assert_non_null(strstr(s->said, "\"trigger\":\"gone\""));
}

static void what_comes_while_a_write_is_on_its_way_is_written_next(void **state) {
        Scene *s = *state;

        health_bad(&s->outlet, station(s), BEGIN_MS);
        health_gone(&s->outlet, station(s));
        turn(s);
        assert_true(is_disabled(s));
        assert_int_equal(s->told, 1);
}

static void a_success_while_a_failure_is_written_is_written_next(void **state) {
        Scene *s = *state;

        health_bad(&s->outlet, station(s), BEGIN_MS);
        health_good(&s->outlet, station(s));
        turn(s);
        assert_int_equal(station(s)->endpoint->failing_since_ms, 0);
}

static void a_clock_that_was_ahead_does_not_count_for_ever(void **state) {
        Scene *s = *state;

        fails(s, BEGIN_MS + 3650 * DAY_MS);
        fails(s, BEGIN_MS);
        fails(s, BEGIN_MS + 5 * DAY_MS);
        assert_true(is_disabled(s));
}

#define HEALTH_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                HEALTH_TEST(five_days_of_nothing_but_failure_disable_it),
                HEALTH_TEST(one_success_begins_the_count_anew),
                HEALTH_TEST(a_restart_goes_on_counting),
                HEALTH_TEST(a_success_is_known_after_a_restart),
                HEALTH_TEST(one_that_was_enabled_again_has_five_days_again),
                HEALTH_TEST(one_that_was_enabled_again_is_tried_at_once),
                HEALTH_TEST(one_that_says_that_it_is_gone_is_disabled_at_once),
                HEALTH_TEST(what_comes_while_a_write_is_on_its_way_is_written_next),
                HEALTH_TEST(a_success_while_a_failure_is_written_is_written_next),
                HEALTH_TEST(a_clock_that_was_ahead_does_not_count_for_ever),
        };

        return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
