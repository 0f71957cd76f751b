/* SPDX-License-Identifier: Apache-2.0
 *
 * Attempts: how deliveries went. An attempt is named by its job and its number:
 * "atmpt_0123456789abc_2". What was sent and heard stands in the attempt's detail, written by
 * flow/delivery.c. */
#include "api/nouns.h"
#include "api/text.h"
#include "json/value.h"

enum { SHOW_MAX_BYTES = 64 * 1024 * 1024, ATTEMPT_TEXT = ID_TEXT + 12 };

/* As the document numbers them. */
typedef enum Status { SUCCESS, PENDING, FAIL_, SENDING } Status;

static const char *const status_names[] = {"success", "pending", "fail", "sending"};

/* ---- shapes ---- */

#define STATUS_FIELDS                                                                              \
        {.name = "status",                                                                         \
         .type = FIELD_INTEGER,                                                                    \
         .required = true,                                                                         \
         .max = SENDING,                                                                           \
         .help = "0 success, 1 pending, 2 fail, 3 sending."},                                      \
        {                                                                                          \
                .name = "statusText", .type = FIELD_TEXT, .required = true,                        \
                .choices = (const char *const[]) {                                                 \
                        "success", "pending", "fail", "sending", NULL                              \
                }                                                                                  \
        }

static const Field out_fields[] = {
        {.name = "id", .type = FIELD_TEXT, .required = true},
        {.name = "msgId", .type = FIELD_TEXT, .required = true},
        {.name = "endpointId", .type = FIELD_TEXT, .required = true},
        {.name = "url", .type = FIELD_URL, .required = true},
        {.name = "timestamp", .type = FIELD_TIME, .required = true},
        STATUS_FIELDS,
        {.name = "response",
         .type = FIELD_TEXT,
         .required = true,
         .help = "The first 16 KiB of the answer's body."},
        {.name = "responseStatusCode",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "0: there was no answer."},
        {.name = "responseDurationMs", .type = FIELD_INTEGER, .required = true},
        {.name = "triggerType",
         .type = FIELD_INTEGER,
         .required = true,
         .max = 1,
         .help = "0 scheduled, 1 manual."},
        {.name = "number", .type = FIELD_INTEGER, .required = true, .help = "1 is the first."},
        {.name = "code", .type = FIELD_TEXT, .required = true, .help = "How it ended, in a word."},
        {.name = "message", .type = FIELD_TEXT, .required = true, .help = "The same, for people."},
        {.name = "detail",
         .type = FIELD_OBJECT,
         .nullable = true,
         .help = "Headers sent and received, the address that was dialled, and times in "
                 "microseconds."},
};
const Schema schema_attempt_out = {.name = "MessageAttemptOut", SCHEMA_FIELDS(out_fields)};
LIST_SCHEMA(schema_attempt_list, "MessageAttemptOut", schema_attempt_out);

static const Field destination_fields[] = {
        STATUS_FIELDS,
        {.name = "nextAttempt", .type = FIELD_TIME, .nullable = true},
};
static const Schema schema_destination = {.name = "MessageEndpointOut",
                                          .base = &schema_endpoint_out,
                                          SCHEMA_FIELDS(destination_fields)};
LIST_SCHEMA(schema_destination_list, "MessageEndpointOut", schema_destination);
static const Schema schema_attempted = {.name = "EndpointMessageOut",
                                        .base = &schema_message_out,
                                        SCHEMA_FIELDS(destination_fields)};
LIST_SCHEMA(schema_attempted_list, "EndpointMessageOut", schema_attempted);

const Schema schema_nothing = {.name = "EmptyResponse"};

#define FILTER_FIELDS                                                                              \
        {.name = "status",                                                                         \
         .type = FIELD_INTEGER,                                                                    \
         .max = SENDING,                                                                           \
         .help = "0 success, 1 pending, 2 fail, 3 sending."},                                      \
                {.name = "channel", .type = FIELD_TEXT, .min = 1, .max = 128, .form = &form_name}, \
                {.name = "before", .type = FIELD_TIME}, {.name = "after", .type = FIELD_TIME},     \
                {.name = "with_content", .type = FIELD_BOOL, .fallback = "true"}, {                \
                .name = "event_types", .type = FIELD_LIST, .item = FIELD_TEXT, .form = &form_name  \
        }
#define CLASS_FIELD                                                                                \
        {                                                                                          \
                .name = "status_code_class", .type = FIELD_INTEGER, .max = 500,                    \
                .help = "0 for no answer, 200 for 200 to 299, and so on."                          \
        }

