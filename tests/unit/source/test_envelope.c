/* SPDX-License-Identifier: Apache-2.0
 *
 * What each envelope makes of a request. */
#include "base/buf.h"
#include "source/envelope.h"
#include "unit.h"
#include "json/check.h"

/* `headers` are lines that end with \r\n. What came out, one line for each event; or the refusal.
 */
static void check(const char *envelope, const char *headers, const char *body, const char *want) {
        AUTO(buf_done)
        Buf request = BUF(65536), out = BUF(65536);
        AUTO(arena_freep)
        Arena *arena = arena_new(1 << 20);
        const Envelope *e = envelope_find(span_of(envelope));
        EnvelopeEvent *events;
        EnvelopeFault fault = {0};
        HttpHead head;
        HttpRefusal refusal;
        JsonFault bad;

        assert_non_null(e);
        assert_int_equal(buf_addf(&request, "POST /in/a HTTP/1.1\r\nHost: x\r\n%s\r\n", headers),
                         0);
        assert_true(http_head_parse(buf_span(&request), &head, &refusal) > 0);
        if (*body)
                assert_int_equal(json_check(span_of(body), JSON_KEYS_MAX, &bad), 0);
        events = arena_alloc(arena, e->events_max * sizeof *events);
        assert_non_null(events);
        EnvelopeCall call = {&head, span_of(body), arena};
        int n = e->open(&call, events, &fault);
        if (n < 0)
                assert_int_equal(buf_addf(&out, "%d %s: %s\n", fault.status, fault.code, fault.why),
                                 0);
        for (int i = 0; i < n; i++) {
                const EnvelopeEvent *one = &events[i];

                assert_int_equal(buf_addf(&out,
                                          "type=" SPAN_FMT " subject=" SPAN_FMT " time=" SPAN_FMT
                                          " key=" SPAN_FMT "%s " SPAN_FMT " | " SPAN_FMT "\n",
                                          SPAN_ARG(one->type), SPAN_ARG(one->subject),
                                          SPAN_ARG(one->time), SPAN_ARG(one->key),
                                          one->is_always_new ? " new" : "", SPAN_ARG(one->meta),
                                          SPAN_ARG(one->body)),
                                 0);
        }
        if (!span_eq(buf_span(&out), span_of(want)))
                fail_msg("%s: got\n" SPAN_FMT "not\n%s", envelope, SPAN_ARG(buf_span(&out)), want);
}

static void a_body_is_one_event(void **state) {
        (void)state;
        check("body", "", "[1, 2]", "type= subject= time= key=  | [1, 2]\n");
}

static void graph_notifications(void **state) {
        (void)state;
        check("graph", "",
              "{\"value\": [ {\"id\":\"n1\", \"changeType\":\"updated\",\"resource\":\"users/7\"} ,"
              "{\"changeType\":\"deleted\"}, "
              "{\"lifecycleEvent\":\"missed\",\"changeType\":\"x\"}]}",
              "type=updated subject=users/7 time= key=n1  | "
              "{\"id\":\"n1\", \"changeType\":\"updated\",\"resource\":\"users/7\"}\n"
              "type=deleted subject= time= key= new  | {\"changeType\":\"deleted\"}\n"
              "type=missed subject= time= key= new  | "
              "{\"lifecycleEvent\":\"missed\",\"changeType\":\"x\"}\n");
        check("graph", "", "{\"value\":[]}", "");
        check("graph", "", "{}", "400 bad-envelope: value is no list of events\n");
        check("graph", "", "{\"value\":{}}", "400 bad-envelope: value is no list of events\n");
        check("graph", "", "{\"value\":[{},7]}",
              "400 bad-envelope: event 2 of value is no object\n");
        check("graph", "", "[]", "400 bad-envelope: value is no list of events\n");
}

