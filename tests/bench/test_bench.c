/* SPDX-License-Identifier: Apache-2.0
 *
 * What the figures of `make bench` rest on: percentiles that are right, messages that end where
 * they end, webhooks that a receiver verifies, a moment that survives being passed on. */
#include "unit/unit.h"

#include "histogram.h"
#include "message.h"
#include "routes.h"
#include "webhook.h"

#include "base/clock.h"
#include "base/random.h"
#include "http/head.h"
#include "sign/sign.h"

enum { SAMPLES = 20001, REQUEST_MAX_BYTES = 64 * 1024 };

static const char secret[] = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

static int by_size(const void *a, const void *b) {
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

        return x < y ? -1 : x > y;
}

static void a_percentile_is_close_to_the_sorted_truth(void **state) {
        static const double percents[] = {0.01, 1, 50, 90, 99, 99.9, 100};
        static int64_t all[SAMPLES];
        static Histogram h;
        Rng rng = {1};

        (void)state;
        for (size_t i = 0; i < SAMPLES; i++) {
                all[i] = (int64_t)(rng_next(&rng) >> (24 + rng_below(&rng, 40)));
                histogram_add(&h, all[i]);
        }
        qsort(all, SAMPLES, sizeof *all, by_size);
        for (size_t i = 0; i < COUNT_OF(percents); i++) {
                double rank = SAMPLES * percents[i] / 100;
                size_t at = (size_t)rank + (rank > (double)(size_t)rank) - 1;
                int64_t truth = all[at], said = histogram_at(&h, percents[i]);

                assert_true(said >= truth);
                assert_true(said - truth <= truth / 64 + 1);
        }
        assert_int_equal(h.max_ns, all[SAMPLES - 1]);
}

static void the_longest_and_the_impossible_have_a_bucket(void **state) {
        static Histogram h;

        (void)state;
        assert_int_equal(histogram_at(&h, 50), 0);
        histogram_add(&h, INT64_MAX);
        histogram_add(&h, -1);
        assert_int_equal(h.n, 2);
        assert_int_equal(histogram_at(&h, 50), 0);
        assert_int_equal(histogram_at(&h, 100), h.max_ns);
}

static void a_message_is_whole_at_its_last_byte(void **state) {
        static const char two[] = "HTTP/1.1 200 OK\r\nX: y\r\ncontent-length:  5 \r\n\r\nhello"
                                  "HTTP/1.1 204 No Content\r\n\r\n";
        Span all = span_of(two);
        size_t first = all.n - strlen("HTTP/1.1 204 No Content\r\n\r\n");
        Message m;

        (void)state;
        for (size_t n = 0; n < first; n++)
                assert_int_equal(message_read(span_make(two, n), &m), 0);
        for (size_t n = first; n <= all.n; n++) {
                assert_int_equal(message_read(span_make(two, n), &m), first);
                assert_true(span_eq(m.body, SPAN("hello")));
                assert_int_equal(message_status(m.line), 200);
        }
        assert_int_equal(message_read(span_from(all, first), &m), all.n - first);
        assert_int_equal(message_status(m.line), 204);
        assert_int_equal(m.body.n, 0);
}

static void what_cannot_be_counted_is_an_error(void **state) {
        static const char *const bad[] = {
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        };
        static char endless[MESSAGE_HEAD_MAX_BYTES + 1];
        Message m;

        (void)state;
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                assert_int_equal(message_read(span_of(bad[i]), &m), -EBADMSG);
        memset(endless, 'x', sizeof endless);
        assert_int_equal(message_read(span_make(endless, sizeof endless), &m), -EBADMSG);
}

static Span header_of(const void *arg, const char *name, size_t *count) {
        *count = http_head_count(arg, name);
        return http_head_get(arg, name);
}

