/* SPDX-License-Identifier: Apache-2.0 */
#include "map/lex.h"
#include "map/map.h"
#include "unit.h"

static int add(const char *text, char *why, Program **ret, ProgramSet **ret_set) {
        ProgramSet *s = program_set_new();
        Program *p = NULL;
        Err e = {0};
        int r = program_add(s, span_of(text), &p, &e);

        memcpy(why, e.text, sizeof e.text);
        if (ret) {
                *ret = p;
                *ret_set = s;
        } else
                program_set_unref(s);
        return r;
}

static void refused(const char *text, const char *says) {
        char why[512];

        if (add(text, why, NULL, NULL) != -EINVAL)
                fail_msg("accepted: %s", text);
        if (!strstr(why, says))
                fail_msg("%s: says '%s', not '%s'", text, why, says);
}

static void allowed(const char *text) {
        char why[512];

        if (add(text, why, NULL, NULL) != 0)
                fail_msg("refused: %s: %s", text, why);
}

static void words_that_reach_outside_are_refused(void **state) {
        (void)state;
        refused("$ENV.HOME", "'$ENV' at offset 0");
        refused("$ ENV", "'$ENV'");
        refused("$ # comment\n ENV", "'$ENV'");
        refused("env.HOME", "'env'");
        refused(".a | env", "'env' at offset 5");
        refused("input", "'input'");
        refused("[inputs]", "'inputs'");
        refused("input_filename", "'input_filename'");
        refused("input_line_number", "'input_line_number'");
        refused("import \"a\" as a; .", "'import'");
        refused("include \"a\"; .", "'include'");
        refused("\"a\" | modulemeta", "'modulemeta'");
        refused("get_search_list", "'get_search_list'");
        refused(". | debug", "'debug'");
        refused("debug(.a)", "'debug'");
        refused("stderr", "'stderr'");
        refused("halt", "'halt'");
        refused("\"x\" | halt_error(1)", "'halt_error'");
        refused("$__prog_args", "'$__prog_args'");
        refused("def env: 1; env", "'env'");
}

static void words_hide_nowhere(void **state) {
        (void)state;
        refused("\"a \\(env)\"", "'env'");
        refused("\"a \\(\"b \\(input)\")\"", "'input'");
        refused("\"\\((1) + env)\"", "'env'");
        refused("{a: env}", "'env'");
        refused("{(env): 1}", "'env'");
        refused("{a: (1, env)}", "'env'");
        refused("[1, env]", "'env'");
        refused("{\"a\": 1 | env}", "'env'");
        refused("if env then 1 else 2 end", "'env'");
        refused("@json \"\\(env)\"", "'env'");
        refused(".a[env]", "'env'");
        refused(". as {a: $x} | env", "'env'");
        refused("# \"\nenv", "'env'");
        refused(". env", "'env'");
        /* One version of jq takes the second line for a comment, another runs it. */
        refused("# \\\n\"\nenv # \"", "a comment");
        refused("# \r\"\nenv # \"", "a comment");
}

static void names_of_fields_are_no_words(void **state) {
        (void)state;
        allowed(".env.input");
        allowed("{env: 1, input: .a, halt}");
        allowed("{a: {debug: 1}, env: 2}");
        allowed("\"env input $ENV\"");
        allowed("\"a \\(.a) env\"");
        allowed("1 # env\n");
        allowed(".[\"env\"]");
        allowed("now | strftime(\"%Y\")");
        allowed("environment, inputs_of");
        allowed("{\"import\": 1}");
}

static void numbers_that_jq_would_round_are_refused(void **state) {
        (void)state;
        refused(".id == 9007199254740993", "offset 7");
        refused("1e400", "too large");
        refused("\"\\(100000000000000000000)\"", "too large");
        allowed(".id == 9007199254740992");
        allowed("0.1 + 1e300 + 1.5e-7");
}

static void what_no_program_can_be_is_refused(void **state) {
        char *long_text = must_alloc(MAP_TEXT_MAX_BYTES + 2);
        char why[512];

        (void)state;
        memset(long_text, '1', MAP_TEXT_MAX_BYTES + 1);
        refused(long_text, "longer than 65536");
        memset(long_text, '(', 200);
        long_text[200] = 0;
        refused(long_text, "nested deeper");
        free(long_text);
        refused(" \n", "empty");
        refused("\"abc", "a string does not end");
        refused("\"a\\(1", "an interpolation does not end");
        ProgramSet *s = program_set_new();
        Program *p = NULL;
        Err e = {0};
        assert_int_equal(program_add(s, SPAN("1\0+env"), &p, &e), -EINVAL);
        program_set_unref(s);
        (void)why;
}

static void the_same_text_is_one_program(void **state) {
        ProgramSet *s = program_set_new();
        Program *a = NULL, *b = NULL, *c = NULL;

        (void)state;
        assert_int_equal(program_add(s, SPAN(" .a + 1"), &a, NULL), 0);
        assert_int_equal(program_add(s, SPAN(".a + 1\n"), &b, NULL), 0);
        assert_int_equal(program_add(s, SPAN(".a + 2"), &c, NULL), 0);
        assert_ptr_equal(a, b);
        assert_ptr_not_equal(a, c);
        assert_true(span_eq(program_text(b), SPAN(".a + 1")));
        program_set_unref(s);
}