static void okta_log_events(void **state) {
        (void)state;
        check("okta-event", "",
              "{\"data\":{\"events\":[{\"uuid\":\"u1\",\"published\":\"2024-01-02T03:04:05.006Z\","
              "\"eventType\":\"user.lifecycle.create\",\"target\":[{\"id\":\"00u1\"}]}]}}",
              "type=user.lifecycle.create subject=00u1 time=2024-01-02T03:04:05.006Z key=u1  | "
              "{\"uuid\":\"u1\",\"published\":\"2024-01-02T03:04:05.006Z\","
              "\"eventType\":\"user.lifecycle.create\",\"target\":[{\"id\":\"00u1\"}]}\n");
        check("okta-event", "", "{\"data\":{}}",
              "400 bad-envelope: data.events is no list of events\n");
}

static void as_many_events_as_there_may_be(void **state) {
        char body[16384] = "{\"value\":[", want[65536] = "";
        size_t n = strlen(body), w = 0;

        (void)state;
        for (int i = 0; i < ENVELOPE_EVENTS_MAX; i++) {
                n += (size_t)snprintf(body + n, sizeof body - n, "%s{}", i ? "," : "");
                w += (size_t)snprintf(want + w, sizeof want - w,
                                      "type= subject= time= key= new  | {}\n");
        }
        (void)snprintf(body + n, sizeof body - n, "]}");
        check("graph", "", body, want);
        (void)snprintf(body + n, sizeof body - n, ",{}]}");
        check("graph", "", body, "413 too-many-events: value holds more than 256 events\n");
}

#define CE "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n"

static void cloudevents_in_binary_mode(void **state) {
        (void)state;
        check("cloudevents",
              CE "CE-Subject: 7\r\nce-time: 2024-01-01T00:00:00Z\r\nce-ext1: x\r\n"
                 "Content-Type: application/json\r\n",
              " {\"a\": 1}",
              "type=t subject=7 time=2024-01-01T00:00:00Z key=/s 1 \"cloudevent\":{"
              "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\","
              "\"subject\":\"7\",\"time\":\"2024-01-01T00:00:00Z\",\"ext1\":\"x\","
              "\"datacontenttype\":\"application/json\"} |  {\"a\": 1}\n");
        check("cloudevents", CE, "",
              "type=t subject= time= key=/s 1 \"cloudevent\":{\"specversion\":\"1.0\",\"id\":\"1\","
              "\"source\":\"/s\",\"type\":\"t\"} | \n");
        /* The specification's own example of percent encoding; and a value in quotes. */
        check("cloudevents", CE "ce-subject: Euro%20%E2%82%AC%20%F0%9F%98%80\r\n", "1",
              "type=t subject=Euro \xE2\x82\xAC \xF0\x9F\x98\x80 time= key=/s 1 \"cloudevent\":{"
              "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\","
              "\"subject\":\"Euro \xE2\x82\xAC \xF0\x9F\x98\x80\"} | 1\n");
        check("cloudevents", CE "ce-subject: \"a\\\"%61\"\r\n", "1",
              "type=t subject=a\"a time= key=/s 1 \"cloudevent\":{\"specversion\":\"1.0\",\"id\":"
              "\"1\",\"source\":\"/s\",\"type\":\"t\",\"subject\":\"a\\\"a\"} | 1\n");
        check("cloudevents", CE "ce-subject: %C0%A0\r\n", "1",
              "400 bad-cloudevent: the value of ce-subject cannot be decoded\n");
        check("cloudevents", CE "ce-subject: %4\r\n", "1",
              "400 bad-cloudevent: the value of ce-subject cannot be decoded\n");
        check("cloudevents", CE "Ce-Id: 2\r\n", "1",
              "400 bad-cloudevent: the header Ce-Id is no attribute, or given twice\n");
        check("cloudevents", CE "ce-a_b: 2\r\n", "1",
              "400 bad-cloudevent: the header ce-a_b is no attribute, or given twice\n");
        check("cloudevents", "ce-specversion: 1.0\r\nce-source: /s\r\nce-type: t\r\n", "1",
              "400 bad-cloudevent: the attribute 'id' is missing or empty\n");
        check("cloudevents", "ce-specversion: 0.3\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n",
              "1", "400 bad-cloudevent: specversion 1.0 is read, no other\n");
        check("cloudevents", "Content-Type: application/json\r\n", "1",
              "415 not-a-cloudevent: send the attributes as ce-* headers, or Content-Type: "
              "application/cloudevents+json or application/cloudevents-batch+json\n");
}

