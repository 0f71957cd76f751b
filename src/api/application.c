/* SPDX-License-Identifier: Apache-2.0
 *
 * Applications: the tenants. The object's text: {"name", "uid", "rateLimit", "metadata",
 * "createdAt", "updatedAt"}. */
#include "api/list.h"
#include "api/nouns.h"
#include "api/text.h"
#include "base/clock.h"

enum { TEXT_MAX_BYTES = OBJECT_TEXT_MAX_BYTES + 1024, APPLICATIONS_MAX = 100000 };

/* ---- shapes ---- */

#define METADATA_FIELD                                                                             \
        {                                                                                          \
                .name = "metadata", .type = FIELD_MAP, .item = FIELD_TEXT, .item_max = 4096,       \
                .max = 100, .fallback = "{}", .help = "Texts of one's own, by their names."        \
        }

static const Field in_fields[] = {
        {.name = "name", .type = FIELD_TEXT, .required = true, .min = 1, .max = 4096},
        {.name = "uid",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 256,
         .form = &form_name,
         .help = "A name of one's own, accepted wherever the id is."},
        {.name = "throttleRate",
         .alias = "rateLimit",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 1,
         .max = 65535,
         .help = "Requests a second, to all endpoints of the application together."},
        METADATA_FIELD,
};

const Schema schema_application_in = {.name = "ApplicationIn", SCHEMA_FIELDS(in_fields)};
const Schema schema_application_patch = {
        .name = "ApplicationPatch", SCHEMA_FIELDS(in_fields), .partial = true};

static const Field out_fields[] = {
        {.name = "id", .type = FIELD_TEXT, .required = true},
        {.name = "uid", .type = FIELD_TEXT, .nullable = true},
        {.name = "name", .type = FIELD_TEXT, .required = true},
        {.name = "throttleRate", .type = FIELD_INTEGER, .nullable = true},
        {.name = "rateLimit",
         .type = FIELD_INTEGER,
         .nullable = true,
         .help = "The same as throttleRate, by its older name."},
        {.name = "metadata", .type = FIELD_MAP, .item = FIELD_TEXT, .required = true},
        {.name = "createdAt", .type = FIELD_TIME, .required = true},
        {.name = "updatedAt", .type = FIELD_TIME, .required = true},
};

const Schema schema_application_out = {.name = "ApplicationOut", SCHEMA_FIELDS(out_fields)};
LIST_SCHEMA(schema_application_list, "ApplicationOut", schema_application_out);

static const Field list_fields[] = {LIST_FIELDS, LIST_ORDER_FIELD};
const Schema query_application_list = {SCHEMA_FIELDS(list_fields)};

static const Field create_fields[] = {
        {.name = "get_if_exists",
         .type = FIELD_BOOL,
         .fallback = "false",
         .help = "Answer with the application that has this uid already, if there is one."},
};
const Schema query_application_create = {SCHEMA_FIELDS(create_fields)};

/* ---- showing ---- */

