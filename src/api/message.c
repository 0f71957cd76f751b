/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages: what an application tells its endpoints. A message is an event of the ledger, whose
 * source is the application's id. */
#include "api/nouns.h"
#include "api/text.h"
#include "base/clock.h"
#include "json/check.h"
#include "json/text.h"

enum { WAIT_MAX_MS = 60000, SHOW_MAX_BYTES = 64 * 1024 * 1024 };

/* ---- shapes ---- */

static const Field out_fields[] = {
        {.name = "id", .type = FIELD_TEXT, .required = true},
        {.name = "eventType", .type = FIELD_TEXT, .required = true},
        {.name = "payload",
         .type = FIELD_OBJECT,
         .required = true,
         .help = "As it was given. A raw one is a text; one that was expunged reads "
                 "{\"expired\":true}."},
        {.name = "eventId", .type = FIELD_TEXT, .nullable = true},
        {.name = "channels", .type = FIELD_LIST, .item = FIELD_TEXT, .nullable = true},
        {.name = "tags", .type = FIELD_LIST, .item = FIELD_TEXT, .nullable = true},
        {.name = "timestamp", .type = FIELD_TIME, .required = true},
        {.name = "deliverAt", .type = FIELD_TIME, .nullable = true},
        {.name = "delivered",
         .type = FIELD_BOOL,
         .help = "Under `wait`: every endpoint has acknowledged."},
};
const Schema schema_message_out = {.name = "MessageOut", SCHEMA_FIELDS(out_fields)};
LIST_SCHEMA(schema_message_list, "MessageOut", schema_message_out);

#define WITH_CONTENT_FIELD                                                                         \
        {                                                                                          \
                .name = "with_content", .type = FIELD_BOOL, .fallback = "true",                    \
                .help = "With the payloads."                                                       \
        }

static const Field get_fields[] = {WITH_CONTENT_FIELD};
const Schema query_message_get = {SCHEMA_FIELDS(get_fields)};

static const Field create_fields[] = {
        WITH_CONTENT_FIELD,
        {.name = "wait",
         .type = FIELD_INTEGER,
         .min = 0,
         .max = WAIT_MAX_MS,
         .fallback = "0",
         .help = "Milliseconds to wait for the deliveries before answering."},
};
const Schema query_message_create = {SCHEMA_FIELDS(create_fields)};

static const Field list_fields[] = {
        LIST_FIELDS,
        WITH_CONTENT_FIELD,
        {.name = "channel", .type = FIELD_TEXT, .min = 1, .max = 128, .form = &form_name},
        {.name = "tag", .type = FIELD_TEXT, .min = 1, .max = 128, .form = &form_name},
        {.name = "before", .type = FIELD_TIME, .help = "Received before this moment."},
        {.name = "after", .type = FIELD_TIME, .help = "Received after this moment."},
        {.name = "event_types", .type = FIELD_LIST, .item = FIELD_TEXT, .form = &form_name},
};
const Schema query_message_list = {SCHEMA_FIELDS(list_fields)};

/* ---- showing ---- */

static void show_payload(Put *p, Span body, bool with_content) {
        JsonFault fault;

        if (!with_content)
                put_raw(p, "payload", SPAN("{}"));
        else if (body.n == 0)
                put_raw(p, "payload", SPAN("{\"expired\":true}"));
        else if (json_check(body, SIZE_MAX, &fault) == 0)
                put_raw(p, "payload", body);
        else
                put_text(p, "payload", body);
}

static void show(Put *p, int64_t id, Span type, int64_t received_ms, Span meta) {
        put_id(p, "id", "msg", id);
        put_text(p, "eventType", type);
        put_time(p, "timestamp", received_ms);
        text_show(p, "eventId", meta, "eventId", "null");
        text_show(p, "channels", meta, "channels", "null");
        text_show(p, "tags", meta, "tags", "null");
        text_show(p, "deliverAt", meta, "deliverAt", "null");
}

void message_show(Put *p, const EventView *v, bool with_content) {
        const Event *e = &v->event;

        show(p, e->id, e->type, e->received_ms, e->meta);
        show_payload(p, e->body, with_content);
}

