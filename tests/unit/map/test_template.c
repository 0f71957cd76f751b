/* SPDX-License-Identifier: Apache-2.0 */
#include "map/template.h"
#include "unit.h"

/* Parts as text: literals as they are, holes between angle brackets. */
static void reads(const char *text, const char *parts) {
        ProgramSet *s = program_set_new();
        Arena *a = arena_new(1 << 20);
        AUTO(buf_done)
        Buf got = BUF(10000);
        Template t = {0};
        Err e = {0};

        if (template_parse(span_of(text), s, a, &t, &e) < 0)
                fail_msg("%s: %s", text, e.text);
        for (size_t i = 0; i < t.n; i++) {
                const TemplatePart *p = &t.parts[i];

                assert_int_equal(p->program ? buf_addf(&got, "<" SPAN_FMT ">",
                                                       SPAN_ARG(program_text(p->program)))
                                            : buf_add(&got, p->text),
                                 0);
                if (p->program)
                        assert_int_equal(text[p->offset], '{');
                else
                        assert_true(p->text.n > 0);
        }
        if (!span_eq(buf_span(&got), span_of(parts)))
                fail_msg("%s: " SPAN_FMT, text, SPAN_ARG(buf_span(&got)));
        arena_free(a);
        program_set_unref(s);
}

static void refuses(const char *text, const char *says) {
        ProgramSet *s = program_set_new();
        Arena *a = arena_new(1 << 20);
        Template t = {0};
        Err e = {0};

        if (template_parse(span_of(text), s, a, &t, &e) != -EINVAL)
                fail_msg("accepted: %s", text);
        if (!strstr(e.text, says))
                fail_msg("%s: says '%s', not '%s'", text, e.text, says);
        arena_free(a);
        program_set_unref(s);
}

static void literals_and_holes_alternate(void **state) {
        (void)state;
        reads("", "");
        reads("plain", "plain");
        reads("identity:/users/{.event.id}", "identity:/users/<.event.id>");
        reads("{.a}{ .b }c", "<.a><.b>c");
        reads("a={.a}&b={.b}", "a=<.a>&b=<.b>");
}

static void doubled_braces_are_one(void **state) {
        (void)state;
        reads("{{.a}}", "{.a}");
        reads("{{{.a}}}", "{<.a>}");
        reads("a}}b{{c", "a}b{c");
        reads("{{{{", "{{");
}

static void braces_inside_the_program_belong_to_it(void **state) {
        (void)state;
        reads("x{ {a: {b: .c}} }y", "x<{a: {b: .c}}>y");
        reads("{.a | {b: .}}z", "<.a | {b: .}>z");
        reads("{\"}\"}!", "<\"}\">!");
        reads("{\"a\\\"}\"}!", "<\"a\\\"}\">!");
        reads("{\"\\({a: \"}\"} | .a)}\"}!", "<\"\\({a: \"}\"} | .a)}\">!");
        reads("{.a # }\n}b", "<.a # }>b");
        reads("{.[\"{\"]}b", "<.[\"{\"]>b");
}

static void what_is_not_closed_is_refused_with_its_place(void **state) {
        (void)state;
        refuses("abc{.a", "offset 3 is not closed");
        refuses("ab}c", "offset 2");
        refuses("{ {a: 1}", "offset 0 is not closed");
        refuses("x{\"a}", "offset 1");
        refuses("x{}", "offset 1");
        refuses("x{ }", "empty");
        refuses("xy{env}", "in the hole at offset 2");
        refuses("{.a}}", "offset 4");
        refuses("{.a # }", "offset 0 is not closed");
}

static void a_template_has_a_maximum_of_parts(void **state) {
        AUTO(buf_done)
        Buf text = BUF(10000);

        (void)state;
        for (int i = 0; i < TEMPLATE_PARTS_MAX; i++)
                assert_int_equal(buf_add(&text, SPAN("{.a}")), 0);
        assert_int_equal(buf_add_char(&text, 0), 0);
        ProgramSet *s = program_set_new();
        Arena *a = arena_new(1 << 20);
        Template t = {0};
        Span whole = {text.p, text.n - 1};
        assert_int_equal(template_parse(whole, s, a, &t, NULL), 0);
        assert_int_equal(t.n, TEMPLATE_PARTS_MAX);
        text.p[text.n - 1] = 'x';
        assert_int_equal(template_parse(buf_span(&text), s, a, &t, NULL), -EINVAL);
        arena_free(a);
        program_set_unref(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(literals_and_holes_alternate),
                cmocka_unit_test(doubled_braces_are_one),
                cmocka_unit_test(braces_inside_the_program_belong_to_it),
                cmocka_unit_test(what_is_not_closed_is_refused_with_its_place),
                cmocka_unit_test(a_template_has_a_maximum_of_parts),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
