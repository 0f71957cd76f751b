/* SPDX-License-Identifier: Apache-2.0
 *
 * From a request to the events that are in it: one JSON object, a list of them, one per line, or
 * CloudEvents in whichever mode. Each keeps the bytes that it has in the request. */
#include "api/nouns.h"
#include "flow/source_schema.h"
#include "http/media.h"
#include "json/check.h"
#include "json/value.h"

/* ---- shapes ---- */

static const Schema schema_event = {
        .name = "EventIn",
        .help = "The event itself, of any members. Its type, time and key are read from it as the "
                "source's options `type`, `time` and `once` say.",
};

static const Field cloudevent_fields[] = {
        {.name = "specversion", .type = FIELD_TEXT, .required = true, .help = "1.0"},
        {.name = "id", .type = FIELD_TEXT, .required = true, .min = 1},
        {.name = "source", .type = FIELD_TEXT, .required = true, .min = 1},
        {.name = "type", .type = FIELD_TEXT, .required = true, .min = 1},
        {.name = "subject", .type = FIELD_TEXT},
        {.name = "time", .type = FIELD_TIME},
        {.name = "datacontenttype", .type = FIELD_TEXT},
        {.name = "data", .type = FIELD_ANY, .help = "The event itself."},
        {.name = "data_base64", .type = FIELD_TEXT},
};
static const Schema schema_cloudevent = {
        .name = "CloudEventIn",
        .help = "CloudEvents 1.0. In binary mode the attributes are ce-* headers and the body is "
                "the data.",
        SCHEMA_FIELDS(cloudevent_fields)};

#define LINES      "application/x-ndjson"
#define STRUCTURED "application/cloudevents+json"
#define BATCH      "application/cloudevents-batch+json"

const RouteMedia media_event_in[] = {
        {"application/json", &schema_event, MEDIA_ONE_OR_MANY},
        {LINES, &schema_event, MEDIA_ONE},
        {STRUCTURED, &schema_cloudevent, MEDIA_ONE},
        {BATCH, &schema_cloudevent, MEDIA_MANY},
        {NULL, NULL, MEDIA_ONE},
};

/* ---- places ---- */

const Where *event_place(const EventsIn *in, size_t i, EventPlace *room) {
        room->body = (Where){NULL, SPAN("body")};
        if (!in->are_many)
                return &room->body;
        (void)snprintf(room->word, sizeof room->word, "[%zu]", i);
        room->one = (Where){&room->body, span_of(room->word)};
        return &room->one;
}

static void complain_at(const EventsIn *in, size_t i, Complaints *c, const char *type,
                        const char *why) {
        EventPlace room;

        complain(c, event_place(in, i, &room), type, "%s", why);
}

static void complain_whole(Complaints *c, const char *type, const char *why) {
        complain_at(&(EventsIn){0}, 0, c, type, why);
}

static void complain_json(const EventsIn *in, Complaints *c, const JsonFault *fault,
                          const char *of) {
        EventPlace room;

        complain(c, event_place(in, in->n, &room), "value_error.jsondecode", "%s, at byte %zu%s",
                 fault->why, fault->offset, of);
}

/* ---- JSON ---- */

/* False when there is no room for one more. */
static bool add(EventsIn *in, Span body, Complaints *c) {
        char why[120];

        if (in->n == ENVELOPE_EVENTS_MAX) {
                (void)snprintf(why, sizeof why,
                               "must be at most %d events: send the others in further requests",
                               ENVELOPE_EVENTS_MAX);
                complain_whole(c, "type_error.list", why);
                return false;
        }
        if (json_kind(body) != JSON_OBJECT)
                complain_at(in, in->n, c, "type_error.dict", "an event is a JSON object");
        in->at[in->n++].body = json_trim(body);
        return true;
}

static void read_json(Span body, EventsIn *in, Complaints *c) {
        JsonFault fault;
        Span key, one;

        if (json_check(body, SIZE_MAX, &fault) < 0) {
                complain_json(in, c, &fault, "");
                return;
        }
        in->are_many = json_kind(body) == JSON_ARRAY;
        if (!in->are_many)
                (void)add(in, body, c);
        for (size_t pos = 0; in->are_many && json_next(body, &pos, &key, &one);)
                if (!add(in, one, c))
                        return;
}

