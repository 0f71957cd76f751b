/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs tests/cases/json/check.case: each text whole, and cut at every byte. */
#include "case_file.h"
#include "json/check.h"
#include "json/value.h"

static const char *cases_folder;

/* Copies to memory of exactly that size, so that a sanitizer sees every step too far. */
static int check_copy(Span text, JsonFault *fault) {
        AUTO(freep)
        char *copy = must_alloc(text.n);

        if (text.n)
                memcpy(copy, text.p, text.n);
        return json_check((Span){copy, text.n}, JSON_KEYS_MAX, fault);
}

/* All before the refused byte could still have become JSON: it is whole, or it ends too early. */
static void check_prefixes(const CaseFile *f, Span text, size_t until) {
        size_t step = until > 2000 ? until / 100 : 1;

        for (size_t n = 0; n <= until; n += step) {
                JsonFault fault = {0};

                if (check_copy((Span){text.p, n}, &fault) < 0 && fault.offset != n)
                        fail_msg("%s:%u: cut at %zu: refused at %zu: %s", f->name, f->line, n,
                                 fault.offset, fault.why);
        }
}

static void every_case_has_its_verdict(void **state) {
        CaseFile f = case_open(cases_folder, "json/check.case");
        size_t good = 0, bad = 0, at;

        (void)state;
        while (case_next(&f)) {
                Span text = buf_span(&f.value);
                JsonFault fault = {0};
                int r;

                if (f.key[0] == 0)
                        continue;
                r = check_copy(text, &fault);
                if (strcmp(f.key, "ok") == 0) {
                        good++;
                        if (r != 0)
                                fail_msg("%s:%u: refused at %zu: %s", f.name, f.line, fault.offset,
                                         fault.why);
                        check_prefixes(&f, text, text.n);
                        continue;
                }
                bad++;
                if (sscanf(f.key, "at %zu", &at) != 1)
                        fail_msg("%s:%u: unknown key", f.name, f.line);
                if (r != -EBADMSG || fault.offset != at || !fault.why)
                        fail_msg("%s:%u: %d at %zu: %s", f.name, f.line, r, fault.offset,
                                 fault.why);
                check_prefixes(&f, text, at);
        }
        assert_true(good >= 60);
        assert_true(bad >= 150);
        case_close(&f);
}

static void nothing_is_no_text(void **state) {
        JsonFault fault = {.offset = 9};

        (void)state;
        assert_int_equal(json_check((Span){NULL, 0}, 10, &fault), -EBADMSG);
        assert_int_equal(fault.offset, 0);
        assert_non_null(fault.why);
}

static void keys_have_a_number(void **state) {
        Span two = SPAN("{\"a\":[{\"b\":1}]}"), text;
        AUTO(buf_done)
        Buf many = BUF(8 << 20);
        JsonFault fault = {0};

        (void)state;
        assert_int_equal(json_check(two, 2, &fault), 0);
        assert_int_equal(json_check(two, 1, &fault), -EBADMSG);
        assert_int_equal(fault.offset, 7);
        assert_int_equal(json_check(SPAN("{}"), 0, &fault), 0);

        for (size_t i = 0; i < 200000; i++)
                must(buf_addf(&many, "%s\"key%zu\":%zu", i ? "," : "{", i, i) == 0);
        must(buf_add_char(&many, '}') == 0);
        text = buf_span(&many);
        assert_int_equal(json_check(text, 200000, &fault), 0);
        assert_int_equal(json_check(text, JSON_KEYS_MAX, &fault), -EBADMSG);
        assert_true(span_starts(span_from(text, fault.offset), SPAN("\"key10000\"")));
}

/* Every byte at every place of an eight-byte word: the wide step must stop where the narrow one
 * would. */
static void wide_steps_see_every_byte(void **state) {
        char text[64];

        (void)state;
        for (size_t at = 1; at < 25; at++)
                for (unsigned c = 0; c < 256; c++) {
                        JsonFault fault = {0};
                        size_t n = at + 1 + 17;

                        memset(text, 'x', sizeof text);
                        text[0] = text[n - 1] = '"';
                        text[at] = (char)c;
                        int r = json_check((Span){text, n}, 0, &fault);
                        bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
                        size_t want =
                                c == '"' || c == '\\' || (c >= 0xc2 && c <= 0xf4) ? at + 1 : at;
                        assert_int_equal(r, plain ? 0 : -EBADMSG);
                        if (!plain)
                                assert_int_equal(fault.offset, want);
                }
}

static void check_unsafe(const char *text, const char *want) {
        char pointer[JSON_POINTER_MAX_BYTES] = "unset";
        JsonFault fault = {0};
        int r;

        must(json_check(span_of(text), JSON_KEYS_MAX, &fault) == 0);
        r = json_unsafe_number(span_of(text), pointer);
        if (r != (want != NULL) || (want && strcmp(pointer, want) != 0))
                fail_msg("%s: %d, '%s'", text, r, pointer);
}

static void numbers_that_doubles_hold_are_safe(void **state) {
        (void)state;
        check_unsafe("9007199254740992", NULL);
        check_unsafe("-9007199254740992", NULL);
        check_unsafe("[0,-0,1.5,1e300,-1.5E-300,1e-400,0e999999999999999999999]", NULL);
        check_unsafe("0.12345678901234567890123456789", NULL);
        check_unsafe("1.7976931348623157e308", NULL);
        check_unsafe("1.2345678901234566e+25", NULL);
        check_unsafe("12e2", NULL);
        check_unsafe("9007199254740992.000", NULL);
        check_unsafe("{\"a\":\"9007199254740993\",\"9007199254740993\":1}", NULL);
        check_unsafe("1e-99999999999999999999999", NULL);
}

static void numbers_that_doubles_change_are_found(void **state) {
        (void)state;
        check_unsafe("9007199254740993", "");
        check_unsafe("-9007199254740993", "");
        check_unsafe("900719925474099.3e1", "");
        check_unsafe("9007199254740993.0", "");
        check_unsafe("1.23456789012345678e+25", "");
        check_unsafe("10000000000000000", "");
        check_unsafe("1e400", "");
        check_unsafe("-1e309", "");
        check_unsafe("1.7976931348623159e308", "");
        check_unsafe("1e99999999999999999999999", "");
        check_unsafe("[1,[2,12345678901234567890]]", "/1/1");
        check_unsafe("{\"a\":[0,{\"b/c~\":1e400}]}", "/a/1/b~1c~0");
        check_unsafe("{\"a\":{},\"b\" : [] ,\"c\\u0041\" : 9007199254740993}", "/cA");
        check_unsafe("[{\"x\":[1,2,3]},\"s,\",{\"y\":1e999}]", "/2/y");
        check_unsafe("{\"\":9007199254740993}", "/");
}

static void a_pointer_too_long_names_what_contains_it(void **state) {
        char text[2000], pointer[JSON_POINTER_MAX_BYTES];

        (void)state;
        (void)snprintf(text, sizeof text, "{\"a\":{\"%0600d\":[1e400]}}", 1);
        assert_int_equal(json_unsafe_number(span_of(text), pointer), 1);
        assert_string_equal(pointer, "/a");
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_case_has_its_verdict),
                cmocka_unit_test(nothing_is_no_text),
                cmocka_unit_test(keys_have_a_number),
                cmocka_unit_test(wide_steps_see_every_byte),
                cmocka_unit_test(numbers_that_doubles_hold_are_safe),
                cmocka_unit_test(numbers_that_doubles_change_are_found),
                cmocka_unit_test(a_pointer_too_long_names_what_contains_it),
        };

        must(argc > 1);
        cases_folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
