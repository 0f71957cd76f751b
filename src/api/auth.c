/* SPDX-License-Identifier: Apache-2.0
 *
 * Visitors of an application's page: a key that is bound to the application and ends by itself. */
#include "api/key.h"
#include "api/nouns.h"
#include "api/text.h"
#include "base/clock.h"
#include "json/value.h"

enum { LIFE_S = 7 * 24 * 3600, SWEEP_MAX = 8 };

static const Field in_fields[] = {
        {.name = "application",
         .type = FIELD_OBJECT,
         .of = &schema_application_in,
         .nullable = true,
         .help = "Makes the application of the path, when it is not there."},
        {.name = "featureFlags",
         .type = FIELD_LIST,
         .item = FIELD_TEXT,
         .form = &form_name,
         .unique = true,
         .max = 100,
         .help = "Event types behind these flags are shown too."},
        {.name = "expiry",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 60,
         .max = LIFE_S,
         .fallback = "604800",
         .help = "Seconds until the key ends."},
        {.name = "readOnly", .type = FIELD_BOOL, .nullable = true, .fallback = "false"},
        {.name = "capabilities",
         .type = FIELD_LIST,
         .item = FIELD_TEXT,
         .nullable = true,
         .max = 20,
         .help = "Refused: Grapnel knows no single ones, and a key must not allow more than was "
                 "asked for."},
};
const Schema schema_portal_in = {.name = "AppPortalAccessIn", SCHEMA_FIELDS(in_fields)};

static const Field out_fields[] = {
        {.name = "url", .type = FIELD_URL, .required = true},
        {.name = "token", .type = FIELD_TEXT, .required = true},
};
const Schema schema_portal_out = {.name = "AppPortalAccessOut", SCHEMA_FIELDS(out_fields)};

/* ---- keys that have ended ---- */

/* Whoever makes keys also takes away some that have ended: so they do not pile up. */
static void sweep(Op *op) {
        Entry *oldest[SWEEP_MAX];
        size_t n = registry_page(op->admin->parts.registry, OBJECT_KEY, op_application(op), 0,
                                 false, SWEEP_MAX, oldest);

        for (size_t i = 0; i < n; i++) {
                int64_t until = text_int(oldest[i]->object.text, "expiresAt", 0);

                if (until && until <= clock_wall_ms())
                        op_remove_aside(op, oldest[i]);
                entry_unref(oldest[i]);
        }
}

/* ---- coming and going ---- */

/* The key stands behind '#', which browsers keep to themselves. */
static void put_url(Op *op, Put *p, const char *key) {
        const char *base = op->admin->parts.public_url;
        char *url = base ? arena_printf(op->arena, "%s/portal#key=%s", base, key)
                         : arena_printf(op->arena, "http://" SPAN_FMT "/portal#key=%s",
                                        SPAN_ARG(op->x->head->host), key);

        put_text(p, "url", span_of(url));
}

static void on_made(Op *op, Entry *e) {
        AUTO(put_done)
        Put p = PUT(16 * 1024);
        char *key = op->mine;

        entry_unref(e);
        put_open(&p, NULL, '{');
        put_url(op, &p, key);
        put_text(&p, "token", span_of(key));
        put_close(&p, '}');
        op_json(op, 200, &p);
}

static void make_key(Op *op) {
        Span flags = value_of(&op->body, "featureFlags");

        sweep(op);
        (void)key_write(op,
                        &(KeyWish){.name = SPAN("portal"),
                                   .application = op_application(op),
                                   .until_ms = clock_wall_ms() +
                                               1000 * value_int(&op->body, "expiry", LIFE_S),
                                   .is_read_only = value_bool(&op->body, "readOnly", false),
                                   .is_portal = true,
                                   .flags = flags},
                        on_made);
}

void auth_portal(Op *op) {
        if (value_of(&op->body, "capabilities").p && !value_is_null(&op->body, "capabilities"))
                op_invalid_at(op, "body", "capabilities",
                              "single capabilities are not known here: use readOnly");
        else
                application_along(op, "application", make_key);
}

static void on_left(Op *op, Entry *e) {
        entry_unref(e);
        op_none(op, 204);
}

/* Keys that were not made for a visit stay: their end is their administrator's to say. */
void auth_logout(Op *op) {
        Entry *e = op->caller.key
                           ? registry_by_id(op->admin->parts.registry, OBJECT_KEY, op->caller.key)
                           : NULL;

        if (e && text_bool(e->object.text, "portal"))
                op_write(op, &(ObjectWrite){.object = e->object, .removes = true, .was = e},
                         on_left, NULL);
        else
                op_none(op, 204);
        entry_unref(e);
}