static bool with_content(const Op *op) {
        return value_bool(&op->query, "with_content", true);
}

/* ---- creating ---- */

static void answer_new(Op *op, const MessageOut *out, bool delivered) {
        AUTO(put_done)
        Put p = PUT(SHOW_MAX_BYTES);
        const MessageIn *m = op->mine;

        put_open(&p, NULL, '{');
        show(&p, out->id, m->type, out->received_ms, m->meta);
        show_payload(&p, m->payload, with_content(op));
        if (value_int(&op->query, "wait", 0))
                put_bool(&p, "delivered", delivered);
        put_close(&p, '}');
        op_json(op, 202, &p);
}

static void refuse_known(Op *op) {
        op_error(op, 409, "conflict", "there is a message with this eventId already");
}

/* The first message is there: is it the one that this very request made, before its answer got
 * lost? Then it is told again. */
static void on_known(Op *op) {
        AUTO(put_done)
        Put p = PUT(SHOW_MAX_BYTES);
        EventView *v = op->request.event.ret;
        const MessageIn *m = op->mine;
        bool by_id = value_of(&op->body, "eventId").p && !value_is_null(&op->body, "eventId");
        Span idem = {NULL, 0};

        (void)op_idempotency_key(op, &idem);
        if (by_id && v)
                if (!idem.n || !span_eq(idem, text_plain(v->event.meta, "idem", op->arena)))
                        v = event_view_free(v);
        if (!v && by_id)
                refuse_known(op);
        else if (!v)
                op_missing(op);
        else if (!span_eq(v->event.type, m->type))
                op_invalid_at(op, "header", "idempotency-key",
                              "this key was used with another message");
        else {
                put_open(&p, NULL, '{');
                message_show(&p, v, with_content(op));
                put_close(&p, '}');
                op_json(op, 202, &p);
        }
        event_view_free(v);
}

static void on_sent(void *arg, const MessageOut *out, size_t n, bool all_delivered) {
        Op *op = arg;
        bool by_id = value_of(&op->body, "eventId").p && !value_is_null(&op->body, "eventId");

        (void)n;
        if (out->fault == -ENOENT)
                op_missing(op);
        else if (out->fault == -EINVAL)
                op_invalid_at(op, "body", NULL, out->why);
        else if (out->fault < 0)
                op_error(op, 503, "unavailable",
                         out->why ? out->why : "the message could not be stored; try again");
        else if (out->result == RECORD_NEW)
                answer_new(op, out, all_delivered);
        else if (out->result == RECORD_CONFLICT && !by_id)
                op_invalid_at(op, "header", "idempotency-key",
                              "this key was used with another message");
        else if (out->result == RECORD_CONFLICT)
                refuse_known(op);
        else
                op_ask(op, &(LedgerRequest){.ask = ASK_EVENT, .event = {.id = out->id}}, on_known);
}

static void send_it(Op *op) {
        AUTO(complaints_done)
        Complaints all = COMPLAINTS;
        Where top = {NULL, SPAN("body")};
        MessageIn *m = arena_alloc(op->arena, sizeof *m);
        Span idem;

        must(m);
        if (!op_idempotency_key(op, &idem) || !message_read(op, &op->body, idem, &top, m, &all)) {
                op_invalid(op, &all);
                return;
        }
        op->mine = m;
        message_send(op->admin->inlet, m, 1, value_int(&op->query, "wait", 0), on_sent, op);
}

void message_create(Op *op) {
        application_along(op, "application", send_it);
}

/* ---- reading ---- */

static void on_got(Op *op, EventView *v) {
        AUTO(put_done)
        Put p = PUT(SHOW_MAX_BYTES);

        put_open(&p, NULL, '{');
        message_show(&p, v, with_content(op));
        put_close(&p, '}');
        event_view_free(v);
        op_json(op, 200, &p);
}

void message_get(Op *op) {
        op_message(op, on_got);
}

