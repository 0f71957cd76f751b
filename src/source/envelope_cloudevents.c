/* SPDX-License-Identifier: Apache-2.0
 *
 * CloudEvents 1.0 over HTTP, in all three modes. Whichever it is, the event is the data, as it
 * stands, and its attributes go beside it: a flow cannot tell the modes apart. Data that is no JSON
 * travels as a JSON string (data_base64) or not at all: flows read JSON. */
#include "source/envelope.h"

#include "http/media.h"
#include "http/url.h"
#include "json/value.h"

enum { NAME_MAX_BYTES = 64 };

static const Span required[] = {
        {"id", 2},
        {"source", 6},
        {"specversion", 11},
        {"type", 4},
};

static bool is_name(Span name) {
        for (size_t i = 0; i < name.n; i++)
                if (!((name.p[i] >= 'a' && name.p[i] <= 'z') ||
                      (name.p[i] >= '0' && name.p[i] <= '9')))
                        return false;
        return name.n > 0;
}

/* ---- the attributes, once they are one JSON object ---- */

static int check_required(Span attributes, EnvelopeFault *fault) {
        for (size_t i = 0; i < COUNT_OF(required); i++) {
                Span v = json_member(attributes, required[i]);

                if (!v.p || json_kind(v) != JSON_STRING || json_trim(v).n <= 2)
                        return envelope_fault(fault, 400, "bad-cloudevent",
                                              "the attribute '%s' is missing or empty",
                                              required[i].p);
        }
        if (!json_equal(json_member(attributes, SPAN("specversion")), SPAN("\"1.0\"")))
                return envelope_fault(fault, 400, "bad-cloudevent",
                                      "specversion 1.0 is read, no other");
        return 0;
}

/* Source and id together are what must not occur twice; a source holds no blank. */
static Span key_of(Arena *a, Span attributes) {
        Span source = envelope_text(a, json_member(attributes, SPAN("source")));
        Span id = envelope_text(a, json_member(attributes, SPAN("id")));
        char *key = source.p && id.p
                            ? arena_printf(a, SPAN_FMT " " SPAN_FMT, SPAN_ARG(source), SPAN_ARG(id))
                            : NULL;

        return span_of(key);
}

static int finish(const EnvelopeCall *call, const Buf *attributes, EnvelopeEvent *event,
                  EnvelopeFault *fault) {
        Span all = buf_span(attributes);
        Arena *a = call->arena;
        int r = check_required(all, fault);

        if (r < 0)
                return r;
        event->type = envelope_text(a, json_member(all, SPAN("type")));
        event->subject = envelope_text(a, json_member(all, SPAN("subject")));
        event->time = envelope_text(a, json_member(all, SPAN("time")));
        event->key = key_of(a, all);
        event->meta = span_of(arena_printf(a, "\"cloudevent\":" SPAN_FMT, SPAN_ARG(all)));
        if (!event->type.p || !event->key.p || !event->meta.p)
                return envelope_fault(fault, 400, "bad-cloudevent", "the attributes are too long");
        return 0;
}

static int add_member(Buf *b, Span name, Span value) {
        int r = buf_add_char(b, b->n ? ',' : '{');

        if (r == 0)
                r = buf_add_json(b, name);
        if (r == 0)
                r = buf_add_char(b, ':');
        return r < 0 ? r : buf_add(b, value);
}

static int too_long(EnvelopeFault *fault) {
        return envelope_fault(fault, 400, "bad-cloudevent",
                              "the attributes are longer than %d bytes", ENVELOPE_META_MAX_BYTES);
}

/* ---- structured ---- */

static bool is_scalar(Span v) {
        JsonKind kind = json_kind(v);

        return kind != JSON_ARRAY && kind != JSON_OBJECT;
}

static int open_object(const EnvelopeCall *call, EnvelopeEvent *event, EnvelopeFault *fault) {
        AUTO(buf_done)
        Buf attributes = BUF(ENVELOPE_META_MAX_BYTES);
        Span object = event->body, key, value;
        Span data = json_member(object, SPAN("data"));
        Span base64 = json_member(object, SPAN("data_base64"));
        int r = 0;

        for (size_t pos = 0; r == 0 && json_next(object, &pos, &key, &value);) {
                if (span_eq(key, SPAN("data")) || span_eq(key, SPAN("data_base64")) ||
                    json_kind(value) == JSON_NULL)
                        continue;
                if (!is_name(key) || !is_scalar(value) || json_member_count(object, key) > 1)
                        return envelope_fault(
                                fault, 400, "bad-cloudevent",
                                "'%.*s' is no attribute: a name of a-z and 0-9, given "
                                "once, with one value",
                                key.n > 40 ? 40 : (int)key.n, key.p);
                r = add_member(&attributes, key, json_trim(value));
        }
        if (r == 0)
                r = buf_add_char(&attributes, attributes.n ? '}' : '{');
        if (r < 0)
                return too_long(fault);
        if (attributes.n < 2)
                return envelope_fault(fault, 400, "bad-cloudevent", "it has no attributes");
        if ((data.p && base64.p) || (base64.p && json_kind(base64) != JSON_STRING) ||
            json_member_count(object, SPAN("data")) > 1)
                return envelope_fault(fault, 400, "bad-cloudevent",
                                      "it has data once, or data_base64, which is a string");
        event->body = data.p ? json_trim(data) : base64.p ? json_trim(base64) : SPAN("");
        return finish(call, &attributes, event, fault);
}

/* ---- binary ---- */

