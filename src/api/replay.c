/* SPDX-License-Identifier: Apache-2.0
 *
 * Deliveries once more, many at a time: what is asked for becomes an object (trigger/replay.h),
 * and whoever carries it out goes on from its cursor after a restart. */
#include "trigger/replay.h"
#include "api/nouns.h"
#include "api/text.h"
#include "base/clock.h"
#include "json/value.h"

enum {
        TEXT_MAX_BYTES = 64 * 1024,
        REPLAYS_MAX = 1000,
        KEPT_MAX = 100,
        SWEEP_MAX = 8,
        COUNT_PAGE = 250,
        COUNT_MS = 20000
};

/* ---- shapes ---- */

static const Field recover_fields[] = {
        {.name = "since", .type = FIELD_TIME, .required = true},
        {.name = "until", .type = FIELD_TIME, .nullable = true},
        {.name = "rate",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 1,
         .max = 100000,
         .help = "Deliveries a second."},
};
const Schema schema_recover_in = {.name = "RecoverIn", SCHEMA_FIELDS(recover_fields)};

static const Field task_fields[] = {
        {.name = "id", .type = FIELD_TEXT, .required = true},
        {.name = "status",
         .type = FIELD_TEXT,
         .required = true,
         .choices = (const char *const[]){"running", "finished", NULL}},
        {.name = "task",
         .type = FIELD_TEXT,
         .required = true,
         .choices = (const char *const[]){"endpoint.recover", "endpoint.replay", NULL}},
        {.name = "updatedAt", .type = FIELD_TIME, .required = true},
};
const Schema schema_task_out = {.name = "RecoverOut", SCHEMA_FIELDS(task_fields)};

static const Field in_fields[] = {
        {.name = "application",
         .type = FIELD_TEXT,
         .required = true,
         .min = 1,
         .max = 256,
         .help = "Its id or uid."},
        {.name = "endpoint",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 256,
         .help = "Its id or uid; all of the application when it is not given."},
        {.name = "eventTypes",
         .type = FIELD_LIST,
         .item = FIELD_TEXT,
         .form = &form_name,
         .nullable = true,
         .unique = true,
         .max = REPLAY_TYPES_MAX},
        {.name = "status",
         .type = FIELD_TEXT,
         .choices = replay_ends,
         .fallback = "\"failed\"",
         .help = "How the deliveries ended that are to be made once more."},
        {.name = "since", .type = FIELD_TIME, .required = true},
        {.name = "until", .type = FIELD_TIME, .nullable = true},
        {.name = "rate",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 1,
         .max = 100000,
         .help = "Deliveries a second."},
        {.name = "dryRun",
         .type = FIELD_BOOL,
         .fallback = "false",
         .help = "Only count the deliveries."},
};
const Schema schema_replay_in = {.name = "ReplayIn", SCHEMA_FIELDS(in_fields), .strict = true};

static const Field out_fields[] = {
        {.name = "id", .type = FIELD_TEXT, .nullable = true, .help = "null: it was a dry run."},
        {.name = "kind", .type = FIELD_TEXT, .required = true, .choices = replay_kinds},
        {.name = "application", .type = FIELD_TEXT, .required = true},
        {.name = "endpoint", .type = FIELD_TEXT, .nullable = true},
        {.name = "eventTypes", .type = FIELD_LIST, .item = FIELD_TEXT, .nullable = true},
        {.name = "status", .type = FIELD_TEXT, .nullable = true, .choices = replay_ends},
        {.name = "since", .type = FIELD_TIME, .required = true},
        {.name = "until", .type = FIELD_TIME, .required = true},
        {.name = "rate", .type = FIELD_INTEGER, .nullable = true},
        {.name = "progress",
         .type = FIELD_TEXT,
         .nullable = true,
         .choices = (const char *const[]){"running", "done", "cancelled", NULL}},
        {.name = "total",
         .type = FIELD_INTEGER,
         .nullable = true,
         .help = "Deliveries that it is about; null: not counted."},
        {.name = "totalIsExact",
         .type = FIELD_BOOL,
         .help = "Of a dry run: false when counting took too long and stopped."},
        {.name = "done", .type = FIELD_INTEGER, .required = true, .help = "Deliveries so far."},
        {.name = "position",
         .type = FIELD_TIME,
         .nullable = true,
         .help = "Messages up to this moment were looked at."},
        {.name = "createdAt", .type = FIELD_TIME, .nullable = true},
        {.name = "updatedAt", .type = FIELD_TIME, .nullable = true},
};
const Schema schema_replay_out = {.name = "ReplayOut", SCHEMA_FIELDS(out_fields)};
LIST_SCHEMA(schema_replay_list, "ReplayOut", schema_replay_out);

