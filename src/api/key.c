/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of the API. The object's text: {"name", "role", "hash", "expiresAt", "readOnly",
 * "featureFlags", "portal", "createdAt"}; a key that is bound to an application has it as owner.
 * The key itself is told once, when it is made. */
#include "api/key.h"

#include "api/nouns.h"
#include "api/text.h"
#include "base/clock.h"

enum { TEXT_MAX_BYTES = 16 * 1024, KEYS_MAX = 50000 };

static const char *const role_names[] = {"admin", "application", NULL};

static const Field in_fields[] = {
        {.name = "name", .type = FIELD_TEXT, .required = true, .min = 1, .max = 256},
        {.name = "role", .type = FIELD_TEXT, .required = true, .choices = role_names},
        {.name = "application",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 256,
         .help = "Of role application: the id or uid of the one that it is bound to."},
        {.name = "expiresAt", .type = FIELD_TIME, .nullable = true},
        {.name = "readOnly", .type = FIELD_BOOL, .fallback = "false"},
};
const Schema schema_key_in = {.name = "KeyIn", SCHEMA_FIELDS(in_fields), .strict = true};

static const Field out_fields[] = {
        {.name = "id", .type = FIELD_TEXT, .required = true},
        {.name = "name", .type = FIELD_TEXT, .required = true},
        {.name = "role", .type = FIELD_TEXT, .required = true, .choices = role_names},
        {.name = "application", .type = FIELD_TEXT, .nullable = true},
        {.name = "readOnly", .type = FIELD_BOOL, .required = true},
        {.name = "portal",
         .type = FIELD_BOOL,
         .required = true,
         .help = "It was made for a visitor of the application's page."},
        {.name = "expiresAt", .type = FIELD_TIME, .nullable = true},
        {.name = "createdAt", .type = FIELD_TIME, .required = true},
};
const Schema schema_key_out = {.name = "KeyOut", SCHEMA_FIELDS(out_fields)};

static const Field made_fields[] = {
        {.name = "key",
         .type = FIELD_TEXT,
         .required = true,
         .help = "Told this once: the ledger has its hash alone."},
};
const Schema schema_key_made = {
        .name = "KeyMade", .base = &schema_key_out, SCHEMA_FIELDS(made_fields)};
LIST_SCHEMA(schema_key_list, "KeyOut", schema_key_out);

static const Field list_fields[] = {
        LIST_FIELDS,
        LIST_ORDER_FIELD,
        {.name = "application",
         .type = FIELD_TEXT,
         .min = 1,
         .max = 256,
         .help = "Keys that are bound to this one; else those that are bound to none."},
};
const Schema query_key_list = {SCHEMA_FIELDS(list_fields)};

/* ---- showing ---- */

static void show(Put *p, const Object *o) {
        int64_t until = text_int(o->text, "expiresAt", 0);

        put_id(p, "id", "key", o->id);
        text_show(p, "name", o->text, "name", "\"\"");
        text_show(p, "role", o->text, "role", "\"application\"");
        if (o->owner)
                put_id(p, "application", "app", o->owner);
        else
                put_null(p, "application");
        text_show(p, "readOnly", o->text, "readOnly", "false");
        text_show(p, "portal", o->text, "portal", "false");
        if (until)
                put_time(p, "expiresAt", until);
        else
                put_null(p, "expiresAt");
        text_show_time(p, "createdAt", o->text, "createdAt");
}

/* `application` of the request: its entry, or NULL when none is named. False: it is not there. */
static bool find_application(Op *op, Span name, Entry **ret) {
        *ret = name.p ? registry_find(op->admin->parts.registry, OBJECT_APPLICATION, 0, "app", name)
                      : NULL;
        return !name.p || *ret;
}

