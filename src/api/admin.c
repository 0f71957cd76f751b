/* SPDX-License-Identifier: Apache-2.0 */
#include "api/admin.h"

#include "api/show.h"

#define PAGE_MAX_BYTES (16 * 1024 * 1024)

typedef struct Route {
        HttpMethod method;
        const char *path; /* a final slash takes the rest as an id */
        bool is_open;     /* without the token */
        void (*run)(Admin *a, Exchange *x, Span rest);
} Route;

typedef struct Question {
        LedgerRequest request;
        Exchange *x;
} Question;

static void ask(Admin *a, Exchange *x, LedgerRequest request) {
        Question *q = must_alloc(sizeof *q);

        q->x = x;
        q->request = request;
        q->request.home = &a->loop->inbox;
        q->request.arg = q;
        if (ledger_send(a->ledger, &q->request) < 0) {
                free(q);
                answer_problem(x, 503, "busy", "too much is waiting; try again soon");
        }
}

static void answer_json(Exchange *x, int r, const Buf *body) {
        if (r < 0)
                answer_problem(x, 500, "too-large", "the answer is too large");
        else
                exchange_answer(x, &(HttpAnswer){.status = 200,
                                                 .content_type = "application/json",
                                                 .body = buf_span(body)});
}

static void on_event(LedgerRequest *r) {
        AUTO(buf_done)
        Buf b = BUF(PAGE_MAX_BYTES);
        Question *q = r->arg;

        if (r->result < 0)
                answer_problem(q->x, 503, "ledger", r->error.text);
        else if (!r->event.ret)
                answer_problem(q->x, 404, "not-found", "there is no such event");
        else
                answer_json(q->x, show_event(r->event.ret, true, &b), &b);
        event_view_free(r->event.ret);
        free(q);
}

static void get_event(Admin *a, Exchange *x, Span rest) {
        int64_t id;

        if (!id_parse("evt", rest, &id))
                answer_problem(x, 404, "not-found", "an event's id looks like evt_0123456789abc");
        else
                ask(a, x, (LedgerRequest){.ask = ASK_EVENT, .done = on_event, .event = {.id = id}});
}

static void on_events(LedgerRequest *r) {
        AUTO(buf_done)
        Buf b = BUF(PAGE_MAX_BYTES);
        Question *q = r->arg;

        if (r->result < 0)
                answer_problem(q->x, 503, "ledger", r->error.text);
        else
                answer_json(q->x, show_events(r->events.ret, &b), &b);
        event_page_free(r->events.ret);
        free(q);
}

/* The plain value of a query parameter: ids and words need no decoding. */
static Span parameter(Span query, const char *name) {
        while (query.n) {
                size_t end = span_find(query, '&');
                Span pair = {query.p, end};
                size_t equals = span_find(pair, '=');

                if (span_eq((Span){pair.p, equals}, span_of(name)))
                        return span_from(pair, equals + 1);
                query = span_from(query, end + 1);
        }
        return (Span){NULL, 0};
}

static void get_events(Admin *a, Exchange *x, Span rest) {
        EventQuery query = {.state = -1, .with_jobs = true, .max = 50};
        Span limit = parameter(x->head->query, "limit"),
             before = parameter(x->head->query, "before");
        Span state = parameter(x->head->query, "state");
        uint64_t max;

        (void)rest;
        query.source = parameter(x->head->query, "source");
        if (limit.p && (!span_to_u64(limit, EVENT_PAGE_MAX, &max) || max == 0)) {
                answer_problem(x, 400, "bad-parameter", "limit is a number from 1 to 250");
                return;
        }
        if (limit.p)
                query.max = (size_t)max;
        if (before.p && !id_parse("evt", before, &query.before_id)) {
                answer_problem(x, 400, "bad-parameter", "before is the id of an event");
                return;
        }
        for (int s = 0; state.p && s < JOB_STATES; s++)
                if (span_eq(state, span_of(job_state_name((JobState)s))))
                        query.state = s;
        if (state.p && query.state < 0) {
                answer_problem(x, 400, "bad-parameter",
                               "state is one of queued, waiting, blocked, done, dead");
                return;
        }
        ask(a, x,
            (LedgerRequest){.ask = ASK_EVENTS, .done = on_events, .events = {.query = query}});
}

