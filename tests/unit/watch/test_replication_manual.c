/* SPDX-License-Identifier: Apache-2.0
 *
 * docs/triggers/replication.md holds what the table says. */
#include "manual.h"
#include "watch/replication.h"

static const char *cases;

static void the_page_holds_what_the_table_says(void **state) {
        AUTO(buf_done)
        Buf reference = BUF(1 << 20);

        (void)state;
        assert_int_equal(triggers_print_reference(&trigger_replication, &reference), 0);
        manual_check(cases, "triggers/replication.md", buf_span(&reference));
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_page_holds_what_the_table_says),
        };

        must(argc > 1);
        cases = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