/* `sees`: the roots, of "event", "user" and "order", that the program may look at. */
static void looks_at(const char *text, const char *sees) {
        static const char *const roots[] = {"event", "user", "order"};
        char why[512], seen[100] = "";
        Program *p;
        ProgramSet *s;

        if (add(text, why, &p, &s) < 0)
                fail_msg("%s: %s", text, why);
        for (size_t i = 0; i < COUNT_OF(roots); i++)
                if (program_uses(p, span_of(roots[i]))) {
                        if (seen[0])
                                strncat(seen, " ", 2);
                        strncat(seen, roots[i], 10);
                }
        if (strcmp(seen, sees) != 0)
                fail_msg("%s: looks at '%s', not '%s'", text, seen, sees);
        program_set_unref(s);
}

#define ALL "event user order"

static void a_program_takes_only_what_it_sees(void **state) {
        (void)state;
        looks_at(".user.email", "user");
        looks_at("{email: .user.email, id: .event.id}", "event user");
        looks_at("\"\\(.user.first) \\(.order.id)\"", "user order");
        looks_at(".[\"user\"].a, .\"order\"", "user order");
        looks_at(".order.lines | map(. + .user) | keys", "order");
        looks_at("{user, a: 1}", "user");
        looks_at("{\"user\"}", "user");
        looks_at(".user as $u | {a: $u.b, c: .order}", "user order");
        looks_at("if .user.a then .order else empty end", "user order");
        looks_at("[.order.lines[] | select(.price > 2)]", "order");
        looks_at("(.user | ..), now", "user");
        looks_at("@base64 \"\\(.user.a)\"", "user");
        looks_at("{a: (.user.a | length), b: .order}", "user order");
        looks_at("reduce .order.lines[] as $l (0; $l.price)", "order");
        looks_at("try (.user | error) catch \"\"", "user");
}

static void a_program_that_may_see_all_gets_all(void **state) {
        static const char *const texts[] = {
                ".",
                "..",
                ". as $all | $all.user",
                "keys",
                "to_entries | map(.key)",
                ".[]",
                ".[.event.type]",
                ".[\"us\" + \"er\"]",
                "getpath([\"user\", \"a\"])",
                "select(.user.active)",
                ".user.a = 1",
                ".user |= 1",
                ".user.a += 1",
                "del(.user)",
                "with_entries(.value)",
                ".user as $u | keys",
                ".user as $u | .order as $o | tojson",
                "label $f | keys",
                "if .user | .a then keys else 0 end",
                "if .user | .a then 0 else length end",
                "{a: .user | .b, c: length}",
                "[.user, (. | .b)]",
                "@json",
                "@base64 | length",
                "\"\\(.)\"",
                "\"\\(tojson)\"",
                "def f: keys; f",
                "def f(g): .user | g; f(1), keys",
                ".user, .",
                "tojson, .user",
                ".\"us\\u0065r\"",
                "{\"us\\u0065r\"}",
                "{\"us\\(\"er\")\"}",
                "first(.user, .)",
                "try error(.) catch 1",
                "path(..)",
                "map_values(.a)",
                "length",
                "input_of",
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(texts); i++)
                looks_at(texts[i], ALL);
}

static void tokens_are_what_jq_reads(void **state) {
        static const struct {
                LexKind kind;
                const char *text;
        } expected[] = {
                {LEX_FIELD, "a"},       {LEX_MARK, "?"},
                {LEX_MARK, "|"},        {LEX_ASSIGN, "|="},
                {LEX_RECURSE, ".."},    {LEX_MARK, "?//"},
                {LEX_NUMBER, "1.5e-3"}, {LEX_VARIABLE, "x"},
                {LEX_FORMAT, "base64"}, {LEX_STRING_OPEN, "a "},
                {LEX_MARK, "("},        {LEX_NUMBER, "1"},
                {LEX_MARK, ")"},        {LEX_STRING_MIDDLE, " "},
                {LEX_STRING, "}"},      {LEX_STRING_CLOSE, "\\\""},
                {LEX_WORD, "m::f"},     {LEX_MARK, "=="},
                {LEX_NUMBER, ".5"},     {LEX_MARK, "."},
                {LEX_MARK, "["},        {LEX_END, ""},
        };
        Lex l = lex_begin(
                span_of(".a?||=..?//1.5e-3$x@base64\"a \\((1)) \\(\"}\")\\\"\"m::f==.5 #c\n.["));

        (void)state;
        for (size_t i = 0; i < COUNT_OF(expected); i++) {
                LexToken t = lex_next(&l);

                if (t.kind != expected[i].kind || !span_eq(t.text, span_of(expected[i].text)))
                        fail_msg("token %zu is kind %d '" SPAN_FMT "'", i, (int)t.kind,
                                 SPAN_ARG(t.text));
        }
        assert_int_equal(lex_next(&l).kind, LEX_END);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(words_that_reach_outside_are_refused),
                cmocka_unit_test(words_hide_nowhere),
                cmocka_unit_test(names_of_fields_are_no_words),
                cmocka_unit_test(numbers_that_jq_would_round_are_refused),
                cmocka_unit_test(what_no_program_can_be_is_refused),
                cmocka_unit_test(the_same_text_is_one_program),
                cmocka_unit_test(a_program_takes_only_what_it_sees),
                cmocka_unit_test(a_program_that_may_see_all_gets_all),
                cmocka_unit_test(tokens_are_what_jq_reads),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