static void get_health(Admin *a, Exchange *x, Span rest) {
        (void)a;
        (void)rest;
        exchange_answer(x, &(HttpAnswer){.status = 200,
                                         .content_type = "application/json",
                                         .body = SPAN("{\"status\":\"ok\"}")});
}

/* Ready is who takes webhooks with all that was promised for them. Before the ledger has told what
 * was left over, those who wait for a result would hear "accepted" instead. */
static void get_ready(Admin *a, Exchange *x, Span rest) {
        const char *word = "ok";
        char body[64];

        (void)rest;
        for (unsigned i = 0; i < a->n; i++) {
                if (!atomic_load(&a->inlets[i].recovered))
                        word = "starting";
                if (atomic_load(&a->inlets[i].draining)) {
                        word = "stopping";
                        break;
                }
        }
        (void)snprintf(body, sizeof body, "{\"status\":\"%s\"}", word);
        exchange_answer(x, &(HttpAnswer){.status = strcmp(word, "ok") == 0 ? 200 : 503,
                                         .content_type = "application/json",
                                         .body = span_of(body)});
}

static void on_stats(LedgerRequest *r) {
        AUTO(buf_done)
        Buf b = BUF(64 * 1024);
        Question *q = r->arg;
        Admin *a = q->x->arg;

        if (r->result < 0)
                answer_problem(q->x, 503, "ledger", r->error.text);
        else if (show_metrics(a->inlets, a->n, a->ledger, &r->stats, &b) < 0)
                answer_problem(q->x, 500, "too-large", "the metrics are too large");
        else
                exchange_answer(q->x, &(HttpAnswer){.status = 200,
                                                    .content_type = "text/plain; version=0.0.4",
                                                    .body = buf_span(&b)});
        free(q);
}

static void get_metrics(Admin *a, Exchange *x, Span rest) {
        (void)rest;
        x->arg = a;
        ask(a, x, (LedgerRequest){.ask = ASK_STATS, .done = on_stats});
}

static const Route routes[] = {
        {HTTP_GET, "/healthz", true, get_health},
        {HTTP_GET, "/readyz", true, get_ready},
        {HTTP_GET, "/metrics", false, get_metrics},
        {HTTP_GET, "/api/v1/events", false, get_events},
        {HTTP_GET, "/api/v1/events/", false, get_event},
};

static bool authorized(const Admin *a, const HttpHead *h) {
        Span given = http_head_get(h, "authorization");

        if (a->token->n == 0)
                return true;
        return http_head_count(h, "authorization") == 1 && span_starts(given, SPAN("Bearer ")) &&
               span_eq_secret(span_from(given, 7), secret_reveal(a->token));
}

static bool on_head(void *self, Exchange *x) {
        (void)self;
        x->body_max = 0;
        return true;
}

static void on_request(void *self, Exchange *x) {
        Admin *a = self;
        Span path = x->head->path;

        for (size_t i = 0; i < COUNT_OF(routes); i++) {
                const Route *r = &routes[i];
                Span want = span_of(r->path);
                bool takes_rest = want.p[want.n - 1] == '/';

                if (x->head->method != r->method ||
                    !(takes_rest ? span_starts(path, want) && path.n > want.n
                                 : span_eq(path, want)))
                        continue;
                if (!r->is_open && !authorized(a, x->head))
                        answer_problem(x, 401, "not-authorized",
                                       "send the admin token: Authorization: Bearer ...");
                else
                        r->run(a, x, span_from(path, want.n));
                return;
        }
        answer_problem(x, 404, "not-found", "there is nothing here");
}

void admin_init(Admin *a, Ledger *ledger, Loop *loop, const Inlet *inlets, unsigned n,
                const Secret *token) {
        *a = (Admin){ledger, loop, inlets, n, token};
}

void admin_use(Admin *a, const Secret *token) {
        a->token = token;
}

ServerHandler admin_handler(Admin *a) {
        return (ServerHandler){.self = a, .head = on_head, .request = on_request};
}