static void a_receiver_verifies_what_the_generator_signs(void **state) {
        AUTO(buf_done)
        Buf out = BUF(REQUEST_MAX_BYTES);
        SignRule rule = {.scheme = sign_scheme_find(SPAN("standard")), .n_secrets = 1};
        HttpRefusal refusal;
        HttpHead head;
        Webhook w;
        const char *why;
        Message m;

        (void)state;
        rule.secrets[0] = secret_copy(span_of(secret));
        assert_int_equal(rule.scheme->prepare(&rule, NULL), 0);
        assert_int_equal(webhook_init(&w, "/in/shop", 10, 1024, secret, NULL), 0);
        for (uint64_t number = 0; number < 20; number++) {
                webhook_make(&w, number, 123456789012 + (int64_t)number, &out);
                assert_true(http_head_parse(buf_span(&out), &head, &refusal) > 0);
                assert_int_equal(message_read(buf_span(&out), &m), out.n);
                assert_int_equal(m.body.n, 1024);
                assert_int_equal(webhook_sent_ns(m.body), 123456789012 + number);
                const SignInput in = {header_of, &head, m.body, clock_wall_ms()};
                assert_int_equal(sign_check(&rule, &in, &why), SIGN_OK);
        }
        webhook_done(&w);
        sign_rule_done(&rule);
}

static void a_body_without_a_moment_says_so(void **state) {
        (void)state;
        assert_int_equal(webhook_sent_ns(SPAN("{\"id\":1}")), -1);
        assert_int_equal(webhook_sent_ns(SPAN("{\"sent_ns\":\"soon\"}")), -1);
        assert_int_equal(webhook_sent_ns(SPAN("{\"sent_ns\":7}")), 7);
}

static void each_request_line_has_its_route(void **state) {
        static const struct {
                Span line;
                Route route;
                Span body;
        } rows[] = {
                {SPAN("GET /users/U7 HTTP/1.1"), ROUTE_USER,
                 SPAN("{\"id\":\"U7\",\"email\":\"U7@example.com\",\"firstName\":\"Ada\","
                      "\"lastName\":\"Lovelace\",\"state\":\"ACTIVE\",\"language\":\"en\"}")},
                {SPAN("GET /contacts?external_id=U7 HTTP/1.1"), ROUTE_CONTACT,
                 SPAN("{\"items\":[{\"id\":\"C-U7\",\"external_id\":\"U7\",\"email\":"
                      "\"old@example.com\",\"name\":\"Ada Byron\"}]}")},
                {SPAN("PATCH /contacts/C-U7 HTTP/1.1"), ROUTE_PATCH, SPAN("{\"id\":\"C-U7\"}")},
                {SPAN("POST /hang/1 HTTP/1.1"), ROUTE_HANG, SPAN("{}")},
                {SPAN("POST /busy/1 HTTP/1.1"), ROUTE_BUSY, SPAN("")},
                {SPAN("POST /hooks HTTP/1.1"), ROUTE_SINK, SPAN("{}")},
                {SPAN("GET /summary HTTP/1.1"), ROUTE_SUMMARY, SPAN("")},
                {SPAN("DELETE /users/U7 HTTP/1.1"), ROUTE_UNKNOWN, SPAN("")},
        };

        (void)state;
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
                AUTO(buf_done)
                Buf body = BUF(ROUTE_BODY_MAX_BYTES);

                assert_int_equal(route_answer(rows[i].line, &body), rows[i].route);
                assert_true(span_eq(buf_span(&body), rows[i].body));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_percentile_is_close_to_the_sorted_truth),
                cmocka_unit_test(the_longest_and_the_impossible_have_a_bucket),
                cmocka_unit_test(a_message_is_whole_at_its_last_byte),
                cmocka_unit_test(what_cannot_be_counted_is_an_error),
                cmocka_unit_test(a_receiver_verifies_what_the_generator_signs),
                cmocka_unit_test(a_body_without_a_moment_says_so),
                cmocka_unit_test(each_request_line_has_its_route),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
