/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs tests/cases/json/schema.case; then the bounds: of what is told, of the work, of the schema.
 * The public suite of JSON Schema is run by tests/interop. */
#include "case_file.h"
#include "json/schema.h"
#include "json/value.h"

static const char *cases_folder;

typedef struct Trial {
        CaseFile f;
        Arena *arena;
        JsonSchema *schema;
        Err e;
        JsonViolations told;
        size_t n_why; /* violations of the last value that a line has named */
        bool is_judged;
} Trial;

/* All that was told has its line, when there is any. */
static void settle(const Trial *t) {
        if (t->is_judged && t->n_why && t->n_why != t->told.n)
                fail_msg("%s:%u: of %zu violations %zu are named", t->f.name, t->f.line, t->told.n,
                         t->n_why);
}

static void judge_value(Trial *t, int wanted) {
        Span value = buf_span(&t->f.value);
        JsonFault fault;

        if (!t->schema)
                fail_msg("%s:%u: %s", t->f.name, t->f.line, t->e.text);
        assert_int_equal(json_check(value, JSON_KEYS_MAX, &fault), 0);
        if (json_schema_judge(t->schema, value, &t->told) != wanted ||
            json_schema_judge(t->schema, value, NULL) != wanted)
                fail_msg("%s:%u: %s %s %s", t->f.name, t->f.line, t->told.list[0].pointer,
                         t->told.list[0].keyword, t->told.list[0].text);
        assert_int_equal(t->told.n > 0, wanted);
        t->is_judged = true;
        t->n_why = 0;
}

static void compare_why(Trial *t) {
        const JsonViolation *v = &t->told.list[t->n_why];
        char line[1024];

        if (t->n_why++ >= t->told.n)
                fail_msg("%s:%u: only %zu were told", t->f.name, t->f.line, t->told.n);
        (void)snprintf(line, sizeof line, "%s %s %s", v->pointer, v->keyword, v->text);
        if (!span_eq(span_of(line), buf_span(&t->f.value)))
                fail_msg("%s:%u: %s", t->f.name, t->f.line, line);
}

static void line_run(Trial *t) {
        Span said = buf_span(&t->f.value);

        if (strcmp(t->f.key, "why") == 0) {
                compare_why(t);
                return;
        }
        settle(t);
        t->is_judged = false;
        if (strcmp(t->f.key, "schema") == 0) {
                t->e = (Err){0};
                t->schema = NULL;
                if (json_schema_compile(said, true, t->arena, &t->schema, &t->e) < 0)
                        assert_null(t->schema);
        } else if (strcmp(t->f.key, "refused") == 0) {
                if (t->schema || !span_eq(span_of(t->e.text), said))
                        fail_msg("%s:%u: %s", t->f.name, t->f.line, t->e.text);
        } else {
                judge_value(t, strcmp(t->f.key, "fits") != 0);
        }
}

static void every_value_has_its_verdict(void **state) {
        Trial *t = must_alloc(sizeof *t);
        size_t n = 0;

        (void)state;
        t->f = case_open(cases_folder, "json/schema.case");
        t->arena = arena_new(64 << 20);
        while (case_next(&t->f))
                if (t->f.key[0]) {
                        line_run(t);
                        n++;
                }
        settle(t);
        assert_in_range(n, 150, 1000);
        arena_free(t->arena);
        case_close(&t->f);
        free(t);
}

static JsonSchema *compiled(Arena *arena, Span text) {
        JsonSchema *schema = NULL;
        Err e = {0};

        if (json_schema_compile(text, false, arena, &schema, &e) < 0)
                fail_msg("%s", e.text);
        return schema;
}

static void no_more_is_told_than_there_is_room_for(void **state) {
        Arena *arena = arena_new(1 << 20);
        const JsonSchema *schema = compiled(arena, SPAN("{\"items\":{\"type\":\"string\"}}"));
        JsonViolations *told = must_alloc(sizeof *told);
        Span many = SPAN("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18]");

        (void)state;
        assert_int_equal(json_schema_judge(schema, many, told), 1);
        assert_int_equal(told->n, JSON_VIOLATIONS_MAX);
        assert_string_equal(told->list[15].pointer, "/15");
        free(told);
        arena_free(arena);
}

/* A place whose pointer is too long is told by what contains it; a text is cut between characters.
 */
