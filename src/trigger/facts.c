/* SPDX-License-Identifier: Apache-2.0
 *
 * What is recorded of a call: its events and their jobs, made of the bytes and of what the
 * expressions gave. */
#include "trigger/intake.h"

#include "base/clock.h"
#include "base/table.h"
#include "flow/view.h"
#include "trigger/message.h"
#include "json/value.h"

#include <openssl/evp.h>

enum { HEADER_SHOWN_MAX_BYTES = 512, META_MAX_BYTES = 64 * 1024 };

Span intake_text(Intake *k, Span value, size_t max) {
        AUTO(buf_done)
        Buf b = BUF(max);

        if (!value.p || json_text(value, &b) < 0)
                return (Span){NULL, 0};
        return arena_span(k->arena, buf_span(&b));
}

/* ---- the key ---- */

/* A list or a map, which has no text but its JSON: [.id, .timestamp]. */
static bool is_composed(Span value) {
        return value.p && (json_kind(value) == JSON_ARRAY || json_kind(value) == JSON_OBJECT);
}

/* The key of this delivery: the one that goes first, the message's id, what `once` says, what the
 * envelope says, else the hash of the body. Empty: nothing makes it a repeat. */
static Span delivery_key(Intake *k, const Item *item) {
        Span once = item->values[VALUE_ONCE];
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned n = 0;
        Span key = k->n_items == 1 ? k->message_id : (Span){NULL, 0};

        if (k->only ||
            (item->in.is_key_first && item->in.key.n && item->in.key.n <= EVENT_KEY_MAX_BYTES))
                return item->in.key;
        if (k->source->is_always_new)
                return (Span){NULL, 0};
        if (!key.p)
                key = intake_text(k, once, 64 * 1024);
        if (!key.p && is_composed(once))
                key = once;
        if (key.n == 0)
                key = item->in.key;
        if (key.n && key.n <= EVENT_KEY_MAX_BYTES)
                return key;
        if (key.n == 0 && item->in.is_always_new)
                return (Span){NULL, 0};
        Span bytes = key.n ? key : item->in.body;
        if (EVP_Digest(bytes.p ? bytes.p : "", bytes.n, digest, &n, EVP_sha256(), NULL) != 1)
                return (Span){NULL, 0};
        return arena_span(k->arena, (Span){(char *)digest, n});
}

/* ---- preferences ---- */

/* {"async": true, "wait": 3, "return": "representation"}: what the header says goes first. */
Prefer intake_preferences(Intake *k) {
        Span v = k->n_items == 1 ? k->items[0].values[VALUE_PREFER] : (Span){NULL, 0}, member;
        const HttpHead *h = k->head;
        Prefer ret = PREFER_NONE;

        for (size_t i = 0; h && i < h->n_headers; i++)
                if (span_eq_nocase(h->headers[i].name, SPAN("prefer")))
                        prefer_read(&ret, h->headers[i].value);
        if (!v.p || json_kind(v) != JSON_OBJECT)
                return ret;
        member = json_member(v, SPAN("async"));
        if (member.p && json_kind(member) == JSON_TRUE)
                ret.respond_async = true;
        member = json_member(v, SPAN("wait"));
        uint64_t seconds;
        if (member.p && ret.wait_ms < 0 && span_to_u64(json_trim(member), 3600, &seconds))
                ret.wait_ms = (int64_t)seconds * 1000;
        member = intake_text(k, json_member(v, SPAN("return")), 64);
        if (ret.give == RETURN_UNSAID && member.p)
                ret.give = span_eq(member, SPAN("representation")) ? RETURN_REPRESENTATION
                           : span_eq(member, SPAN("minimal"))      ? RETURN_MINIMAL
                                                                   : RETURN_UNSAID;
        return ret;
}

/* ---- the event ---- */

static int add_headers(const Intake *k, Buf *out) {
        const SourceConfig *c = k->source->config;
        size_t n = 0;
        int r = 0;

        for (size_t i = 0; k->head && r == 0 && i < c->n_headers; i++) {
                Span value = http_head_get(k->head, c->headers[i]);

                if (!value.p || value.n > HEADER_SHOWN_MAX_BYTES ||
                    http_head_count(k->head, c->headers[i]) > 1)
                        continue;
                r = buf_addf(out, "%s\"%s\":", n++ ? "," : "\"headers\":{", c->headers[i]);
                if (r == 0)
                        r = buf_add_json(out, value);
        }
        return r == 0 && n ? buf_add_char(out, '}') : r;
}

static int add_part(Buf *out, Span part) {
        int r = part.n && out->n > 1 ? buf_add_char(out, ',') : 0;

        return r < 0 || part.n == 0 ? r : buf_add(out, part);
}

/* What steps see as `.meta` beside what every event has; empty when there is nothing to say. */
static Span meta_of(Intake *k, const Item *item) {
        AUTO(buf_done)
        Buf meta = BUF(META_MAX_BYTES);
        AUTO(buf_done)
        Buf headers = BUF(META_MAX_BYTES / 2);
        int r = add_headers(k, &headers);

        if (r == 0)
                r = buf_add_char(&meta, '{');
        if (r == 0)
                r = add_part(&meta, buf_span(&headers));
        if (r == 0)
                r = add_part(&meta, item->in.meta);
        if (r == 0 && k->is_form)
                r = buf_addf(&meta, "%s\"view\":\"%s\"", meta.n > 1 ? "," : "",
                             view_name(k->source->config->forms));
        if (r == 0)
                r = buf_add_char(&meta, '}');
        return r == 0 && meta.n > 2 ? arena_span(k->arena, buf_span(&meta)) : (Span){NULL, 0};
}

