/* SPDX-License-Identifier: Apache-2.0
 *
 * Event types: what messages may be about, for people to read. The object's name is the type's;
 * its text: {"description", "schemas", "archived", "deprecated", "featureFlag",
 * "featureFlags", "groupName", "createdAt", "updatedAt"}. */
#include "api/list.h"
#include "api/nouns.h"
#include "api/text.h"
#include "base/clock.h"
#include "json/value.h"

enum {
        TEXT_MAX_BYTES = OBJECT_TEXT_MAX_BYTES + 1024,
        TYPES_MAX = 5000, /* so that a list can be put in the order of names */
        FLAGS_MAX = 100,
};

/* ---- shapes ---- */

static const Field update_fields[] = {
        {.name = "description", .type = FIELD_TEXT, .required = true, .max = 8192},
        {.name = "archived", .type = FIELD_BOOL, .fallback = "false"},
        {.name = "deprecated", .type = FIELD_BOOL, .fallback = "false"},
        {.name = "schemas",
         .type = FIELD_MAP,
         .item = FIELD_OBJECT,
         .nullable = true,
         .max = 100,
         .help = "A JSON Schema for each version, by the version's number."},
        {.name = "featureFlag",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 256,
         .form = &form_name,
         .help = "One more of the featureFlags, by an older name."},
        {.name = "featureFlags",
         .type = FIELD_LIST,
         .item = FIELD_TEXT,
         .form = &form_name,
         .nullable = true,
         .unique = true,
         .max = FLAGS_MAX,
         .help = "Visitors see the event type only if their key bears one of these."},
        {.name = "groupName",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 256,
         .form = &form_name},
};

static const Field in_fields[] = {
        {.name = "name",
         .type = FIELD_TEXT,
         .required = true,
         .min = 1,
         .max = 256,
         .form = &form_name},
};

const Schema schema_event_type_update = {.name = "EventTypeUpdate", SCHEMA_FIELDS(update_fields)};
const Schema schema_event_type_patch = {
        .name = "EventTypePatch", SCHEMA_FIELDS(update_fields), .partial = true};
const Schema schema_event_type_in = {
        .name = "EventTypeIn", .base = &schema_event_type_update, SCHEMA_FIELDS(in_fields)};

static const Field out_fields[] = {
        {.name = "name", .type = FIELD_TEXT, .required = true},
        {.name = "description", .type = FIELD_TEXT, .required = true},
        {.name = "archived", .type = FIELD_BOOL, .required = true},
        {.name = "deprecated", .type = FIELD_BOOL, .required = true},
        {.name = "schemas", .type = FIELD_MAP, .item = FIELD_OBJECT, .nullable = true},
        {.name = "featureFlag", .type = FIELD_TEXT, .nullable = true},
        {.name = "featureFlags", .type = FIELD_LIST, .item = FIELD_TEXT, .nullable = true},
        {.name = "groupName", .type = FIELD_TEXT, .nullable = true},
        {.name = "createdAt", .type = FIELD_TIME, .required = true},
        {.name = "updatedAt", .type = FIELD_TIME, .required = true},
};
const Schema schema_event_type_out = {.name = "EventTypeOut", SCHEMA_FIELDS(out_fields)};
LIST_SCHEMA(schema_event_type_list, "EventTypeOut", schema_event_type_out);

static const Field list_fields[] = {
        LIST_FIELDS,
        LIST_ORDER_FIELD,
        {.name = "include_archived", .type = FIELD_BOOL, .fallback = "false"},
        {.name = "with_content",
         .type = FIELD_BOOL,
         .fallback = "false",
         .help = "With the schemas."},
};
const Schema query_event_type_list = {SCHEMA_FIELDS(list_fields)};

static const Field delete_fields[] = {
        {.name = "expunge",
         .type = FIELD_BOOL,
         .fallback = "false",
         .help = "Remove it for good, instead of putting it into the archive."},
};
const Schema query_event_type_delete = {SCHEMA_FIELDS(delete_fields)};

/* ---- showing ---- */

static void show(Put *p, const Entry *e, bool with_content) {
        Span text = e->object.text;

        put_open(p, NULL, '{');
        put_text(p, "name", e->object.name);
        text_show(p, "description", text, "description", "\"\"");
        text_show(p, "archived", text, "archived", "false");
        text_show(p, "deprecated", text, "deprecated", "false");
        if (with_content)
                text_show(p, "schemas", text, "schemas", "null");
        else
                put_null(p, "schemas");
        text_show(p, "featureFlag", text, "featureFlag", "null");
        text_show(p, "featureFlags", text, "featureFlags", "null");
        text_show(p, "groupName", text, "groupName", "null");
        text_show_time(p, "createdAt", text, "createdAt");
        text_show_time(p, "updatedAt", text, "updatedAt");
        put_close(p, '}');
}

