/* SPDX-License-Identifier: Apache-2.0 */
#include "map/map.h"
#include "map/path.h"
#include "unit.h"

static const MapRoot roots[] = {
        {SPAN("event"), SPAN("{\"id\": 9007199254740993, \"a\":{\"b\":[1,[2,3]]}}")},
        {SPAN("user"), SPAN("{\"c d\":\"x\",\"e\":null,\"n\":1e400,\"e\":\"last\"}")},
        {SPAN("text"), SPAN("\"abc\"")},
};

static Span get(ProgramSet *s, const char *text, const MapRoot *from, size_t n) {
        Program *p = NULL;

        assert_int_equal(program_add(s, span_of(text), &p, NULL), 0);
        if (!program_is_path(p))
                fail_msg("no path: %s", text);
        return program_path_get(p, from, n);
}

static void gives(const char *text, const char *value) {
        ProgramSet *s = program_set_new();
        Span got = get(s, text, roots, COUNT_OF(roots));

        if (!span_eq(got, span_of(value)) || (got.p == NULL) != (value == NULL))
                fail_msg("%s gives '" SPAN_FMT "'", text, SPAN_ARG(got));
        program_set_unref(s);
}

static void a_path_is_read_in_place(void **state) {
        (void)state;
        gives(".event.id", "9007199254740993");
        gives(".event.a.b[1][0]", "2");
        gives(".event[\"a\"].b[0]", "1");
        gives(".[\"event\"].\"a\"[\"b\"]", "[1,[2,3]]");
        gives(".user.\"c d\"", "\"x\"");
        gives(".user[\"c d\"]", "\"x\"");
        gives(".user.n", "1e400");
        gives(".user.e", "\"last\"");
        gives(" .text\n", "\"abc\"");
}

static void where_nothing_is_there_is_null(void **state) {
        (void)state;
        gives(".nobody", NULL);
        gives(".event.nothing.deeper", NULL);
        gives(".event.a.b[7]", NULL);
        gives(".event.a[0]", NULL);
        gives(".text.a", NULL);
}

static void one_nameless_root_is_the_input(void **state) {
        ProgramSet *s = program_set_new();
        MapRoot input = {{NULL, 0}, SPAN("{\"id\":18446744073709551617}")};

        (void)state;
        assert_true(span_eq(get(s, ".id", &input, 1), SPAN("18446744073709551617")));
        assert_null(get(s, ".event", &input, 1).p);
        program_set_unref(s);
}

static void a_path_into_a_list_may_begin_with_an_index(void **state) {
        Path p;

        (void)state;
        assert_true(path_parse_any(SPAN(".[1].a"), &p));
        assert_true(span_eq(path_follow(&p, 0, SPAN("[1,{\"a\":2}]")), SPAN("2")));
        assert_null(path_follow(&p, 0, SPAN("{\"a\":2}")).p);
        assert_false(path_parse(SPAN(".[1].a"), &p));
}

static void other_programs_are_no_paths(void **state) {
        static const char *const texts[] = {
                ".",
                "..",
                ".a.b?",
                ".a[]",
                ".a[-1]",
                ".a[1:2]",
                ".a | .b",
                ".a + 1",
                ".a[\"b\\u0063\"]",
                ".a[.b]",

                ".a.b // 1",
                ".a, .b",
                ".a as $x | $x",
                ".a # comment",
                "a",
                "{a: .b}",
                ".a[1e0]",
                ".\"a\\(1)\"",
                "$x.a",
                "[0]",
                ".[0]",
                ".a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q",
        };
        ProgramSet *s = program_set_new();
        Program *p = NULL;

        (void)state;
        for (size_t i = 0; i < COUNT_OF(texts); i++) {
                assert_int_equal(program_add(s, span_of(texts[i]), &p, NULL), 0);
                if (program_is_path(p))
                        fail_msg("a path: %s", texts[i]);
        }
        program_set_unref(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_path_is_read_in_place),
                cmocka_unit_test(where_nothing_is_there_is_null),
                cmocka_unit_test(one_nameless_root_is_the_input),
                cmocka_unit_test(a_path_into_a_list_may_begin_with_an_index),
                cmocka_unit_test(other_programs_are_no_paths),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