static void on_expunged(Op *op) {
        if (op->request.write.expunge.done)
                op_none(op, 204);
        else
                op_missing(op);
}

static void expunge(Op *op, EventView *v) {
        int64_t id = v->event.id;

        event_view_free(v);
        op_ask(op,
               &(LedgerRequest){.ask = ASK_WRITE,
                                .write = {.kind = WRITE_EXPUNGE, .expunge = {.event = id}}},
               on_expunged);
}

void message_expunge(Op *op) {
        op_message(op, expunge);
}

/* ---- listing ---- */

static bool read_types(Op *op, EventQuery *q) {
        Span rest = value_of(&op->query, "event_types");
        Span *types = arena_alloc(op->arena, (rest.n + 1) * sizeof *types);

        if (!types)
                return false;
        while (rest.n) {
                Span one = {rest.p, span_find(rest, ',')};

                if (one.n)
                        types[q->n_types++] = one;
                rest = span_from(rest, one.n + 1);
        }
        q->types = types;
        return true;
}

bool message_query(Op *op, const ListAsk *l, EventQuery *ret) {
        char source[ID_TEXT];

        id_print("app", op_application(op), source);
        *ret = (EventQuery){.oldest_first = !list_downward(l),
                            .source = arena_span(op->arena, span_of(source)),
                            .state = -1,
                            .channel = value_of(&op->query, "channel"),
                            .from_ms = value_time(&op->query, "after"),
                            .to_ms = value_time(&op->query, "before"),
                            .with_body = with_content(op),
                            .max = l->limit};
        if (l->iterator.p && !id_parse("msg", l->iterator, &ret->before_id)) {
                op_invalid_at(op, "query", "iterator", "must be one that an earlier answer gave");
                return false;
        }
        if (read_types(op, ret) && ret->source.p)
                return true;
        op_invalid_at(op, "query", "event_types", "is too long");
        return false;
}

void message_page(Op *op, const ListAsk *l, EventPage *page,
                  void (*each)(Op *op, Put *p, const EventView *v)) {
        AUTO(put_done)
        Put p = PUT(SHOW_MAX_BYTES);
        char ends[2][ID_TEXT];
        /* Where the search stopped, and where it began: what was left out counts too. */
        int64_t far = page->more ? page->next_before_id
                      : page->n  ? page->events[page->n - 1]->event.id
                                 : 0;
        int64_t near = page->n ? page->events[0]->event.id : 0;
        int64_t first = l->is_prev ? far : near, last = l->is_prev ? near : far;

        list_open(&p);
        for (size_t i = 0; i < page->n; i++)
                each(op, &p, page->events[l->is_prev ? page->n - 1 - i : i]);
        id_print("msg", first, ends[0]);
        id_print("msg", last, ends[1]);
        list_close(&p, span_of(first ? ends[0] : NULL), span_of(last ? ends[1] : NULL), !page->more,
                   false);
        event_page_free(page);
        op_json(op, 200, &p);
}

bool message_has_tag(const EventView *v, Span tag) {
        Span tags = v->event.meta.n ? text_member(v->event.meta, "tags") : (Span){NULL, 0};
        Span key, one;

        for (size_t pos = 0; tag.p && tags.p && json_next(tags, &pos, &key, &one);)
                if (json_kind(one) == JSON_STRING && one.n >= 2 &&
                    json_raw_is((Span){one.p + 1, one.n - 2}, tag))
                        return true;
        return !tag.p;
}

static void show_one(Op *op, Put *p, const EventView *v) {
        if (!message_has_tag(v, value_of(&op->query, "tag")))
                return;
        put_open(p, NULL, '{');
        message_show(p, v, with_content(op));
        put_close(p, '}');
}

static void on_listed(Op *op) {
        ListAsk l = list_ask(op, true);

        message_page(op, &l, op->request.events.ret, show_one);
}

void message_list(Op *op) {
        ListAsk l = list_ask(op, true);
        EventQuery q;

        if (message_query(op, &l, &q))
                op_ask(op, &(LedgerRequest){.ask = ASK_EVENTS, .events = {.query = q}}, on_listed);
}
