/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan.h"

#include "unit.h"
#include "json/check.h"

enum { RULES_MAX = 4, VALUES_MAX = 4 };

/* A flow as config would read it. */
typedef struct Draft {
        FlowConfig flow;
        const char *on[2];
        MatchRule rules[RULES_MAX];
        Node nodes[RULES_MAX][VALUES_MAX], lists[RULES_MAX];
        Node *items[RULES_MAX][VALUES_MAX];
} Draft;

static void draft_init(Draft *d, const char *on) {
        memset(d, 0, sizeof *d);
        d->on[0] = on;
        d->flow.on = d->on;
        d->flow.n_on = 1;
        d->flow.match = d->rules;
}

/* The rule's value is a list as soon as there are two. A text in single quotes is quoted. */
static void draft_rule(Draft *d, const char *path, const char *const *values) {
        size_t r = d->flow.n_match++;
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
        Plan *p = NULL;
        Err e = {0};
        Draft d;
        JsonFault fault;

        assert_int_equal(json_check(span_of(body), JSON_KEYS_MAX, &fault), 0);
        draft_init(&d, "shop");
        draft_rule(&d, path, values);
        assert_int_equal(plan_new(&d.flow, &p, &e), 0);
        bool is_wanted = plan_matches(p, SPAN("shop"), span_of(body));
        plan_free(p);
        return is_wanted;
}

static void the_source_and_every_rule_must_fit(void **state) {
        static const char *const user[] = {"USER", NULL}, *const kinds[] = {"CREATE", "UPDATE",
                                                                            NULL};
        Plan *p = NULL;
        Err e = {0};
        Draft d;

        (void)state;
        draft_init(&d, "portal");
        draft_rule(&d, ".entityType", user);
        draft_rule(&d, ".eventType", kinds);
        assert_int_equal(plan_new(&d.flow, &p, &e), 0);
        Span body = SPAN("{\"id\":\"1\",\"entityType\":\"USER\",\"eventType\":\"UPDATE\"}");
        assert_true(plan_matches(p, SPAN("portal"), body));
        assert_false(plan_matches(p, SPAN("shop"), body));
        assert_true(plan_matches(p, SPAN("portal"),
                                 SPAN("{\"eventType\":\"CREATE\",\"entityType\":\"USER\"}")));
        assert_false(plan_matches(p, SPAN("portal"),
                                  SPAN("{\"eventType\":\"DELETE\",\"entityType\":\"USER\"}")));
        assert_false(plan_matches(p, SPAN("portal"), SPAN("{\"eventType\":\"CREATE\"}")));
        assert_false(plan_matches(p, SPAN("portal"), SPAN("[]")));
        assert_false(plan_matches(p, SPAN("portal"), SPAN("")));
        plan_free(p);
}

static void a_flow_without_rules_wants_all_of_its_source(void **state) {
        Plan *p = NULL;
        Err e = {0};
        Draft d;

        (void)state;
        draft_init(&d, "portal");
        assert_int_equal(plan_new(&d.flow, &p, &e), 0);
        assert_true(plan_matches(p, SPAN("portal"), SPAN("")));
        assert_true(plan_matches(p, SPAN("portal"), SPAN("17")));
        assert_false(plan_matches(p, SPAN("shop"), SPAN("17")));
        plan_free(p);
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
        assert_true(wants(".a", "null", "{}"));
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
        assert_true(wants(".\"\\u0061\"", "x", "{\"a\":\"x\"}"));
        assert_true(wants(" ._a1 ", "x", "{\"_a1\":\"x\"}"));
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
                Plan *p = NULL;
                Err e = {0};
                Draft d;

                draft_init(&d, "shop");
                draft_rule(&d, bad[i], values);
                assert_int_equal(plan_new(&d.flow, &p, &e), -EINVAL);
                assert_null(p);
                assert_non_null(strstr(e.text, "plain paths"));
        }
}

static void a_value_must_be_scalar(void **state) {
        const char *values[] = {"x", "y", NULL};
        Plan *p = NULL;
        Err e = {0};
        Draft d;

        (void)state;
        draft_init(&d, "shop");
        draft_rule(&d, ".a", values);
        d.nodes[0][1].kind = NODE_MAP;
        assert_int_equal(plan_new(&d.flow, &p, &e), -EINVAL);
        assert_non_null(strstr(e.text, "scalar"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_source_and_every_rule_must_fit),
                cmocka_unit_test(a_flow_without_rules_wants_all_of_its_source),
                cmocka_unit_test(values_compare_by_what_they_mean),
                cmocka_unit_test(paths_lead_into_the_body),
                cmocka_unit_test(what_is_no_plain_path_is_refused),
                cmocka_unit_test(a_value_must_be_scalar),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
