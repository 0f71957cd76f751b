/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs tests/cases/http/head.case: each case whole, cut at each byte, and byte by byte; what is
 * accepted is written out and read back. */
#include "case_file.h"
#include "http/head.h"

#include <sys/mman.h>
#include <unistd.h>

static const char *cases_folder;

typedef struct HeadCase {
        char name[128];
        Buf in, rest, ok;
        bool is_ok;
        int status;
        size_t offset;
} HeadCase;

static void case_reset(HeadCase *c) {
        c->name[0] = 0;
        c->status = 0;
        c->is_ok = false;
        buf_clear(&c->in);
        buf_clear(&c->rest);
        buf_clear(&c->ok);
}

/* The same words as in the "ok:" lines. */
static void head_describe(const HttpHead *h, Buf *out) {
        must(buf_addf(out, "%s " SPAN_FMT " ", http_method_name(h->method), SPAN_ARG(h->path)) ==
             0);
        if (h->query.p && h->query.n == 0)
                must(buf_add(out, SPAN("\"\"")) == 0);
        else
                must(buf_add(out, h->query.p ? h->query : SPAN("-")) == 0);
        must(buf_add_char(out, ' ') == 0);
        must(buf_add(out, h->host.p ? h->host : SPAN("-")) == 0);
        must(buf_addf(out, " 1.%d ", h->minor) == 0);
        if (h->framing == HTTP_LENGTH)
                must(buf_addf(out, "length=%" PRIu64, h->length) == 0);
        else
                must(buf_addf(out, "%s", h->framing == HTTP_CHUNKED ? "chunked" : "none") == 0);
        must(buf_addf(out, " %s %zu%s", h->keep_alive ? "keep" : "close", h->n_headers,
                      h->expects_continue ? " continue" : "") == 0);
}

/* Writes a request that says what was read, with the least of bytes. */
static void head_print(const HttpHead *h, Buf *out) {
        must(buf_addf(out, "%s " SPAN_FMT " HTTP/1.%d\r\n", http_method_name(h->method),
                      SPAN_ARG(h->target), h->minor) == 0);
        for (size_t i = 0; i < h->n_headers; i++)
                must(buf_addf(out, SPAN_FMT ":" SPAN_FMT "\r\n", SPAN_ARG(h->headers[i].name),
                              SPAN_ARG(h->headers[i].value)) == 0);
        must(buf_add(out, SPAN("\r\n")) == 0);
}

static void check_same(const char *name, const HttpHead *a, const HttpHead *b) {
        AUTO(buf_done)
        Buf x = BUF(1 << 20);
        AUTO(buf_done)
        Buf y = BUF(1 << 20);

        head_describe(a, &x);
        head_describe(b, &y);
        if (!span_eq(buf_span(&x), buf_span(&y)))
                fail_msg("%s: " SPAN_FMT " became " SPAN_FMT, name, SPAN_ARG(buf_span(&x)),
                         SPAN_ARG(buf_span(&y)));
        for (size_t i = 0; i < a->n_headers; i++)
                if (!span_eq(a->headers[i].name, b->headers[i].name) ||
                    !span_eq(a->headers[i].value, b->headers[i].value))
                        fail_msg("%s: header %zu changed", name, i);
}

static void check_read_back(const char *name, const HttpHead *h) {
        AUTO(buf_done)
        Buf again = BUF(1 << 20);
        HttpHead second;
        HttpRefusal refusal = {0};

        if (!h->host.p || http_head_count(h, "Host") == 0)
                return; /* the host was in the target, which is not written back */
        head_print(h, &again);
        if (http_head_parse(buf_span(&again), &second, &refusal) != (int)again.n)
                fail_msg("%s: refused when read back: %s", name, refusal.why);
        check_same(name, h, &second);
}

static void check_verdict(const char *name, int r, const HttpRefusal *found, int verdict,
                          const HttpRefusal *refusal) {
        if (r != verdict ||
            (r < 0 && (found->status != refusal->status || found->offset != refusal->offset ||
                       strcmp(found->why, refusal->why) != 0)))
                fail_msg("%s: %d, %d at %zu", name, r, found->status, found->offset);
}

/* Hands over the first byte, then the first two, and so on, as a slow peer does. Every answer
 * before the last must be "need more", and the last the verdict on the whole. `moving`: each time
 * at another place, while the place before is gone. */
