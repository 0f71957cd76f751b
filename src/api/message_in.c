/* SPDX-License-Identifier: Apache-2.0
 *
 * From what the API takes to what is sent. The payload stays the very bytes of the request. */
#include "api/nouns.h"
#include "api/text.h"
#include "base/clock.h"
#include "http/bytes.h"
#include "json/value.h"

enum { META_MAX_BYTES = 8192 };

static const Field parameter_fields[] = {
        {.name = "rawPayload",
         .type = FIELD_TEXT,
         .nullable = true,
         .max = MESSAGE_PAYLOAD_MAX_BYTES,
         .help = "Sent in place of the payload, as it is."},
        {.name = "headers",
         .type = FIELD_MAP,
         .item = FIELD_TEXT,
         .nullable = true,
         .help = "content-type alone is heeded."},
};
static const Schema schema_parameters = {.name = "MessageParameters",
                                         SCHEMA_FIELDS(parameter_fields)};

static const Field in_fields[] = {
        {.name = "eventType",
         .type = FIELD_TEXT,
         .required = true,
         .min = 1,
         .max = 256,
         .form = &form_name},
        {.name = "payload",
         .type = FIELD_OBJECT,
         .required = true,
         .help = "What endpoints receive, byte for byte."},
        {.name = "eventId",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 256,
         .form = &form_name,
         .help = "A name of one's own; the application cannot send another one of it."},
        {.name = "channels",
         .type = FIELD_LIST,
         .item = FIELD_TEXT,
         .form = &form_name,
         .nullable = true,
         .unique = true,
         .min = 1,
         .max = MESSAGE_CHANNELS_MAX,
         .item_max = 128},
        {.name = "tags",
         .type = FIELD_LIST,
         .item = FIELD_TEXT,
         .form = &form_name,
         .nullable = true,
         .max = 8,
         .item_max = 128},
        {.name = "payloadRetentionPeriod",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 5,
         .max = 90,
         .fallback = "90",
         .help = "Accepted and not heeded: payloads are kept as long as the ledger keeps events."},
        {.name = "payloadRetentionHours",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 1,
         .max = 2160,
         .help = "As payloadRetentionPeriod."},
        {.name = "application",
         .type = FIELD_OBJECT,
         .of = &schema_application_in,
         .nullable = true,
         .help = "Makes the application of the path, when it is not there."},
        {.name = "transformationsParams",
         .type = FIELD_OBJECT,
         .of = &schema_parameters,
         .nullable = true},
        {.name = "deliverAt",
         .type = FIELD_TIME,
         .nullable = true,
         .help = "Not before this moment, at most a year away."},
        {.name = "subject",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = EVENT_SUBJECT_MAX_BYTES,
         .help = "Which thing it is about: for endpoints that keep the order of each."},
        {.name = "depth",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 0,
         .max = 1000000,
         .help = "How many messages led to this one; beyond 16 it is refused as a loop."},
        {.name = "origin",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 256,
         .help = "Where the change came from first."},
};
const Schema schema_message_in = {.name = "MessageIn", SCHEMA_FIELDS(in_fields)};

/* ---- parts ---- */

/* The depth that the member says, else one more than that of the message which led here. */
static bool read_depth(Op *op, const Values *v, const Where *at, int64_t *ret, Complaints *c) {
        Where here = {at, SPAN("depth")};

        if (!value_of(v, "depth").p)
                return op_depth(op, ret, c);
        *ret = value_int(v, "depth", 0);
        return op_depth_fits(*ret, &here, c);
}

static bool read_payload(Op *op, const Values *v, const Where *at, MessageIn *ret, Complaints *c) {
        AUTO(complaints_done)
        Complaints none = COMPLAINTS;
        Where here = {at, SPAN("payload")};
        Span given = value_of(v, "transformationsParams"), raw, headers;
        Values parameters;

        ret->payload = value_of(v, "payload");
        if (given.p && json_kind(given) == JSON_OBJECT) {
                schema_read(&schema_parameters, given, &here, &parameters, &none);
                raw = value_text(&parameters, "rawPayload", op->arena);
                headers = value_of(&parameters, "headers");
                if (raw.p)
                        ret->payload = raw;
                if (raw.p && headers.p)
                        ret->content_type = text_plain(headers, "content-type", op->arena);
                if (http_field_run(ret->content_type, 0) < ret->content_type.n)
                        complain(c, &here, "value_error", "its content-type is no header's value");
        }
        if (ret->payload.n > MESSAGE_PAYLOAD_MAX_BYTES)
                complain(c, &here, "value_error", "must have at most %d bytes",
                         MESSAGE_PAYLOAD_MAX_BYTES);
        return c->n == 0;
}

