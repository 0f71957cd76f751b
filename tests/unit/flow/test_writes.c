/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/writes.h"
#include "unit.h"

#define CRM SPAN("crm")

static bool has(Writes *w, const char *id, const char *values, int64_t now_ms) {
        return writes_has(w, CRM, span_of(id), values ? span_of(values) : (Span){NULL, 0}, 100,
                          now_ms);
}

static void what_was_written_is_known_for_a_time(void **state) {
        Writes *w = writes_new();

        (void)state;
        assert_false(has(w, "1", NULL, 1000));
        writes_add(w, CRM, SPAN("1"), SPAN("{\"a\":1,\"b\":null,\"c\":{\"d\":[1,2.0]}}"), 1000);
        assert_true(has(w, "1", NULL, 1099));
        assert_false(has(w, "1", NULL, 1100));
        assert_false(has(w, "2", NULL, 1000));
        assert_false(writes_has(w, SPAN("erp"), SPAN("1"), (Span){NULL, 0}, 100, 1000));
        assert_true(has(w, "1", "{\"x\":7,\"c\":{\"d\":[1,2]},\"a\":1.0}", 1000));
        assert_true(has(w, "1", "{\"b\":null,\"c\":{\"d\":[1,2]},\"a\":1}", 1000));
        assert_false(has(w, "1", "{\"b\":0,\"c\":{\"d\":[1,2]},\"a\":1}", 1000));
        assert_false(has(w, "1", "{\"c\":{\"d\":[2,1]},\"a\":1}", 1000));
        assert_false(has(w, "1", "{}", 1000));
        assert_false(has(w, "1", "[]", 1000));
        writes_free(w);
}

static void the_latest_write_of_an_entity_counts(void **state) {
        Writes *w = writes_new();

        (void)state;
        writes_add(w, CRM, SPAN("1"), SPAN("{\"a\":1}"), 1000);
        writes_add(w, CRM, SPAN("1"), SPAN("{\"a\":2}"), 1001);
        assert_false(has(w, "1", "{\"a\":1}", 1002));
        assert_true(has(w, "1", "{\"a\":2}", 1002));
        writes_add(w, CRM, SPAN("2"), SPAN("[1]"), 1001); /* no object: nothing to compare with */
        assert_false(has(w, "2", NULL, 1002));
        writes_free(w);
}

static void there_is_a_limit(void **state) {
        Writes *w = writes_new();
        char id[32];

        (void)state;
        for (int i = 0; i <= WRITES_MAX; i++) {
                (void)snprintf(id, sizeof id, "%d", i);
                writes_add(w, CRM, span_of(id), SPAN("{}"), 1000);
        }
        assert_false(has(w, "0", NULL, 1000));
        assert_true(has(w, "1", NULL, 1000));
        writes_add(w, CRM, SPAN("x"), SPAN("{}"), 1000 + WRITES_AGE_MAX_MS);
        assert_false(has(w, "1", NULL, 1000));
        writes_free(w);
        assert_null(writes_free(NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_was_written_is_known_for_a_time),
                cmocka_unit_test(the_latest_write_of_an_entity_counts),
                cmocka_unit_test(there_is_a_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
