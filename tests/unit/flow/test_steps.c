/* SPDX-License-Identifier: Apache-2.0
 *
 * docs/steps.md holds what the tables of the steps say. */
#include "flow/step.h"
#include "manual.h"

static const char *cases;

static void the_page_of_the_steps_holds_what_their_tables_say(void **state) {
        AUTO(buf_done)
        Buf reference = BUF(1 << 20);

        (void)state;
        assert_int_equal(steps_print_reference(&reference), 0);
        manual_check(cases, "steps.md", buf_span(&reference));
}

/* Each has its own page there, with its own name for a heading. */
static void every_kind_is_explained(void **state) {
        (void)state;
        for (const StepKind *const *kind = step_kinds; *kind; kind++) {
                assert_true(strlen((*kind)->help) > 10);
                assert_int_equal((*kind)->help[strlen((*kind)->help) - 1], '.');
                assert_true((*kind)->n_options > 0);
                assert_string_equal((*kind)->options[0].name, (*kind)->name);
                for (size_t i = 0; i < (*kind)->n_options; i++) {
                        const char *help = (*kind)->options[i].help;

                        assert_int_equal(help[strlen(help) - 1], '.');
                }
        }
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_page_of_the_steps_holds_what_their_tables_say),
                cmocka_unit_test(every_kind_is_explained),
        };

        must(argc > 1);
        cases = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