static const Field by_endpoint_fields[] = {LIST_FIELDS, FILTER_FIELDS, CLASS_FIELD};
const Schema query_attempts_by_endpoint = {SCHEMA_FIELDS(by_endpoint_fields)};
static const Field by_message_fields[] = {
        LIST_FIELDS,
        FILTER_FIELDS,
        CLASS_FIELD,
        {.name = "endpoint_id", .type = FIELD_TEXT, .min = 1, .max = 256},
};
const Schema query_attempts_by_message = {SCHEMA_FIELDS(by_message_fields)};
static const Field destinations_fields[] = {LIST_FIELDS};
const Schema query_destinations = {SCHEMA_FIELDS(destinations_fields)};
static const Field attempted_fields[] = {
        LIST_FIELDS,
        FILTER_FIELDS,
        {.name = "tag", .type = FIELD_TEXT, .min = 1, .max = 128, .form = &form_name},
};
const Schema query_attempted = {SCHEMA_FIELDS(attempted_fields)};

/* ---- showing ---- */

static void print_id(int64_t job, unsigned number, char ret[ATTEMPT_TEXT]) {
        id_print("atmpt", job, ret);
        (void)snprintf(ret + strlen(ret), 12, "_%u", number);
}

static bool parse_id(Span text, int64_t *ret_job, unsigned *ret_number) {
        size_t n = ID_PREFIX_MAX + 1 + ID_LETTERS;
        uint64_t number;

        if (text.n < n + 2 || text.p[n] != '_' ||
            !span_to_u64(span_from(text, n + 1), UINT32_MAX, &number) || number == 0)
                return false;
        *ret_number = (unsigned)number;
        return id_parse("atmpt", (Span){text.p, n}, ret_job);
}

static void put_status(Put *p, Status s) {
        put_int(p, "status", s);
        put_text(p, "statusText", span_of(status_names[s]));
}

static Span endpoint_of(Span target) {
        return span_from(target, span_find(target, ':') + 1);
}

static void put_response(Put *p, Span detail, bool with_content) {
        Span response = text_member(detail, "response");
        Span body = response.p && with_content ? text_member(response, "body") : (Span){NULL, 0};
        Span us = text_member(detail, "us");

        if (body.p)
                put_raw(p, "response", body);
        else
                put_text(p, "response", SPAN(""));
        put_int(p, "responseStatusCode", text_int(detail, "status", 0));
        put_int(p, "responseDurationMs", us.p ? text_int(us, "total", 0) / 1000 : 0);
        text_show(p, "url", detail, "url", "\"\"");
}

/* The body is told once, as `response`. */
static void put_detail(Put *p, Span detail) {
        Span key, value, name, inner;

        if (!detail.n) {
                put_null(p, "detail");
                return;
        }
        put_open(p, "detail", '{');
        for (size_t pos = 0; json_next(detail, &pos, &key, &value);) {
                if (!span_eq(key, SPAN("response"))) {
                        put_raw_for_raw(p, key, value);
                        continue;
                }
                put_open(p, "response", '{');
                for (size_t at = 0; json_next(value, &at, &name, &inner);)
                        if (!span_eq(name, SPAN("body")))
                                put_raw_for_raw(p, name, inner);
                put_close(p, '}');
        }
        put_close(p, '}');
}

typedef struct Shown {
        int64_t job, event;
        Span target;
} Shown;

static void show(Put *p, const Shown *s, const Attempt *a, bool with_content) {
        char id[ATTEMPT_TEXT];
        Span detail = a->detail.n ? a->detail : SPAN("{}");
        int64_t status = text_int(detail, "status", a->status);

        print_id(s->job, a->number, id);
        put_open(p, NULL, '{');
        put_text(p, "id", span_of(id));
        put_id(p, "msgId", "msg", s->event);
        put_text(p, "endpointId", endpoint_of(s->target));
        put_time(p, "timestamp", a->started_ms);
        put_status(p, status >= 200 && status < 300 ? SUCCESS : FAIL_);
        put_response(p, detail, with_content);
        put_int(p, "triggerType", a->is_manual);
        put_int(p, "number", a->number);
        put_text(p, "code", a->code);
        put_text(p, "message", a->message);
        if (with_content)
                put_detail(p, a->detail);
        else
                put_null(p, "detail");
        put_close(p, '}');
}

/* ---- lists ---- */

static bool read_types(Op *op, const Span **ret, size_t *ret_n) {
        Span rest = value_of(&op->query, "event_types");
        Span *types = arena_alloc(op->arena, (rest.n + 1) * sizeof *types);
        size_t n = 0;

        if (!types)
                return false;
        while (rest.n) {
                Span one = {rest.p, span_find(rest, ',')};

                if (one.n)
                        types[n++] = one;
                rest = span_from(rest, one.n + 1);
        }
        *ret = types;
        *ret_n = n;
        return true;
}

