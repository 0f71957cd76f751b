/* SPDX-License-Identifier: Apache-2.0
 *
 * Statements of the configuration, run in a database of an application on threads of their own
 * (watch/statement.h). Errors are problems (RFC 9457) with the API's `code` and `detail`. */
#include "watch/statement.h"
#include "api/nouns.h"
#include "base/clock.h"
#include "trigger/message.h"
#include "json/value.h"

#include <errno.h>
#include <limits.h>

enum {
        ANSWER_MAX_BYTES = 3 * STATEMENT_ANSWER_MAX_BYTES,
        ACTOR_MAX_BYTES = 256,
        VALUE_MAX_BYTES = 8 * 1024 * 1024
};

const Schema schema_statement_in = {
        .name = "StatementIn",
        .help = "The statement's parameters by their names, each one of them. null is NULL.",
};

static const Field fields[] = {
        {.name = "rows",
         .type = FIELD_LIST,
         .item = FIELD_OBJECT,
         .required = true,
         .help = "What it returned."},
        {.name = "count",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "How many rows; without RETURNING how many it changed."},
        {.name = "events",
         .type = FIELD_LIST,
         .item = FIELD_TEXT,
         .required = true,
         .help = "The ids of the events that the source's outbox holds of it: `id` in their "
                 "bodies."},
        {.name = "transaction",
         .type = FIELD_TEXT,
         .nullable = true,
         .help = "PostgreSQL: its id, as events name it."},
};
const Schema schema_statement_out = {.name = "StatementOut", SCHEMA_FIELDS(fields)};

typedef struct Running {
        StatementCall call; /* first: its note leads back */
        Op *op;
} Running;

/* ---- answers ---- */

static void problem(Op *op, int status, const char *code, const char *detail, const char *parameter,
                    const StatementCall *call) {
        AUTO(put_done)
        Put p = PUT(16 * 1024);

        put_open(&p, NULL, '{');
        put_int(&p, "status", status);
        put_text(&p, "code", span_of(code));
        put_text(&p, "detail", span_of(detail));
        if (parameter)
                put_text(&p, "parameter", span_of(parameter));
        if (call && call->table[0])
                put_text(&p, "table", span_of(call->table));
        if (call && call->column[0])
                put_text(&p, "column", span_of(call->column));
        if (call && call->constraint[0])
                put_text(&p, "constraint", span_of(call->constraint));
        put_close(&p, '}');
        op_body(op, status, "application/problem+json", p.fault ? SPAN("{}") : put_span(&p));
}

static void answer_done(Op *op, StatementCall *call) {
        AUTO(put_done)
        Put p = PUT(ANSWER_MAX_BYTES);

        must(buf_add(&p.out, SPAN("{\"rows\":[")) == 0);
        p.fault = call->rows.n ? buf_add(&p.out, buf_span(&call->rows)) : 0;
        if (p.fault == 0)
                p.fault = buf_add(&p.out, SPAN("],\"events\":["));
        if (p.fault == 0 && call->events.n)
                p.fault = buf_add(&p.out, buf_span(&call->events));
        if (p.fault == 0)
                p.fault = buf_addf(&p.out, "],\"count\":%" PRId64 ",\"transaction\":", call->count);
        if (p.fault == 0)
                p.fault = call->transaction[0] ? buf_add_json(&p.out, span_of(call->transaction))
                                               : buf_add(&p.out, SPAN("null"));
        if (p.fault == 0)
                p.fault = buf_add_char(&p.out, '}');
        op_json(op, 200, &p);
}