static const Field list_fields[] = {
        LIST_FIELDS,
        LIST_ORDER_FIELD,
        {.name = "application",
         .type = FIELD_TEXT,
         .required = true,
         .min = 1,
         .max = 256,
         .help = "Its id or uid."},
};
const Schema query_replay_list = {SCHEMA_FIELDS(list_fields)};

/* ---- showing ---- */

static void put_id_or_null(Put *p, const char *key, const char *prefix, int64_t id) {
        if (id)
                put_id(p, key, prefix, id);
        else
                put_null(p, key);
}

static void put_number_or_null(Put *p, const char *key, int64_t n, bool is_null) {
        if (is_null)
                put_null(p, key);
        else
                put_int(p, key, n);
}

/* `total` < 0: not counted. */
static void put_what(Put *p, Span text) {
        bool is_filter = span_eq(text_member(text, "kind"), SPAN("\"filter\""));

        text_show(p, "kind", text, "kind", "\"filter\"");
        put_id(p, "application", "app", text_int(text, "application", 0));
        put_id_or_null(p, "endpoint", "ep", text_int(text, "endpoint", 0));
        text_show(p, "eventTypes", text, "types", "null");
        text_show(p, "status", text, "state", is_filter ? "\"failed\"" : "null");
        text_show_time(p, "since", text, "since");
        text_show_time(p, "until", text, "until");
        put_number_or_null(p, "rate", text_int(text, "rate", 0), !text_int(text, "rate", 0));
}

static void show(Put *p, const Entry *e) {
        Span text = e->object.text;
        int64_t total = text_int(text, "total", -1);

        put_open(p, NULL, '{');
        put_id(p, "id", "rpl", e->object.id);
        put_what(p, text);
        text_show(p, "progress", text, "progress", "\"running\"");
        put_number_or_null(p, "total", total, total < 0);
        put_int(p, "done", text_int(text, "done", 0));
        if (text_int(text, "cursor", 0))
                put_time(p, "position", id_wall_ms(text_int(text, "cursor", 0)));
        else
                put_null(p, "position");
        text_show_time(p, "createdAt", text, "createdAt");
        text_show_time(p, "updatedAt", text, "updatedAt");
        put_close(p, '}');
}

static void answer(Op *op, int status, const Entry *e) {
        AUTO(put_done)
        Put p = PUT(TEXT_MAX_BYTES);

        show(&p, e);
        op_json(op, status, &p);
}

/* ---- asking for one ---- */

typedef struct Wish {
        ReplayKind kind;
        int64_t application, endpoint;
        Span types, state; /* JSON; .p NULL: all, none */
} Wish;

/* False when it has answered. */
static bool wish_text(Op *op, const Wish *w, Span *ret) {
        AUTO(put_done)
        Put p = PUT(TEXT_MAX_BYTES);
        int64_t now = clock_wall_ms(), since = value_time(&op->body, "since"),
                until = value_time(&op->body, "until");

        if (!until || until > now)
                until = now;
        if (since >= until) {
                op_invalid_at(op, "body", "since", "must be before `until`, and in the past");
                return false;
        }
        put_open(&p, NULL, '{');
        put_text(&p, "kind", span_of(replay_kinds[w->kind]));
        put_int(&p, "application", w->application);
        put_int(&p, "endpoint", w->endpoint);
        if (w->types.p)
                put_raw(&p, "types", w->types);
        if (w->state.p)
                put_raw(&p, "state", w->state);
        put_int(&p, "since", since);
        put_int(&p, "until", until);
        put_int(&p, "rate", value_int(&op->body, "rate", 0));
        put_int(&p, "cursor", 0);
        put_int(&p, "done", 0);
        put_text(&p, "progress", SPAN("running"));
        put_int(&p, "createdAt", now);
        put_int(&p, "updatedAt", now);
        put_close(&p, '}');
        *ret = p.fault ? (Span){NULL, 0} : arena_span(op->arena, put_span(&p));
        return true;
}