static void show(Put *p, const Entry *e) {
        Span text = e->object.text;

        put_open(p, NULL, '{');
        put_id(p, "id", "app", e->object.id);
        text_show(p, "uid", text, "uid", "null");
        text_show(p, "name", text, "name", "\"\"");
        text_show(p, "throttleRate", text, "rateLimit", "null");
        text_show(p, "rateLimit", text, "rateLimit", "null");
        text_show(p, "metadata", text, "metadata", "{}");
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

void application_get(Op *op) {
        answer(op, 200, op->application);
}

void application_list(Op *op) {
        AUTO(put_done)
        Put p = PUT(64 * 1024 * 1024);
        Entry *entries[LIST_LIMIT_MAX + 1];
        char first[ID_TEXT], last[ID_TEXT];
        ListAsk l = list_ask(op, false);
        size_t n;
        bool done;

        if (!list_objects(op, &l, OBJECT_APPLICATION, "app", 0, entries, &n, &done))
                return;
        if (n) {
                id_print("app", entries[0]->object.id, first);
                id_print("app", entries[n - 1]->object.id, last);
        }
        list_open(&p);
        for (size_t i = 0; i < n; i++) {
                show(&p, entries[i]);
                entry_unref(entries[i]);
        }
        list_close(&p, span_of(n ? first : NULL), span_of(n ? last : NULL), done, false);
        op_json(op, 200, &p);
}

/* ---- writing ---- */

/* What the values make of `was` (NULL: nothing) in op's arena; with `keeps`, what they do not name
 * stays. `uid` holds when they give none. */
static Span text_for(Op *op, const Values *v, const Entry *was, bool keeps, Span uid) {
        AUTO(put_done)
        Put p = PUT(TEXT_MAX_BYTES);
        Span old = was && keeps ? was->object.text : (Span){NULL, 0};
        int64_t now = clock_wall_ms();

        put_open(&p, NULL, '{');
        text_keep(&p, "name", v, "name", old);
        if (uid.n)
                put_text(&p, "uid", uid);
        else
                text_keep(&p, "uid", v, "uid", old);
        text_keep(&p, "rateLimit", v, "throttleRate", old);
        text_keep(&p, "metadata", v, "metadata", old);
        put_int(&p, "createdAt", was ? text_int(was->object.text, "createdAt", now) : now);
        put_int(&p, "updatedAt", now);
        put_close(&p, '}');
        return p.fault == 0 ? arena_span(op->arena, put_span(&p)) : (Span){NULL, 0};
}

static void write_it(Op *op, Span text, const Entry *was, void (*then)(Op *op, Entry *written),
                     void (*taken)(Op *op, int64_t by)) {
        Registry *r = op->admin->parts.registry;

        if (!was && registry_count(r, OBJECT_APPLICATION, 0) >= APPLICATIONS_MAX) {
                op_error(op, 409, "limit_reached", "there are 100,000 applications already");
                return;
        }
        op_write(op,
                 &(ObjectWrite){.object = {.kind = OBJECT_APPLICATION,
                                           .id = was ? was->object.id : op_new_id(op),
                                           .name = text_plain(text, "uid", op->arena),
                                           .text = text},
                                .was = was},
                 then, taken);
}

static void on_created(Op *op, Entry *e) {
        answer(op, 201, e);
        entry_unref(e);
}

static void on_changed(Op *op, Entry *e) {
        answer(op, 200, e);
        entry_unref(e);
}

/* Somebody made it while we were about to. */
static void on_taken_anyway(Op *op, int64_t by) {
        (void)by;
        op_again(op);
}

void application_create(Op *op) {
        bool get = value_bool(&op->query, "get_if_exists", false);
        Span uid = value_text(&op->body, "uid", op->arena);
        Entry *known = get ? registry_by_name(op->admin->parts.registry, OBJECT_APPLICATION, 0, uid)
                           : NULL;

        if (known)
                on_changed(op, known);
        else
                write_it(op, text_for(op, &op->body, NULL, false, (Span){NULL, 0}), NULL,
                         on_created, get ? on_taken_anyway : NULL);
}

/* The uid of the path, when a new application is to have it; false when it has answered. */
static bool path_uid(Op *op, const Values *v, const char *member, Span *ret) {
        Span uid = op_param(op, "app_id"), given = value_text(v, "uid", op->arena);
        int64_t id;

        if (id_parse("app", uid, &id) || uid.n > OBJECT_NAME_MAX_BYTES || !form_name.fits(uid)) {
                op_missing(op);
                return false;
        }
        if (given.p && !span_eq(given, uid)) {
                op_invalid_at(op, "body", member, "the uid must be that of the path");
                return false;
        }
        *ret = uid;
        return true;
}

void application_put(Op *op) {
        Entry *was = op->application;
        Span uid = {NULL, 0};

        if (!was && !path_uid(op, &op->body, "uid", &uid))
                return;
        write_it(op, text_for(op, &op->body, was, false, uid), was, was ? on_changed : on_created,
                 was ? NULL : on_taken_anyway);
}

void application_patch(Op *op) {
        Entry *was = op->application;

        write_it(op, text_for(op, &op->body, was, true, (Span){NULL, 0}), was, on_changed, NULL);
}

static void on_removed(Op *op, Entry *e) {
        (void)e;
        op_none(op, 204);
}

void application_delete(Op *op) {
        op_write(op,
                 &(ObjectWrite){.object = op->application->object,
                                .removes = true,
                                .was = op->application},
                 on_removed, NULL);
}

/* ---- one that comes along ---- */

static void on_along(Op *op, Entry *e) {
        op->application = e;
        op->after(op);
}

void application_along(Op *op, const char *field, void (*then)(Op *op)) {
        AUTO(complaints_done)
        Complaints all = COMPLAINTS;
        Where body = {NULL, SPAN("body")}, here = {&body, span_of(field)};
        Span along = value_of(&op->body, field), uid;
        Values v;

        op->after = then;
        if (op->application) {
                then(op);
                return;
        }
        if (!along.p || value_is_null(&op->body, field)) {
                op_error(op, 404, "not_found", "Application not found");
                return;
        }
        schema_read(&schema_application_in, along, &here, &v, &all);
        must(all.n == 0); /* it was judged with the body that it stands in */
        if (path_uid(op, &v, field, &uid))
                write_it(op, text_for(op, &v, NULL, false, uid), NULL, on_along, on_taken_anyway);
}
