/* SPDX-License-Identifier: Apache-2.0
 *
 * What the formats of patches make and schemas say, for the tests with other people's libraries
 * and suites. Each line of standard input is a JSON list, and has one line of JSON as its answer:
 *
 *     ["diff", FORMAT, have, want]    the patch; null when nothing differs; false when refused
 *     ["apply", document, patch]      [the document]; false when refused (patch_apply.h)
 *     ["judge", schema, formats, [value...]]  the sentence when the schema is refused; else a list:
 *                                     true for a value that fits, else [[pointer, keyword]...] */
#include "patch_apply.h"
#include "json/check.h"
#include "json/patch_format.h"
#include "json/schema.h"

static int print_diff(Span line, Buf *out) {
        AUTO(buf_done)
        Buf name = BUF(64);
        Span have = json_element(line, 2), want = json_element(line, 3);
        int r;

        must(have.p && want.p && json_text(json_element(line, 1), &name) == 0);
        for (size_t i = 0; i < PATCH_FORMATS; i++) {
                if (!span_eq(buf_span(&name), span_of(patch_formats[i].name)))
                        continue;
                r = patch_formats[i].diff(have, want, out);
                return r == 1 ? 0 : buf_add(out, r == 0 ? SPAN("null") : SPAN("false"));
        }
        return -EINVAL;
}

static int print_applied(Span line, Buf *out) {
        AUTO(buf_done)
        Buf made = BUF(PATCH_TEXT_MAX_BYTES);

        if (patch_apply(json_element(line, 1), json_element(line, 2), &made) < 0)
                return buf_add(out, SPAN("false"));
        return buf_addf(out, "[" SPAN_FMT "]", SPAN_ARG(buf_span(&made)));
}

static int print_verdict(const JsonSchema *schema, Span value, Buf *out) {
        static JsonViolations told;
        int r = json_schema_judge(schema, value, &told);

        must(json_schema_judge(schema, value, NULL) == r && (r == 1) == (told.n > 0));
        if (r <= 0)
                return buf_add(out, r == 0 ? SPAN("true") : SPAN("\"too much\""));
        for (size_t i = 0; r >= 0 && i < told.n; i++) {
                r = buf_add(out, i ? SPAN(",[") : SPAN("[["));
                r = r < 0 ? r : buf_add_json(out, span_of(told.list[i].pointer));
                r = r < 0 ? r : buf_add_char(out, ',');
                r = r < 0 ? r : buf_add_json(out, span_of(told.list[i].keyword));
                r = r < 0 ? r : buf_add_char(out, ']');
        }
        return r < 0 ? r : buf_add_char(out, ']');
}

static int print_verdicts(Span line, Buf *out) {
        AUTO(arena_freep)
        Arena *arena = arena_new(64 << 20);
        JsonSchema *schema;
        bool asserts_formats = json_kind(json_element(line, 2)) == JSON_TRUE;
        Span key, value;
        Err e = {0};
        int r = 0;

        if (json_schema_compile(json_element(line, 1), asserts_formats, arena, &schema, &e) < 0) {
                must(e.text[0]);
                return buf_add_json(out, span_of(e.text));
        }
        for (size_t pos = 0; r == 0 && json_next(json_element(line, 3), &pos, &key, &value);) {
                r = buf_add_char(out, out->n ? ',' : '[');
                r = r < 0 ? r : print_verdict(schema, value, out);
        }
        return r < 0 ? r : buf_add_char(out, ']');
}

static int print_line(Span line, Buf *out) {
        static const struct {
                const char *name;
                int (*print)(Span line, Buf *out);
        } verbs[] = {{"\"diff\"", print_diff},
                     {"\"apply\"", print_applied},
                     {"\"judge\"", print_verdicts}};
        Span verb = json_element(line, 0);

        for (size_t i = 0; i < COUNT_OF(verbs); i++)
                if (verb.p && json_equal(verb, span_of(verbs[i].name)))
                        return verbs[i].print(line, out);
        return -EINVAL;
}

int main(void) {
        AUTO(buf_done)
        Buf out = BUF(PATCH_TEXT_MAX_BYTES);
        char *text = NULL;
        size_t room = 0;
        ssize_t n;

        while ((n = getline(&text, &room, stdin)) > 0) {
                Span line = {text, (size_t)n};
                JsonFault fault;

                buf_clear(&out);
                if (json_check(line, SIZE_MAX, &fault) < 0 || print_line(line, &out) < 0) {
                        (void)fprintf(stderr, "not understood: %s", text);
                        return 2;
                }
                (void)printf(SPAN_FMT "\n", SPAN_ARG(buf_span(&out)));
        }
        free(text);
        return 0;
}
