/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs tests/cases/http/url.case, and codes parts there and back. */
#include "case_file.h"
#include "http/url.h"

static const char *cases_folder;

static void url_describe(const Url *u, Buf *out) {
        static const char *const kinds[] = {"name", "ipv4", "ipv6"};

        must(buf_addf(out, "%s %s " SPAN_FMT " %u ", u->https ? "https" : "http",
                      kinds[u->host_kind], SPAN_ARG(u->host), u->port) == 0);
        must(buf_add(out, u->path.n ? u->path : SPAN("-")) == 0);
        must(buf_add_char(out, ' ') == 0);
        must(buf_add(out, !u->query.p ? SPAN("-") : u->query.n ? u->query : SPAN("\"\"")) == 0);
}

static void case_run(const CaseFile *f) {
        AUTO(buf_done)
        Buf text = BUF(1 << 16);
        Span line = buf_span(&f->value), want, url;
        const char *bar = memmem(line.p, line.n, " | ", 3);
        Err e = {0};
        Url u;

        must(bar);
        want = (Span){line.p, (size_t)(bar - line.p)};
        url = span_from(line, want.n + 3);
        if (url_parse(url, &u, &e) < 0) {
                if (strcmp(f->key, "no") != 0 || !memmem(e.text, strlen(e.text), want.p, want.n))
                        fail_msg("%s:%u: %s", f->name, f->line, e.text);
                return;
        }
        url_describe(&u, &text);
        if (strcmp(f->key, "ok") != 0 || !span_eq(buf_span(&text), want))
                fail_msg("%s:%u: " SPAN_FMT, f->name, f->line, SPAN_ARG(buf_span(&text)));
}

static void every_case_has_its_verdict(void **state) {
        CaseFile f = case_open(cases_folder, "http/url.case");
        size_t n = 0;

        (void)state;
        while (case_next(&f))
                if (f.key[0]) {
                        case_run(&f);
                        n++;
                }
        assert_true(n > 90);
        case_close(&f);
}

static void check_encoded(Span plain, Span want) {
        AUTO(buf_done)
        Buf out = BUF(1000);
        AUTO(buf_done)
        Buf back = BUF(1000);

        assert_int_equal(url_encode(&out, plain), 0);
        assert_true(span_eq(buf_span(&out), want));
        assert_int_equal(url_decode(&back, buf_span(&out)), 0);
        assert_true(span_eq(buf_span(&back), plain));
}

static void parts_are_coded_there_and_back(void **state) {
        (void)state;
        check_encoded(SPAN("aZ09-._~"), SPAN("aZ09-._~"));
        check_encoded(SPAN("a b/c?d#e%f+&="), SPAN("a%20b%2Fc%3Fd%23e%25f%2B%26%3D"));
        check_encoded(SPAN("caf\xc3\xa9\r\n"), SPAN("caf%C3%A9%0D%0A"));
        check_encoded(SPAN("."), SPAN("%2E"));
        check_encoded(SPAN(".."), SPAN("%2E%2E"));
        check_encoded(SPAN("..."), SPAN("..."));
        check_encoded(SPAN("../x"), SPAN("..%2Fx"));
        check_encoded(SPAN(""), SPAN(""));
}

static void check_undecodable(Span text) {
        AUTO(buf_done)
        Buf out = BUF(1000);

        assert_int_equal(buf_add(&out, SPAN("kept")), 0);
        assert_int_equal(url_decode(&out, text), -EINVAL);
        assert_true(span_eq(buf_span(&out), SPAN("kept")));
}

static void decoding_is_strict_and_once(void **state) {
        AUTO(buf_done)
        Buf out = BUF(1000);

        (void)state;
        assert_int_equal(url_decode(&out, SPAN("%252e+%e9")), 0);
        assert_true(span_eq(buf_span(&out), SPAN("%2e+\xe9")));
        check_undecodable(SPAN("a%"));
        check_undecodable(SPAN("a%2"));
        check_undecodable(SPAN("a%2g"));
        check_undecodable(SPAN("a%00"));
        check_undecodable(SPAN("%20%%20"));
}

static void a_full_buffer_keeps_what_it_had(void **state) {
        AUTO(buf_done)
        Buf out = BUF(6);

        (void)state;
        assert_int_equal(url_encode(&out, SPAN("ab")), 0);
        assert_int_equal(url_encode(&out, SPAN("cd/")), -EMSGSIZE);
        assert_int_equal(url_decode(&out, SPAN("%41%41%41xx")), -EMSGSIZE);
        assert_true(span_eq(buf_span(&out), SPAN("ab")));
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_case_has_its_verdict),
                cmocka_unit_test(parts_are_coded_there_and_back),
                cmocka_unit_test(decoding_is_strict_and_once),
                cmocka_unit_test(a_full_buffer_keeps_what_it_had),
        };

        must(argc > 1);
        cases_folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
