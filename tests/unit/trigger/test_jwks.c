/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/jwks.h"
#include "unit.h"

static void keys_are_kept_as_long_as_their_server_says(void **state) {
        static const struct {
                const char *control, *age;
                int64_t want_s;
        } cases[] = {
                {NULL, NULL, JWKS_AGE_DEFAULT_S},
                {"", NULL, JWKS_AGE_DEFAULT_S},
                {"public", NULL, JWKS_AGE_DEFAULT_S},
                {"max-age=3600", NULL, 3600},
                {"public, Max-Age=\"3600\" , must-revalidate", NULL, 3600},
                {"max-age=3600", "600", 3000},
                {"max-age=3600", "x", 3600},
                {NULL, "100", JWKS_AGE_DEFAULT_S - 100},
                {"max-age=3600", "4000", JWKS_AGE_MIN_S},
                {"max-age=0", NULL, JWKS_AGE_MIN_S},
                {"max-age=59", NULL, JWKS_AGE_MIN_S},
                {"max-age=61", NULL, 61},
                {"max-age=86401", NULL, JWKS_AGE_MAX_S},
                {"max-age=4294967295", NULL, JWKS_AGE_MAX_S},
                {"max-age=99999999999999999999", NULL, JWKS_AGE_DEFAULT_S},
                {"max-age=-1", NULL, JWKS_AGE_DEFAULT_S},
                {"max-age", NULL, JWKS_AGE_DEFAULT_S},
                {"no-store", NULL, JWKS_AGE_MIN_S},
                {"max-age=3600, No-Cache", NULL, JWKS_AGE_MIN_S},
                {"s-maxage=3600", NULL, JWKS_AGE_DEFAULT_S},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
                int64_t got = jwks_age_s(span_of(cases[i].control), span_of(cases[i].age));

                if (got != cases[i].want_s)
                        fail_msg("%s, age %s: %" PRId64, cases[i].control, cases[i].age, got);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keys_are_kept_as_long_as_their_server_says),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
