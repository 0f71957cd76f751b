/* SPDX-License-Identifier: Apache-2.0
 *
 * What a backfill's object says, and how its items are told apart. */
#include "trigger/backfill_item.h"

#include "unit.h"
#include "json/check.h"
#include "json/value.h"

#define ASKED                                                                                      \
        "{\"flow\":\"f\",\"source\":\"s\",\"from\":\"id:/u\",\"event\":\"{id}\",\"rate\":5,"       \
        "\"pages\":{\"next\":\".a\",\"as\":\"c\",\"list\":\".l\"},\"createdAt\":1,"                \
        "\"progress\":\"running\",\"updatedAt\":1}"

static void texts_are_read_and_go_on(void **state) {
        AUTO(arena_freep)
        Arena *a = arena_new(1 << 20);
        AUTO(buf_done)
        Buf b = BUF(BACKFILL_TEXT_MAX_BYTES), again = BUF(BACKFILL_TEXT_MAX_BYTES);
        Backfill *x = arena_alloc(a, sizeof *x);
        BackfillProblem problem = {SPAN("k\""), SPAN("c"), SPAN("m\n"), 7};
        BackfillCounts now = {.seen = 9, .succeeded = 1, .failed = 2, .dead = 1, .repeated = 3};
        JsonFault fault;

        (void)state;
        assert_true(backfill_read(SPAN(ASKED), a, x));
        assert_true(!x->is_begun && x->progress == BACKFILL_RUNNING && x->plan.rate == 5);
        assert_true(x->plan.has_way && span_eq(x->plan.event, SPAN("{id}")));
        assert_int_equal(x->plan.pages_max, BACKFILL_PAGES_MAX);
        x->at = (BackfillAt){
                .pages = 2, .items = 8, .url = SPAN("https://id/u?c=\"x"), .n_open = 2};
        x->at.counts.seen = 8;
        x->at.open[0] = 11;
        x->at.open[1] = INT64_MAX;
        assert_int_equal(backfill_print(SPAN(ASKED),
                                        &(BackfillNews){.progress = BACKFILL_FAILED,
                                                        .at = &x->at,
                                                        .counts = &now,
                                                        .n_open = 3,
                                                        .total = 40,
                                                        .problems = &problem,
                                                        .n_problems = 1,
                                                        .code = "c",
                                                        .message = SPAN("why\"")},
                                        99, &b),
                         0);
        assert_int_equal(json_check(buf_span(&b), SIZE_MAX, &fault), 0);
        assert_true(backfill_read(buf_span(&b), a, x));
        assert_true(x->is_begun && x->progress == BACKFILL_FAILED && x->total == 40);
        assert_true(x->at.pages == 2 && x->at.items == 8 && x->at.counts.seen == 8);
        assert_true(span_eq(x->at.url, SPAN("https://id/u?c=\"x")) && !x->at.is_read);
        assert_true(x->at.n_open == 2 && x->at.open[0] == 11 && x->at.open[1] == INT64_MAX);
        assert_true(x->n_problems == 1 && span_eq(x->problems[0].key, problem.key));
        assert_true(span_eq(x->problems[0].message, problem.message));
        assert_int_equal(json_member_count(buf_span(&b), SPAN("progress")), 1);

        /* Resumed: all stays but the error. */
        assert_int_equal(backfill_turn(buf_span(&b), BACKFILL_RUNNING, 100, &again), 0);
        assert_true(backfill_read(buf_span(&again), a, x));
        assert_true(x->progress == BACKFILL_RUNNING && x->at.n_open == 2);
        assert_null(json_member(buf_span(&again), SPAN("error")).p);
        assert_int_equal(json_member_count(buf_span(&again), SPAN("updatedAt")), 1);
}

static void wrong_plans_are_said(void **state) {
        static const struct {
                const char *text, *member, *says;
        } cases[] = {
                {"{\"pages\":{\"next\":\".[]\"}}", "pages", "plain path"},
                {"{\"pages\":{\"number\":\"a\",\"offset\":\"b\"}}", "pages", "one of next"},
                {"{\"pages\":{\"as\":\"a\"}}", "pages", "only a cursor"},
                {"{\"pages\":{\"list\":\"x y\"}}", "pages", "plain path"},
                {"{\"key\":\".a | .b\"}", "key", "plain path"},
        };
        AUTO(arena_freep)
        Arena *a = arena_new(1 << 20);

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                BackfillPlan plan;
                const char *member = "";
                const char *says = backfill_plan(span_of(cases[i].text), a, &plan, &member);

                if (!says || strcmp(member, cases[i].member) != 0 || !strstr(says, cases[i].says))
                        fail_msg("%s: %s: %s", cases[i].text, member, says ? says : "(fine)");
        }
        assert_false(backfill_read(SPAN("{\"flow\":\"f\"}"), a, arena_alloc(a, sizeof(Backfill))));
        assert_false(backfill_read(SPAN("[]"), a, arena_alloc(a, sizeof(Backfill))));
}

static void on_made(BackfillItem *i) {
        assert_true(i->made == BACKFILL_MADE && span_eq(i->body, json_trim(i->item)));
}

static const char *key_of(const BackfillPlan *plan, const char *item, BackfillItem *room) {
        *room = (BackfillItem){.item = span_of(item), .done = on_made};
        backfill_item_start(room, plan, NULL);
        return room->key;
}

static void items_are_told_apart(void **state) {
        AUTO(arena_freep)
        Arena *a = arena_new(1 << 20);
        BackfillPlan plan, by_mail;
        BackfillItem one, other;
        const char *member;
        char item[600];

        (void)state;
        assert_null(backfill_plan(SPAN("{}"), a, &plan, &member));
        assert_null(backfill_plan(SPAN("{\"key\":\".mail.work\"}"), a, &by_mail, &member));
        assert_string_equal(key_of(&plan, "{\"id\":\"a\\u00e4\",\"n\":1}", &one), "a\xc3\xa4");
        assert_string_equal(key_of(&plan, "{\"id\":12345678901234567890}", &one),
                            "12345678901234567890");
        assert_string_equal(key_of(&by_mail, "{\"id\":1,\"mail\":{\"work\":\"x\"}}", &one), "x");
        /* What has none, by all of it; what is long, by its hash. */
        for (size_t i = 0; i < 5; i++) {
                static const char *const bare[] = {"{\"n\":1}", "{\"id\":null}", "{\"id\":[1]}",
                                                   "{\"id\":\"\"}", "\"text\""};

                assert_int_equal(strlen(key_of(&plan, bare[i], &one)), 7 + 64);
                assert_string_equal(one.key, key_of(&plan, bare[i], &other));
                assert_string_not_equal(one.key, key_of(&plan, bare[(i + 1) % 5], &other));
        }
        (void)snprintf(item, sizeof item, "{\"id\":\"%0300d\",\"n\":1}", 7);
        assert_int_equal(strlen(key_of(&plan, item, &one)), 7 + 64);
        (void)snprintf(item, sizeof item, "{\"n\":2,\"id\":\"%0300d\"}", 7);
        assert_string_equal(one.key, key_of(&plan, item, &other));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(texts_are_read_and_go_on),
                cmocka_unit_test(wrong_plans_are_said),
                cmocka_unit_test(items_are_told_apart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
