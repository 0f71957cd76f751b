/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs tests/cases/json/patch.case, then holds the formats to each other on values that a small
 * generator makes: applied to `have`, JSON Patch and merge patch bring about the same, and SCIM
 * finds something to do exactly where something differs. */
#include "base/random.h"
#include "case_file.h"
#include "patch_apply.h"
#include "json/patch_format.h"

static const char *cases_folder;

static const PatchFormat *format_find(const char *name) {
        for (size_t i = 0; i < PATCH_FORMATS; i++)
                if (strcmp(patch_formats[i].name, name) == 0)
                        return &patch_formats[i];
        return NULL;
}

static void every_name_has_its_row(void **state) {
        (void)state;
        for (size_t i = 0; i < PATCH_FORMATS; i++) {
                assert_string_equal(patch_formats[i].name, patch_format_names[i]);
                assert_true(patch_formats[i].diff && patch_formats[i].content_type);
        }
        assert_null(patch_format_names[PATCH_FORMATS]);
        assert_string_equal(patch_formats[PATCH_MERGE].name, "merge");
}

static void judge(const CaseFile *f, const PatchFormat *format, Span have, Span want) {
        AUTO(buf_done)
        Buf out = BUF(1 << 20);
        Span patch = buf_span(&f->value);
        bool is_refused = span_eq(patch, SPAN("refused"));
        int r = format->diff(have, want, &out);
        JsonFault fault;

        if (is_refused ? r != -EINVAL || out.n
                       : r != (patch.n > 0) || !span_eq(buf_span(&out), patch))
                fail_msg("%s:%u: %d, " SPAN_FMT, f->name, f->line, r, SPAN_ARG(buf_span(&out)));
        if (r == 1)
                assert_int_equal(json_check(buf_span(&out), JSON_KEYS_MAX, &fault), 0);
}

static void every_case_has_its_patch(void **state) {
        CaseFile f = case_open(cases_folder, "json/patch.case");
        Buf have = BUF(1 << 20), want = BUF(1 << 20);
        size_t n = 0;

        (void)state;
        while (case_next(&f)) {
                if (strcmp(f.key, "have") == 0 || strcmp(f.key, "want") == 0) {
                        Buf *b = f.key[0] == 'h' ? &have : &want;
                        JsonFault fault;

                        buf_clear(b);
                        must(buf_add(b, buf_span(&f.value)) == 0);
                        assert_int_equal(json_check(buf_span(b), JSON_KEYS_MAX, &fault), 0);
                } else if (f.key[0]) {
                        const PatchFormat *format = format_find(f.key);

                        if (!format)
                                fail_msg("%s:%u: no format %s", f.name, f.line, f.key);
                        judge(&f, format, buf_span(&have), buf_span(&want));
                        n++;
                }
        }
        assert_in_range(n, 35, 1000);
        buf_done(&have);
        buf_done(&want);
        case_close(&f);
}

/* Few keys and few scalars, so that differences are small and many. */
static void value_make(Rng *rng, Buf *out, unsigned depth) {
        static const char *const scalars[] = {
                "null",  "true",        "0",  "1", "1.0", "9007199254740993",
                "\"a\"", "\"\\u0061\"", "[]", "{}"};
        static const char *const names[] = {"a", "b/", "\\u0061", "c~", "d", "\\\"", "", "\\/~1"};
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
                        must(buf_addf(out, "\"%s\":", names[rng_below(rng, COUNT_OF(names))]) == 0);
                value_make(rng, out, depth - 1);
        }
        must(buf_add_char(out, is_array ? ']' : '}') == 0);
}

/* What the merge patch makes of `have`, which says what every format means. */
static bool merged(Span have, Span want, Buf *ret) {
        AUTO(buf_done)
        Buf patch = BUF(1 << 20);
        int r = json_diff_merge(have, want, &patch);

        buf_clear(ret);
        assert_in_range(r, 0, 1);
        if (r == 1)
                assert_int_equal(json_merge(have, buf_span(&patch), ret), 0);
        return r == 1;
}