static void answer(Op *op, StatementCall *call) {
        static const struct {
                int status;
                const char *code;
        } all[] = {[STATEMENT_DONE] = {200, ""},
                   [STATEMENT_CONFLICT] = {409, "constraint"},
                   [STATEMENT_INVALID] = {422, "refused"},
                   [STATEMENT_TOO_MANY] = {422, "too_many_rows"},
                   [STATEMENT_LATE] = {504, "timeout"},
                   [STATEMENT_AWAY] = {503, "database_away"},
                   [STATEMENT_AGAIN] = {503, "try_again"},
                   [STATEMENT_UNKNOWN] = {502, "outcome_unknown"},
                   [STATEMENT_BROKEN] = {500, "statement"}};

        if (call->result == STATEMENT_DONE)
                answer_done(op, call);
        else if (call->result == STATEMENT_TOO_MANY)
                problem(op, 422, "too_many_rows",
                        "it returns more than its `rows` allow, or more than 8 MiB; nothing was "
                        "done",
                        NULL, NULL);
        else if (call->result == STATEMENT_UNKNOWN)
                problem(op, 502, "outcome_unknown",
                        "the connection broke while it committed, and the database could not be "
                        "asked what became of it",
                        NULL, NULL);
        else
                problem(op, all[call->result].status, all[call->result].code, call->message, NULL,
                        call);
}

static void on_ended(Note *n) {
        Running *r = CONTAINER_OF(CONTAINER_OF(n, StatementCall, note), Running, call);
        Op *op = r->op;

        answer(op, &r->call);
        buf_done(&r->call.rows);
        buf_done(&r->call.events);
        statements_unref(r->call.set);
        free(r);
}

/* ---- the request ---- */

static const Statement *find(const Statements *set, Span name) {
        for (size_t i = 0; set && i < set->n; i++)
                if (span_eq(name, span_of(set->at[i].config->name)))
                        return &set->at[i];
        return NULL;
}

static bool is_whole(Span number) {
        return number.n && memchr(number.p, '.', number.n) == NULL &&
               memchr(number.p, 'e', number.n) == NULL && memchr(number.p, 'E', number.n) == NULL;
}

static bool type_fits(ParameterType type, Span value) {
        JsonKind k = json_kind(value);

        switch (type) {
        case PARAMETER_TEXT:
                return k == JSON_STRING || k == JSON_NULL;
        case PARAMETER_INTEGER:
                return k == JSON_NULL || (k == JSON_NUMBER && is_whole(json_trim(value)));
        case PARAMETER_NUMBER:
                return k == JSON_NULL || k == JSON_NUMBER;
        case PARAMETER_BOOLEAN:
                return k == JSON_NULL || k == JSON_TRUE || k == JSON_FALSE;
        case PARAMETER_ANY:
        case PARAMETER_JSON:
                return true;
        }
        return false;
}

/* The value as it is bound; NULL, or what is wrong with it. */
static const char *read_value(Op *op, const Parameter *p, Span value, StatementValue *ret) {
        AUTO(buf_done)
        Buf b = BUF(VALUE_MAX_BYTES);
        int r = 0;

        if (!type_fits(p->type, value))
                return "is of another type";
        ret->kind = p->type == PARAMETER_JSON ? JSON_OBJECT : (int)json_kind(value);
        if (json_kind(value) == JSON_NULL)
                return NULL;
        if (ret->kind == JSON_OBJECT || ret->kind == JSON_ARRAY)
                r = buf_add(&b, json_trim(value));
        else
                r = json_text(value, &b);
        if (r < 0)
                return "is too large, or no text";
        /* It would be cut there. */
        if (b.n && memchr(b.p, 0, b.n))
                return "holds a zero byte, which no column takes";
        ret->text = arena_text(op->arena, b.n ? buf_span(&b) : SPAN(""));
        ret->n = b.n;
        return ret->text ? NULL : "is too large";
}

static bool refuse(Op *op, const char *code, const char *name, const char *why) {
        const char *detail = arena_printf(op->arena, "parameter %s %s", name, why);

        problem(op, 400, code, detail ? detail : why, name, NULL);
        return false;
}

