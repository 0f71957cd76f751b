/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs tests/cases/json/merge.case and diff.case, then tries the promise on values that a small
 * generator makes: what json_diff_merge() says, json_merge() brings about. */
#include "base/random.h"
#include "case_file.h"
#include "json/check.h"
#include "json/diff.h"
#include "json/value.h"

static const char *cases_folder;

typedef struct Trio {
        Buf text[3];
        size_t n;
} Trio;

/* The lines of the next case, by the order of `keys`; false after the last. */
static bool trio_next(CaseFile *f, const char *const keys[3], Trio *t) {
        t->n = 0;
        while (case_next(f)) {
                if (f->key[0] == 0) {
                        if (t->n == 3)
                                return true;
                        must(t->n == 0);
                        continue;
                }
                if (t->n == 3 || strcmp(f->key, keys[t->n]) != 0)
                        fail_msg("%s:%u: not '%s:'", f->name, f->line, keys[t->n % 3]);
                t->text[t->n].max = 1 << 20;
                buf_clear(&t->text[t->n]);
                must(buf_add(&t->text[t->n++], buf_span(&f->value)) == 0);
        }
        return false;
}

static void trio_done(Trio *t) {
        for (size_t i = 0; i < COUNT_OF(t->text); i++)
                buf_done(&t->text[i]);
}

static void every_merge_has_its_result(void **state) {
        static const char *const keys[] = {"target", "patch", "result"};
        CaseFile f = case_open(cases_folder, "json/merge.case");
        Trio t = {0};
        size_t n = 0;

        (void)state;
        for (; trio_next(&f, keys, &t); n++) {
                AUTO(buf_done)
                Buf out = BUF(1 << 20);
                JsonFault fault;

                assert_int_equal(json_merge(buf_span(&t.text[0]), buf_span(&t.text[1]), &out), 0);
                assert_int_equal(json_check(buf_span(&out), JSON_KEYS_MAX, &fault), 0);
                if (!json_equal(buf_span(&out), buf_span(&t.text[2])))
                        fail_msg("%s:%u: " SPAN_FMT, f.name, f.line, SPAN_ARG(buf_span(&out)));
        }
        assert_true(n >= 15);
        trio_done(&t);
        case_close(&f);
}

static void every_diff_has_its_patch(void **state) {
        static const char *const keys[] = {"have", "want", "patch"};
        CaseFile f = case_open(cases_folder, "json/diff.case");
        Trio t = {0};
        size_t n = 0;

        (void)state;
        for (; trio_next(&f, keys, &t); n++) {
                AUTO(buf_done)
                Buf out = BUF(1 << 20);
                int r = json_diff_merge(buf_span(&t.text[0]), buf_span(&t.text[1]), &out);

                if (r != (t.text[2].n > 0) || !span_eq(buf_span(&out), buf_span(&t.text[2])))
                        fail_msg("%s:%u: %d, " SPAN_FMT, f.name, f.line, r,
                                 SPAN_ARG(buf_span(&out)));
        }
        assert_true(n >= 20);
        trio_done(&t);
        case_close(&f);
}

/* A value that repeats few keys and few scalars, so that differences are small and many. */
static void value_make(Rng *rng, Buf *out, unsigned depth) {
        static const char *const scalars[] = {"null",  "true",  "0",           "1",  "1.0",
                                              "10e-1", "\"a\"", "\"\\u0061\"", "[]", "{}"};
        static const char *const names[] = {"a", "b", "\\u0061", "c", "d", "e"};
        uint64_t kind = rng_below(rng, depth ? 4 : 1), n = rng_below(rng, kind == 3 ? 14 : 4);
        bool is_array = kind == 1;

        if (kind == 0) {
                must(buf_addf(out, "%s", scalars[rng_below(rng, COUNT_OF(scalars))]) == 0);
                return;
        }
        must(buf_add_char(out, is_array ? '[' : '{') == 0);
        for (uint64_t i = 0; i < n; i++) {
                must(buf_addf(out, "%s", i ? ", " : "") == 0);
                if (!is_array)
                        must(buf_addf(out, "\"%s%s\":", names[rng_below(rng, COUNT_OF(names))],
                                      kind == 3 ? names[rng_below(rng, COUNT_OF(names))] : "") ==
                             0);
                value_make(rng, out, depth - 1);
        }
        must(buf_add_char(out, is_array ? ']' : '}') == 0);
}