static void answer(Op *op, int status, const Entry *e) {
        AUTO(put_done)
        Put p = PUT(TEXT_MAX_BYTES);

        show(&p, e, true);
        op_json(op, status, &p);
}

static bool has(Span list, Span value) {
        Span name, one;

        for (size_t pos = 0; list.p && json_next(list, &pos, &name, &one);)
                if (json_equal(one, value))
                        return true;
        return false;
}

/* Types behind feature flags are shown to an application only if its key bears one of them. */
static bool is_visible(const Op *op, const Entry *type, const Entry *key) {
        Span text = type->object.text, flags, name, one;
        Span flag = text_member(text, "featureFlag"), list = text_member(text, "featureFlags");

        if (op->caller.role != ROLE_APPLICATION || (!flag.p && (!list.p || !json_length(list))))
                return true;
        flags = key ? text_member(key->object.text, "featureFlags") : (Span){NULL, 0};
        for (size_t pos = 0; list.p && json_next(list, &pos, &name, &one);)
                if (has(flags, one))
                        return true;
        return flag.p && has(flags, flag);
}

static Entry *key_of(const Op *op) {
        return op->caller.key
                       ? registry_by_id(op->admin->parts.registry, OBJECT_KEY, op->caller.key)
                       : NULL;
}

static Entry *find(Op *op) {
        Registry *r = op->admin->parts.registry;
        Entry *e = registry_by_name(r, OBJECT_EVENT_TYPE, 0, op_param(op, "event_type_name")),
              *key = key_of(op);

        if (e && !is_visible(op, e, key))
                e = entry_unref(e);
        entry_unref(key);
        return e;
}

void event_type_get(Op *op) {
        Entry *e = find(op);

        if (e)
                answer(op, 200, e);
        else
                op_missing(op);
        entry_unref(e);
}

/* ---- listing, by name ---- */

typedef struct Shelf {
        Entry *all[TYPES_MAX];
        size_t n;
} Shelf;

static int compare(Span a, Span b) {
        int d = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

        return d ? d : (a.n > b.n) - (a.n < b.n);
}

static int by_name(const void *a, const void *b) {
        const Entry *const *x = a, *const *y = b;

        return compare((*x)->object.name, (*y)->object.name);
}

static void load(Op *op, Shelf *s) {
        Entry *key = key_of(op);
        bool archived = value_bool(&op->query, "include_archived", false);
        size_t n = registry_page(op->admin->parts.registry, OBJECT_EVENT_TYPE, 0, 0, false,
                                 TYPES_MAX, s->all);

        for (size_t i = 0; i < n; i++) {
                Entry *e = s->all[i];

                if ((archived || !text_bool(e->object.text, "archived")) && is_visible(op, e, key))
                        s->all[s->n++] = e;
                else
                        entry_unref(e);
        }
        entry_unref(key);
        qsort(s->all, s->n, sizeof s->all[0], by_name);
}

/* The part of the sorted names that the page shows: [*from, *to). */
static void cut(const Shelf *s, const ListAsk *l, size_t *from, size_t *to, bool *done) {
        bool up = !list_downward(l);
        size_t at = up ? 0 : s->n;

        if (l->iterator.p) {
                at = 0;
                while (at < s->n && compare(s->all[at]->object.name, l->iterator) < 0)
                        at++;
                if (up && at < s->n && span_eq(s->all[at]->object.name, l->iterator))
                        at++;
        }
        *from = up ? at : at > l->limit ? at - l->limit : 0;
        *to = !up ? at : s->n - at > l->limit ? at + l->limit : s->n;
        *done = up ? *to == s->n : *from == 0;
}

static void put_page(Put *p, const Shelf *s, const ListAsk *l, bool with_content) {
        Span first = {NULL, 0}, last = {NULL, 0};
        size_t from, to;
        bool done;

        cut(s, l, &from, &to, &done);
        list_open(p);
        for (size_t i = 0; i < to - from; i++) {
                const Entry *e = s->all[l->newest_first ? to - 1 - i : from + i];

                show(p, e, with_content);
                if (!first.p)
                        first = e->object.name;
                last = e->object.name;
        }
        list_close(p, first, last, done, false);
}

