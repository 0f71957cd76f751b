/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/packet.h"

#include "base/table.h"
#include "flow/cloudevent.h"
#include "json/check.h"

enum {
        /* A payload in base64 with its attributes, or a batch of the largest size and one such. */
        BODY_MAX_BYTES = 24 * 1024 * 1024,
        IDS_MAX_BYTES = BATCHING_EVENTS_MAX * ID_TEXT,
};

static int wrap(const Letter *l, Buf *out) {
        const Event *of = l->job->event;
        /* Its parts, with the body as it is sent; not its count, which others write. */
        Event event = {.id = of->id,
                       .received_ms = of->received_ms,
                       .time_ms = of->time_ms,
                       .source = of->source,
                       .type = of->type,
                       .subject = of->subject,
                       .content_type = l->content_type,
                       .trace = of->trace,
                       .meta = of->meta,
                       .body = l->body};

        return cloudevent_print(&event, span_of(l->id), out);
}

/* ---- one ---- */

static void fill_one(Packet *v, const Endpoint *p, Letter *l, Arena *a) {
        if (p->format != FORMAT_CLOUDEVENTS_STRUCTURED) {
                v->body = l->body;
                v->content_type = l->content_type;
        } else if (wrap(l, &v->own) == 0) {
                v->body = buf_span(&v->own);
                v->content_type = SPAN(CLOUDEVENT_JSON);
        } else {
                letter_over(l, a, JOB_FAILED, DELIVERY_NOT_SIGNABLE,
                            "the event is too large to wrap");
                return;
        }
        memcpy(v->id, l->id, sizeof v->id);
        v->first = l;
        v->n = 1;
}

/* ---- a batch ---- */

static bool is_json(const Letter *l) {
        JsonFault fault;

        return json_check(l->body, JSON_KEYS_MAX, &fault) == 0;
}

static int add(Packet *v, const Endpoint *p, const Letter *l, Buf *ids) {
        int r = buf_add_char(&v->own, v->n ? ',' : '[');

        if (r == 0)
                r = p->format == FORMAT_CLOUDEVENTS_STRUCTURED ? wrap(l, &v->own)
                                                               : buf_add(&v->own, l->body);
        if (r == 0 && v->n)
                r = buf_add_char(ids, ',');
        return r == 0 ? buf_add(ids, span_of(l->id)) : r;
}

/* False when there is no more room: it, and those behind it, come later. */
static bool take(Packet *v, const Endpoint *p, Letter *l, Buf *ids, Arena *a) {
        size_t before = v->own.n, ids_before = ids->n;

        if (p->format == FORMAT_PLAIN && !is_json(l)) {
                letter_over(l, a, JOB_FAILED, DELIVERY_MAPPING_FAILED,
                            "the payload is no JSON, and the endpoint takes arrays of it");
                return true;
        }
        if (add(v, p, l, ids) == 0 && (v->n == 0 || v->own.n < p->batch.bytes)) {
                v->first = v->n ? v->first : l;
                v->n++;
                return true;
        }
        v->own.n = before;
        ids->n = ids_before;
        if (v->n > 0)
                return false;
        letter_over(l, a, JOB_FAILED, DELIVERY_NOT_SIGNABLE, "the event is too large to wrap");
        return true;
}

static void leave_out(Letter *l, Arena *a) {
        letter_over(l, a, JOB_LEFT_OUT, DELIVERY_LEFT_OUT, "The batch had no room for it.");
}

/* The hash needs no secret: it names what the same header lists. */
static void name(Packet *v) {
        id_print("batch", (int64_t)(hash_keyed(v->ids, 0, 0) >> 1), v->id);
}

static void fill_batch(Packet *v, const Endpoint *p, Letter *letters, size_t n, Arena *a) {
        AUTO(buf_done)
        Buf ids = BUF(IDS_MAX_BYTES);
        bool has_room = true;

        for (size_t i = 0; i < n; i++) {
                if (letters[i].is_over)
                        continue;
                has_room = has_room && take(v, p, &letters[i], &ids, a);
                if (!has_room)
                        leave_out(&letters[i], a);
        }
        if (v->n == 0)
                return;
        v->ids = arena_span(a, buf_span(&ids));
        must(v->ids.p && buf_add_char(&v->own, ']') == 0);
        name(v);
        v->body = buf_span(&v->own);
        v->content_type =
                p->format == FORMAT_PLAIN ? SPAN("application/json") : SPAN(CLOUDEVENT_BATCH_JSON);
}

void packet_fill(Packet *v, const Endpoint *p, Letter *letters, size_t n, Arena *a) {
        *v = (Packet){.own = BUF(BODY_MAX_BYTES)};
        if (p->batch.events) {
                fill_batch(v, p, letters, n, a);
                return;
        }
        for (size_t i = 0; i < n; i++) {
                if (letters[i].is_over)
                        continue;
                /* More than one was begun as it still took batches. */
                if (v->n > 0)
                        leave_out(&letters[i], a);
                else
                        fill_one(v, p, &letters[i], a);
        }
}

void packet_done(Packet *v) {
        buf_done(&v->own);
}
