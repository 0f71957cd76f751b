/* SPDX-License-Identifier: Apache-2.0 */
#include "api/op.h"

#include "base/clock.h"
#include "http/media.h"
#include "http/url.h"
#include "trigger/message.h"
#include "json/check.h"

#define ARENA_MAX_BYTES (64 * 1024 * 1024)
#define RUNS_MAX        20 /* of one that others' writes came between */
#define PAUSE_MAX_MS    64 /* before the next of them */

/* ---- life ---- */

static void end(Op *op, const HttpAnswer *a) {
        idem_end(op->admin->parts.idempotency, op->ticket, &(IdemAnswer){a->status, a->body});
        exchange_answer(op->x, a);
        entry_unref(op->application);
        entry_unref(op->endpoint);
        arena_free(op->arena);
        free(op);
}

int64_t op_application(const Op *op) {
        return op->application ? op->application->object.id : 0;
}

int64_t op_endpoint(const Op *op) {
        return op->endpoint ? op->endpoint->object.id : 0;
}

/* ---- answers ---- */

void op_body(Op *op, int status, const char *type, Span body) {
        HttpHeader more[] = {{SPAN("Cache-Control"), SPAN("no-store")},
                             {SPAN("Retry-After"), SPAN("1")}};

        end(op, &(HttpAnswer){.status = status,
                              .content_type = type,
                              .body = body,
                              .headers = more,
                              .n_headers = status == 503 || status == 429 ? 2 : 1});
}

void op_none(Op *op, int status) {
        op_body(op, status, NULL, (Span){"", 0});
}

void op_json(Op *op, int status, const Put *body) {
        if (body->fault < 0)
                op_error(op, 500, "too_large", "the answer is too large");
        else
                op_body(op, status, "application/json", put_span(body));
}

void op_error(Op *op, int status, const char *code, const char *detail) {
        AUTO(put_done)
        Put p = PUT(4096);

        put_open(&p, NULL, '{');
        put_text(&p, "code", span_of(code));
        put_text(&p, "detail", span_of(detail));
        put_close(&p, '}');
        op_body(op, status, "application/json", p.fault ? SPAN("{}") : put_span(&p));
}

void op_missing(Op *op) {
        op_error(op, 404, "not_found", "Entity not found");
}

void op_in_the_file(Op *op) {
        op_error(op, 409, "in_the_file",
                 "the configuration file has this endpoint: look and change it there, and reload "
                 "(SIGHUP)");
}

void op_invalid(Op *op, const Complaints *why) {
        AUTO(buf_done)
        Buf b = BUF(64 * 1024);

        if (complaints_print(why, &b) < 0)
                op_error(op, 422, "validation", "the request is not valid");
        else
                op_body(op, 422, "application/json", buf_span(&b));
}

void op_invalid_at(Op *op, const char *where, const char *member, const char *why) {
        AUTO(complaints_done)
        Complaints all = COMPLAINTS;
        Where top = {NULL, span_of(where)}, here = {&top, span_of(member)};

        complain(&all, member ? &here : &top, "value_error", "%s", why);
        op_invalid(op, &all);
}

/* ---- the path ---- */

Span op_param(Op *op, const char *name) {
        for (size_t i = 0; i < op->match.n; i++) {
                AUTO(buf_done)
                Buf text = BUF(HTTP_TARGET_MAX_BYTES);
                Span raw = op->match.params[i];

                if (!span_eq(op->match.names[i], span_of(name)))
                        continue;
                if (memchr(raw.p, '%', raw.n) == NULL)
                        return raw;
                return url_decode(&text, raw) == 0 && text.n
                               ? arena_span(op->arena, buf_span(&text))
                               : (Span){"", 0};
        }
        return (Span){NULL, 0};
}

/* The application and endpoint of the path: one that is not there, and one that is not this
 * caller's, give the same answer. */
static bool find_owners(Op *op) {
        Registry *r = op->admin->parts.registry;
        Span app = op_param(op, "app_id"), endpoint = op_param(op, "endpoint_id");
        bool makes_app = op->route->makes && !endpoint.p;

        op->application = entry_unref(op->application);
        op->endpoint = entry_unref(op->endpoint);
        if (app.p)
                op->application = registry_find(r, OBJECT_APPLICATION, 0, "app", app);
        if (op->caller.role == ROLE_APPLICATION && app.p &&
            op_application(op) != op->caller.application)
                return false;
        if (app.p && !op->application)
                return makes_app;
        if (endpoint.p)
                op->endpoint =
                        registry_find(r, OBJECT_ENDPOINT, op_application(op), "ep", endpoint);
        return !endpoint.p || op->endpoint || op->route->makes;
}

