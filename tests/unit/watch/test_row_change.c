/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "watch/row_change.h"

static void names_of_what_differs(void **state) {
        static const struct {
                const char *previous, *fresh, *names;
        } cases[] = {
                {"{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":2}", "[]"},
                {"{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":3}", "[\"b\"]"},
                {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":4}", "[\"a\"]"},
                {"{\"a\":1}", "{\"a\":1,\"c\":null}", "[\"c\"]"},
                {"{\"a\":1,\"b\":2}", "{\"a\":1}", "[\"b\"]"},
                {"{\"a\":null}", "{\"a\":0}", "[\"a\"]"},
                {"{}", "{\"x\\\"y\":1}", "[\"x\\\"y\"]"},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                AUTO(buf_done)
                Buf out = BUF(4096);

                assert_int_equal(
                        row_change_names(span_of(cases[i].previous), span_of(cases[i].fresh), &out),
                        0);
                assert_int_equal(buf_add_char(&out, 0), 0);
                assert_string_equal(out.p, cases[i].names);
        }
}

static RowChange change(void) {
        return (RowChange){.source = SPAN("users-db"),
                           .kind = "outbox",
                           .database = "app",
                           .schema = SPAN("public"),
                           .table = SPAN("users"),
                           .op = "update",
                           .fresh = SPAN("{\"id\":7,\"email\":\"n\"}"),
                           .previous = SPAN("{\"id\":7,\"email\":\"o\"}"),
                           .key = SPAN("{\"id\":7,\"org\":\"a\\nb\"}"),
                           .transaction = SPAN("771"),
                           .position = SPAN("0/16B3748"),
                           .index = 2,
                           .time = SPAN("2026-01-31T12:00:00Z"),
                           .time_is = "commit",
                           .context = SPAN("{\"actor\":\"U9\"}"),
                           .id = SPAN("12-3")};
}

static void an_event_holds_all_that_is_known(void **state) {
        AUTO(arena_freep)
        Arena *a = arena_new(65536);
        RowChange c = change();
        EnvelopeEvent event;

        (void)state;
        assert_true(row_change_event(&c, a, &event));
        assert_true(span_eq(
                event.body,
                SPAN("{\"id\":\"users-db/12-3\",\"type\":\"users.update\",\"op\":\"update\","
                     "\"time\":\"2026-01-31T12:00:00Z\",\"timeIs\":\"commit\","
                     "\"schema\":\"public\",\"table\":\"users\","
                     "\"key\":{\"id\":7,\"org\":\"a\\nb\"},\"changed\":[\"email\"],"
                     "\"new\":{\"id\":7,\"email\":\"n\"},\"previous\":{\"id\":7,\"email\":\"o\"},"
                     "\"transaction\":{\"id\":\"771\",\"position\":\"0/16B3748\",\"index\":2},"
                     "\"context\":{\"actor\":\"U9\"},\"trigger\":{\"kind\":\"outbox\","
                     "\"source\":\"users-db\",\"database\":\"app\"}}")));
        assert_true(span_eq(event.type, SPAN("users.update")));
        assert_true(span_eq(event.subject, SPAN("users/7/a\nb")));
        assert_true(span_eq(event.key, SPAN("users-db/12-3")));
        assert_true(span_eq(event.time, SPAN("2026-01-31T12:00:00Z")));
}

static void what_is_not_known_says_why(void **state) {
        AUTO(arena_freep)
        Arena *a = arena_new(65536);
        RowChange c = change();
        EnvelopeEvent event;

        (void)state;
        c.previous = (Span){NULL, 0};
        c.previous_missing = "identity-default";
        c.missing = SPAN("[\"big\"]");
        c.key = c.context = (Span){NULL, 0};
        c.transaction = c.position = SPAN("");
        c.is_backfill = true;
        assert_true(row_change_event(&c, a, &event));
        assert_non_null(memmem(event.body.p, event.body.n,
                               "\"key\":null,\"changed\":null,\"new\":{\"id\":7,\"email\":\"n\"},"
                               "\"previous\":null,\"previousMissing\":\"identity-default\","
                               "\"missing\":[\"big\"],\"transaction\":null,\"context\":null,"
                               "\"backfill\":true",
                               160));
        assert_true(span_eq(event.subject, SPAN("users")));
}

/* {"id":7,"big":"xxx...","t":1} */
static void add_large(Buf *b, const char *name, size_t n) {
        assert_int_equal(buf_addf(b, "{\"id\":7,\"%s\":\"", name), 0);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(buf_add_char(b, 'x'), 0);
        assert_int_equal(buf_add(b, SPAN("\",\"t\":1}")), 0);
}

static bool holds(Span body, Span part) {
        return memmem(body.p, body.n, part.p, part.n) != NULL;
}

static void what_is_too_large_is_named(void **state) {
        AUTO(arena_freep)
        Arena *a = arena_new(1 << 20);
        AUTO(buf_done)
        Buf large = BUF((size_t)2 * ROW_CHANGE_MAX_BYTES);
        RowChange c = change();
        EnvelopeEvent event;

        (void)state;
        add_large(&large, "big", ROW_CHANGE_MAX_BYTES);
        c.fresh = buf_span(&large);
        assert_true(row_change_event(&c, a, &event));
        assert_true(holds(event.body,
                          SPAN("\"changed\":null,\"new\":{\"id\":7,\"t\":1},\"previous\":{\"id\":7,"
                               "\"email\":\"o\"},\"previousMissing\":\"too-large\",\"missing\":["
                               "\"big\"],\"transaction\"")));
        c.fresh = SPAN("{\"id\":7}");
        c.previous = buf_span(&large);
        c.missing = SPAN("[\"other\"]");
        assert_true(row_change_event(&c, a, &event));
        assert_true(holds(event.body,
                          SPAN("\"new\":{\"id\":7},\"previous\":{\"id\":7,\"t\":1},"
                               "\"previousMissing\":\"too-large\",\"missing\":[\"other\"],")));
        c.fresh = buf_span(&large);
        c.previous = (Span){NULL, 0};
        assert_true(row_change_event(&c, a, &event));
        assert_true(holds(event.body, SPAN("\"previous\":null,\"missing\":[\"other\",\"big\"],")));
}

static void a_key_beyond_all_measure_leaves_the_table(void **state) {
        AUTO(arena_freep)
        Arena *a = arena_new(1 << 20);
        AUTO(buf_done)
        Buf key = BUF(65536);
        RowChange c = change();
        EnvelopeEvent event;

        (void)state;
        assert_int_equal(buf_add(&key, SPAN("{\"id\":\"")), 0);
        for (size_t i = 0; i < 2000; i++)
                assert_int_equal(buf_add_char(&key, 'x'), 0);
        assert_int_equal(buf_add(&key, SPAN("\"}")), 0);
        c.key = buf_span(&key);
        assert_true(row_change_event(&c, a, &event));
        assert_true(span_eq(event.subject, SPAN("users")));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_of_what_differs),
                cmocka_unit_test(an_event_holds_all_that_is_known),
                cmocka_unit_test(what_is_not_known_says_why),
                cmocka_unit_test(what_is_too_large_is_named),
                cmocka_unit_test(a_key_beyond_all_measure_leaves_the_table),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