/* What of the request's filter the ledger cannot do itself. */
static bool passes(Op *op, const AttemptView *v) {
        Span only = op->mine ? *(Span *)op->mine : (Span){NULL, 0};
        int64_t class = value_int(&op->query, "status_code_class", -1);
        int64_t status = text_int(v->attempt.detail.n ? v->attempt.detail : SPAN("{}"), "status",
                                  v->attempt.status);

        return (!only.p || span_eq(v->target, only)) && (class != 0 || status < 100) &&
               span_starts(v->target, SPAN("endpoint:"));
}

static void on_attempts(Op *op) {
        AUTO(put_done)
        Put p = PUT(SHOW_MAX_BYTES);
        AttemptPage *page = op->request.attempts.ret;
        bool with_content = value_bool(&op->query, "with_content", true);
        char last[ATTEMPT_TEXT];
        Span iterator = value_of(&op->query, "iterator");

        list_open(&p);
        for (size_t i = 0; i < page->n; i++) {
                const AttemptView *v = &page->attempts[i];

                if (passes(op, v))
                        show(&p, &(Shown){v->job, v->event, v->target}, &v->attempt, with_content);
                print_id(v->job, v->attempt.number, last);
                iterator = span_of(last);
        }
        if (page->more) {
                print_id(page->next_job, page->next_number, last);
                iterator = span_of(last);
        }
        list_close(&p, (Span){NULL, 0}, iterator, !page->more, true);
        attempt_page_free(page);
        op_json(op, 200, &p);
}

/* Statuses that no attempt has: those that are under way are not recorded. */
static bool none_can_be(const Op *op) {
        int64_t status = value_int(&op->query, "status", SUCCESS);

        return status == PENDING || status == SENDING;
}

static void answer_none(Op *op) {
        AUTO(put_done)
        Put p = PUT(4096);

        list_open(&p);
        list_close(&p, (Span){NULL, 0}, (Span){NULL, 0}, true, true);
        op_json(op, 200, &p);
}

static void ask(Op *op, int64_t event, Span target) {
        ListAsk l = list_ask(op, true);
        int64_t class = value_int(&op->query, "status_code_class", 0);
        int64_t status = value_int(&op->query, "status", -1);
        AttemptQuery q = {.event = event,
                          .target = target,
                          .success = status < 0 ? -1 : status == SUCCESS,
                          .status_class = (int)(class / 100),
                          .channel = value_of(&op->query, "channel"),
                          .from_ms = value_time(&op->query, "after"),
                          .to_ms = value_time(&op->query, "before"),
                          .max = l.limit};

        if (l.iterator.p && (l.is_prev || !parse_id(l.iterator, &q.before_job, &q.before_number)))
                op_invalid_at(op, "query", "iterator", "must be one that an earlier answer gave");
        else if (!read_types(op, &q.types, &q.n_types))
                op_invalid_at(op, "query", "event_types", "is too long");
        else if (none_can_be(op))
                answer_none(op);
        else
                op_ask(op, &(LedgerRequest){.ask = ASK_ATTEMPTS, .attempts = {.query = q}},
                       on_attempts);
}

void attempt_list_by_endpoint(Op *op) {
        ask(op, 0, span_of(op->endpoint->endpoint->target));
}

/* The target of the endpoint that the query names. False: there is none. */
static bool only_target(Op *op, Span *ret) {
        Span name = value_of(&op->query, "endpoint_id");
        Entry *e;

        *ret = (Span){NULL, 0};
        if (!name.p)
                return true;
        e = registry_find(op->admin->parts.registry, OBJECT_ENDPOINT, op_application(op), "ep",
                          name);
        if (e)
                *ret = arena_span(op->arena, span_of(e->endpoint->target));
        entry_unref(e);
        return ret->p != NULL;
}

static void list_of(Op *op, EventView *v) {
        int64_t event = v->event.id;
        Span *only = arena_alloc(op->arena, sizeof *only);

        event_view_free(v);
        must(only);
        op->mine = only;
        if (only_target(op, only))
                ask(op, event, (Span){NULL, 0});
        else
                op_missing(op);
}

void attempt_list_by_message(Op *op) {
        op_message(op, list_of);
}

/* ---- one ---- */

static const Attempt *find(Op *op, const EventView *v, const JobView **ret) {
        unsigned number;
        int64_t job;

        if (!parse_id(op_param(op, "attempt_id"), &job, &number))
                return NULL;
        for (size_t i = 0; i < v->n_jobs; i++)
                for (size_t k = 0; v->jobs[i].id == job && k < v->jobs[i].n_listed; k++)
                        if (v->jobs[i].attempts[k].number == number &&
                            span_starts(v->jobs[i].target, SPAN("endpoint:"))) {
                                *ret = &v->jobs[i];
                                return &v->jobs[i].attempts[k];
                        }
        return NULL;
}