void event_type_list(Op *op) {
        AUTO(put_done)
        Put p = PUT(64 * 1024 * 1024);
        AUTO(freep)
        Shelf *s = must_alloc(sizeof *s);
        ListAsk l = list_ask(op, false);

        load(op, s);
        put_page(&p, s, &l, value_bool(&op->query, "with_content", false));
        for (size_t i = 0; i < s->n; i++)
                entry_unref(s->all[i]);
        op_json(op, 200, &p);
}

/* ---- at rest ---- */

bool event_type_rests(const Op *op, Span name) {
        Entry *e = registry_by_name(op->admin->parts.registry, OBJECT_EVENT_TYPE, 0, name);
        bool rests = e && text_bool(e->object.text, "archived");

        entry_unref(e);
        return rests;
}

/* ---- writing ---- */

static void write_it(Op *op, Span name, const Entry *was, bool keeps, bool archives,
                     void (*then)(Op *op, Entry *written)) {
        AUTO(put_done)
        Put p = PUT(TEXT_MAX_BYTES);
        Span old = was && keeps ? was->object.text : (Span){NULL, 0};
        const Values *v = &op->body;
        int64_t now = clock_wall_ms();

        if (!was && registry_count(op->admin->parts.registry, OBJECT_EVENT_TYPE, 0) >= TYPES_MAX) {
                op_error(op, 409, "limit_reached", "there are 5,000 event types already");
                return;
        }
        put_open(&p, NULL, '{');
        if (archives) {
                text_show(&p, "description", old, "description", "\"\"");
                text_show(&p, "deprecated", old, "deprecated", "false");
                text_show(&p, "schemas", old, "schemas", "null");
                text_show(&p, "featureFlag", old, "featureFlag", "null");
                text_show(&p, "featureFlags", old, "featureFlags", "null");
                text_show(&p, "groupName", old, "groupName", "null");
                put_bool(&p, "archived", true);
        } else {
                text_keep(&p, "description", v, "description", old);
                text_keep(&p, "deprecated", v, "deprecated", old);
                text_keep(&p, "schemas", v, "schemas", old);
                text_keep(&p, "featureFlag", v, "featureFlag", old);
                text_keep(&p, "featureFlags", v, "featureFlags", old);
                text_keep(&p, "groupName", v, "groupName", old);
                text_keep(&p, "archived", v, "archived", old);
        }
        put_int(&p, "createdAt", was ? text_int(was->object.text, "createdAt", now) : now);
        put_int(&p, "updatedAt", now);
        put_close(&p, '}');
        op_write(op,
                 &(ObjectWrite){.object = {.kind = OBJECT_EVENT_TYPE,
                                           .id = was ? was->object.id : op_new_id(op),
                                           .name = arena_span(op->arena, name),
                                           .text = p.fault ? (Span){NULL, 0}
                                                           : arena_span(op->arena, put_span(&p))},
                                .was = was},
                 then, NULL);
}

static void on_created(Op *op, Entry *e) {
        answer(op, 201, e);
        entry_unref(e);
}

static void on_changed(Op *op, Entry *e) {
        answer(op, 200, e);
        entry_unref(e);
}

/* One that lies in the archive comes out of it, as the request has it. */
void event_type_create(Op *op) {
        Span name = value_text(&op->body, "name", op->arena);
        Entry *was = registry_by_name(op->admin->parts.registry, OBJECT_EVENT_TYPE, 0, name);

        if (was && !text_bool(was->object.text, "archived"))
                op_error(op, 409, "event_type_exists",
                         "An event_type with this name already exists");
        else
                write_it(op, name, was, false, false, on_created);
        entry_unref(was);
}

void event_type_put(Op *op) {
        Span name = op_param(op, "event_type_name");
        Entry *was = find(op);

        if (!was && (!form_name.fits(name) || name.n > OBJECT_NAME_MAX_BYTES))
                op_missing(op);
        else
                write_it(op, name, was, false, false, was ? on_changed : on_created);
        entry_unref(was);
}

void event_type_patch(Op *op) {
        Entry *was = find(op);

        if (was)
                write_it(op, was->object.name, was, true, false, on_changed);
        else
                op_missing(op);
        entry_unref(was);
}

static void on_deleted(Op *op, Entry *e) {
        entry_unref(e);
        op_none(op, 204);
}

void event_type_delete(Op *op) {
        Entry *was = find(op);

        if (!was)
                op_missing(op);
        else if (value_bool(&op->query, "expunge", false))
                op_write(op, &(ObjectWrite){.object = was->object, .removes = true, .was = was},
                         on_deleted, NULL);
        else
                write_it(op, was->object.name, was, true, true, on_deleted);
        entry_unref(was);
}