/* Whoever asks for another also takes away some that have ended. */
static void sweep(Op *op, int64_t application) {
        Registry *r = op->admin->parts.registry;
        Entry *oldest[SWEEP_MAX];
        size_t n =
                registry_count(r, OBJECT_REPLAY, application) > KEPT_MAX
                        ? registry_page(r, OBJECT_REPLAY, application, 0, false, SWEEP_MAX, oldest)
                        : 0;

        for (size_t i = 0; i < n; i++) {
                if (!span_eq(text_member(oldest[i]->object.text, "progress"), SPAN("\"running\"")))
                        op_remove_aside(op, oldest[i]);
                entry_unref(oldest[i]);
        }
}

static void wish_write(Op *op, const Wish *w, void (*then)(Op *op, Entry *written)) {
        Span text;

        sweep(op, w->application);

        if (registry_count(op->admin->parts.registry, OBJECT_REPLAY, w->application) >=
            REPLAYS_MAX) {
                op_error(op, 409, "limit_reached",
                         "1,000 replays of the application are under way");
                return;
        }
        if (wish_text(op, w, &text))
                op_write(op,
                         &(ObjectWrite){.object = {.kind = OBJECT_REPLAY,
                                                   .id = op_new_id(op),
                                                   .owner = w->application,
                                                   .name = SPAN(""),
                                                   .text = text}},
                         then, NULL);
}

static void wake(Op *op, const Entry *e) {
        replayer_wake(op->admin->parts.replayers, op->admin->parts.n, e->object.id);
}

static void answer_task(Op *op, Entry *e) {
        AUTO(put_done)
        Put p = PUT(4096);

        put_open(&p, NULL, '{');
        put_id(&p, "id", "rpl", e->object.id);
        put_text(&p, "status", SPAN("running"));
        put_text(&p, "task", span_of(task_of(e->object.text)));
        text_show_time(&p, "updatedAt", e->object.text, "updatedAt");
        put_close(&p, '}');
        wake(op, e);
        entry_unref(e);
        op_json(op, 202, &p);
}

static void endpoint_task(Op *op, ReplayKind kind) {
        if (op->endpoint->endpoint->is_disabled) {
                op_error(op, 409, "endpoint_disabled", "the endpoint is disabled: enable it first");
                return;
        }
        wish_write(op,
                   &(Wish){.kind = kind,
                           .application = op_application(op),
                           .endpoint = op_endpoint(op)},
                   answer_task);
}

void endpoint_recover(Op *op) {
        endpoint_task(op, REPLAY_RECOVER);
}

void endpoint_replay_missing(Op *op) {
        endpoint_task(op, REPLAY_MISSING);
}

/* ---- counting ---- */

typedef struct Count {
        Replay replay;
        Span text;
        int64_t until_ms, total;
} Count;

static void count_page(Op *op);

static void answer_count(Op *op, bool is_exact) {
        AUTO(put_done)
        Put p = PUT(TEXT_MAX_BYTES);
        const Count *n = op->mine;

        put_open(&p, NULL, '{');
        put_null(&p, "id");
        put_what(&p, n->text);
        put_null(&p, "progress");
        put_int(&p, "total", n->total);
        put_bool(&p, "totalIsExact", is_exact);
        put_int(&p, "done", 0);
        put_null(&p, "createdAt");
        put_null(&p, "updatedAt");
        put_close(&p, '}');
        op_json(op, 200, &p);
}

static void on_page(Op *op) {
        Count *n = op->mine;
        EventPage *page = op->request.events.ret;
        bool more = page->more;

        for (size_t i = 0; i < page->n; i++) {
                n->total += (int64_t)replay_targets(&n->replay, op->admin->parts.registry,
                                                    page->events[i], 0, NULL);
                n->replay.cursor = page->events[i]->event.id;
        }
        if (more)
                n->replay.cursor = page->next_before_id;
        event_page_free(page);
        if (!more || clock_mono_ms() > n->until_ms)
                answer_count(op, !more);
        else
                count_page(op);
}

static void count_page(Op *op) {
        Count *n = op->mine;
        EventQuery q;

        if (!replay_query(&n->replay, COUNT_PAGE, op->arena, &q))
                answer_count(op, false);
        else
                op_ask(op, &(LedgerRequest){.ask = ASK_EVENTS, .events = {.query = q}}, on_page);
}

static void count(Op *op, const Wish *w) {
        Count *n = arena_alloc(op->arena, sizeof *n);

        must(n);
        if (!wish_text(op, w, &n->text))
                return;
        n->until_ms = clock_mono_ms() + COUNT_MS;
        op->mine = n;
        if (n->text.p && replay_read(n->text, op->arena, &n->replay))
                count_page(op);
        else
                op_error(op, 413, "too_large", "the filter is too large");
}

