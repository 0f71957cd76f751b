/* SPDX-License-Identifier: Apache-2.0
 *
 * Replays by the name and in the shape that Svix's clients know: background tasks. A key of an
 * application sees those of its application. */
#include "api/nouns.h"
#include "api/text.h"

/* In the order of replay_kinds. */
static const char *const tasks[] = {"endpoint.recover", "endpoint.replay", "endpoint.bulk-replay",
                                    NULL};
static const char *const statuses[] = {"running", "finished", "failed", NULL};

static const Field out_fields[] = {
        {.name = "id", .type = FIELD_TEXT, .required = true},
        {.name = "status",
         .type = FIELD_TEXT,
         .required = true,
         .choices = statuses,
         .help = "\"failed\": it was cancelled."},
        {.name = "task", .type = FIELD_TEXT, .required = true, .choices = tasks},
        {.name = "updatedAt", .type = FIELD_TIME, .required = true},
        {.name = "data",
         .type = FIELD_OBJECT,
         .required = true,
         .help = "What it is about, and how many deliveries it has made so far: `appId`, "
                 "`endpointId`, `since`, `until`, `done`."},
};
const Schema schema_task_shown = {.name = "BackgroundTaskOut", SCHEMA_FIELDS(out_fields)};
LIST_SCHEMA(schema_task_list, "BackgroundTaskOut", schema_task_shown);

static const Field list_fields[] = {
        LIST_FIELDS,
        LIST_ORDER_FIELD,
        {.name = "status", .type = FIELD_TEXT, .choices = statuses, .help = "Those alone."},
        {.name = "task", .type = FIELD_TEXT, .choices = tasks, .help = "Those alone."},
};
const Schema query_task_list = {SCHEMA_FIELDS(list_fields)};

/* ---- one ---- */

static const char *status_of(Span text) {
        Span progress = text_member(text, "progress");

        return !progress.p || span_eq(progress, SPAN("\"running\"")) ? statuses[0]
               : span_eq(progress, SPAN("\"done\""))                 ? statuses[1]
                                                                     : statuses[2];
}

const char *task_of(Span text) {
        Span kind = text_member(text, "kind");

        return span_eq(kind, SPAN("\"recover\""))   ? tasks[0]
               : span_eq(kind, SPAN("\"missing\"")) ? tasks[1]
                                                    : tasks[2];
}

static void show(Put *p, const Entry *e) {
        Span text = e->object.text;

        put_open(p, NULL, '{');
        put_id(p, "id", "rpl", e->object.id);
        put_text(p, "status", span_of(status_of(text)));
        put_text(p, "task", span_of(task_of(text)));
        text_show_time(p, "updatedAt", text, "updatedAt");
        put_open(p, "data", '{');
        put_id(p, "appId", "app", e->object.owner);
        if (text_int(text, "endpoint", 0))
                put_id(p, "endpointId", "ep", text_int(text, "endpoint", 0));
        text_show_time(p, "since", text, "since");
        text_show_time(p, "until", text, "until");
        put_int(p, "done", text_int(text, "done", 0));
        put_close(p, '}');
        put_close(p, '}');
}

static bool may_see(const Caller *who, const Entry *e) {
        return who->role == ROLE_ADMIN || e->object.owner == who->application;
}

void task_get(Op *op) {
        AUTO(put_done)
        Put p = PUT(4096);
        int64_t id;
        Entry *e = id_parse("rpl", op_param(op, "task_id"), &id)
                           ? registry_by_id(op->admin->parts.registry, OBJECT_REPLAY, id)
                           : NULL;

        if (e && may_see(&op->caller, e)) {
                show(&p, e);
                op_json(op, 200, &p);
        } else
                op_missing(op);
        entry_unref(e);
}

/* ---- many ---- */

typedef struct Wanted {
        const Caller *who;
        Span status, task; /* .p NULL: all */
} Wanted;

static bool is_wanted(void *arg, const Entry *e) {
        const Wanted *w = arg;

        return may_see(w->who, e) &&
               (!w->status.p || span_eq(w->status, span_of(status_of(e->object.text)))) &&
               (!w->task.p || span_eq(w->task, span_of(task_of(e->object.text))));
}

void task_list(Op *op) {
        AUTO(put_done)
        Put p = PUT(LIST_LIMIT_MAX * 4096);
        Entry *entries[LIST_LIMIT_MAX + 1];
        Wanted wanted = {&op->caller, value_of(&op->query, "status"), value_of(&op->query, "task")};
        char first[ID_TEXT], last[ID_TEXT];
        ListAsk l = list_ask(op, true);
        int64_t after = 0;
        size_t n;

        if (!list_after(op, &l, "rpl", &after))
                return;
        n = registry_search(op->admin->parts.registry, OBJECT_REPLAY, after, list_downward(&l),
                            is_wanted, &wanted, l.limit + 1, entries);
        bool done = list_cut(&l, entries, &n);
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