static void long_places_and_texts_are_cut(void **state) {
        Arena *arena = arena_new(1 << 20);
        const JsonSchema *schema = compiled(
                arena, SPAN("{\"additionalProperties\":{\"additionalProperties\":{\"const\":\""
                            "ääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääää"
                            "ääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääää"
                            "\"}}}"));
        JsonViolations *told = must_alloc(sizeof *told);
        Buf value = BUF(1 << 16), text = BUF(1 << 16);
        JsonFault fault;

        (void)state;
        must(buf_add(&value, SPAN("{\"first\":{\"")) == 0);
        for (int i = 0; i < JSON_POINTER_MAX_BYTES; i++)
                must(buf_add_char(&value, 'k') == 0);
        must(buf_add(&value, SPAN("\":1}}")) == 0);
        assert_int_equal(json_schema_judge(schema, buf_span(&value), told), 1);
        assert_string_equal(told->list[0].pointer, "/first");
        must(buf_addf(&text, "\"") == 0);
        for (const char *p = told->list[0].text; *p; p++)
                must((*p == '"' || buf_add_char(&text, *p) == 0));
        must(buf_addf(&text, "\"") == 0);
        assert_int_equal(json_check(buf_span(&text), 1, &fault), 0);
        assert_in_range(strlen(told->list[0].text), JSON_VIOLATION_TEXT_BYTES - 4,
                        JSON_VIOLATION_TEXT_BYTES);
        buf_done(&value);
        buf_done(&text);
        free(told);
        arena_free(arena);
}

/* Each level asks twice about the next: 2^100 questions, but for the bound. */
static void the_work_has_an_end(void **state) {
        Arena *arena = arena_new(1 << 20);
        const JsonSchema *schema =
                compiled(arena, SPAN("{\"anyOf\":[{\"properties\":{\"a\":{\"$ref\":\"#\"}},"
                                     "\"required\":[\"b\"]},"
                                     "{\"properties\":{\"a\":{\"$ref\":\"#\"}},"
                                     "\"required\":[\"c\"]}]}"));
        Buf value = BUF(1 << 16);

        (void)state;
        for (int i = 0; i < 100; i++)
                must(buf_add(&value, SPAN("{\"a\":")) == 0);
        must(buf_add(&value, SPAN("{\"b\":1}")) == 0);
        for (int i = 0; i < 100; i++)
                must(buf_add(&value, SPAN(",\"c\":1}")) == 0);
        assert_int_equal(json_schema_judge(schema, buf_span(&value), NULL), -EMSGSIZE);
        buf_done(&value);
        arena_free(arena);
}

static void a_schema_that_is_too_large_is_refused(void **state) {
        Arena *arena = arena_new(64 << 20), *small = arena_new(64);
        Buf text = BUF(1 << 20);
        JsonSchema *schema = NULL;
        Err many = {0}, chain = {0}, room = {0};

        (void)state;
        must(buf_add(&text, SPAN("{\"allOf\":[true")) == 0);
        for (int i = 0; i < 4096; i++)
                must(buf_add(&text, SPAN(",true")) == 0);
        must(buf_add(&text, SPAN("]}")) == 0);
        assert_int_equal(json_schema_compile(buf_span(&text), false, arena, &schema, &many),
                         -EMSGSIZE);
        assert_non_null(strstr(many.text, "more than 4096 schemas"));
        buf_clear(&text);
        must(buf_add(&text, SPAN("{\"$ref\":\"#/$defs/0\",\"$defs\":{")) == 0);
        for (int i = 0; i < 300; i++)
                must(buf_addf(&text, "\"%d\":{\"$ref\":\"#/$defs/%d\"},", i, i + 1) == 0);
        must(buf_add(&text, SPAN("\"300\":{}}}")) == 0);
        assert_int_equal(json_schema_compile(buf_span(&text), false, arena, &schema, &chain),
                         -EMSGSIZE);
        assert_non_null(strstr(chain.text, "one within another"));
        assert_int_equal(json_schema_compile(buf_span(&text), false, small, &schema, &room),
                         -ENOMEM);
        assert_null(schema);
        buf_done(&text);
        arena_free(small);
        arena_free(arena);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_value_has_its_verdict),
                cmocka_unit_test(no_more_is_told_than_there_is_room_for),
                cmocka_unit_test(long_places_and_texts_are_cut),
                cmocka_unit_test(the_work_has_an_end),
                cmocka_unit_test(a_schema_that_is_too_large_is_refused),
        };

        must(argc > 1);
        cases_folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
