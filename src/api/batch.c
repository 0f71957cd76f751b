/* SPDX-License-Identifier: Apache-2.0
 *
 * Many messages in one request: an array, or one JSON text per line. Each is judged on its own and
 * has its own result, in the order of the request; those that are good share few commits. */
#include "api/nouns.h"
#include "http/media.h"
#include "json/check.h"
#include "json/value.h"

enum { WAIT_MAX_MS = 60000, ANSWER_MAX_BYTES = 32 * 1024 * 1024, WHY_MAX_BYTES = 4096 };

static const Field query_fields[] = {
        {.name = "wait",
         .type = FIELD_INTEGER,
         .min = 0,
         .max = WAIT_MAX_MS,
         .fallback = "0",
         .help = "Milliseconds to wait for the deliveries before answering."},
};
const Schema query_batch = {SCHEMA_FIELDS(query_fields)};

static const Field result_fields[] = {
        {.name = "status",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "What the message alone would have been answered with."},
        {.name = "id", .type = FIELD_TEXT, .help = "Of a message that was taken."},
        {.name = "timestamp", .type = FIELD_TIME},
        {.name = "code", .type = FIELD_TEXT, .help = "Why it was not taken."},
        {.name = "detail", .type = FIELD_ANY, .help = "As in the answers to single messages."},
};
static const Schema schema_result = {.name = "MessageBatchResult", SCHEMA_FIELDS(result_fields)};

static const Field out_fields[] = {
        {.name = "data",
         .type = FIELD_LIST,
         .item = FIELD_OBJECT,
         .of = &schema_result,
         .required = true},
        {.name = "taken", .type = FIELD_INTEGER, .required = true},
        {.name = "refused", .type = FIELD_INTEGER, .required = true},
        {.name = "delivered",
         .type = FIELD_BOOL,
         .help = "Under `wait`: every endpoint has acknowledged every message."},
};
const Schema schema_batch_out = {.name = "MessageBatchOut", SCHEMA_FIELDS(out_fields)};

/* One item of the request: a message that goes out, or the reason why not. */
typedef struct Item {
        size_t message; /* its place among those that go out */
        Span refusal;   /* JSON; .p NULL: it goes out */
        bool has_id;
} Item;

typedef struct Batch {
        Item *items;
        MessageIn *messages;
        size_t n, n_messages;
        Span idem;
        Complaints *faults; /* of the whole */
} Batch;

/* ---- reading ---- */

static Span keep_refusal(Op *op, const Complaints *why) {
        AUTO(buf_done)
        Buf b = BUF(WHY_MAX_BYTES);

        if (complaints_print(why, &b) < 0)
                return SPAN("{\"detail\":\"is not valid\"}");
        return arena_span(op->arena, buf_span(&b));
}

static void read_item(Op *op, Batch *b, Span value) {
        AUTO(complaints_done)
        Complaints all = COMPLAINTS;
        Where top = {NULL, SPAN("body")}, here = {&top, {NULL, 0}};
        Item *item = &b->items[b->n];
        char place[24];
        Span idem = b->idem;
        Values v;

        here.word = (Span){place, (size_t)snprintf(place, sizeof place, "[%zu]", b->n)};
        /* A batch that is sent again under its key finds each of its messages. */
        if (idem.n)
                idem = span_of(arena_printf(op->arena, SPAN_FMT ":%zu", SPAN_ARG(idem), b->n));
        b->n++;
        schema_read(&schema_message_in, value, &here, &v, &all);
        if (all.n == 0 && message_read(op, &v, idem, &here, &b->messages[b->n_messages], &all)) {
                item->message = b->n_messages++;
                item->has_id = value_of(&v, "eventId").p && !value_is_null(&v, "eventId");
        } else
                item->refusal = keep_refusal(op, &all);
}

static bool read_array(Op *op, Batch *b, Span body) {
        Where top = {NULL, SPAN("body")};
        JsonFault fault;
        Span key, one;

        if (json_check(body, SIZE_MAX, &fault) < 0) {
                complain(b->faults, &top, "value_error.jsondecode", "%s, at byte %zu", fault.why,
                         fault.offset);
                return false;
        }
        if (json_kind(body) != JSON_ARRAY || json_length(body) > MESSAGE_BATCH_MAX) {
                complain(b->faults, &top, "type_error.list",
                         "must be a list of at most %d messages", MESSAGE_BATCH_MAX);
                return false;
        }
        for (size_t pos = 0; json_next(body, &pos, &key, &one);)
                read_item(op, b, one);
        return true;
}

