/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs tests/cases/http/chunked.case: each case whole and in pieces of every size. */
#include "case_file.h"
#include "http/chunked.h"

static const char *cases_folder;

typedef struct Decoded {
        Buf body;
        int r, status;
        size_t eaten, offset; /* both from the start of all input */
} Decoded;

/* Feeds `in` in pieces of at most `step` bytes. */
static Decoded decode(Span in, size_t step, uint64_t body_max) {
        HttpChunked c = {.body_max = body_max};
        Decoded d = {.body = BUF(4 << 20)};

        while (d.r == 0 && d.eaten < in.n) {
                Span piece = span_from(in, d.eaten), body;
                HttpRefusal refusal = {0};
                size_t given;

                given = piece.n = piece.n < step ? piece.n : step;
                d.r = http_chunked_next(&c, &piece, &body, &refusal);
                must(d.r != 0 || piece.n < given);
                if (d.r < 0) {
                        d.status = refusal.status;
                        d.offset = d.eaten + refusal.offset;
                        must(refusal.why);
                }
                must(buf_add(&d.body, body) == 0);
                must(d.body.n == c.total && c.total <= body_max);
                d.eaten += given - piece.n;
        }
        return d;
}

typedef struct ChunkedCase {
        char name[128];
        Buf in, body, rest;
        uint64_t max;
        int r, status;
        size_t offset;
} ChunkedCase;

static void case_check(const ChunkedCase *c, Span in, size_t step) {
        Decoded d = decode(in, step, c->max);

        if (d.r != c->r)
                fail_msg("%s, %zu at a time: %d (%d at %zu)", c->name, step, d.r, d.status,
                         d.offset);
        if (d.r < 0 && (d.status != c->status || d.offset != c->offset))
                fail_msg("%s, %zu at a time: %d at %zu", c->name, step, d.status, d.offset);
        if (d.r >= 0 && !span_eq(buf_span(&d.body), buf_span(&c->body)))
                fail_msg("%s, %zu at a time: " SPAN_FMT, c->name, step,
                         SPAN_ARG(buf_span(&d.body)));
        if (d.r > 0 && d.eaten != in.n - c->rest.n)
                fail_msg("%s, %zu at a time: %zu eaten", c->name, step, d.eaten);
        buf_done(&d.body);
}

static void case_run(ChunkedCase *c) {
        must(buf_add(&c->in, buf_span(&c->rest)) == 0);
        Span in = buf_span(&c->in);
        for (size_t step = 1; step <= in.n; step += step < 64 ? 1 : 1024)
                case_check(c, in, step);
        case_check(c, in, in.n);
        buf_clear(&c->in);
        buf_clear(&c->body);
        buf_clear(&c->rest);
        c->max = 1 << 20;
        c->name[0] = 0;
}

static void every_case_has_its_verdict(void **state) {
        ChunkedCase c = {
                .in = BUF(1 << 20), .body = BUF(1 << 20), .rest = BUF(1 << 20), .max = 1 << 20};
        CaseFile f = case_open(cases_folder, "http/chunked.case");
        size_t n = 0;

        (void)state;
        while (case_next(&f)) {
                Span value = buf_span(&f.value);

                if (strcmp(f.key, "name") == 0)
                        (void)snprintf(c.name, sizeof c.name, SPAN_FMT, SPAN_ARG(value));
                else if (strcmp(f.key, "in") == 0)
                        must(buf_add(&c.in, value) == 0);
                else if (strcmp(f.key, "rest") == 0)
                        must(buf_add(&c.rest, value) == 0);
                else if (strcmp(f.key, "max") == 0)
                        must(span_to_u64(value, UINT64_MAX, &c.max));
                else if (strcmp(f.key, "ok") == 0 || strcmp(f.key, "more") == 0) {
                        c.r = f.key[0] == 'o';
                        must(buf_add(&c.body, value) == 0);
                } else if (strcmp(f.key, "no") == 0) {
                        c.r = -EBADMSG;
                        case_refusal(&f, &c.status, &c.offset);
                } else if (f.key[0])
                        fail_msg("%s:%u: unknown key", f.name, f.line);
                else if (c.name[0]) {
                        case_run(&c);
                        n++;
                }
        }
        assert_true(n > 40);
        buf_done(&c.in);
        buf_done(&c.body);
        buf_done(&c.rest);
        case_close(&f);
}

static void extensions_have_a_sum(void **state) {
        AUTO(buf_done)
        Buf in = BUF(4 << 20);

        (void)state;
        for (size_t i = 0; i <= CHUNK_EXTENSIONS_MAX_BYTES / CHUNK_EXTENSION_MAX_BYTES; i++) {
                must(buf_add(&in, SPAN("1;")) == 0);
                for (int k = 0; k < CHUNK_EXTENSION_MAX_BYTES; k++)
                        must(buf_add_char(&in, 'a') == 0);
                must(buf_add(&in, SPAN("\r\nx\r\n")) == 0);
        }
        Decoded d = decode(buf_span(&in), in.n, 1 << 20);
        assert_int_equal(d.r, -EBADMSG);
        assert_int_equal(d.status, 400);
        buf_done(&d.body);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_case_has_its_verdict),
                cmocka_unit_test(extensions_have_a_sum),
        };

        must(argc > 1);
        cases_folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