static bool read_channels(Op *op, const Values *v, MessageIn *ret) {
        Span list = value_of(v, "channels"), key, one;
        Span *channels;

        if (!list.p || json_kind(list) != JSON_ARRAY)
                return true;
        channels = arena_alloc(op->arena, MESSAGE_CHANNELS_MAX * sizeof *channels);
        if (!channels)
                return false;
        for (size_t pos = 0;
             json_next(list, &pos, &key, &one) && ret->n_channels < MESSAGE_CHANNELS_MAX;) {
                AUTO(buf_done)
                Buf text = BUF(256);

                if (json_text(one, &text) < 0)
                        return false;
                channels[ret->n_channels++] = arena_span(op->arena, buf_span(&text));
        }
        ret->channels = channels;
        return true;
}

/* What the ledger keeps beside the body: what is shown again, and what tells a repeat. */
static Span make_meta(Op *op, const Values *v, int64_t depth, Span idem) {
        AUTO(put_done)
        Put p = PUT(META_MAX_BYTES);

        put_open(&p, NULL, '{');
        text_keep(&p, "channels", v, "channels", (Span){NULL, 0});
        text_keep(&p, "tags", v, "tags", (Span){NULL, 0});
        text_keep(&p, "eventId", v, "eventId", (Span){NULL, 0});
        text_keep(&p, "origin", v, "origin", (Span){NULL, 0});
        text_keep(&p, "deliverAt", v, "deliverAt", (Span){NULL, 0});
        if (depth)
                put_int(&p, "depth", depth);
        if (idem.n && value_of(v, "eventId").p)
                put_text(&p, "idem", idem);
        put_close(&p, '}');
        if (p.fault)
                return (Span){NULL, 0};
        return p.out.n == 2 ? SPAN("") : arena_span(op->arena, put_span(&p));
}

/* In the ledger an eventId is a key as it is, an idempotency key has its own beginning: no eventId
 * holds a colon. */
static Span make_key(Op *op, const Values *v, Span idem) {
        Span id = value_text(v, "eventId", op->arena);
        char hash[KEY_HASH_TEXT];

        if (id.n)
                return id;
        if (idem.n == 0)
                return (Span){NULL, 0};
        if (idem.n > EVENT_KEY_MAX_BYTES - 5) {
                key_hash(idem, hash);
                idem = span_of(hash);
        }
        return span_of(arena_printf(op->arena, "idem:" SPAN_FMT, SPAN_ARG(idem)));
}

static bool read_moment(const Values *v, const Where *at, MessageIn *ret, Complaints *c) {
        Where here = {at, SPAN("deliverAt")};

        ret->deliver_ms = value_time(v, "deliverAt");
        if (ret->deliver_ms <= clock_wall_ms() + (int64_t)MESSAGE_DELAY_MAX_MS)
                return true;
        complain(c, &here, "value_error", "must be within a year");
        return false;
}

static bool read_type(Op *op, const Values *v, const Where *at, MessageIn *ret, Complaints *c) {
        Where here = {at, SPAN("eventType")};

        ret->type = value_text(v, "eventType", op->arena);
        if (!event_type_rests(op, ret->type))
                return true;
        complain(c, &here, "value_error",
                 "is in the archive: nothing new is sent with it until it is made again");
        return false;
}

bool message_read(Op *op, const Values *v, Span idem, const Where *at, MessageIn *ret,
                  Complaints *c) {
        int64_t depth = 0;

        *ret = (MessageIn){.application = op_application(op),
                           .subject = value_text(v, "subject", op->arena),
                           .trace = op_trace(op)};
        if (!read_type(op, v, at, ret, c) || !read_depth(op, v, at, &depth, c) ||
            !read_payload(op, v, at, ret, c) || !read_moment(v, at, ret, c))
                return false;
        ret->key = make_key(op, v, idem);
        ret->meta = make_meta(op, v, depth, idem);
        if (!read_channels(op, v, ret) || !ret->meta.p)
                complain(c, at, "value_error", "is too large");
        return c->n == 0;
}