static void read_line(Op *op, Batch *b, Span line) {
        JsonFault fault;

        if (json_check(line, SIZE_MAX, &fault) == 0) {
                read_item(op, b, line);
                return;
        }
        AUTO(complaints_done)
        Complaints all = COMPLAINTS;
        Where top = {NULL, SPAN("body")};

        complain(&all, &top, "value_error.jsondecode", "%s, at byte %zu of the line", fault.why,
                 fault.offset);
        b->items[b->n++].refusal = keep_refusal(op, &all);
}

/* Lines of blanks are none. */
static bool read_lines(Op *op, Batch *b, Span rest) {
        while (rest.n) {
                Span line = {rest.p, span_find(rest, '\n')};

                rest = span_from(rest, line.n + 1);
                line = span_trim(line, " \t\r");
                if (line.n == 0)
                        continue;
                if (b->n == MESSAGE_BATCH_MAX) {
                        Where top = {NULL, SPAN("body")};

                        complain(b->faults, &top, "type_error.list", "must be at most %d messages",
                                 MESSAGE_BATCH_MAX);
                        return false;
                }
                read_line(op, b, line);
        }
        return true;
}

/* ---- answering ---- */

/* True: the message is the ledger's. */
static bool put_result(Put *p, const Item *item, const MessageOut *out) {
        bool is_taken = false;

        put_open(p, NULL, '{');
        if (item->refusal.p) {
                put_int(p, "status", 422);
                put_text(p, "code", SPAN("validation"));
                put_raw(p, "detail", json_member(item->refusal, SPAN("detail")));
        } else if (out->fault < 0) {
                put_int(p, "status", out->fault == -ENOENT ? 404 : 503);
                put_text(p, "code", SPAN("unavailable"));
                put_text(p, "detail", span_of(out->why ? out->why : "it could not be stored"));
        } else if (out->result == RECORD_CONFLICT ||
                   (out->result == RECORD_REPEAT && item->has_id)) {
                put_int(p, "status", item->has_id ? 409 : 422);
                put_text(p, "code", SPAN("conflict"));
                put_text(p, "detail", SPAN("there is a message with this eventId or key already"));
        } else {
                is_taken = true;
                put_int(p, "status", 202);
                put_id(p, "id", "msg", out->id);
                put_time(p, "timestamp", id_wall_ms(out->id));
        }
        put_close(p, '}');
        return is_taken;
}

static void on_sent(void *arg, const MessageOut *out, size_t n, bool all_delivered) {
        AUTO(put_done)
        Put p = PUT(ANSWER_MAX_BYTES);
        Op *op = arg;
        const Batch *b = op->mine;
        int64_t taken = 0;

        (void)n;
        put_open(&p, NULL, '{');
        put_open(&p, "data", '[');
        for (size_t i = 0; i < b->n; i++)
                taken += put_result(&p, &b->items[i], &out[b->items[i].message]);
        put_close(&p, ']');
        put_int(&p, "taken", taken);
        put_int(&p, "refused", (int64_t)b->n - taken);
        if (value_int(&op->query, "wait", 0))
                put_bool(&p, "delivered", all_delivered && taken == (int64_t)b->n);
        put_close(&p, '}');
        op_json(op, 202, &p);
}

static bool is_lines(const Op *op) {
        Span type = http_head_get(op->x->head, "content-type");
        HttpMedia m;

        return type.p && http_media_parse(type, &m) &&
               (http_media_is(&m, "application/x-ndjson") ||
                http_media_is(&m, "application/jsonl") ||
                http_media_is(&m, "application/json-lines"));
}

/* No more messages than this can be in it: each has at least a byte and one between. */
static size_t bound(Span text, bool by_line) {
        size_t n = 1;

        for (size_t i = 0; i < text.n && by_line; i++)
                n += text.p[i] == '\n';
        if (!by_line)
                n = text.n / 2 + 1;
        return n < MESSAGE_BATCH_MAX ? n : MESSAGE_BATCH_MAX;
}

void message_batch(Op *op) {
        AUTO(complaints_done)
        Complaints faults = COMPLAINTS;
        Batch *b = arena_alloc(op->arena, sizeof *b);
        bool by_line = is_lines(op), good;
        size_t most = bound(op->x->body, by_line);

        must(b);
        b->items = arena_alloc(op->arena, (most + 1) * sizeof *b->items);
        b->messages = arena_alloc(op->arena, (most + 1) * sizeof *b->messages);
        must(b->items && b->messages);
        b->faults = &faults;
        good = op_idempotency_key(op, &b->idem) &&
               (by_line ? read_lines(op, b, op->x->body) : read_array(op, b, op->x->body));
        op->mine = b;
        if (good)
                message_send(op->admin->inlet, b->messages, b->n_messages,
                             value_int(&op->query, "wait", 0), on_sent, op);
        else
                op_invalid(op, &faults);
}
