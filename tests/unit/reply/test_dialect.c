/* SPDX-License-Identifier: Apache-2.0 */
#include "manual.h"
#include "reply/dialect.h"

#include <jansson.h>

static const Outcome refused = {
        .status = 424,
        .code = "target-refused",
        .message = {"The CRM said: \"used\"", 20},
        .errors = {{{"/emails/0/address", 17}, {"already used", 12}, {"email", 5}},
                   {{"", 0}, {"too short", 9}, {"nick", 4}},
                   {{"", 0}, {"ask the CRM's owner", 19}, {"", 0}}},
        .n_errors = 3,
        .retry_after_s = -1,
        .event = {"evt_0123456789abc", 17},
        .event_url = {"http://127.0.0.1:8081/events/evt_0123456789abc", 46},
};

static void assert_answer(const char *dialect, const Outcome *o, const char *type,
                          const char *body) {
        const Dialect *d = dialect_find(span_of(dialect));
        Reply reply = {.status = 999, .content_type = "left/over", .body = BUF(10000)};

        assert_non_null(d);
        assert_int_equal(buf_add(&reply.body, SPAN("left over")), 0);
        assert_int_equal(dialect_write(d, o, &reply), 0);
        assert_int_equal(reply.status, o->status);
        if (type)
                assert_string_equal(reply.content_type, type);
        else
                assert_null(reply.content_type);
        if (!span_eq(buf_span(&reply.body), span_of(body)))
                fail_msg("%s says %.*s, not %s", dialect, (int)reply.body.n, reply.body.p, body);
        if (type && strstr(type, "json")) {
                json_t *json = json_loadb(reply.body.p, reply.body.n,
                                          JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

                assert_non_null(json);
                json_decref(json);
        }
        buf_done(&reply.body);
}

static void a_failure_is_a_problem_that_points(void **state) {
        (void)state;
        assert_answer("problem", &refused, "application/problem+json",
                      "{\"title\":\"Failed Dependency\",\"status\":424,"
                      "\"detail\":\"The CRM said: \\\"used\\\"\","
                      "\"instance\":\"http://127.0.0.1:8081/events/evt_0123456789abc\","
                      "\"code\":\"target-refused\",\"retryable\":false,"
                      "\"event\":\"evt_0123456789abc\",\"errors\":["
                      "{\"pointer\":\"/emails/0/address\",\"detail\":\"already used\","
                      "\"field\":\"email\"},"
                      "{\"detail\":\"too short\",\"field\":\"nick\"},"
                      "{\"detail\":\"ask the CRM's owner\"}]}");
        assert_answer("plain", &refused, "text/plain; charset=utf-8",
                      "The CRM said: \"used\"\n/emails/0/address: already used\n"
                      "nick: too short\nask the CRM's owner\n");
}

static void a_failure_may_have_little_to_say(void **state) {
        Outcome o = {.status = 503, .retryable = true, .retry_after_s = 30};

        (void)state;
        assert_answer("problem", &o, "application/problem+json",
                      "{\"title\":\"Service Unavailable\",\"status\":503,\"retryable\":true,"
                      "\"retry_after\":30}");
        assert_answer("plain", &o, "text/plain; charset=utf-8", "Service Unavailable\n");
        o.retry_after_s = 0;
        assert_answer("problem", &o, "application/problem+json",
                      "{\"title\":\"Service Unavailable\",\"status\":503,\"retryable\":true,"
                      "\"retry_after\":0}");
        /* Data is for successes alone. */
        o = (Outcome){
                .status = 409, .data = SPAN("{}"), .message = SPAN("twice"), .retry_after_s = -1};
        assert_answer("problem", &o, "application/problem+json",
                      "{\"title\":\"Conflict\",\"status\":409,\"detail\":\"twice\","
                      "\"retryable\":false}");
        assert_answer("plain", &o, "text/plain; charset=utf-8", "twice\n");
}

static void a_success_says_what_became_of_it(void **state) {
        Outcome o = {.status = 200,
                     .code = "updated",
                     .message = SPAN("Contact 7 was updated"),
                     .retry_after_s = -1,
                     .event = SPAN("evt_1"),
                     .event_url = SPAN("http://a/events/evt_1")};

        (void)state;
        assert_answer("problem", &o, "application/json",
                      "{\"event\":\"evt_1\",\"code\":\"updated\","
                      "\"message\":\"Contact 7 was updated\"}");
        assert_answer("plain", &o, "text/plain; charset=utf-8", "Contact 7 was updated\n");
        o.status = 202;
        assert_answer("problem", &o, "application/json",
                      "{\"event\":\"evt_1\",\"url\":\"http://a/events/evt_1\","
                      "\"message\":\"Contact 7 was updated\"}");
        o = (Outcome){.status = 200, .retry_after_s = -1};
        assert_answer("problem", &o, "application/json", "{}");
        assert_answer("plain", &o, "text/plain; charset=utf-8", "OK\n");
}

static void full_data_is_the_body_byte_for_byte(void **state) {
        Outcome o = {.status = 200,
                     .code = "updated",
                     .message = SPAN("not this"),
                     .data = SPAN(" {\"n\": 9007199254740993, \"n\":1.0}\n"),
                     .retry_after_s = -1};
        const char *const both[] = {"problem", "plain"};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(both); i++) {
                Reply reply = {.body = BUF(100)};

                assert_int_equal(dialect_write(dialect_find(span_of(both[i])), &o, &reply), 0);
                assert_string_equal(reply.content_type, "application/json");
                assert_true(span_eq(buf_span(&reply.body), o.data));
                buf_done(&reply.body);
                o.status = 204;
                assert_answer(both[i], &o, NULL, "");
                o.status = 205;
                assert_answer(both[i], &o, NULL, "");
                o.status = 200;
        }
}