/* ---- by filter ---- */

static void on_created(Op *op, Entry *e) {
        wake(op, e);
        answer(op, 202, e);
        entry_unref(e);
}

static int64_t find_id(Op *op, const char *field, ObjectKind kind, int64_t owner,
                       const char *prefix) {
        Entry *e = registry_find(op->admin->parts.registry, kind, owner, prefix,
                                 value_text(&op->body, field, op->arena));
        int64_t id = e ? e->object.id : 0;

        entry_unref(e);
        return id;
}

static bool is_given(const Op *op, const char *field) {
        return value_of(&op->body, field).p && !value_is_null(&op->body, field);
}

void replay_create(Op *op) {
        Wish w = {.kind = REPLAY_FILTER,
                  .application = find_id(op, "application", OBJECT_APPLICATION, 0, "app")};

        if (!w.application) {
                op_invalid_at(op, "body", "application", "there is no such application");
                return;
        }
        if (is_given(op, "endpoint")) {
                w.endpoint = find_id(op, "endpoint", OBJECT_ENDPOINT, w.application, "ep");
                if (!w.endpoint) {
                        op_invalid_at(op, "body", "endpoint", "there is no such endpoint");
                        return;
                }
        }
        if (is_given(op, "eventTypes"))
                w.types = value_of(&op->body, "eventTypes");
        w.state = is_given(op, "status") ? value_of(&op->body, "status") : SPAN("\"failed\"");
        if (value_bool(&op->body, "dryRun", false))
                count(op, &w);
        else
                wish_write(op, &w, on_created);
}

/* ---- those that there are ---- */

void replay_list(Op *op) {
        AUTO(put_done)
        Put p = PUT(LIST_LIMIT_MAX * TEXT_MAX_BYTES);
        Entry *entries[LIST_LIMIT_MAX + 1];
        char first[ID_TEXT], last[ID_TEXT];
        ListAsk l = list_ask(op, true);
        Entry *application = registry_find(op->admin->parts.registry, OBJECT_APPLICATION, 0, "app",
                                           value_of(&op->query, "application"));
        int64_t owner = application ? application->object.id : 0;
        size_t n;
        bool done;

        entry_unref(application);
        if (!owner) {
                op_missing(op);
                return;
        }
        if (!list_objects(op, &l, OBJECT_REPLAY, "rpl", owner, entries, &n, &done))
                return;
        if (n) {
                id_print("rpl", entries[0]->object.id, first);
                id_print("rpl", entries[n - 1]->object.id, last);
        }
        list_open(&p);
        for (size_t i = 0; i < n; i++) {
                show(&p, entries[i]);
                entry_unref(entries[i]);
        }
        list_close(&p, span_of(n ? first : NULL), span_of(n ? last : NULL), done, false);
        op_json(op, 200, &p);
}

static Entry *find(Op *op) {
        int64_t id;

        return id_parse("rpl", op_param(op, "replay_id"), &id)
                       ? registry_by_id(op->admin->parts.registry, OBJECT_REPLAY, id)
                       : NULL;
}

void replay_get(Op *op) {
        Entry *e = find(op);

        if (e)
                answer(op, 200, e);
        else
                op_missing(op);
        entry_unref(e);
}

static void on_cancelled(Op *op, Entry *e) {
        answer(op, 200, e);
        entry_unref(e);
}

static Span cancelled_text(Op *op, Span text) {
        AUTO(buf_done)
        Buf b = BUF(TEXT_MAX_BYTES);

        if (replay_progress(text, text_int(text, "cursor", 0), text_int(text, "done", 0),
                            "cancelled", clock_wall_ms(), &b) < 0)
                return (Span){NULL, 0};
        return arena_span(op->arena, buf_span(&b));
}

/* One that has ended stays as it is. */
void replay_cancel(Op *op) {
        Entry *e = find(op);

        if (!e)
                op_missing(op);
        else if (!span_eq(text_member(e->object.text, "progress"), SPAN("\"running\"")))
                answer(op, 200, e);
        else
                op_write(op,
                         &(ObjectWrite){.object = {.kind = OBJECT_REPLAY,
                                                   .id = e->object.id,
                                                   .owner = e->object.owner,
                                                   .name = SPAN(""),
                                                   .text = cancelled_text(op, e->object.text)},
                                        .was = e},
                         on_cancelled, NULL);
        entry_unref(e);
}