static void got(Op *op, EventView *v) {
        AUTO(put_done)
        Put p = PUT(SHOW_MAX_BYTES);
        const JobView *j;
        const Attempt *a = find(op, v, &j);

        if (a)
                show(&p, &(Shown){j->id, v->event.id, j->target}, a, true);
        event_view_free(v);
        if (a)
                op_json(op, 200, &p);
        else
                op_missing(op);
}

void attempt_get(Op *op) {
        op_message(op, got);
}

static void on_expunged(Op *op) {
        if (op->request.write.expunge.done)
                op_none(op, 204);
        else
                op_missing(op);
}

static void expunge(Op *op, EventView *v) {
        const JobView *j;
        const Attempt *a = find(op, v, &j);
        LedgerRequest r = {.ask = ASK_WRITE, .write = {.kind = WRITE_EXPUNGE}};

        if (a) {
                r.write.expunge.event = v->event.id;
                r.write.expunge.job = j->id;
                r.write.expunge.attempt = a->number;
        }
        event_view_free(v);
        if (a)
                op_ask(op, &r, on_expunged);
        else
                op_missing(op);
}

void attempt_expunge(Op *op) {
        op_message(op, expunge);
}

/* ---- where a message went ---- */

static Status status_of(JobState s) {
        return s == JOB_DONE ? SUCCESS : s == JOB_DEAD ? FAIL_ : PENDING;
}

static void put_standing(Put *p, const JobView *j) {
        put_status(p, status_of(j->state));
        if (j->state == JOB_WAITING)
                put_time(p, "nextAttempt", j->due_ms);
        else
                put_null(p, "nextAttempt");
}

static bool put_destination(Op *op, Put *p, const JobView *j) {
        int64_t id;
        Entry *e = id_parse("ep", endpoint_of(j->target), &id)
                           ? registry_by_id(op->admin->parts.registry, OBJECT_ENDPOINT, id)
                           : NULL;

        if (!e || e->object.owner != op_application(op)) {
                entry_unref(e);
                return false;
        }
        put_open(p, NULL, '{');
        endpoint_show(p, e);
        put_standing(p, j);
        put_close(p, '}');
        entry_unref(e);
        return true;
}

/* Endpoints that are gone are left out. Those of one message are few: they are gone through whole,
 * from after the one that the iterator names. */
static void destinations(Op *op, EventView *v) {
        AUTO(put_done)
        Put p = PUT(SHOW_MAX_BYTES);
        ListAsk l = list_ask(op, false);
        Span last = l.iterator;
        bool after = !l.iterator.p, more = false;
        size_t n = 0;

        list_open(&p);
        for (size_t i = 0; i < v->n_jobs && !more; i++) {
                const JobView *j = &v->jobs[i];

                if (!after)
                        after = span_eq(endpoint_of(j->target), l.iterator);
                else if (n == l.limit)
                        more = true;
                else if (put_destination(op, &p, j)) {
                        last = arena_span(op->arena, endpoint_of(j->target));
                        n++;
                }
        }
        list_close(&p, (Span){NULL, 0}, last, !more, true);
        event_view_free(v);
        op_json(op, 200, &p);
}

void attempt_destinations(Op *op) {
        op_message(op, destinations);
}

/* ---- what went to an endpoint ---- */

static const JobView *job_for(const EventView *v, Span target) {
        for (size_t i = 0; i < v->n_jobs; i++)
                if (span_eq(v->jobs[i].target, target))
                        return &v->jobs[i];
        return NULL;
}

static void show_attempted(Op *op, Put *p, const EventView *v) {
        const JobView *j = job_for(v, span_of(op->endpoint->endpoint->target));
        int64_t status = value_int(&op->query, "status", -1);

        if (!j || !message_has_tag(v, value_of(&op->query, "tag")) ||
            (status >= 0 && status != (int64_t)status_of(j->state)))
                return;
        put_open(p, NULL, '{');
        message_show(p, v, value_bool(&op->query, "with_content", true));
        put_standing(p, j);
        put_close(p, '}');
}

static void on_attempted(Op *op) {
        ListAsk l = list_ask(op, true);

        message_page(op, &l, op->request.events.ret, show_attempted);
}

void attempt_messages(Op *op) {
        ListAsk l = list_ask(op, true);
        int64_t status = value_int(&op->query, "status", -1);
        EventQuery q;

        if (!message_query(op, &l, &q))
                return;
        q.target = span_of(op->endpoint->endpoint->target);
        q.with_jobs = true;
        q.state = status == SUCCESS ? JOB_DONE : status == FAIL_ ? JOB_DEAD : -1;
        op_ask(op, &(LedgerRequest){.ask = ASK_EVENTS, .events = {.query = q}}, on_attempted);
}
