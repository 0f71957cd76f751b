/* SPDX-License-Identifier: Apache-2.0
 *
 * docs/operating.md holds what the table of codes says, and what the ends of calls come to. */
#include "flow/verdict.h"
#include "manual.h"

static const char *cases;

static void the_page_holds_the_codes_of_the_table(void **state) {
        AUTO(buf_done)
        Buf reference = BUF(1 << 16);

        (void)state;
        assert_int_equal(delivery_codes_print(&reference), 0);
        manual_check(cases, "operating.md", buf_span(&reference));
}

static void every_code_is_named_once_and_explained(void **state) {
        (void)state;
        for (size_t i = 0; i < DELIVERY_CODES; i++) {
                const struct DeliveryCodeRow *row = &delivery_codes[i];

                assert_non_null(row->name);
                assert_true(strlen(row->help) > 3);
                assert_int_equal(row->help[strlen(row->help) - 1], '.');
                for (size_t k = 0; k < i; k++)
                        assert_string_not_equal(row->name, delivery_codes[k].name);
        }
}

static const char *name_of(ClientEnd end, int status) {
        ClientAnswer a = {.end = end, .status = status};
        Verdict v = verdict_of(&a);

        return delivery_codes[v.code].name;
}

static void each_end_has_its_code(void **state) {
        (void)state;
        assert_string_equal(name_of(CLIENT_ANSWERED, 204), "delivered");
        assert_string_equal(name_of(CLIENT_TOO_BIG, 200), "delivered");
        assert_string_equal(name_of(CLIENT_BROKEN, 200), "delivered");
        assert_string_equal(name_of(CLIENT_BROKEN, 500), "refused");
        assert_string_equal(name_of(CLIENT_BROKEN, 0), "broken");
        assert_string_equal(name_of(CLIENT_BAD_ANSWER, 200), "bad-answer");
        assert_string_equal(name_of(CLIENT_ANSWERED, 302), "refused");
        assert_string_equal(name_of(CLIENT_ANSWERED, 410), "gone");
        assert_string_equal(name_of(CLIENT_GATE, 0), "address-refused");
        assert_string_equal(name_of(CLIENT_NAME, 0), "name-unknown");
        assert_string_equal(name_of(CLIENT_CONNECT, 0), "unreachable");
        assert_string_equal(name_of(CLIENT_TLS, 0), "tls");
        assert_string_equal(name_of(CLIENT_TIMEOUT, 0), "timeout");
        assert_string_equal(name_of(CLIENT_BAD_ANSWER, 0), "bad-answer");
        assert_string_equal(name_of(CLIENT_CANCELLED, 0), "cancelled");
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_page_holds_the_codes_of_the_table),
                cmocka_unit_test(every_code_is_named_once_and_explained),
                cmocka_unit_test(each_end_has_its_code),
        };

        must(argc > 1);
        cases = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