static void json_patch_means_what_the_merge_patch_means(void **state) {
        Buf have = BUF(1 << 20), want = BUF(1 << 20), goal = BUF(1 << 20), patch = BUF(1 << 20),
            now = BUF(1 << 20);
        Rng rng = {.state = 43};
        size_t differing = 0;
        JsonFault fault;

        (void)state;
        for (int i = 0; i < 20000; i++) {
                buf_clear(&have);
                buf_clear(&want);
                value_make(&rng, &have, 3);
                value_make(&rng, &want, 3);
                bool differs = merged(buf_span(&have), buf_span(&want), &goal);

                differing += differs;
                for (int tested = 0; tested <= 1; tested++) {
                        buf_clear(&patch);
                        buf_clear(&now);
                        int r = (tested ? json_diff_patch_tested : json_diff_patch)(
                                buf_span(&have), buf_span(&want), &patch);

                        assert_int_equal(r, differs);
                        assert_int_equal(patch.n > 0, differs);
                        if (!differs)
                                continue;
                        assert_int_equal(json_check(buf_span(&patch), JSON_KEYS_MAX, &fault), 0);
                        r = patch_apply(buf_span(&have), buf_span(&patch), &now);
                        if (r < 0 || !json_equal(buf_span(&now), buf_span(&goal)))
                                fail_msg("have " SPAN_FMT "\nwant " SPAN_FMT "\npatch " SPAN_FMT
                                         "\nnow " SPAN_FMT,
                                         SPAN_ARG(buf_span(&have)), SPAN_ARG(buf_span(&want)),
                                         SPAN_ARG(buf_span(&patch)), SPAN_ARG(buf_span(&now)));
                }
        }
        assert_in_range(differing, 5000, 19999);
        buf_done(&have);
        buf_done(&want);
        buf_done(&goal);
        buf_done(&patch);
        buf_done(&now);
}

/* Somebody else was there first: the whole patch is refused. */
static void a_tested_patch_minds_what_has_changed(void **state) {
        AUTO(buf_done)
        Buf patch = BUF(4096);
        AUTO(buf_done)
        Buf now = BUF(4096);

        (void)state;
        assert_int_equal(json_diff_patch_tested(SPAN("{\"a\":1}"), SPAN("{\"a\":2}"), &patch), 1);
        assert_int_equal(patch_apply(SPAN("{\"a\":3}"), buf_span(&patch), &now), -EINVAL);
        assert_int_equal(patch_apply(SPAN("{\"a\":1.0}"), buf_span(&patch), &now), 0);
}

static void a_full_buffer_keeps_what_it_had(void **state) {
        (void)state;
        for (size_t i = 0; i < PATCH_FORMATS; i++)
                for (size_t max = 4; max < 40; max++) {
                        AUTO(buf_done)
                        Buf out = BUF(max);
                        int r;

                        must(buf_add(&out, SPAN("kept")) == 0);
                        r = patch_formats[i].diff(SPAN("{\"c\":5,\"n\":{\"x\":1}}"),
                                                  SPAN("{\"a\":1,\"c\":null,\"n\":{\"x\":null}}"),
                                                  &out);
                        if (r == 1 && i == PATCH_MERGE)
                                continue;
                        assert_int_equal(r, -EMSGSIZE);
                        assert_true(span_eq(buf_span(&out), SPAN("kept")));
                }
}

static void the_deepest_values_are_patched(void **state) {
        (void)state;
        for (size_t k = 0; k < PATCH_FORMATS; k++) {
                AUTO(buf_done)
                Buf have = BUF(1 << 16);
                AUTO(buf_done)
                Buf want = BUF(1 << 16);
                AUTO(buf_done)
                Buf patch = BUF(1 << 20);
                JsonFault fault;

                for (int i = 0; i < JSON_DEPTH_MAX; i++) {
                        must(buf_add(&have, SPAN("{\"a\":")) == 0);
                        must(buf_add(&want, SPAN("{\"a\":")) == 0);
                }
                must(buf_add_char(&have, '1') == 0 && buf_add_char(&want, '2') == 0);
                for (int i = 0; i < JSON_DEPTH_MAX; i++)
                        must(buf_add_char(&have, '}') == 0 && buf_add_char(&want, '}') == 0);
                assert_int_equal(patch_formats[k].diff(buf_span(&have), buf_span(&want), &patch),
                                 1);
                assert_int_equal(json_check(buf_span(&have), JSON_KEYS_MAX, &fault), 0);
        }
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_name_has_its_row),
                cmocka_unit_test(every_case_has_its_patch),
                cmocka_unit_test(json_patch_means_what_the_merge_patch_means),
                cmocka_unit_test(a_tested_patch_minds_what_has_changed),
                cmocka_unit_test(a_full_buffer_keeps_what_it_had),
                cmocka_unit_test(the_deepest_values_are_patched),
        };

        must(argc > 1);
        cases_folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