/* Does `have` say what `want` asks for? A null asks that nothing be there (RFC 7396). */
static bool covers(Span have, Span want) {
        Span key, value;

        if (json_kind(want) != JSON_OBJECT)
                return json_equal(have, want);
        if (json_kind(have) != JSON_OBJECT)
                return false;
        for (size_t pos = 0; json_next(want, &pos, &key, &value);) {
                char name[64];
                Buf text = BUF(sizeof name);
                bool ok;

                must(json_key_text(key, &text) == 0);
                Span there = json_member(have, buf_span(&text));
                Span last = json_member(want, buf_span(&text));
                buf_done(&text);
                if (last.p != value.p)
                        continue;
                ok = json_kind(value) == JSON_NULL ? !there.p || json_kind(there) == JSON_NULL
                                                   : there.p && covers(there, value);
                if (!ok)
                        return false;
        }
        return true;
}

static void a_diff_brings_about_what_is_wanted(void **state) {
        Buf have = BUF(1 << 20), want = BUF(1 << 20), patch = BUF(1 << 20), now = BUF(1 << 20);
        Rng rng = {.state = 42};
        size_t differing = 0;
        JsonFault fault;

        (void)state;
        for (int i = 0; i < 20000; i++) {
                buf_clear(&have);
                buf_clear(&want);
                buf_clear(&patch);
                buf_clear(&now);
                value_make(&rng, &have, 3);
                value_make(&rng, &want, 3);
                int r = json_diff_merge(buf_span(&have), buf_span(&want), &patch);
                assert_in_range(r, 0, 1);
                assert_int_equal(r == 0, patch.n == 0);
                differing += (size_t)r;
                if (r == 0)
                        must(buf_add(&patch, SPAN("{}")) == 0);
                assert_int_equal(json_check(buf_span(&patch), JSON_KEYS_MAX, &fault), 0);
                if (r == 0 && json_kind(buf_span(&have)) != JSON_OBJECT)
                        continue; /* an empty patch would make an object of it */
                assert_int_equal(json_merge(buf_span(&have), buf_span(&patch), &now), 0);
                assert_int_equal(json_check(buf_span(&now), JSON_KEYS_MAX, &fault), 0);
                if (!covers(buf_span(&now), buf_span(&want)))
                        fail_msg("have " SPAN_FMT "\nwant " SPAN_FMT "\npatch " SPAN_FMT
                                 "\nnow " SPAN_FMT,
                                 SPAN_ARG(buf_span(&have)), SPAN_ARG(buf_span(&want)),
                                 SPAN_ARG(buf_span(&patch)), SPAN_ARG(buf_span(&now)));
        }
        assert_in_range(differing, 5000, 19999);
        buf_done(&have);
        buf_done(&want);
        buf_done(&patch);
        buf_done(&now);
}

static void a_full_buffer_keeps_what_it_had(void **state) {
        Buf out = BUF(12);

        (void)state;
        must(buf_add(&out, SPAN("kept")) == 0);
        assert_int_equal(json_diff_merge(SPAN("{}"), SPAN("{\"a\":1,\"b\":2}"), &out), -EMSGSIZE);
        assert_int_equal(json_merge(SPAN("{}"), SPAN("{\"a\":1,\"b\":2}"), &out), -EMSGSIZE);
        assert_true(span_eq(buf_span(&out), SPAN("kept")));
        buf_done(&out);
}

/* As deep as checked text gets: the recursion has room for it. */
static void the_deepest_values_are_patched(void **state) {
        Buf have = BUF(1 << 16), want = BUF(1 << 16), patch = BUF(1 << 16), now = BUF(1 << 16);

        (void)state;
        for (int i = 0; i < JSON_DEPTH_MAX; i++) {
                must(buf_add(&have, SPAN("{\"a\":")) == 0);
                must(buf_add(&want, SPAN("{\"a\":")) == 0);
        }
        must(buf_add_char(&have, '1') == 0 && buf_add_char(&want, '2') == 0);
        for (int i = 0; i < JSON_DEPTH_MAX; i++)
                must(buf_add_char(&have, '}') == 0 && buf_add_char(&want, '}') == 0);
        assert_int_equal(json_diff_merge(buf_span(&have), buf_span(&want), &patch), 1);
        assert_true(span_eq(buf_span(&patch), buf_span(&want)));
        assert_int_equal(json_merge(buf_span(&have), buf_span(&patch), &now), 0);
        assert_true(span_eq(buf_span(&now), buf_span(&want)));
        buf_done(&have);
        buf_done(&want);
        buf_done(&patch);
        buf_done(&now);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_merge_has_its_result),
                cmocka_unit_test(every_diff_has_its_patch),
                cmocka_unit_test(a_diff_brings_about_what_is_wanted),
                cmocka_unit_test(a_full_buffer_keeps_what_it_had),
                cmocka_unit_test(the_deepest_values_are_patched),
        };

        must(argc > 1);
        cases_folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