static void check_slow(const char *name, Span in, bool moving, int verdict,
                       const HttpRefusal *refusal) {
        HttpHeadMark mark = {0};
        HttpRefusal slow = {0};
        HttpHead head, whole;
        char *copy = NULL;
        int r = 0;

        for (size_t n = 0; n <= in.n && r == 0; n++) {
                char *next = moving ? must_alloc(in.n + 1) : NULL;

                if (moving)
                        memcpy(next, in.p, n);
                free(copy);
                copy = next;
                r = http_head_parse_more((Span){moving ? copy : in.p, n}, &mark, &head, &slow);
        }
        check_verdict(name, r, &slow, verdict, refusal);
        if (r > 0 && http_head_parse(in, &whole, &slow) == r)
                check_same(name, &whole, &head);
        free(copy);
}

/* Two pieces, cut anywhere. */
static void check_cuts(const char *name, Span in, int verdict, const HttpRefusal *refusal) {
        size_t step = in.n > 2000 ? 97 : 1;

        for (size_t cut = 0; cut < in.n; cut += step) {
                HttpHeadMark mark = {0};
                HttpRefusal found = {0};
                HttpHead head;
                int r = http_head_parse_more((Span){in.p, cut}, &mark, &head, &found);

                if (r == 0)
                        r = http_head_parse_more(in, &mark, &head, &found);
                check_verdict(name, r, &found, verdict, refusal);
        }
}

static void check_ok(const HeadCase *c, Span in, const HttpHead *h, int r,
                     const HttpRefusal *refusal) {
        AUTO(buf_done)
        Buf text = BUF(1 << 20);

        if (r < 0)
                fail_msg("%s: refused with %d at %zu: %s", c->name, refusal->status,
                         refusal->offset, refusal->why);
        if ((size_t)r != in.n - c->rest.n)
                fail_msg("%s: %d bytes read", c->name, r);
        head_describe(h, &text);
        if (!span_eq(buf_span(&text), buf_span(&c->ok)))
                fail_msg("%s: " SPAN_FMT, c->name, SPAN_ARG(buf_span(&text)));
        check_read_back(c->name, h);
}

static void case_run(HeadCase *c) {
        size_t n = c->in.n;
        HttpRefusal refusal = {0};
        HttpHead head;
        int r;

        must(buf_add(&c->in, buf_span(&c->rest)) == 0);
        Span in = buf_span(&c->in);
        r = http_head_parse(in, &head, &refusal);
        if (c->is_ok)
                check_ok(c, in, &head, r, &refusal);
        else if (r >= 0)
                fail_msg("%s: accepted (%d)", c->name, r);
        else if (refusal.status != c->status || refusal.offset != c->offset || !refusal.why)
                fail_msg("%s: %d at %zu: %s", c->name, refusal.status, refusal.offset, refusal.why);
        check_slow(c->name, in, false, r, &refusal);
        check_slow(c->name, in, in.n < 2000, r, &refusal);
        check_cuts(c->name, in, r, &refusal);
        c->in.n = n;
}

static void every_case_has_its_verdict(void **state) {
        HeadCase c = {.in = BUF(1 << 20), .rest = BUF(1 << 20), .ok = BUF(1 << 20)};
        CaseFile f = case_open(cases_folder, "http/head.case");
        size_t n = 0;

        (void)state;
        while (case_next(&f)) {
                if (strcmp(f.key, "name") == 0)
                        (void)snprintf(c.name, sizeof c.name, SPAN_FMT,
                                       SPAN_ARG(buf_span(&f.value)));
                else if (strcmp(f.key, "in") == 0)
                        must(buf_add(&c.in, buf_span(&f.value)) == 0);
                else if (strcmp(f.key, "rest") == 0)
                        must(buf_add(&c.rest, buf_span(&f.value)) == 0);
                else if (strcmp(f.key, "ok") == 0)
                        c.is_ok = buf_add(&c.ok, buf_span(&f.value)) == 0;
                else if (strcmp(f.key, "no") == 0)
                        case_refusal(&f, &c.status, &c.offset);
                else if (f.key[0])
                        fail_msg("%s:%u: unknown key", f.name, f.line);
                else if (c.name[0]) {
                        case_run(&c);
                        case_reset(&c);
                        n++;
                }
        }
        assert_true(n > 120);
        buf_done(&c.in);
        buf_done(&c.rest);
        buf_done(&c.ok);
        case_close(&f);
}