/* ---- the ledger ---- */

static void on_asked(LedgerRequest *r) {
        Op *op = r->arg;

        if (r->result < 0)
                op_error(op, 503, r->result == -ENOSPC ? "no_room" : "unavailable",
                         "the ledger cannot do this now; try again");
        else
                op->then(op);
}

void op_ask(Op *op, const LedgerRequest *r, void (*then)(Op *op)) {
        op->request = *r;
        op->request.home = &op->admin->loop->inbox;
        op->request.done = on_asked;
        op->request.arg = op;
        op->then = then;
        if (ledger_send(op->admin->parts.ledger, &op->request) < 0)
                op_error(op, 503, "busy", "too much is waiting; try again soon");
}

typedef struct Writing {
        void (*then)(Op *op, Entry *written);
        void (*taken)(Op *op, int64_t by);
} Writing;

int64_t op_new_id(Op *op) {
        return id_make(&op->admin->inlet->ids, clock_wall_ms());
}

static void on_pause_closed(uv_handle_t *h) {
        free(h);
}

static void on_pause(uv_timer_t *t) {
        Op *op = t->data;

        uv_close((uv_handle_t *)t, on_pause_closed);
        if (!find_owners(op))
                op_missing(op);
        else
                op->route->run(op);
}

/* The other's write is in the ledger, but its loop may not yet have told the registry: each run
 * waits longer than the one before, all of them about a second. */
void op_again(Op *op) {
        uint64_t pause_ms = ((uint64_t)1 << op->runs) - 1;
        uv_timer_t *t;

        if (++op->runs > RUNS_MAX) {
                op_error(op, 409, "conflict", "it is being changed by others; try again");
                return;
        }
        t = must_alloc(sizeof *t);
        t->data = op;
        must(uv_timer_init(&op->admin->loop->uv, t) == 0 &&
             uv_timer_start(t, on_pause, pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS, 0) ==
                     0);
}

static void registered(Op *op, const Writing *w) {
        Registry *r = op->admin->parts.registry;
        const Object *o = &op->request.write.object.object;
        Entry *e = NULL;

        if (op->request.write.object.removes)
                registry_remove(r, o);
        else if (registry_put(r, o, NULL) == 0)
                e = registry_by_id(r, o->kind, o->id);
        if (!e && !op->request.write.object.removes)
                op_missing(op); /* removed again by another, this very moment */
        else
                w->then(op, e);
}

static void on_written(Op *op) {
        const Writing *w = op->own;
        int64_t by = op->request.write.object.taken_by;

        switch (op->request.write.object.result) {
        case OBJECT_WRITTEN:
                registered(op, w);
                return;
        case OBJECT_NAME_TAKEN:
                if (w->taken)
                        w->taken(op, by);
                else
                        op_error(op, 409, "conflict", "another one has this uid or name already");
                return;
        case OBJECT_CHANGED:
                op_again(op);
                return;
        case OBJECT_GONE:
                op_missing(op);
                return;
        }
}

/* An endpoint of the file, its name, or the application that holds some. */
static bool is_the_files(const Op *op, const ObjectWrite *w) {
        Registry *r = op->admin->parts.registry;
        const Object *o = &w->object;
        bool is = w->was && w->was->is_declared;

        if (!is && o->kind == OBJECT_APPLICATION && w->removes)
                is = registry_declares(r, o->id);
        if (!is && o->kind == OBJECT_ENDPOINT && !w->removes) {
                Entry *holder = registry_by_name(r, o->kind, o->owner, o->name);

                is = holder && holder->is_declared;
                entry_unref(holder);
        }
        return is;
}

void op_write(Op *op, const ObjectWrite *w, void (*then)(Op *op, Entry *written),
              void (*taken)(Op *op, int64_t by)) {
        Writing *own = arena_alloc(op->arena, sizeof *own);

        Object object = w->object;

        if (w->removes) /* the id says it; nothing is lent */
                object.name = object.text = (Span){"", 0};
        if (is_the_files(op, w)) {
                op_in_the_file(op);
                return;
        }
        if (!w->was && registry_full(op->admin->parts.registry)) {
                op_error(op, 409, "limit_reached",
                         "there are 400,000 objects of all kinds already");
                return;
        }
        if (!own || !object.text.p || object.text.n > OBJECT_TEXT_MAX_BYTES) {
                op_error(op, 413, "too_large", "it is larger than 256 KiB");
                return;
        }
        *own = (Writing){.then = then, .taken = taken};
        op->own = own;
        op_ask(op,
               &(LedgerRequest){.ask = ASK_WRITE,
                                .write = {.kind = WRITE_OBJECT,
                                          .object = {.object = object,
                                                     .removes = w->removes,
                                                     .must_exist = w->was != NULL,
                                                     .expects_version =
                                                             w->was ? w->was->object.version : 0}}},
               on_written);
}