void key_list(Op *op) {
        AUTO(put_done)
        Put p = PUT(4 * 1024 * 1024);
        Entry *entries[LIST_LIMIT_MAX + 1], *application;
        char first[ID_TEXT], last[ID_TEXT];
        ListAsk l = list_ask(op, false);
        size_t n;
        bool done;

        if (!find_application(op, value_of(&op->query, "application"), &application)) {
                op_missing(op);
                return;
        }
        if (!list_objects(op, &l, OBJECT_KEY, "key", application ? application->object.id : 0,
                          entries, &n, &done)) {
                entry_unref(application);
                return;
        }
        entry_unref(application);
        if (n) {
                id_print("key", entries[0]->object.id, first);
                id_print("key", entries[n - 1]->object.id, last);
        }
        list_open(&p);
        for (size_t i = 0; i < n; i++) {
                put_open(&p, NULL, '{');
                show(&p, &entries[i]->object);
                put_close(&p, '}');
                entry_unref(entries[i]);
        }
        list_close(&p, span_of(n ? first : NULL), span_of(n ? last : NULL), done, false);
        op_json(op, 200, &p);
}

/* ---- making ---- */

static Span text_for(Op *op, const KeyWish *w, const char *hash) {
        AUTO(put_done)
        Put p = PUT(TEXT_MAX_BYTES);

        put_open(&p, NULL, '{');
        put_text(&p, "name", w->name);
        put_text(&p, "role", w->application ? SPAN("application") : SPAN("admin"));
        put_text(&p, "hash", span_of(hash));
        if (w->until_ms)
                put_int(&p, "expiresAt", w->until_ms);
        if (w->is_read_only)
                put_bool(&p, "readOnly", true);
        if (w->is_portal)
                put_bool(&p, "portal", true);
        if (w->flags.p)
                put_raw(&p, "featureFlags", w->flags);
        put_int(&p, "createdAt", clock_wall_ms());
        put_close(&p, '}');
        return p.fault ? (Span){NULL, 0} : arena_span(op->arena, put_span(&p));
}

char *key_write(Op *op, const KeyWish *w, void (*then)(Op *op, Entry *written)) {
        char *key = arena_alloc(op->arena, KEY_TEXT), hash[KEY_HASH_TEXT];
        int64_t id = op_new_id(op);

        must(key);
        if (registry_count(op->admin->parts.registry, OBJECT_KEY, w->application) >= KEYS_MAX) {
                op_error(op, 409, "limit_reached", "there are 50,000 keys already");
                return NULL;
        }
        key_make(id, key, hash);
        op->mine = key;
        op_write(op,
                 &(ObjectWrite){.object = {.kind = OBJECT_KEY,
                                           .id = id,
                                           .owner = w->application,
                                           .name = SPAN(""),
                                           .text = text_for(op, w, hash)}},
                 then, NULL);
        return key;
}

static void on_made(Op *op, Entry *e) {
        AUTO(put_done)
        Put p = PUT(TEXT_MAX_BYTES);
        char *key = op->mine;

        put_open(&p, NULL, '{');
        show(&p, &e->object);
        put_text(&p, "key", span_of(key));
        put_close(&p, '}');
        entry_unref(e);
        explicit_bzero(key, KEY_TEXT);
        op_json(op, 201, &p);
}

void key_create(Op *op) {
        bool is_admin = span_eq(value_text(&op->body, "role", op->arena), SPAN("admin"));
        Span name = value_text(&op->body, "application", op->arena);
        Entry *application;
        KeyWish w = {.name = value_text(&op->body, "name", op->arena),
                     .until_ms = value_time(&op->body, "expiresAt"),
                     .is_read_only = value_bool(&op->body, "readOnly", false)};

        if (is_admin == (name.p != NULL))
                op_invalid_at(op, "body", "application",
                              "is needed by the role application, and by no other");
        else if (w.until_ms && w.until_ms <= clock_wall_ms())
                op_invalid_at(op, "body", "expiresAt", "must be in the future");
        else if (!find_application(op, name, &application))
                op_invalid_at(op, "body", "application", "there is no such application");
        else {
                w.application = application ? application->object.id : 0;
                entry_unref(application);
                (void)key_write(op, &w, on_made);
        }
}

/* ---- ending ---- */

static void on_revoked(Op *op, Entry *e) {
        entry_unref(e);
        op_none(op, 204);
}

void key_revoke(Op *op) {
        Entry *e = NULL;
        int64_t id;

        if (id_parse("key", op_param(op, "key_id"), &id))
                e = registry_by_id(op->admin->parts.registry, OBJECT_KEY, id);
        if (e)
                op_write(op, &(ObjectWrite){.object = e->object, .removes = true, .was = e},
                         on_revoked, NULL);
        else
                op_missing(op);
        entry_unref(e);
}