static void headers_have_a_number(void **state) {
        AUTO(buf_done)
        Buf in = BUF(1 << 20);
        HttpRefusal refusal = {0};
        HttpHead head;

        (void)state;
        must(buf_add(&in, SPAN("GET / HTTP/1.1\r\nHost: a\r\n")) == 0);
        for (int i = 1; i < HTTP_HEADERS_MAX; i++)
                must(buf_addf(&in, "X-%d: y\r\n", i) == 0);
        size_t full = in.n;
        must(buf_add(&in, SPAN("\r\n")) == 0);
        assert_int_equal(http_head_parse(buf_span(&in), &head, &refusal), in.n);
        assert_int_equal(head.n_headers, HTTP_HEADERS_MAX);

        in.n = full;
        must(buf_add(&in, SPAN("X: y\r\n\r\n")) == 0);
        assert_int_equal(http_head_parse(buf_span(&in), &head, &refusal), -EBADMSG);
        assert_int_equal(refusal.status, 431);
        assert_int_equal(refusal.offset, full);
        check_slow("101 headers", buf_span(&in), false, -EBADMSG, &refusal);

        in.n = full; /* one too many comes before what is wrong with it */
        must(buf_add(&in, SPAN("X(: y\r\n\r\n")) == 0);
        assert_int_equal(http_head_parse(buf_span(&in), &head, &refusal), -EBADMSG);
        assert_int_equal(refusal.status, 431);
        check_slow("101 headers, one malformed", buf_span(&in), false, -EBADMSG, &refusal);
}

/* Every byte at every place of an eight-byte word: the wide step must stop where the narrow one
 * would. */
static void wide_steps_see_every_byte(void **state) {
        static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\nX:";
        char text[128];

        (void)state;
        for (size_t at = sizeof start - 1; at < sizeof start + 18; at++)
                for (unsigned c = 0; c < 256; c++) {
                        HttpHead head;
                        HttpRefusal refusal = {0};
                        bool plain = c >= 0x20 ? c != 0x7f : c == '\t';

                        memset(text, 'x', sizeof text);
                        memcpy(text, start, sizeof start - 1);
                        memcpy(text + 60, "\r\n\r\n", 4);
                        text[at] = (char)c;
                        int r = http_head_parse((Span){text, 64}, &head, &refusal);
                        assert_int_equal(r, plain ? 64 : -EBADMSG);
                        if (!plain)
                                assert_int_equal(refusal.offset, c == '\r' ? at + 1 : at);
                }
}

static void a_head_has_a_length(void **state) {
        AUTO(buf_done)
        Buf in = BUF(1 << 20);
        HttpRefusal refusal = {0};
        HttpHead head;

        (void)state;
        must(buf_add(&in, SPAN("GET / HTTP/1.1\r\nHost: a\r\nX: ")) == 0);
        while (in.n < HTTP_HEAD_MAX_BYTES - 4)
                must(buf_add_char(&in, 'y') == 0);
        must(buf_add(&in, SPAN("\r\n\r\n")) == 0);
        assert_int_equal(http_head_parse(buf_span(&in), &head, &refusal), HTTP_HEAD_MAX_BYTES);

        in.n -= 4;
        assert_int_equal(http_head_parse(buf_span(&in), &head, &refusal), 0);
        must(buf_add(&in, SPAN("yyyy")) == 0); /* a buffer of just that size is full now */
        assert_int_equal(http_head_parse(buf_span(&in), &head, &refusal), -EBADMSG);
        in.n -= 4;
        must(buf_add(&in, SPAN("y\r\n\r\n")) == 0);
        assert_int_equal(http_head_parse(buf_span(&in), &head, &refusal), -EBADMSG);
        assert_int_equal(refusal.status, 431);
}

/* A head in memory that ends with a page, so that what was judged can be made unreadable. */
typedef struct Pages {
        char *p;
        size_t n, page;
} Pages;