typedef struct Aside {
        LedgerRequest request;
        Registry *registry;
} Aside;

static void on_removed_aside(LedgerRequest *r) {
        Aside *s = r->arg;

        if (r->result == 0 && r->write.object.result == OBJECT_WRITTEN)
                registry_remove(s->registry, &r->write.object.object);
        free(s);
}

void op_remove_aside(Op *op, const Entry *e) {
        Aside *s = must_alloc(sizeof *s);
        Object o = {.kind = e->object.kind,
                    .id = e->object.id,
                    .owner = e->object.owner,
                    .name = SPAN(""),
                    .text = SPAN("")};

        s->registry = op->admin->parts.registry;
        s->request = (LedgerRequest){
                .ask = ASK_WRITE,
                .home = &op->admin->loop->inbox,
                .done = on_removed_aside,
                .arg = s,
                .write = {.kind = WRITE_OBJECT, .object = {.object = o, .removes = true}}};
        if (ledger_send(op->admin->parts.ledger, &s->request) < 0)
                free(s);
}

/* ---- messages ---- */

/* A message of the application, or an event of a source that went to an endpoint of it. */
static bool is_ours(const Op *op, const EventView *v) {
        char source[ID_TEXT];
        bool ours = false;

        id_print("app", op_application(op), source);
        if (span_eq(v->event.source, span_of(source)))
                return true;
        for (size_t i = 0; i < v->n_jobs && !ours; i++) {
                Endpoint *p = registry_endpoint(op->admin->parts.registry, v->jobs[i].target);

                ours = p && p->application == op_application(op);
                endpoint_unref(p);
        }
        return ours;
}

static void on_message(Op *op) {
        EventView *v = op->request.event.ret;

        if (v && is_ours(op, v)) {
                op->with_message(op, v);
                return;
        }
        event_view_free(v);
        op_missing(op);
}

static void ask_message(Op *op, int64_t id) {
        op_ask(op, &(LedgerRequest){.ask = ASK_EVENT, .event = {.id = id}}, on_message);
}

static void on_key(Op *op) {
        if (op->request.key.event)
                ask_message(op, op->request.key.event);
        else
                op_missing(op);
}

/* Keys of messages that have no eventId hold a colon: no name does. */
void op_message(Op *op, void (*then)(Op *op, EventView *v)) {
        Span name = op_param(op, "msg_id");
        char source[ID_TEXT];
        int64_t id;

        op->with_message = then;
        if (id_parse("msg", name, &id)) {
                ask_message(op, id);
                return;
        }
        if (!form_name.fits(name) || name.n > EVENT_KEY_MAX_BYTES) {
                op_missing(op);
                return;
        }
        id_print("app", op_application(op), source);
        op_ask(op,
               &(LedgerRequest){
                       .ask = ASK_KEY,
                       .key = {.source = arena_span(op->arena, span_of(source)), .key = name}},
               on_key);
}

/* ---- beginning ---- */

static bool is_key_text(Span key) {
        for (size_t i = 0; i < key.n; i++)
                if (key.p[i] <= ' ' || key.p[i] > '~')
                        return false;
        return key.n > 0 && key.n <= IDEM_KEY_MAX_BYTES;
}

/* A structured field's string by the draft, a bare word by most clients. */
bool op_idempotency_key(const Op *op, Span *ret) {
        const HttpHead *h = op->x->head;
        Span key = http_head_get(h, "idempotency-key");

        *ret = (Span){NULL, 0};
        if (!key.p)
                return true;
        if (key.n >= 2 && key.p[0] == '"' && key.p[key.n - 1] == '"')
                key = (Span){key.p + 1, key.n - 2};
        *ret = key;
        return http_head_count(h, "idempotency-key") == 1 && is_key_text(key);
}

Span op_trace(const Op *op) {
        Span t = http_head_get(op->x->head, "traceparent");

        return http_head_count(op->x->head, "traceparent") == 1 && t.n == 55 ? t : (Span){NULL, 0};
}

