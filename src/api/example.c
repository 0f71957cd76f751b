/* SPDX-License-Identifier: Apache-2.0
 *
 * An example of an event type, sent as a message to one endpoint alone: the one that its schema
 * gives, or that the request brings along. */
#include "api/nouns.h"
#include "api/text.h"
#include "json/value.h"

enum { SHOW_MAX_BYTES = 1024 * 1024 };

#define PING SPAN("{\"success\":true}")

static const Field in_fields[] = {
        {.name = "eventType",
         .type = FIELD_TEXT,
         .required = true,
         .min = 1,
         .max = 256,
         .form = &form_name},
        {.name = "exampleIndex",
         .type = FIELD_INTEGER,
         .min = 0,
         .max = 1000,
         .fallback = "0",
         .help = "Which of the examples that the event type's schema holds."},
        {.name = "example",
         .type = FIELD_OBJECT,
         .nullable = true,
         .help = "The payload, in place of the one that the event type's schema holds."},
};
const Schema schema_example_in = {.name = "EventExampleIn", SCHEMA_FIELDS(in_fields)};

/* The schema of the highest version. */
static Span latest(Span schemas) {
        Span key, value, best = {NULL, 0};
        uint64_t n, highest = 0;

        for (size_t pos = 0; schemas.p && json_next(schemas, &pos, &key, &value);)
                if (!best.p || (span_to_u64(key, UINT32_MAX, &n) && n >= highest)) {
                        best = value;
                        highest = span_to_u64(key, UINT32_MAX, &n) ? n : 0;
                }
        return best;
}

static Span example_of(Op *op, Span name, int64_t index) {
        Entry *e = registry_by_name(op->admin->parts.registry, OBJECT_EVENT_TYPE, 0, name);
        Span schema = e ? latest(text_member(e->object.text, "schemas")) : (Span){NULL, 0};
        Span examples = schema.p ? text_member(schema, "examples") : (Span){NULL, 0};
        Span found = {NULL, 0};

        if (examples.p)
                found = json_element(examples, (size_t)index);
        else if (schema.p && index == 0)
                found = text_member(schema, "example");
        if (found.p && json_kind(found) == JSON_OBJECT)
                found = arena_span(op->arena, json_trim(found));
        else
                found = (Span){NULL, 0};
        entry_unref(e);
        return found;
}

static void on_sent(void *arg, const MessageOut *out, size_t n, bool all_delivered) {
        AUTO(put_done)
        Put p = PUT(SHOW_MAX_BYTES);
        Op *op = arg;
        const MessageIn *m = op->mine;

        (void)n;
        (void)all_delivered;
        if (out->fault < 0) {
                op_error(op, 503, "unavailable", "the message could not be stored; try again");
                return;
        }
        put_open(&p, NULL, '{');
        put_id(&p, "id", "msg", out->id);
        put_text(&p, "eventType", m->type);
        put_raw(&p, "payload", m->payload);
        put_null(&p, "eventId");
        put_null(&p, "channels");
        put_time(&p, "timestamp", out->received_ms);
        put_close(&p, '}');
        op_json(op, 200, &p);
}

void endpoint_send_example(Op *op) {
        MessageIn *m = arena_alloc(op->arena, sizeof *m);
        Span type = value_text(&op->body, "eventType", op->arena);
        Span given = value_of(&op->body, "example");

        must(m);
        *m = (MessageIn){
                .application = op_application(op),
                .type = type,
                .endpoint = op_endpoint(op),
                .payload = given.p && json_kind(given) == JSON_OBJECT
                                   ? given
                                   : example_of(op, type, value_int(&op->body, "exampleIndex", 0))};
        if (!m->payload.p && (span_eq(type, SPAN("svix.ping")) || span_eq(type, SPAN("ping"))))
                m->payload = PING;
        op->mine = m;
        if (m->payload.p)
                message_send(op->admin->inlet, m, 1, 0, on_sent, op);
        else
                op_invalid_at(op, "body", "eventType",
                              "no schema of this event type holds such an example");
}