/* False when it has answered. */
static bool read_values(Op *op, const Statement *s, StatementValue *values) {
        Span key, value;

        for (size_t i = 0; i < s->n; i++) {
                const Parameter *p = &s->parameters[i];
                const char *why;

                value = json_member(op->json, span_of(p->name));
                if (!value.p)
                        return refuse(op, "missing_parameter", p->name, "is missing");
                why = read_value(op, p, value, &values[i]);
                if (why)
                        return refuse(op, "bad_parameter", p->name, why);
        }
        for (size_t pos = 0; json_next(op->json, &pos, &key, &value);) {
                AUTO(buf_done)
                Buf name = BUF(256);
                bool known = false;

                if (json_key_text(key, &name) == 0)
                        for (size_t i = 0; i < s->n; i++)
                                known |= span_eq(name.n ? buf_span(&name) : SPAN(""),
                                                 span_of(s->parameters[i].name));
                if (!known) {
                        const char *shown = arena_text(op->arena, key);

                        return refuse(op, "unknown_parameter", shown ? shown : "",
                                      "is none of this statement");
                }
        }
        return true;
}

/* How many events led to the one that the caller heard of; false: it heard of none. */
static bool depth_of(const Op *op, uint64_t *ret) {
        return span_to_u64(http_head_get(op->x->head, "grapnel-depth"), UINT32_MAX, ret);
}

/* Who and why, for the events: {"statement": ..., "actor": ..., "trace": ..., "depth": ...}. */
static const char *context_of(Op *op, const Statement *s) {
        AUTO(buf_done)
        Buf b = BUF(8 * 1024);
        Span actor = http_head_get(op->x->head, "grapnel-actor"), trace = op_trace(op);
        int r = buf_addf(&b, "{\"statement\":\"%s\"", s->config->name);
        uint64_t depth;

        if (r == 0 && actor.n && actor.n <= ACTOR_MAX_BYTES) {
                r = buf_add(&b, SPAN(",\"actor\":"));
                if (r == 0)
                        r = buf_add_json(&b, actor);
        }
        if (r == 0 && trace.n) {
                r = buf_add(&b, SPAN(",\"trace\":"));
                if (r == 0)
                        r = buf_add_json(&b, trace);
        }
        if (r == 0 && depth_of(op, &depth))
                r = buf_addf(&b, ",\"depth\":%" PRIu64, depth);
        if (r == 0)
                r = buf_add_char(&b, '}');
        return r == 0 ? arena_text(op->arena, buf_span(&b)) : NULL;
}

/* The set's reference goes along. */
static void hand_over(Op *op, Statements *set, const Statement *s, const StatementValue *values) {
        Running *run = must_alloc(sizeof *run);
        int r;

        *run = (Running){.call = {.note = {.read = on_ended},
                                  .home = &op->admin->loop->inbox,
                                  .set = set,
                                  .statement = s,
                                  .values = values,
                                  .context = context_of(op, s),
                                  .until_ms = clock_mono_ms() + s->config->timeout_ms,
                                  .rows = BUF(STATEMENT_ANSWER_MAX_BYTES),
                                  .events = BUF(STATEMENT_ANSWER_MAX_BYTES)},
                         .op = op};
        r = desks_send(op->admin->parts.desks, &run->call);
        if (r == 0)
                return;
        free(run);
        statements_unref(set);
        if (r == -EAGAIN)
                problem(op, 503, "busy", "too many statements wait for this database", NULL, NULL);
        else
                problem(op, 503, "stopping", "Grapnel is stopping; try again soon", NULL, NULL);
}

void statement_run(Op *op) {
        Desks *desks = op->admin->parts.desks;
        Statements *set = desks ? desks_current(desks) : NULL;
        const Statement *s = find(set, op_param(op, "statement"));
        StatementValue *values;
        uint64_t depth;

        if (!s) {
                problem(op, 404, "not_found", "the configuration has no statement of this name",
                        NULL, NULL);
                statements_unref(set);
                return;
        }
        if (depth_of(op, &depth) && depth >= MESSAGE_DEPTH_MAX) {
                problem(op, 422, "too_deep",
                        "more than 16 events led to this call: it is taken for a circle", NULL,
                        NULL);
                statements_unref(set);
                return;
        }
        values = arena_alloc(op->arena, (s->n + 1) * sizeof *values);
        must(values);
        memset(values, 0, (s->n + 1) * sizeof *values);
        if (read_values(op, s, values))
                hand_over(op, set, s, values);
        else
                statements_unref(set);
}
