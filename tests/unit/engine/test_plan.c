/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan.h"

#include "unit.h"
#include "json/check.h"

enum { RULES_MAX = 4, VALUES_MAX = 4 };

/* Rules as config would read them. */
typedef struct Draft {
        Arena *arena;
        Problems problems;
        MatchRule rules[RULES_MAX];
        size_t n;
        Node nodes[RULES_MAX][VALUES_MAX], lists[RULES_MAX];
        Node *items[RULES_MAX][VALUES_MAX];
        Plan plan;
} Draft;

static Draft *draft_new(void) {
        Draft *d = must_alloc(sizeof *d);

        d->arena = arena_new(1024 * 1024);
        d->problems.arena = d->arena;
        return d;
}

static void draft_free(Draft *d) {
        arena_free(d->arena);
        free(d);
}

static int draft_compile(Draft *d) {
        return plan_compile(d->rules, d->n, d->arena, &d->problems, &d->plan);
}

/* The rule's value is a list as soon as there are two. A text in single quotes is quoted. */
static void draft_rule(Draft *d, const char *path, const char *const *values) {
        size_t r = d->n++;
        Node *list = &d->lists[r];

        assert_true(r < RULES_MAX);
        list->kind = NODE_LIST;
        list->items = d->items[r];
        for (; values[list->n]; list->n++) {
                Node *node = &d->nodes[r][list->n];

                assert_true(list->n < VALUES_MAX);
                node->text = span_of(values[list->n]);
                node->quoted = node->text.p[0] == '\'';
                if (node->quoted)
                        node->text = (Span){node->text.p + 1, node->text.n - 2};
                list->items[list->n] = node;
        }
        d->rules[r].path.text = span_of(path);
        d->rules[r].values = list->n == 1 ? list->items[0] : list;
}

static bool wants(const char *path, const char *value, const char *body) {
        const char *values[] = {value, NULL};
        Draft *d = draft_new();
        JsonFault fault;

        assert_int_equal(json_check(span_of(body), JSON_KEYS_MAX, &fault), 0);
        draft_rule(d, path, values);
        assert_int_equal(draft_compile(d), 0);
        bool is_wanted = plan_matches(&d->plan, span_of(body));
        draft_free(d);
        return is_wanted;
}

static void every_rule_must_fit(void **state) {
        static const char *const user[] = {"USER", NULL}, *const kinds[] = {"CREATE", "UPDATE",
                                                                            NULL};
        Draft *d = draft_new();

        (void)state;
        draft_rule(d, ".entityType", user);
        draft_rule(d, ".eventType", kinds);
        assert_int_equal(draft_compile(d), 0);
        const Plan *p = &d->plan;
        assert_true(plan_matches(
                p, SPAN("{\"id\":\"1\",\"entityType\":\"USER\",\"eventType\":\"UPDATE\"}")));
        assert_true(plan_matches(p, SPAN("{\"eventType\":\"CREATE\",\"entityType\":\"USER\"}")));
        assert_false(plan_matches(p, SPAN("{\"eventType\":\"DELETE\",\"entityType\":\"USER\"}")));
        assert_false(plan_matches(p, SPAN("{\"eventType\":\"CREATE\",\"entityType\":\"ORG\"}")));
        assert_false(plan_matches(p, SPAN("{\"eventType\":\"CREATE\"}")));
        assert_false(plan_matches(p, SPAN("[]")));
        draft_free(d);
}

static void without_rules_all_are_wanted(void **state) {
        Draft *d = draft_new();

        (void)state;
        assert_int_equal(draft_compile(d), 0);
        assert_true(plan_matches(&d->plan, SPAN("17")));
        draft_free(d);
}

static void a_key_that_is_there_twice_is_named(void **state) {
        static const char *const x[] = {"x", NULL};
        Draft *d = draft_new();

        (void)state;
        draft_rule(d, ".a.b", x);
        assert_int_equal(draft_compile(d), 0);
        assert_null(plan_ambiguous(&d->plan, SPAN("{\"a\":1,\"c\":2,\"c\":3}")).p);
        assert_null(plan_ambiguous(&d->plan, SPAN("[1]")).p);
        assert_true(span_eq(plan_ambiguous(&d->plan, SPAN("{\"a\":1,\"\\u0061\":2}")), SPAN("a")));
        draft_free(d);
}

