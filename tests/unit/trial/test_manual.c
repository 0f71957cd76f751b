/* SPDX-License-Identifier: Apache-2.0
 *
 * docs/testing.md holds what the tables say. */
#include "manual.h"
#include "trial/fixture.h"

static const char *cases;

static void the_page_holds_what_the_tables_say(void **state) {
        AUTO(buf_done)
        Buf reference = BUF(1 << 20);

        (void)state;
        assert_int_equal(fixture_print_reference(&reference), 0);
        manual_check(cases, "testing.md", buf_span(&reference));
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_page_holds_what_the_tables_say),
        };

        must(argc > 1);
        cases = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
