/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon itself: is it there, what has it counted, what came in from any source. */
#include "api/nouns.h"
#include "api/openapi.h"
#include "api/show.h"

enum { PAGE_MAX_BYTES = 16 * 1024 * 1024, EVENTS_LIMIT = 50 };

static const char *const state_names[] = {"queued", "waiting", "blocked", "done", "dead", NULL};

static const Field events_fields[] = {
        {.name = "limit",
         .type = FIELD_INTEGER,
         .min = 1,
         .max = EVENT_PAGE_MAX,
         .fallback = "50",
         .help = "How many events at most."},
        {.name = "before", .type = FIELD_TEXT, .help = "Events before the one of this id."},
        {.name = "source", .type = FIELD_TEXT},
        {.name = "state",
         .type = FIELD_TEXT,
         .choices = state_names,
         .help = "Events with a job in this state."},
};
const Schema query_events = {SCHEMA_FIELDS(events_fields)};

/* It runs, or nobody would answer: so 200, and no supervisor ends it for what a restart does not
 * mend. */
void daemon_health(Op *op) {
        Put p = PUT(PAGE_MAX_BYTES);

        if (!trigger_trouble(op, &p))
                op_body(op, 200, "application/json", SPAN("{\"status\":\"ok\"}"));
        else
                op_body(op, 200, "application/json", put_span(&p));
        put_done(&p);
}

/* Ready is who takes webhooks with all that was promised for them. Before the ledger has told what
 * was left over, those who wait for a result would hear "accepted" instead. */
void daemon_ready(Op *op) {
        const AdminParts *p = &op->admin->parts;
        const char *word = "ok";
        char body[64];

        for (unsigned i = 0; i < p->n; i++) {
                if (!atomic_load(&p->inlets[i].recovered))
                        word = "starting";
                if (atomic_load(&p->inlets[i].draining)) {
                        word = "stopping";
                        break;
                }
        }
        (void)snprintf(body, sizeof body, "{\"status\":\"%s\"}", word);
        op_body(op, strcmp(word, "ok") == 0 ? 200 : 503, "application/json", span_of(body));
}

void daemon_alive(Op *op) {
        op_none(op, 204);
}

void daemon_openapi(Op *op) {
        AUTO(buf_done)
        Buf b = BUF(PAGE_MAX_BYTES);

        if (openapi_print(&b) < 0)
                op_error(op, 500, "too_large", "the document is too large");
        else
                op_body(op, 200, "application/json", buf_span(&b));
}

static void answer(Op *op, int r, const Buf *b, const char *type) {
        if (r < 0)
                op_error(op, 500, "too_large", "the answer is too large");
        else
                op_body(op, 200, type, buf_span(b));
}

static void on_stats(Op *op) {
        AUTO(buf_done)
        Buf b = BUF(1024 * 1024);
        const AdminParts *p = &op->admin->parts;

        int r = show_metrics(p->inlets, p->n, p->ledger, &op->request.stats, &b);

        if (r == 0 && p->watches)
                r = trigger_metrics(p->watches, &b);
        answer(op, r, &b, "text/plain; version=0.0.4");
}

void daemon_metrics(Op *op) {
        op_ask(op, &(LedgerRequest){.ask = ASK_STATS}, on_stats);
}

static void on_event(Op *op) {
        AUTO(buf_done)
        Buf b = BUF(PAGE_MAX_BYTES);
        EventView *v = op->request.event.ret;

        if (!v)
                op_error(op, 404, "not_found", "there is no such event");
        else
                answer(op, show_event(v, true, &b), &b, "application/json");
        event_view_free(v);
}

void daemon_event(Op *op) {
        int64_t id;

        if (id_parse("evt", op_param(op, "event_id"), &id))
                op_ask(op, &(LedgerRequest){.ask = ASK_EVENT, .event = {.id = id}}, on_event);
        else
                op_error(op, 404, "not_found", "an event's id looks like evt_0123456789abc");
}

static void on_events(Op *op) {
        AUTO(buf_done)
        Buf b = BUF(PAGE_MAX_BYTES);
        EventPage *page = op->request.events.ret;

        answer(op, show_events(page, &b), &b, "application/json");
        event_page_free(page);
}

void daemon_events(Op *op) {
        EventQuery q = {.state = -1,
                        .with_jobs = true,
                        .source = value_of(&op->query, "source"),
                        .max = (size_t)value_int(&op->query, "limit", EVENTS_LIMIT)};
        Span before = value_of(&op->query, "before"), state = value_of(&op->query, "state");

        if (before.p && !id_parse("evt", before, &q.before_id)) {
                op_invalid_at(op, "query", "before", "is the id of an event");
                return;
        }
        for (int s = 0; state.p && s < JOB_STATES; s++)
                if (span_eq(state, span_of(job_state_name((JobState)s))))
                        q.state = s;
        op_ask(op, &(LedgerRequest){.ask = ASK_EVENTS, .events = {.query = q}}, on_events);
}