bool op_depth_fits(int64_t depth, const Where *at, Complaints *c) {
        if (depth <= MESSAGE_DEPTH_MAX)
                return true;
        complain(c, at, "value_error.loop",
                 "%" PRId64 " messages led to this one: it is taken for a loop and refused; the "
                 "limit is %d",
                 depth, MESSAGE_DEPTH_MAX);
        return false;
}

bool op_depth(const Op *op, int64_t *ret, Complaints *c) {
        Span header = http_head_get(op->x->head, "grapnel-depth");
        Where top = {NULL, SPAN("header")}, there = {&top, SPAN("grapnel-depth")};
        uint64_t n;

        *ret = 0;
        if (!header.p)
                return true;
        if (!span_to_u64(header, 1000000, &n)) {
                complain(c, &there, "value_error", "must be a number");
                return false;
        }
        *ret = (int64_t)n + 1;
        return op_depth_fits(*ret, &there, c);
}

/* Gives the first answer again, or takes the ticket. False when it has answered. */
static bool mind_repeats(Op *op) {
        IdemAnswer answer = {0};
        Span key, who;

        if (!op_idempotency_key(op, &key)) {
                op_error(op, 400, "bad_idempotency_key",
                         "Idempotency-Key is one word of 1 to 256 visible characters");
                return false;
        }
        if (!op->route->repeats || !key.p)
                return true;
        who = span_of(arena_printf(op->arena, "%" PRId64 " %s " SPAN_FMT, op->caller.key,
                                   http_method_name(op->route->method),
                                   SPAN_ARG(op->x->head->target)));
        switch (idem_begin(op->admin->parts.idempotency, who, key, op->x->body, clock_wall_ms(),
                           &op->ticket, &answer)) {
        case IDEM_FIRST:
        case IDEM_NO_ROOM:
                return true;
        case IDEM_AGAIN:
                op_body(op, answer.status, answer.body.n ? "application/json" : NULL, answer.body);
                free((char *)answer.body.p);
                return false;
        case IDEM_BUSY:
                op_error(op, 409, "conflict", "the first request under this key is under way");
                return false;
        case IDEM_OTHER:
                op_invalid_at(op, "header", "idempotency-key",
                              "this key was used with another request");
                return false;
        }
        return true;
}

static bool media_fits(const Op *op) {
        Span type = http_head_get(op->x->head, "content-type");
        HttpMedia m;

        return !type.p || (http_media_parse(type, &m) && http_media_is_json(&m));
}

/* False when it has answered. */
static bool read_body(Op *op) {
        AUTO(complaints_done)
        Complaints all = COMPLAINTS;
        Where top = {NULL, SPAN("body")};
        JsonFault fault;

        if (!op->route->takes || op->route->takes_lines)
                return true;
        if (op->x->body.n && !media_fits(op)) {
                op_error(op, 415, "unsupported_media_type", "send application/json");
                return false;
        }
        op->json = op->x->body.n || !op->route->takes_optional ? op->x->body : SPAN("{}");
        if (json_check(op->json, SIZE_MAX, &fault) < 0)
                complain(&all, &top, "value_error.jsondecode", "%s, at byte %zu", fault.why,
                         fault.offset);
        else
                schema_read(op->route->takes, op->json, &top, &op->body, &all);
        if (all.n)
                op_invalid(op, &all);
        return all.n == 0;
}

static bool read_query(Op *op) {
        AUTO(complaints_done)
        Complaints all = COMPLAINTS;

        if (!op->route->query)
                return true;
        schema_read_query(op->route->query, op->x->head->query, op->arena, &op->query, &all);
        if (all.n)
                op_invalid(op, &all);
        return all.n == 0;
}

/* Said before the body is looked at: nothing that it could hold would help. */
static bool changes_the_file(const Op *op) {
        HttpMethod m = op->route->method;

        return op->endpoint && op->endpoint->is_declared &&
               (m == HTTP_PUT || m == HTTP_PATCH || m == HTTP_DELETE);
}

void op_begin(Admin *a, Exchange *x, const RouteMatch *m, const Caller *who) {
        Op *op = must_alloc(sizeof *op);

        *op = (Op){.admin = a, .x = x, .route = m->route, .match = *m, .caller = *who};
        op->arena = arena_new(ARENA_MAX_BYTES);
        if (!find_owners(op))
                op_missing(op);
        else if (changes_the_file(op))
                op_in_the_file(op);
        else if (read_query(op) && read_body(op) && mind_repeats(op))
                op->route->run(op);
}