/* Lines of blanks are none. */
static void read_lines(Span rest, EventsIn *in, Complaints *c) {
        JsonFault fault;

        in->are_many = true;
        while (rest.n) {
                Span line = {rest.p, span_find(rest, '\n')};

                rest = span_from(rest, line.n + 1);
                line = span_trim(line, " \t\r");
                if (line.n == 0)
                        continue;
                if (json_check(line, SIZE_MAX, &fault) < 0) {
                        complain_json(in, c, &fault, " of its line");
                        return;
                }
                if (!add(in, line, c))
                        return;
        }
}

/* ---- CloudEvents ---- */

static void read_cloudevents(Op *op, bool is_batch, EventsIn *in, Complaints *c) {
        EnvelopeCall call = {op->x->head, op->x->body, op->arena};
        EnvelopeFault fault = {0};
        JsonFault json;
        int n;

        if (call.body.n && json_check(call.body, SIZE_MAX, &json) < 0) {
                complain_json(in, c, &json, "");
                return;
        }
        in->are_many = is_batch;
        n = envelope_cloudevents.open(&call, in->at, &fault);
        if (n >= 0)
                in->n = (size_t)n;
        else if (fault.event)
                complain_at(in, fault.event - 1, c, "value_error", fault.why);
        else
                complain_whole(c, "value_error", fault.why);
}

/* ---- what each has to be ---- */

static void complain_schema(const EventsIn *in, size_t i, const Outcome *o, Complaints *c) {
        EventPlace room;
        const Where *at = event_place(in, i, &room);

        for (size_t k = 0; k < o->n_errors; k++) {
                Where there = {at, o->errors[k].pointer};

                complain(c, there.word.n ? &there : at, "value_error.schema", SPAN_FMT,
                         SPAN_ARG(o->errors[k].detail));
        }
        if (o->n_errors == 0)
                complain(c, at, "value_error.schema", SPAN_FMT, SPAN_ARG(o->message));
}

/* As at the door of webhooks. */
static int judge(Op *op, const Source *s, const EventsIn *in, size_t i, Complaints *c) {
        Span view = in->at[i].body.n ? in->at[i].body : SPAN("null");
        size_t most = (size_t)s->config->body_max_bytes;
        EventPlace room;
        JsonFault fault;
        Outcome o;

        if (view.n > most) {
                complain(c, event_place(in, i, &room), "value_error",
                         "is larger than the %zu bytes that the source takes (body_max)", most);
        } else if (json_check(view, JSON_KEYS_MAX, &fault) < 0) {
                complain(c, event_place(in, i, &room), "value_error", "%s, at byte %zu of it",
                         fault.why, fault.offset);
        } else if (!source_schema_fits(s, view, op->arena, &o)) {
                if (o.retryable)
                        return -EAGAIN;
                complain_schema(in, i, &o, c);
        }
        return 0;
}

/* ---- which it is ---- */

static bool is_media(const HttpMedia *m, const char *a, const char *b, const char *c) {
        return http_media_is(m, a) || http_media_is(m, b) || (c && http_media_is(m, c));
}

static int read_form(Op *op, EventsIn *in, Complaints *c) {
        const HttpHead *h = op->x->head;
        Span type = http_head_get(h, "content-type");
        HttpMedia m;
        bool has_media = type.p && http_media_parse(type, &m);

        if (http_head_count(h, "content-type") > 1 || (type.p && !has_media))
                return -ENOTSUP;
        if (http_head_count(h, "ce-specversion") ||
            (has_media && is_media(&m, STRUCTURED, BATCH, NULL)))
                read_cloudevents(op, has_media && http_media_is(&m, BATCH), in, c);
        else if (has_media && is_media(&m, LINES, "application/jsonl", "application/json-lines"))
                read_lines(op->x->body, in, c);
        else if (!has_media || http_media_is_json(&m))
                read_json(op->x->body, in, c);
        else
                return -ENOTSUP;
        return 0;
}

int event_read(Op *op, const Source *s, EventsIn *ret, Complaints *c) {
        int r;

        *ret = (EventsIn){.at = arena_alloc(op->arena, ENVELOPE_EVENTS_MAX * sizeof *ret->at)};
        must(ret->at);
        r = read_form(op, ret, c);
        if (r == 0 && c->n == 0 && ret->n == 0)
                complain_whole(c, "value_error", "holds no event");
        if (c->n)
                return -EBADMSG;
        for (size_t i = 0; r == 0 && i < ret->n; i++)
                r = judge(op, s, ret, i, c);
        return r == 0 && c->n ? -EBADMSG : r;
}
