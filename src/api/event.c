/* SPDX-License-Identifier: Apache-2.0
 *
 * Events that a program tells of by the API, for sources that have no webhook: read and judged as
 * those of webhooks are, stored together, answered with their ids.
 *
 * An Idempotency-Key is the key of the event, or with a number behind it those of several. The
 * ledger knows such a repeat event by event; that the request had as many events as the first one
 * is asked before anything is stored. */
#include "api/nouns.h"
#include "trigger/arrival.h"

enum { ANSWER_MAX_BYTES = 256 * 1024, META_DEPTH_BYTES = 40 };

static const Field result_fields[] = {
        {.name = "id", .type = FIELD_TEXT, .required = true, .help = "GET /api/v1/events/{id}"},
        {.name = "isNew",
         .type = FIELD_BOOL,
         .required = true,
         .help = "False: it was told before, by this key or as the source's `once` says, and "
                 "nothing runs. The id is that of the first."},
        {.name = "jobs",
         .type = FIELD_INTEGER,
         .help = "How many flows and endpoints a new one goes to; 0: nobody wants it."},
};
static const Schema schema_result = {.name = "EventResult", SCHEMA_FIELDS(result_fields)};

static const Field out_fields[] = {
        {.name = "events",
         .type = FIELD_LIST,
         .item = FIELD_OBJECT,
         .of = &schema_result,
         .required = true,
         .help = "In the order of the request."},
};
const Schema schema_events_out = {.name = "EventsOut", SCHEMA_FIELDS(out_fields)};

/* What the ledger is asked about a request of several under one key. */
enum { KEY_OF_ONE, KEY_OF_FIRST, KEY_OF_LAST, KEY_BEHIND, KEYS_ASKED };

typedef struct Creating {
        EventsIn in;
        Span source;
        bool has_key, refuses_changed;
        Span keys[KEYS_ASKED]; /* .p NULL: not asked */
        bool known[KEYS_ASKED];
        int asking;
} Creating;

/* ---- answers ---- */

static void refuse_key(Op *op) {
        op_invalid_at(op, "header", "idempotency-key", "this key was used with another request");
}

static void answer_fault(Op *op, const ArrivalOut *out) {
        AUTO(complaints_done)
        Complaints all = COMPLAINTS;
        const Creating *c = op->mine;
        EventPlace room;
        char type[64];
        const Where *at = out->at_fault ? event_place(&c->in, out->at_fault - 1, &room)
                                        : event_place(&(EventsIn){0}, 0, &room);

        if (out->fault == -EAGAIN) {
                op_error(op, 503, "unavailable", out->why);
                return;
        }
        (void)snprintf(type, sizeof type, "value_error.%s", out->code);
        complain(&all, at, type, "%s", out->why);
        op_invalid(op, &all);
}

/* By what the source's `once` or the CloudEvent says: the others are stored, as of a webhook. */
static void answer_conflicts(Op *op, const ArrivalOut *out) {
        AUTO(complaints_done)
        Complaints all = COMPLAINTS;
        const Creating *c = op->mine;
        EventPlace room;

        for (size_t i = 0; i < c->in.n; i++)
                if (out->events[i].result == RECORD_CONFLICT)
                        complain(&all, event_place(&c->in, i, &room), "value_error.conflict",
                                 "its key was used before with another body%s",
                                 c->in.are_many ? "; the other events are stored" : "");
        op_invalid(op, &all);
}

static void answer_stored(Op *op, const ArrivalOut *out) {
        AUTO(put_done)
        Put p = PUT(ANSWER_MAX_BYTES);
        const Creating *c = op->mine;

        put_open(&p, NULL, '{');
        put_open(&p, "events", '[');
        for (size_t i = 0; i < c->in.n; i++) {
                const Arrived *one = &out->events[i];

                put_open(&p, NULL, '{');
                put_id(&p, "id", "evt", one->id);
                put_bool(&p, "isNew", one->result == RECORD_NEW);
                if (one->result == RECORD_NEW)
                        put_int(&p, "jobs", (int64_t)one->jobs);
                put_close(&p, '}');
        }
        put_close(&p, ']');
        put_close(&p, '}');
        op_json(op, 202, &p);
}

static void on_arrived(void *arg, const ArrivalOut *out) {
        Op *op = arg;
        const Creating *c = op->mine;
        bool conflicts = false;

        for (size_t i = 0; out->events && i < c->in.n; i++)
                conflicts |= out->events[i].result == RECORD_CONFLICT;
        if (out->fault < 0)
                answer_fault(op, out);
        else if (conflicts && c->has_key)
                refuse_key(op);
        else if (conflicts && c->refuses_changed)
                answer_conflicts(op, out);
        else
                answer_stored(op, out);
}

