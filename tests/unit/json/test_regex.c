/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs tests/cases/json/regex.case; then shows that the work of a match has an end. */
#include "case_file.h"
#include "json/regex.h"

static const char *cases_folder;

enum { WORK_MAX = 1000000 };

static void try_text(const CaseFile *f, const JsonRegex *regex, bool is_in) {
        int64_t work = WORK_MAX;

        if (!regex)
                fail_msg("%s:%u: the pattern was refused", f->name, f->line);
        if (json_regex_find(regex, json_reader(buf_span(&f->value)), &work) != is_in)
                fail_msg("%s:%u", f->name, f->line);
}

static void every_pattern_matches_what_it_should(void **state) {
        CaseFile f = case_open(cases_folder, "json/regex.case");
        Arena *arena = arena_new(64 << 20);
        JsonRegex *regex = NULL;
        Err e = {0};
        size_t n = 0, refused = 0;

        (void)state;
        for (; case_next(&f); n += f.key[0] != 0) {
                if (strcmp(f.key, "pattern") == 0) {
                        Span pattern = arena_span(arena, buf_span(&f.value));

                        e = (Err){0};
                        regex = NULL;
                        if (json_regex_compile(pattern, arena, &regex, &e) < 0)
                                assert_null(regex);
                } else if (strcmp(f.key, "refused") == 0) {
                        if (regex || !memmem(e.text, strlen(e.text), f.value.p, f.value.n))
                                fail_msg("%s:%u: %s", f.name, f.line, e.text);
                        refused++;
                } else if (f.key[0]) {
                        try_text(&f, regex, strcmp(f.key, "in") == 0);
                }
        }
        assert_in_range(n, 100, 1000);
        assert_in_range(refused, 20, 100);
        arena_free(arena);
        case_close(&f);
}

static void the_work_has_an_end(void **state) {
        Arena *arena = arena_new(1 << 20);
        JsonRegex *regex = NULL;
        int64_t work = 1000;
        Buf text = BUF(1 << 20);
        Err e = {0};

        (void)state;
        for (int i = 0; i < 2000; i++)
                must(buf_add_char(&text, 'a') == 0);
        assert_int_equal(json_regex_compile(SPAN("b$"), arena, &regex, &e), 0);
        assert_int_equal(json_regex_find(regex, json_reader(buf_span(&text)), &work), -EMSGSIZE);
        work = 100000;
        assert_int_equal(json_regex_find(regex, json_reader(buf_span(&text)), &work), 0);
        assert_in_range(work, 90000, 99000);
        buf_done(&text);
        arena_free(arena);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_pattern_matches_what_it_should),
                cmocka_unit_test(the_work_has_an_end),
        };

        must(argc > 1);
        cases_folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
