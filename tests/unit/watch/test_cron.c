/* SPDX-License-Identifier: Apache-2.0
 *
 * Expressions from tests/cases/watch/cron.case; zones, whose offsets tests/cases/watch/make.py has
 * from another library. */
#include "base/clock.h"
#include "unit.h"
#include "watch/cron.h"

#include <stdio.h>

static const char *cases;

static FILE *open_cases(const char *name) {
        char path[512];
        FILE *f;

        (void)snprintf(path, sizeof path, "%s/watch/%s", cases, name);
        f = fopen(path, "re");
        assert_non_null(f);
        return f;
}

/* The next part of a line, up to a tab or its end. */
static char *part(char **at) {
        char *begin = *at, *end = strpbrk(begin, "\t\n");

        assert_non_null(end);
        *at = end + 1;
        *end = 0;
        return begin;
}

static int64_t moment_of(const char *text) {
        int64_t ms;

        if (!clock_parse(span_of(text), &ms))
                fail_msg("no time: %s", text);
        return ms / 1000;
}

/* zone, expression, after, and the moments that follow, or what is wrong with the expression. */
static void each_expression_names_its_moments(void **state) {
        FILE *f = open_cases("cron.case");
        char line[1024];
        size_t n = 0;

        (void)state;
        while (fgets(line, sizeof line, f)) {
                char *at = line, *zone_name, *text;
                Zone *zone = NULL;
                Cron cron;
                Err e = {0};

                if (line[0] == '#' || line[0] == '\n')
                        continue;
                n++;
                zone_name = part(&at);
                text = part(&at);
                char *after = part(&at);
                assert_int_equal(zone_open(span_of(zone_name), &zone, &e), 0);
                int r = cron_parse(span_of(text), &cron, &e);
                if (strcmp(after, "error") == 0) {
                        char *wanted = part(&at);

                        assert_int_equal(r, -22);
                        if (strcmp(e.text, wanted) != 0)
                                fail_msg("%s: \"%s\" is not \"%s\"", text, e.text, wanted);
                        zone_close(zone);
                        continue;
                }
                if (r < 0)
                        fail_msg("%s: %s", text, e.text);
                int64_t moment = moment_of(after), next;
                for (char *wanted = strtok(at, " \n"); wanted; wanted = strtok(NULL, " \n")) {
                        char got[CLOCK_TEXT] = "none";

                        if (cron_next(&cron, zone, moment, &next))
                                clock_print(next * 1000, got);
                        if (strcmp(wanted, "none") == 0 ? strcmp(got, "none") != 0
                                                        : moment_of(wanted) != next)
                                fail_msg("%s %s after %s: %s, not %s", zone_name, text, after, got,
                                         wanted);
                        moment = next;
                }
                zone_close(zone);
        }
        (void)fclose(f);
        assert_true(n > 40);
}

/* zone, seconds since 1970, offset. */
static void each_zone_has_its_offsets(void **state) {
        FILE *f = open_cases("zones.case");
        char line[256], open_name[64] = "";
        Zone *zone = NULL;
        Err e = {0};
        size_t n = 0;

        (void)state;
        while (fgets(line, sizeof line, f)) {
                char *at = line;

                if (line[0] == '#')
                        continue;
                n++;
                char *name = part(&at);
                if (strcmp(name, open_name) != 0) {
                        zone_close(zone);
                        if (zone_open(span_of(name), &zone, &e) < 0)
                                fail_msg("%s", e.text);
                        (void)snprintf(open_name, sizeof open_name, "%s", name);
                }
                char *moment = part(&at), *offset = part(&at);
                int32_t got = zone_offset(zone, strtoll(moment, NULL, 10));
                if (got != atol(offset))
                        fail_msg("%s at %s: %d, not %s", name, moment, got, offset);
        }
        zone_close(zone);
        (void)fclose(f);
        assert_true(n > 5000);
}

static void names_that_are_none(void **state) {
        static const char *const names[] = {
                "",      "../../etc/passwd", "/etc/passwd", "Europe/Nowhere", "Europe/..", "a b",
                "Europe"};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(names); i++) {
                Zone *z = NULL;
                Err e = {0};

                assert_int_equal(zone_open(span_of(names[i]), &z, &e), -22);
                assert_null(z);
                assert_true(e.text[0]);
        }
}

/* A moment is always found again by what clocks show then. */
static void there_and_back(void **state) {
        static const char *const names[] = {"Europe/Helsinki",
                                            "America/New_York",
                                            "Australia/Lord_Howe",
                                            "Asia/Kolkata",
                                            "America/Sao_Paulo",
                                            "Pacific/Apia",
                                            "UTC"};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(names); i++) {
                Zone *z = NULL;
                Err e = {0};

                assert_int_equal(zone_open(span_of(names[i]), &z, &e), 0);
                for (int64_t at = 1000000000; at < 2200000000; at += 86400 * 3 + 1800) {
                        int64_t moments[2];
                        int64_t local = at + zone_offset(z, at);
                        size_t n = zone_moments(z, local, moments);

                        if (!(n >= 1 && (moments[0] == at || (n == 2 && moments[1] == at))))
                                fail_msg("%s: %lld is not found", names[i], (long long)at);
                }
                zone_close(z);
        }
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_expression_names_its_moments),
                cmocka_unit_test(each_zone_has_its_offsets),
                cmocka_unit_test(names_that_are_none),
                cmocka_unit_test(there_and_back),
        };

        must(argc > 1);
        cases = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