/* A value may stand in quotes; then its percent signs are decoded, once (section 3.1.3.2). */
static int decode(Span value, Buf *out) {
        AUTO(buf_done)
        Buf plain = BUF(ENVELOPE_META_MAX_BYTES);
        bool is_quoted = value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"';
        Span inner = is_quoted ? (Span){value.p + 1, value.n - 2} : value;
        int r = 0;

        for (size_t i = 0; r == 0 && i < inner.n; i++) {
                if (is_quoted && inner.p[i] == '\\' && i + 1 < inner.n)
                        i++;
                r = buf_add_char(&plain, inner.p[i]);
        }
        return r < 0 ? r : url_decode(out, buf_span(&plain));
}

/* As a JSON string; -EBADMSG for what is not UTF-8. */
static int add_header(Buf *attributes, Span name, Span value) {
        AUTO(buf_done)
        Buf text = BUF(ENVELOPE_META_MAX_BYTES);
        AUTO(buf_done)
        Buf json = BUF(6 * ENVELOPE_META_MAX_BYTES + 2);
        AUTO(buf_done)
        Buf back = BUF(3 * ENVELOPE_META_MAX_BYTES);
        int r = decode(value, &text);

        if (r == 0)
                r = buf_add_json(&json, buf_span(&text));
        if (r == 0)
                r = json_text(buf_span(&json), &back);
        if (r == 0 && !span_eq(buf_span(&back), buf_span(&text)))
                r = -EBADMSG;
        return r < 0 ? r : add_member(attributes, name, buf_span(&json));
}

static bool is_attribute(Span header) {
        return header.n > 3 && span_eq_nocase((Span){header.p, 3}, SPAN("ce-"));
}

/* "Ce-Subject" is the attribute "subject"; empty for what is no name of one. */
static Span name_of(Span header, char room[NAME_MAX_BYTES]) {
        Span name = span_from(header, 3);

        if (name.n > NAME_MAX_BYTES)
                return SPAN("");
        for (size_t i = 0; i < name.n; i++) {
                bool is_upper = name.p[i] >= 'A' && name.p[i] <= 'Z';

                room[i] = (char)(is_upper ? name.p[i] - 'A' + 'a' : name.p[i]);
        }
        name.p = room;
        return is_name(name) ? name : SPAN("");
}

static bool came_before(const HttpHead *h, size_t i) {
        for (size_t k = 0; k < i; k++)
                if (span_eq_nocase(h->headers[k].name, h->headers[i].name))
                        return true;
        return false;
}

static int add_attributes(const EnvelopeCall *call, Buf *attributes, EnvelopeFault *fault) {
        const HttpHead *h = call->head;

        for (size_t i = 0; i < h->n_headers; i++) {
                char room[NAME_MAX_BYTES];
                Span header = h->headers[i].name, name;

                if (!is_attribute(header))
                        continue;
                name = name_of(header, room);
                if (name.n == 0 || came_before(h, i))
                        return envelope_fault(fault, 400, "bad-cloudevent",
                                              "the header %.*s is no attribute, or given twice",
                                              header.n > 60 ? 60 : (int)header.n, header.p);
                int r = add_header(attributes, name, h->headers[i].value);
                if (r == -EMSGSIZE)
                        return too_long(fault);
                if (r < 0)
                        return envelope_fault(fault, 400, "bad-cloudevent",
                                              "the value of ce-" SPAN_FMT " cannot be decoded",
                                              SPAN_ARG(name));
        }
        return 0;
}

static int open_binary(const EnvelopeCall *call, EnvelopeEvent *event, EnvelopeFault *fault) {
        AUTO(buf_done)
        Buf attributes = BUF(ENVELOPE_META_MAX_BYTES);
        Span type = http_head_get(call->head, "content-type");
        int r = add_attributes(call, &attributes, fault);

        if (r < 0)
                return r;
        if (type.n && call->body.n)
                r = add_header(&attributes, SPAN("datacontenttype"), type);
        if (r == 0)
                r = buf_add_char(&attributes, '}');
        if (r < 0)
                return too_long(fault);
        event->body = call->body;
        return finish(call, &attributes, event, fault);
}

/* ---- which it is ---- */

static int open_cloudevents(const EnvelopeCall *call, EnvelopeEvent *ret, EnvelopeFault *fault) {
        HttpMedia media;
        bool has_media = http_media_parse(http_head_get(call->head, "content-type"), &media);
        bool is_batch = has_media && http_media_is(&media, "application/cloudevents-batch+json");
        bool is_structured = has_media && http_media_is(&media, "application/cloudevents+json");
        int r;

        if ((is_batch || is_structured) && call->body.n == 0)
                return envelope_fault(fault, 400, "empty-body", "the body is empty");
        if (is_batch)
                return envelope_each(call, call->body, "the batch", ret, fault, open_object);
        if (is_structured) {
                if (json_kind(call->body) != JSON_OBJECT)
                        return envelope_fault(fault, 400, "bad-cloudevent",
                                              "a structured event is a JSON object");
                ret->body = call->body;
                r = open_object(call, ret, fault);
        } else if (http_head_count(call->head, "ce-specversion")) {
                r = open_binary(call, ret, fault);
        } else
                r = envelope_fault(fault, 415, "not-a-cloudevent",
                                   "send the attributes as ce-* headers, or Content-Type: "
                                   "application/cloudevents+json or "
                                   "application/cloudevents-batch+json");
        return r < 0 ? r : 1;
}

const Envelope envelope_cloudevents = {
        .name = "cloudevents",
        .help = "CloudEvents 1.0: binary, structured, or a batch; the event is the data",
        .may_be_empty = true,
        .events_max = ENVELOPE_EVENTS_MAX,
        .open = open_cloudevents,
};
