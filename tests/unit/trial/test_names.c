/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a configuration under test has its ${NAME} from; and a clock that is told what time it is.
 */
#include "base/clock.h"
#include "trial/names.h"
#include "unit.h"

#include <unistd.h>

static char folder[] = "/tmp/grapnel-names-XXXXXX";
static char config[64], file[64];

static void put(const char *path, const char *text) {
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        (void)fputs(text, f);
        assert_int_equal(fclose(f), 0);
}

static const char *value_of(char *const *all, const char *name) {
        for (; *all; all++)
                if (strncmp(*all, name, strlen(name)) == 0 && (*all)[strlen(name)] == '=')
                        return *all + strlen(name) + 1;
        return NULL;
}

static void the_file_goes_first_and_the_rest_is_made_up(void **state) {
        char *environment[] = {(char *)"A=here", (char *)"B=here", NULL};
        AUTO(arena_freep)
        Arena *a = arena_new(1 << 20);
        char **all, **made;
        Err e = {0};

        (void)state;
        put(config, "# ${COMMENT}\nlisten: \"127.0.0.1:${PORT}\"\nadmin: \"127.0.0.1:${PORT2}\"\n"
                    "url: \"${WHERE}\"\nsecret: ${A} ${B} ${C} $${D} ${file:/x} ${E\n");
        put(file, "# names\n\nB='of the file'\nexport F=\"1=2\"\n");
        assert_int_equal(names_for(config, file, environment, a, &all, &made, &e), 0);
        assert_string_equal(value_of(all, "A"), "here");
        assert_string_equal(value_of(all, "B"), "of the file");
        assert_string_equal(value_of(all, "F"), "1=2");
        assert_string_equal(value_of(all, "PORT"), "40001");
        assert_string_equal(value_of(all, "PORT2"), "40002");
        assert_string_equal(value_of(all, "WHERE"), "https://made-up.invalid");
        assert_int_equal(strncmp(value_of(all, "C"), "whsec_", 6), 0);
        assert_null(value_of(all, "D"));
        assert_null(value_of(all, "COMMENT"));
        assert_string_equal(made[0], "PORT");
        assert_string_equal(made[3], "C");
        assert_null(made[4]);
}

static void what_is_wrong_with_the_file_is_said(void **state) {
        char *environment[] = {NULL};
        AUTO(arena_freep)
        Arena *a = arena_new(1 << 20);
        char **all, **made;
        Err e = {0}, gone = {0};

        (void)state;
        put(file, "A=1\nnot a name\n");
        assert_true(names_for(config, file, environment, a, &all, &made, &e) < 0);
        assert_non_null(strstr(e.text, ":2: a line is NAME=value"));
        assert_true(names_for(config, "/nowhere/x", environment, a, &all, &made, &gone) < 0);
        assert_non_null(strstr(gone.text, "/nowhere/x"));
}

static void the_clock_says_what_it_is_told(void **state) {
        int64_t mono = clock_mono_ms(), real = clock_wall_ms();

        (void)state;
        clock_skip(3600000);
        assert_true(clock_mono_ms() >= mono + 3600000 && clock_wall_ms() >= real + 3600000);
        assert_true(clock_mono_us() >= (mono + 3600000) * 1000);
        clock_set_wall(1000);
        assert_true(clock_wall_ms() >= 1000 && clock_wall_ms() < real);
        assert_true(clock_mono_ms() >= mono + 3600000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_file_goes_first_and_the_rest_is_made_up),
                cmocka_unit_test(what_is_wrong_with_the_file_is_said),
                cmocka_unit_test(the_clock_says_what_it_is_told),
        };

        must(mkdtemp(folder));
        (void)snprintf(config, sizeof config, "%s/c.yaml", folder);
        (void)snprintf(file, sizeof file, "%s/names", folder);
        int r = cmocka_run_group_tests(tests, NULL, NULL);
        (void)unlink(config);
        (void)unlink(file);
        (void)rmdir(folder);
        return r;
}