/* What a target says goes to a person: it may not forge a second line, nor break the JSON. */
static void texts_from_outside_stay_in_their_place(void **state) {
        Outcome o = {.status = 422,
                     .code = "mapping",
                     .retry_after_s = -1,
                     .message = SPAN("a\r\nok: b\0\x1b\x7f\\u\t\"\xff\xc3\xa4"),
                     .n_errors = 1,
                     .errors = {{SPAN("/a\n/b"), SPAN("x\ny"), SPAN("")}}};

        (void)state;
        assert_answer("plain", &o, "text/plain; charset=utf-8",
                      "a  ok: b   \\u \"\xef\xbf\xbd\xc3\xa4\n/a /b: x y\n");
        assert_answer("problem", &o, "application/problem+json",
                      "{\"title\":\"Unprocessable Content\",\"status\":422,"
                      "\"detail\":\"a\\r\\nok: b\\u0000\\u001b\\u007f\\\\u\\t\\\"\xef\xbf\xbd"
                      "\xc3\xa4\",\"code\":\"mapping\",\"retryable\":false,\"errors\":["
                      "{\"pointer\":\"/a\\n/b\",\"detail\":\"x\\ny\"}]}");
}

/* Whatever the maximum: either the whole answer or a fault, never a part with a 0. */
static void an_answer_keeps_its_maximum(void **state) {
        (void)state;
        for (const Dialect *const *d = dialects; *d; d++) {
                Reply whole = {.body = BUF(4000)};

                assert_int_equal(dialect_write(*d, &refused, &whole), 0);
                for (size_t max = 0; max < whole.body.n; max++) {
                        Reply cut = {.body = BUF(max)};

                        assert_int_equal(dialect_write(*d, &refused, &cut), -EMSGSIZE);
                        assert_true(cut.body.n <= max);
                        buf_done(&cut.body);
                }
                buf_done(&whole.body);
        }
}

static void dialects_are_found_by_name(void **state) {
        (void)state;
        assert_ptr_equal(dialects[0], dialect_find(SPAN("problem")));
        assert_null(dialect_find(SPAN("")));
        assert_null(dialect_find(SPAN("Plain")));
        for (const Dialect *const *d = dialects; *d; d++)
                assert_ptr_equal(*d, dialect_find(span_of((*d)->name)));
}

static void a_copy_outlives_what_it_was_made_of(void **state) {
        char *message = must_dup("The CRM said no"), *detail = must_dup("already used");
        Outcome o = refused;
        Arena *a = arena_new(10000);

        (void)state;
        o.message = span_of(message);
        o.errors[0].detail = span_of(detail);
        o.data = (Span){NULL, 0};
        Outcome *copy = outcome_copy(a, &o);
        free(message);
        free(detail);
        assert_true(span_eq(copy->message, SPAN("The CRM said no")));
        assert_true(span_eq(copy->errors[0].detail, SPAN("already used")));
        assert_true(span_eq(copy->errors[0].pointer, refused.errors[0].pointer));
        assert_true(span_eq(copy->event_url, refused.event_url));
        assert_ptr_not_equal(copy->errors[2].detail.p, refused.errors[2].detail.p);
        assert_string_equal(copy->code, refused.code);
        assert_ptr_not_equal(copy->code, refused.code);
        assert_null(copy->data.p);
        assert_int_equal(copy->n_errors, 3);
        size_t needed = arena_used(a);
        arena_free(a);
        for (size_t max = 1; max < needed; max += 8) {
                a = arena_new(max);
                assert_null(outcome_copy(a, &refused));
                arena_free(a);
        }
}

static void a_kind_is_told_by_what_became_of_it(void **state) {
        static const struct {
                Outcome o;
                OutcomeKind kind;
        } all[] = {
                {{.status = 200}, OUTCOME_DONE},
                {{.status = 204}, OUTCOME_DONE},
                {{.status = 202}, OUTCOME_ACCEPTED},
                {{.status = 401}, OUTCOME_STRANGER},
                {{.status = 401, .event = {"evt_1", 5}}, OUTCOME_REFUSED}, /* a flow's own */
                {{.status = 503}, OUTCOME_LATER},
                {{.status = 429}, OUTCOME_LATER},
                {{.status = 424, .retryable = true}, OUTCOME_LATER},
                {{.status = 424}, OUTCOME_REFUSED},
                {{.status = 404}, OUTCOME_REFUSED},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(all); i++)
                assert_int_equal(outcome_kind(&all[i].o), all[i].kind);
}

static const char *cases;

static void the_page_of_the_dialects_holds_what_they_do(void **state) {
        AUTO(buf_done)
        Buf reference = BUF(1 << 16);

        (void)state;
        assert_int_equal(dialects_print_reference(&reference), 0);
        assert_int_equal(buf_add_char(&reference, '\n'), 0);
        manual_check(cases, "replies.md", buf_span(&reference));
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_failure_is_a_problem_that_points),
                cmocka_unit_test(a_failure_may_have_little_to_say),
                cmocka_unit_test(a_success_says_what_became_of_it),
                cmocka_unit_test(full_data_is_the_body_byte_for_byte),
                cmocka_unit_test(texts_from_outside_stay_in_their_place),
                cmocka_unit_test(an_answer_keeps_its_maximum),
                cmocka_unit_test(dialects_are_found_by_name),
                cmocka_unit_test(a_copy_outlives_what_it_was_made_of),
                cmocka_unit_test(a_kind_is_told_by_what_became_of_it),
                cmocka_unit_test(the_page_of_the_dialects_holds_what_they_do),
        };

        must(argc > 1);
        cases = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