/* ---- keys ---- */

/* No key of a header holds a blank, so none is mistaken for one of several. */
static Span numbered(Op *op, Span key, size_t i) {
        return span_of(arena_printf(op->arena, SPAN_FMT " %zu", SPAN_ARG(key), i));
}

/* As keys of messages begin: what `once` gives, or a CloudEvent's id, is not taken for one. */
static Span key_in_ledger(Op *op, Span key) {
        char hash[KEY_HASH_TEXT];

        if (key.n > EVENT_KEY_MAX_BYTES - 16) {
                key_hash(key, hash);
                key = span_of(hash);
        }
        return span_of(arena_printf(op->arena, "idem:" SPAN_FMT, SPAN_ARG(key)));
}

static void give_keys(Op *op, Creating *c, Span key) {
        size_t n = c->in.n;

        key = key_in_ledger(op, key);
        for (size_t i = 0; i < n; i++) {
                c->in.at[i].key = n > 1 ? numbered(op, key, i) : key;
                c->in.at[i].is_key_first = true;
        }
        c->keys[KEY_OF_FIRST] = numbered(op, key, 0);
        if (n == 1)
                return;
        c->keys[KEY_OF_ONE] = key;
        c->keys[KEY_OF_LAST] = numbered(op, key, n - 1);
        c->keys[KEY_BEHIND] = numbered(op, key, n);
}

/* Was the key used with one event where there are several now, or with more, or with fewer? */
static bool is_another(const Creating *c) {
        if (c->in.n == 1)
                return c->known[KEY_OF_FIRST];
        return c->known[KEY_OF_ONE] || c->known[KEY_BEHIND] ||
               c->known[KEY_OF_FIRST] != c->known[KEY_OF_LAST];
}

static void ask_keys(Op *op);

static void on_key(Op *op) {
        Creating *c = op->mine;

        c->known[c->asking++] = op->request.key.event != 0;
        ask_keys(op);
}

static void ask_keys(Op *op) {
        Creating *c = op->mine;

        while (c->asking < KEYS_ASKED && !c->keys[c->asking].p)
                c->asking++;
        if (c->asking < KEYS_ASKED)
                op_ask(op,
                       &(LedgerRequest){.ask = ASK_KEY,
                                        .key = {.source = c->source, .key = c->keys[c->asking]}},
                       on_key);
        else if (is_another(c))
                refuse_key(op);
        else
                arrival_send_judged(op->admin->inlet, c->source, c->in.at, c->in.n, op_trace(op),
                                    on_arrived, op);
}

/* ---- the request ---- */

/* So that a circle of events which cause messages which cause events ends. */
static void give_depth(Op *op, EventsIn *in, int64_t depth) {
        for (size_t i = 0; depth && i < in->n; i++) {
                Span meta = in->at[i].meta;

                in->at[i].meta = span_of(arena_printf(op->arena, SPAN_FMT "%s\"depth\":%" PRId64,
                                                      SPAN_ARG(meta), meta.n ? "," : "", depth));
        }
}

static void refuse_reading(Op *op, int r, const Complaints *why) {
        if (r == -ENOTSUP)
                op_error(op, 415, "unsupported_media_type",
                         "send application/json, application/x-ndjson, or a CloudEvent: "
                         "application/cloudevents+json, application/cloudevents-batch+json, or "
                         "ce-* headers");
        else if (r == -EAGAIN)
                op_error(op, 503, "busy", "there is no memory to judge the events; try again soon");
        else
                op_invalid(op, why);
}

void event_create(Op *op) {
        AUTO(complaints_done)
        Complaints all = COMPLAINTS;
        Creating *c = arena_alloc(op->arena, sizeof *c);
        Inlet *in = op->admin->inlet;
        Span name = op_param(op, "source"), key;
        const Source *s = snapshot_source(in->runner->snapshot, name);
        int64_t depth = 0;
        int r;

        must(c);
        if (!s) {
                op_error(op, 404, "not_found", "the configuration has no source of this name");
                return;
        }
        if (atomic_load(&in->draining)) {
                op_error(op, 503, "stopping", "Grapnel is stopping; try again soon");
                return;
        }
        *c = (Creating){.refuses_changed = s->config->changed == CHANGED_REFUSE};
        op->mine = c;
        r = event_read(op, s, &c->in, &all);
        if (r == 0 && !op_depth(op, &depth, &all))
                r = -EBADMSG;
        if (r < 0) {
                refuse_reading(op, r, &all);
                return;
        }
        c->source = arena_span(op->arena, name);
        give_depth(op, &c->in, depth);
        must(op_idempotency_key(op, &key)); /* looked at before */
        c->has_key = key.n > 0;
        if (c->has_key)
                give_keys(op, c, key);
        ask_keys(op);
}
