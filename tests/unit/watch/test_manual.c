/* SPDX-License-Identifier: Apache-2.0
 *
 * docs/triggers.md holds what the tables say. */
#include "manual.h"
#include "watch/triggers.h"

static const char *cases;

static void the_page_holds_what_the_tables_say(void **state) {
        AUTO(buf_done)
        Buf reference = BUF(1 << 20);

        (void)state;
        assert_int_equal(triggers_print_reference(&reference), 0);
        manual_check(cases, "triggers.md", buf_span(&reference));
}

/* Whoever writes a kind has a page for it. */
static void each_kind_has_a_page(void **state) {
        (void)state;
        for (const TriggerKind *const *k = trigger_kinds; *k; k++) {
                char path[512];
                FILE *f;

                (void)snprintf(path, sizeof path, "%s/../../docs/triggers/%s.md", cases,
                               (*k)->name);
                f = fopen(path, "re");
                if (!f)
                        print_message("there is no %s\n", path);
                assert_non_null(f);
                (void)fclose(f);
        }
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_page_holds_what_the_tables_say),
                cmocka_unit_test(each_kind_has_a_page),
        };

        must(argc > 1);
        cases = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
