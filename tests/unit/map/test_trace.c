/* SPDX-License-Identifier: Apache-2.0 */
#include "case_file.h"
#include "map/field.h"
#include "map/trace.h"

/* Origins as "root:pointer root:pointer"; `[]` stands for an element that the data will tell, `?`
 * for one side of an alternative. */
static void comes_from(const char *program, const char *field, const char *origins) {
        Arena *a = arena_new(1 << 16);
        AUTO(buf_done)
        Buf got = BUF(10000);
        TraceOrigin ret[TRACE_MAX];
        size_t n = trace_field(span_of(program), span_of(field), a, ret);

        for (size_t i = 0; i < n; i++)
                assert_int_equal(buf_addf(&got, "%s" SPAN_FMT ":" SPAN_FMT "%s" SPAN_FMT "%s",
                                          i ? " " : "", SPAN_ARG(ret[i].root),
                                          SPAN_ARG(ret[i].pointer), ret[i].is_each ? "[]" : "",
                                          SPAN_ARG(ret[i].rest), ret[i].is_alternative ? "?" : ""),
                                 0);
        if (!span_eq(buf_span(&got), span_of(origins)))
                fail_msg("%s of %s comes from '" SPAN_FMT "'", field, program,
                         SPAN_ARG(buf_span(&got)));
        arena_free(a);
}

static void a_field_is_traced_to_its_source(void **state) {
        static const char program[] =
                "{email: .user.email, name: \"\\(.user.first) \\(.user.last)\", "
                "fixed: \"x\", n: 7, \"a/b\": .user[\"home page\"], "
                "low: (.user.mail | ascii_downcase), first: .user.list[0].x, "
                "either: (.event.a // .user.b)}";

        (void)state;
        comes_from(program, "/email", "user:/email");
        comes_from(program, "email", "user:/email");
        comes_from(program, "/name", "user:/first user:/last");
        comes_from(program, "/fixed", "");
        comes_from(program, "/n", "");
        comes_from(program, "/a~1b", "user:/home page");
        comes_from(program, "/low", "user:/mail");
        comes_from(program, "/first", "user:/list/0/x");
        comes_from(program, "/either", "event:/a? user:/b?");
        comes_from(program, "/nothing", "");
}

static void a_pointer_goes_into_nested_objects(void **state) {
        static const char program[] = "{a: {b: {c: .u.x}, d: .u.y}, list: .u.list, e: {f: .u.z}}";

        (void)state;
        comes_from(program, "/a/b/c", "u:/x");
        comes_from(program, "/a", "u:/x u:/y");
        comes_from(program, "/a/b", "u:/x");
        comes_from(program, "/list/0/name", "u:/list/0/name");
        comes_from(program, "/e/f", "u:/z");
        comes_from(program, "/a/nothing", "");
}

static void names_alone_and_variables_are_followed(void **state) {
        (void)state;
        comes_from("{user, b: 1}", "/user/email", "user:/email");
        comes_from(".user as $u | {mail: $u.email, x: .event.y}", "/mail", "user:/email");
        comes_from(".user as $u | {mail: $u.email, x: .event.y}", "/x", "event:/y");
        comes_from(".a.b as $x | $x.c as $y | {$y, z: \"\\($y.d)\"}", "/y/q", "a:/b/c/q");
        comes_from(".a.b as $x | $x.c as $y | {$y, z: \"\\($y.d)\"}", "/z", "a:/b/c/d");
}

static void sums_of_objects_are_plain(void **state) {
        (void)state;
        comes_from("{a: .u.x, b: .u.b} + {a: .u.y}", "/a", "u:/y");
        comes_from("{a: .u.x, b: .u.b} + {a: .u.y}", "/b", "u:/b");
}

static void a_path_is_a_whole_program(void **state) {
        (void)state;
        comes_from(".user.contact", "/email", "user:/contact/email");
        comes_from(".user", "email", "user:/email");
}

static void what_the_text_does_not_tell_is_left_untold(void **state) {
        (void)state;
        comes_from("{a: .u.x} | del(.a)", "/a", "");
        comes_from("{(.u.k): .u.x}", "/k", "");
        comes_from("{a: now}", "/a", "");
        comes_from("{a: \"user\"}", "/a", "");
        comes_from("{a: .u.x", "/a", "");
        comes_from("{\"a", "/a", "");
        comes_from("", "/a", "");
        comes_from("{a: (.u.list | map(.deep.name))}", "/a", "u:/list");
}

static const char *cases;

static void the_cases_come_from_where_they_say(void **state) {
        char folder[2048];
        AUTO(buf_done)
        Buf program = BUF(10000);
        AUTO(buf_done)
        Buf field = BUF(10000);
        size_t n = 0;

        (void)state;
        (void)snprintf(folder, sizeof folder, "%s/map", cases);
        CaseFile f = case_open(folder, "trace.case");
        while (case_next(&f)) {
                Buf *into = strcmp(f.key, "program") == 0 ? &program
                            : strcmp(f.key, "field") == 0 ? &field
                                                          : NULL;

                if (into) {
                        buf_clear(into);
                        assert_int_equal(buf_add(into, buf_span(&f.value)), 0);
                        assert_int_equal(buf_add_char(into, 0), 0);
                } else if (f.key[0]) {
                        assert_string_equal(f.key, "from");
                        assert_int_equal(buf_add_char(&f.value, 0), 0);
                        comes_from(program.p, field.p, f.value.p);
                        n++;
                }
        }
        case_close(&f);
        assert_true(n > 50);
}

static void names_are_alike_but_for_case_and_lines(void **state) {
        (void)state;
        assert_true(field_names_alike(SPAN("firstName"), SPAN("first_name")));
        assert_true(field_names_alike(SPAN("FirstName"), SPAN("first-name")));
        assert_true(field_names_alike(SPAN("email"), SPAN("_Email_")));
        assert_false(field_names_alike(SPAN("email"), SPAN("emails")));
        assert_false(field_names_alike(SPAN("emails"), SPAN("email")));
        assert_false(field_names_alike(SPAN(""), SPAN("")));
        assert_false(field_names_alike(SPAN("_"), SPAN("-")));
}

/* Whatever the text, it ends, and within its limits. */
static void a_text_nested_deep_is_left_untold(void **state) {
        AUTO(buf_done)
        Buf text = BUF(100000);

        (void)state;
        assert_int_equal(buf_add(&text, SPAN("{a: ")), 0);
        for (size_t i = 0; i < 1000; i++)
                assert_int_equal(buf_add(&text, i % 2 ? SPAN("(.x[] | (") : SPAN("{b: [(")), 0);
        assert_int_equal(buf_add_char(&text, 0), 0);
        comes_from(text.p, "a.b.c.d.e.f.g.h", "");
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_field_is_traced_to_its_source),
                cmocka_unit_test(a_pointer_goes_into_nested_objects),
                cmocka_unit_test(names_alone_and_variables_are_followed),
                cmocka_unit_test(sums_of_objects_are_plain),
                cmocka_unit_test(a_path_is_a_whole_program),
                cmocka_unit_test(what_the_text_does_not_tell_is_left_untold),
                cmocka_unit_test(the_cases_come_from_where_they_say),
                cmocka_unit_test(names_are_alike_but_for_case_and_lines),
                cmocka_unit_test(a_text_nested_deep_is_left_untold),
        };

        must(argc > 1);
        cases = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
