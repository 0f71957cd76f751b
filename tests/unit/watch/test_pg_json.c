/* SPDX-License-Identifier: Apache-2.0
 *
 * Values as PostgreSQL writes them, and as its to_json() does. The server's own word is asked for
 * in tests/e2e/test_replication.py; here stands what no server would send, too. */
#include "unit.h"
#include "watch/pg_json.h"
#include "json/check.h"

static const struct {
        PgType type;
        const char *text, *want;
} samples[] = {
        {{16, 0}, "t", "true"},
        {{16, 0}, "f", "false"},
        {{23, 0}, "-17", "-17"},
        {{20, 0}, "9223372036854775807", "9223372036854775807"},
        {{1700, 0}, "1.500", "1.500"},
        {{1700, 0}, "NaN", "\"NaN\""},
        {{701, 0}, "-Infinity", "\"-Infinity\""},
        {{701, 0}, "1e+300", "1e+300"},
        {{23, 0}, "", "\"\""},
        {{23, 0}, "1,\"x\":2", "\"1,\\\"x\\\":2\""},
        {{23, 0}, "{}", "\"{}\""},
        {{25, 0}, "a\"b\\c\n", "\"a\\\"b\\\\c\\n\""},
        {{17, 0}, "\\x00ff", "\"\\\\x00ff\""},
        {{114, 0}, "{\"a\":  1}", "{\"a\":  1}"},
        {{3802, 0}, "[1.0]", "[1.0]"},
        {{1082, 0}, "2026-02-03", "\"2026-02-03\""},
        {{1114, 0}, "2026-02-03 04:05:06.7", "\"2026-02-03T04:05:06.7\""},
        {{1114, 0}, "infinity", "\"infinity\""},
        {{1184, 0}, "2026-02-03 04:05:06+00", "\"2026-02-03T04:05:06+00:00\""},
        {{1184, 0}, "2026-02-03 04:05:06.123456+00", "\"2026-02-03T04:05:06.123456+00:00\""},
        {{1184, 0}, "0044-03-15 12:00:00+00 BC", "\"0044-03-15T12:00:00+00:00 BC\""},
        {{1184, 0}, "2026-02-03 04:05:06+05:30", "\"2026-02-03T04:05:06+05:30\""},
        {{1184, 0}, "+00 ", "\"+00T\""},
        {{1184, 0}, "infinity", "\"infinity\""},
        {{1007, 23}, "{}", "[]"},
        {{1007, 23}, "{1,NULL,3}", "[1,null,3]"},
        {{1007, 23}, "{{1,2},{3,4}}", "[[1,2],[3,4]]"},
        {{1007, 23}, "[0:1]={7,8}", "[7,8]"},
        {{1009, 25},
         "{a,\"NULL\",NULL,\"x,y\",\"\",\"q\\\"\\\\\",\"{}\"}",
         "[\"a\",\"NULL\",null,\"x,y\",\"\",\"q\\\"\\\\\",\"{}\"]"},
        {{3807, 3802}, "{\"{\\\"a\\\": 1}\",3}", "[{\"a\": 1},3]"},
        {{1000, 16}, "{t,f}", "[true,false]"},
        {{1185, 1184}, "{\"2026-02-03 04:05:06+00\"}", "[\"2026-02-03T04:05:06+00:00\"]"},
        /* No arrays after all. */
        {{22, 21}, "1 2 3", "\"1 2 3\""},
        {{1007, 23}, "", "\"\""},
        {{1007, 23}, "{1", "\"{1\""},
        {{1007, 23}, "{1,", "\"{1,\""},
        {{1007, 23}, "{1,}", "\"{1,}\""},
        {{1007, 23}, "{,1}", "\"{,1}\""},
        {{1007, 23}, "{1}2", "\"{1}2\""},
        {{1009, 25}, "{\"a", "\"{\\\"a\""},
        {{1009, 25}, "{\"a\\", "\"{\\\"a\\\\\""},
        {{1009, 25}, "{a\\", "\"{a\\\\\""},
        {{1007, 23}, "[0:1]", "\"[0:1]\""},
        {{1007, 23}, "{{{{{{{1}}}}}}}", "\"{{{{{{{1}}}}}}}\""},
};

static void a_value_is_what_to_json_makes_of_it(void **state) {
        (void)state;
        for (size_t i = 0; i < COUNT_OF(samples); i++) {
                AUTO(buf_done)
                Buf got = BUF(4096);
                JsonFault fault;

                assert_int_equal(pg_json_add(&got, samples[i].type, span_of(samples[i].text)), 0);
                assert_int_equal(json_check(buf_span(&got), 100, &fault), 0);
                assert_int_equal(buf_add_char(&got, 0), 0);
                assert_string_equal(got.p, samples[i].want);
        }
}

static void what_has_no_room_is_said(void **state) {
        AUTO(buf_done)
        Buf small = BUF(8);

        (void)state;
        assert_int_equal(pg_json_add(&small, (PgType){1009, 25}, SPAN("{abcdefghijklmnop}")),
                         -EMSGSIZE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_value_is_what_to_json_makes_of_it),
                cmocka_unit_test(what_has_no_room_is_said),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