/* RFC 3339, or what applications count since 1970: seconds, or milliseconds when it is too large
 * for seconds of this age. */
static int64_t read_time(Span text) {
        const uint64_t first_ms = 100000000000; /* as seconds: the year 5138 */
        uint64_t n;
        int64_t ms;

        if (clock_parse(text, &ms))
                return ms;
        if (!span_to_u64((Span){text.p, span_find(text, '.')}, (uint64_t)INT64_MAX / 1000, &n))
                return 0;
        return (int64_t)(n < first_ms ? n * 1000 : n);
}

static Span time_of(Intake *k, const Item *item) {
        Span given = item->values[VALUE_TIME];

        if (!given.p && item->in.time.p)
                return item->in.time;
        if (!given.p && json_kind(item->view) == JSON_OBJECT) {
                given = json_member(item->view, SPAN("timestamp"));
                given = given.p ? given : json_member(item->view, SPAN("time"));
        }
        return intake_text(k, given, 64);
}

static Span subject_of(Intake *k, const Item *item) {
        Span given = item->n_flows
                             ? intake_text(k, item->values[VALUE_SUBJECTS], EVENT_SUBJECT_MAX_BYTES)
                             : (Span){NULL, 0};

        if (given.n || item->in.subject.n > EVENT_SUBJECT_MAX_BYTES)
                return given;
        return item->in.subject;
}

Event *intake_event(Intake *k, const Item *item) {
        bool is_whole = k->head && item->in.body.n == k->body.n;
        Event parts = {.id = id_make(&k->in->ids, k->received_ms),
                       .received_ms = k->received_ms,
                       .source = span_of(k->source->config->name),
                       .key = delivery_key(k, item),
                       .type = item->type.n <= EVENT_WORD_MAX_BYTES ? item->type : (Span){NULL, 0},
                       .subject = subject_of(k, item),
                       .time_ms = read_time(time_of(k, item)),
                       .content_type = is_whole ? http_head_get(k->head, "content-type")
                                                : SPAN("application/json"),
                       .trace = k->head ? http_head_get(k->head, "traceparent") : k->trace,
                       .meta = meta_of(k, item),
                       .body = item->in.body};

        if (parts.content_type.n > 128)
                parts.content_type.n = 128;
        if (parts.trace.n > 128)
                parts.trace = (Span){NULL, 0};
        return event_new(&parts);
}

/* ---- the jobs ---- */

/* Where work for one subject lives, whichever flow it is for. */
static uint64_t subject_hash(const Intake *k, Span subject) {
        return hash_keyed(subject, k->in->lane_key[0], k->in->lane_key[1]);
}

Job *intake_job(Intake *k, const Item *item, size_t flow, Event *event) {
        AUTO(buf_done)
        Buf name = BUF(8192);
        const Flow *f = item->flows[flow];
        Span subject = intake_text(k, item->values[VALUE_SUBJECTS + flow], EVENT_SUBJECT_MAX_BYTES);
        uint64_t lane = 0;

        if (f->config->ordered && subject.n &&
            buf_addf(&name, "%s%c" SPAN_FMT, f->target, 1, SPAN_ARG(subject)) == 0)
                lane = subject_hash(k, buf_span(&name)) | 1;
        Job *j = job_new(id_make(&k->in->ids, k->received_ms), event, span_of(f->target), lane);
        j->shard = (uint8_t)(subject.n ? subject_hash(k, subject) : k->in->loop->index);
        return j;
}

/* Which of the endpoints want an event of this type, as they are now. One that a reload takes away
 * this very moment gets its delivery all the same, and it ends where that can be seen. */
static void add_deliveries(Intake *k, const Item *item, Event *event, Recording *r) {
        for (size_t i = 0; i < item->n_endpoints; i++) {
                const Declared *d = item->endpoints[i];
                Endpoint *now = registry_endpoint(k->in->registry, span_of(d->endpoint->target));
                const Endpoint *p = now ? now : d->endpoint;

                if (endpoint_wants_event(p, event->type))
                        r->jobs[r->n_jobs++] = message_job(k->in, event, p);
                endpoint_unref(now);
        }
}

Recording *intake_recording(Intake *k) {
        Event *events[ENVELOPE_EVENTS_MAX];
        Recording *r;

        for (size_t i = 0; i < k->n_items; i++)
                events[i] = intake_event(k, &k->items[i]);
        k->event_id = events[0]->id;
        r = recording_new_together(k->in, events, k->n_items, k->n_jobs);
        r->n_jobs = 0;
        for (size_t i = 0; i < k->n_items; i++) {
                for (size_t f = 0; f < k->items[i].n_flows; f++)
                        r->jobs[r->n_jobs++] = intake_job(k, &k->items[i], f, events[i]);
                add_deliveries(k, &k->items[i], events[i], r);
        }
        for (size_t i = 0; i < k->n_items; i++)
                event_unref(events[i]);
        if (r->n_jobs == 0 && k->source->config->unmatched == UNMATCHED_REFUSE) {
                recording_drop(r);
                return NULL;
        }
        recording_place(r);
        return r;
}