static Pages pages_of(Span in) {
        Pages m = {.page = (size_t)sysconf(_SC_PAGESIZE)};

        m.n = (in.n + m.page - 1) / m.page * m.page;
        m.p = mmap(NULL, m.n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(m.p != MAP_FAILED);
        memcpy(m.p, in.p, in.n);
        return m;
}

static void pages_open(const Pages *m, size_t from) {
        from -= from % m->page;
        must(mprotect(m->p + from, m->n - from, PROT_READ | PROT_WRITE) == 0);
}

/* All but the last byte, one by one; before each, the whole pages that are judged are shut, except
 * that a line may be looked at once more when it is whole. Who looks back otherwise is killed by
 * the memory's own guard. */
static void check_no_look_back(Span in) {
        Pages m = pages_of(in);
        HttpHeadMark mark = {0};
        HttpRefusal refusal;
        HttpHead head, whole;
        size_t most = 0;

        for (size_t n = 1; n < in.n; n++) {
                /* The request line's method is asked for again as long as that line is short of
                 * its end: 33 bytes at most. */
                size_t low = mark.has_request_line ? 0 : m.page;
                size_t shut = mark.run - mark.run % m.page;

                if (shut > low)
                        must(mprotect(m.p + low, shut - low, PROT_NONE) == 0);
                if (in.p[n - 1] == '\n')
                        pages_open(&m, mark.line);
                most = shut > most ? shut : most;
                assert_int_equal(http_head_parse_more((Span){m.p, n}, &mark, &head, &refusal), 0);
        }
        assert_true(most >= in.n - 2 * m.page);
        pages_open(&m, 0); /* the result's spans are looked at below */
        assert_int_equal(http_head_parse_more((Span){m.p, in.n}, &mark, &head, &refusal), in.n);
        assert_int_equal(http_head_parse(in, &whole, &refusal), in.n);
        check_same("in pages", &whole, &head);
        must(munmap(m.p, m.n) == 0);
}

static void what_was_judged_is_not_looked_at_again(void **state) {
        AUTO(buf_done)
        Buf in = BUF(1 << 20);

        (void)state;
        must(buf_add(&in, SPAN("GET / HTTP/1.1\r\nHost: a\r\nX: ")) == 0);
        while (in.n < HTTP_HEAD_MAX_BYTES - 4)
                must(buf_add_char(&in, in.n % 3 ? ' ' : 'y') == 0);
        must(buf_add(&in, SPAN("\r\n\r\n")) == 0);
        check_no_look_back(buf_span(&in));

        buf_clear(&in);
        must(buf_add(&in, SPAN("GET / HTTP/1.1\r\nHost: a\r\n")) == 0);
        for (int i = 1; i < HTTP_HEADERS_MAX; i++)
                must(buf_addf(&in, "X-%d:%300s\r\n", i, "y") == 0);
        must(buf_add(&in, SPAN("\r\n")) == 0);
        check_no_look_back(buf_span(&in));

        buf_clear(&in);
        must(buf_add(&in, SPAN("GET /")) == 0);
        while (in.n < HTTP_TARGET_MAX_BYTES)
                must(buf_add_char(&in, 'y') == 0);
        must(buf_add(&in, SPAN(" HTTP/1.1\r\nHost: a\r\n\r\n")) == 0);
        check_no_look_back(buf_span(&in));
}

static void headers_are_found_in_any_case(void **state) {
        Span in = SPAN("GET / HTTP/1.1\r\nHost: a\r\nX-Key: 1\r\nx-key: 2\r\n\r\n");
        HttpRefusal refusal = {0};
        HttpHead head;

        (void)state;
        assert_int_equal(http_head_parse(in, &head, &refusal), in.n);
        assert_true(span_eq(http_head_get(&head, "x-KEY"), SPAN("1")));
        assert_int_equal(http_head_count(&head, "X-Key"), 2);
        assert_null(http_head_get(&head, "X-Other").p);
        assert_int_equal(http_head_count(&head, "X-Other"), 0);
}

static void statuses_have_phrases(void **state) {
        (void)state;
        assert_string_equal(http_status_phrase(404), "Not Found");
        assert_string_equal(http_status_phrase(424), "Failed Dependency");
        assert_string_equal(http_status_phrase(799), "Unknown");
        assert_string_equal(http_method_name(HTTP_PATCH), "PATCH");
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_case_has_its_verdict),
                cmocka_unit_test(headers_have_a_number),
                cmocka_unit_test(wide_steps_see_every_byte),
                cmocka_unit_test(a_head_has_a_length),
                cmocka_unit_test(what_was_judged_is_not_looked_at_again),
                cmocka_unit_test(headers_are_found_in_any_case),
                cmocka_unit_test(statuses_have_phrases),
        };

        must(argc > 1);
        cases_folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