#define STRUCTURED "Content-Type: Application/CloudEvents+JSON; charset=utf-8\r\n"
#define BATCH      "Content-Type: application/cloudevents-batch+json\r\n"
#define REQUIRED   "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\""

static void cloudevents_in_structured_mode(void **state) {
        (void)state;
        check("cloudevents", STRUCTURED,
              "{" REQUIRED ",\"n\":5,\"gone\":null,\"data\": { \"a\" : 1 } }",
              "type=t subject= time= key=/s 1 \"cloudevent\":{" REQUIRED ",\"n\":5} | "
              "{ \"a\" : 1 }\n");
        check("cloudevents", STRUCTURED, "{" REQUIRED "}",
              "type=t subject= time= key=/s 1 \"cloudevent\":{" REQUIRED "} | \n");
        check("cloudevents", STRUCTURED, "{" REQUIRED ",\"data\":null}",
              "type=t subject= time= key=/s 1 \"cloudevent\":{" REQUIRED "} | null\n");
        check("cloudevents", STRUCTURED, "{" REQUIRED ",\"data_base64\":\"QUI=\"}",
              "type=t subject= time= key=/s 1 \"cloudevent\":{" REQUIRED "} | \"QUI=\"\n");
        check("cloudevents", STRUCTURED, "{" REQUIRED ",\"data_base64\":\"QUI=\",\"data\":1}",
              "400 bad-cloudevent: it has data once, or data_base64, which is a string\n");
        check("cloudevents", STRUCTURED, "{" REQUIRED ",\"ext\":{}}",
              "400 bad-cloudevent: 'ext' is no attribute: a name of a-z and 0-9, given once, with "
              "one value\n");
        check("cloudevents", STRUCTURED, "{" REQUIRED ",\"id\":\"2\"}",
              "400 bad-cloudevent: 'id' is no attribute: a name of a-z and 0-9, given once, with "
              "one "
              "value\n");
        check("cloudevents", STRUCTURED, "{}", "400 bad-cloudevent: it has no attributes\n");
        check("cloudevents", STRUCTURED, "7",
              "400 bad-cloudevent: a structured event is a JSON object\n");
        check("cloudevents", STRUCTURED, "", "400 empty-body: the body is empty\n");
}

static void cloudevents_in_batches(void **state) {
        (void)state;
        check("cloudevents", BATCH, "[]", "");
        check("cloudevents", BATCH, "[{" REQUIRED ",\"data\":1},{" REQUIRED ",\"subject\":\"9\"}]",
              "type=t subject= time= key=/s 1 \"cloudevent\":{" REQUIRED "} | 1\n"
              "type=t subject=9 time= key=/s 1 \"cloudevent\":{" REQUIRED ",\"subject\":\"9\"} | "
              "\n");
        check("cloudevents", BATCH, "[{" REQUIRED "},{}]",
              "400 bad-cloudevent: it has no attributes\n");
        check("cloudevents", BATCH, "{" REQUIRED "}",
              "400 bad-envelope: the batch is no list of events\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_body_is_one_event),
                cmocka_unit_test(graph_notifications),
                cmocka_unit_test(okta_log_events),
                cmocka_unit_test(as_many_events_as_there_may_be),
                cmocka_unit_test(cloudevents_in_binary_mode),
                cmocka_unit_test(cloudevents_in_structured_mode),
                cmocka_unit_test(cloudevents_in_batches),
        };

        return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