static void values_compare_by_what_they_mean(void **state) {
        (void)state;
        assert_true(wants(".a", "caf\xc3\xa9", "{\"a\":\"caf\\u00e9\"}"));
        assert_true(wants(".a", "1", "{\"a\":1.0}"));
        assert_true(wants(".a", "1", "{\"a\":10e-1}"));
        assert_false(wants(".a", "1", "{\"a\":\"1\"}"));
        assert_true(wants(".a", "'1'", "{\"a\":\"1\"}"));
        assert_false(wants(".a", "'1'", "{\"a\":1}"));
        assert_false(wants(".a", "9007199254740993", "{\"a\":9007199254740992}"));
        assert_true(wants(".a", "true", "{\"a\":true}"));
        assert_false(wants(".a", "true", "{\"a\":\"true\"}"));
        assert_true(wants(".a", "'true'", "{\"a\":\"true\"}"));
        assert_true(wants(".a", "null", "{\"a\":null}"));
        assert_false(wants(".a", "null", "{}"));
        assert_true(wants(".a", "-1.5", "{\"a\":-15e-1}"));
        assert_true(wants(".a", "01", "{\"a\":\"01\"}"));
        assert_true(wants(".a", "1.2.3", "{\"a\":\"1.2.3\"}"));
        assert_false(wants(".a", "null", "{\"a\":0}"));
        assert_true(wants(".a", "''", "{\"a\":\"\"}"));
        assert_true(wants(".a", "[x]", "{\"a\":\"[x]\"}"));
        assert_false(wants(".a", "x", "{\"a\":[\"x\"]}"));
        assert_true(wants(".a", "2", "{\"a\":1,\"a\":2}"));
}

static void paths_lead_into_the_body(void **state) {
        (void)state;
        assert_true(wants(".a.b.c", "x", "{\"a\":{\"b\":{\"c\":\"x\"}}}"));
        assert_true(wants(".\"a b\"", "x", "{\"a b\":\"x\"}"));
        assert_true(wants(".a[\"b.c\"]", "x", "{\"a\":{\"b.c\":\"x\"}}"));
        assert_true(wants(".[\"a\"]", "x", "{\"a\":\"x\"}"));
        assert_true(wants(".a[1].b", "x", "{\"a\":[{},{\"b\":\"x\"}]}"));
        assert_true(wants(".[0]", "x", "[\"x\"]"));
        assert_true(wants(".", "7", "7"));
        assert_true(wants("._a1", "x", "{\"_a1\":\"x\"}"));
        assert_false(wants(".a.b", "x", "{\"a\":\"x\"}"));
        assert_false(wants(".a[1]", "x", "{\"a\":[\"x\"]}"));
}

static void what_is_no_plain_path_is_refused(void **state) {
        static const char *const bad[] = {
                "",         "a",    ".a | .b", ".a[]",       ".a[",
                ".a[-1]",   ".a[0", ".a..b",   ".a.",        ".1a",
                "..",       ".a?",  ".\"a",    ".\"\\(1)\"", "[0]",
                ".a[\"b\"", ".a b", ".a[0x]",  ".\"\\",      ".a[99999999999999999999]",
        };
        const char *values[] = {"x", NULL};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
                Draft *d = draft_new();

                draft_rule(d, bad[i], values);
                assert_int_equal(draft_compile(d), -EINVAL);
                assert_int_equal(d->problems.errors, 1);
                assert_non_null(strstr(d->problems.item[0].text, "plain path"));
                draft_free(d);
        }
}

static void a_value_must_be_scalar(void **state) {
        const char *values[] = {"x", "y", NULL};
        Draft *d = draft_new();

        (void)state;
        draft_rule(d, ".a", values);
        d->nodes[0][1].kind = NODE_MAP;
        assert_int_equal(draft_compile(d), -EINVAL);
        assert_int_equal(d->problems.errors, 1);
        draft_free(d);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_rule_must_fit),
                cmocka_unit_test(without_rules_all_are_wanted),
                cmocka_unit_test(a_key_that_is_there_twice_is_named),
                cmocka_unit_test(values_compare_by_what_they_mean),
                cmocka_unit_test(paths_lead_into_the_body),
                cmocka_unit_test(what_is_no_plain_path_is_refused),
                cmocka_unit_test(a_value_must_be_scalar),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
