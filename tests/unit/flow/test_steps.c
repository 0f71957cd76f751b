/* SPDX-License-Identifier: Apache-2.0
 *
 * docs/steps.md and the pages of docs/steps hold what the tables of the steps say. */
#include <unistd.h>

#include "flow/step.h"
#include "manual.h"

static const char *cases;

static void the_overview_names_every_kind(void **state) {
        AUTO(buf_done)
        Buf index = BUF(1 << 20);

        (void)state;
        assert_int_equal(steps_print_index(&index), 0);
        manual_check(cases, "steps.md", buf_span(&index));
}

static void the_page_of_every_step_holds_what_all_may_say(void **state) {
        AUTO(buf_done)
        Buf shared = BUF(1 << 20);

        (void)state;
        assert_int_equal(steps_print_shared(&shared), 0);
        manual_check(cases, "steps/every-step.md", buf_span(&shared));
}

/* A new kind is not done before somebody has told what it is for. */
static void every_kind_has_a_page_that_holds_what_its_table_says(void **state) {
        (void)state;
        for (const StepKind *const *kind = step_kinds; *kind; kind++) {
                AUTO(buf_done)
                Buf reference = BUF(1 << 20);
                char page[128], path[4096];

                (void)snprintf(page, sizeof page, "steps/%s.md", (*kind)->name);
                (void)snprintf(path, sizeof path, "%s/../../docs/%s", cases, page);
                if (access(path, R_OK) != 0)
                        fail_msg("the step '%s' has no page: write docs/%s, with the two marks for "
                                 "its options",
                                 (*kind)->name, page);
                assert_int_equal(step_print_reference(*kind, &reference), 0);
                manual_check(cases, page, buf_span(&reference));
        }
}

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
                cmocka_unit_test(the_overview_names_every_kind),
                cmocka_unit_test(the_page_of_every_step_holds_what_all_may_say),
                cmocka_unit_test(every_kind_has_a_page_that_holds_what_its_table_says),
                cmocka_unit_test(every_kind_is_explained),
        };

        must(argc > 1);
        cases = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
