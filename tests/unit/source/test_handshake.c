/* SPDX-License-Identifier: Apache-2.0
 *
 * What each handshake answers, byte for byte. */
#include "source/handshake.h"
#include "unit.h"

static void check(const char *name, const char *line, const char *headers, const char *body,
                  const char *want) {
        AUTO(buf_done)
        Buf request = BUF(65536), out = BUF(65536);
        HandshakeAnswer ret = {.body = BUF(HANDSHAKE_BODY_MAX_BYTES)};
        const Handshake *h = handshake_find(span_of(name));
        HttpHead head;
        HttpRefusal refusal;

        assert_non_null(h);
        assert_int_equal(buf_addf(&request, "%s HTTP/1.1\r\nHost: x\r\n%s\r\n", line, headers), 0);
        assert_true(http_head_parse(buf_span(&request), &head, &refusal) > 0);
        assert_int_equal(head.method, h->method);
        int r = h->answer(&head, span_of(body), &ret);
        if (r == HANDSHAKE_NONE) {
                assert_int_equal(buf_add(&out, SPAN("none")), 0);
        } else if (r < 0) {
                assert_int_equal(buf_add(&out, SPAN("bad")), 0);
        } else {
                assert_int_equal(buf_addf(&out, "%d %s\n", ret.status,
                                          ret.content_type ? ret.content_type : "-"),
                                 0);
                for (size_t i = 0; i < ret.n_headers; i++)
                        assert_int_equal(buf_addf(&out, SPAN_FMT ": " SPAN_FMT "\n",
                                                  SPAN_ARG(ret.headers[i].name),
                                                  SPAN_ARG(ret.headers[i].value)),
                                         0);
                assert_int_equal(buf_add(&out, buf_span(&ret.body)), 0);
        }
        if (!span_eq(buf_span(&out), span_of(want)))
                fail_msg("%s: got\n" SPAN_FMT "\nnot\n%s", name, SPAN_ARG(buf_span(&out)), want);
        buf_done(&ret.body);
}

static void slack(void **state) {
        (void)state;
        check("slack", "POST /in/a", "",
              "{\"token\":\"x\",\"challenge\":\"3eZ\\\"b\",\"type\":\"url_verification\"}",
              "200 application/json\n{\"challenge\":\"3eZ\\\"b\"}");
        check("slack", "POST /in/a", "", "{\"type\":\"event_callback\",\"challenge\":\"x\"}",
              "none");
        check("slack", "POST /in/a", "", "[\"url_verification\"]", "none");
        check("slack", "POST /in/a", "", "{\"type\":\"url_verification\"}", "bad");
        check("slack", "POST /in/a", "", "{\"type\":\"url_verification\",\"challenge\":7}", "bad");
}

static void okta(void **state) {
        (void)state;
        check("okta", "GET /in/a", "X-Okta-Verification-Challenge: abc\"d\r\n", "",
              "200 application/json\n{\"verification\":\"abc\\\"d\"}");
        check("okta", "GET /in/a", "", "", "none");
        check("okta", "GET /in/a",
              "x-okta-verification-challenge: a\r\n"
              "x-okta-verification-challenge: b\r\n",
              "", "bad");
}

#define GRAPH_HEAD "200 text/plain; charset=utf-8\nX-Content-Type-Options: nosniff\n"

static void graph(void **state) {
        char line[9000] = "POST /in/a?validationToken=", answer[9000] = GRAPH_HEAD;

        (void)state;
        check("graph", "POST /in/a?validationToken=Validation%3A+Testing+a%2Bb%3d%3Cb%3E", "", "",
              GRAPH_HEAD "Validation: Testing a+b=<b>");
        check("graph", "POST /in/a?x=1&validationToken=t&y=2", "", "", GRAPH_HEAD "t");
        check("graph", "POST /in/a?validationtoken=t", "", "", "none");
        check("graph", "POST /in/a", "", "{\"value\":[]}", "none");
        check("graph", "POST /in/a?validationToken=", "", "", "bad");
        memset(line + strlen(line), 'a', 8000);
        memset(answer + strlen(answer), 'a', 8000);
        check("graph", line, "", "", answer);
}

static void cloudevents(void **state) {
        (void)state;
        check("cloudevents", "OPTIONS /in/a", "WebHook-Request-Origin: sender.example.com\r\n", "",
              "200 -\nAllow: POST, OPTIONS\nWebHook-Allowed-Origin: sender.example.com\n");
        check("cloudevents", "OPTIONS /in/a",
              "WebHook-Request-Origin: sender.example.com\r\nWebHook-Request-Rate: 120\r\n", "",
              "200 -\nAllow: POST, OPTIONS\nWebHook-Allowed-Origin: sender.example.com\n"
              "WebHook-Allowed-Rate: 120\n");
        check("cloudevents", "OPTIONS /in/a",
              "WebHook-Request-Origin: sender.example.com\r\nWebHook-Request-Rate: 0\r\n", "",
              "bad");
        check("cloudevents", "OPTIONS /in/a", "", "", "none");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(slack),
                cmocka_unit_test(okta),
                cmocka_unit_test(graph),
                cmocka_unit_test(cloudevents),
        };

        return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
