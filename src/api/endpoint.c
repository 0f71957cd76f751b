/* SPDX-License-Identifier: Apache-2.0
 *
 * Endpoints: where an application's messages go. The object's text is that of flow/endpoint.h.
 * What the API of others does not know (profile, retry, auth and so on) outlives a PUT that does
 * not name it, so that their clients do not wipe it away. */
#include "api/list.h"
#include "api/nouns.h"
#include "api/text.h"
#include "base/clock.h"
#include "json/value.h"

enum { TEXT_MAX_BYTES = OBJECT_TEXT_MAX_BYTES + 1024, ENDPOINTS_MAX = 10000 };

static const Field list_fields[] = {LIST_FIELDS, LIST_ORDER_FIELD};
const Schema query_endpoint_list = {SCHEMA_FIELDS(list_fields)};

static void answer(Op *op, int status, const Entry *e) {
        AUTO(put_done)
        Put p = PUT(2 * TEXT_MAX_BYTES);

        put_open(&p, NULL, '{');
        endpoint_show(&p, e);
        put_close(&p, '}');
        op_json(op, status, &p);
}

void endpoint_get(Op *op) {
        answer(op, 200, op->endpoint);
}

void endpoint_list(Op *op) {
        AUTO(put_done)
        Put p = PUT(64 * 1024 * 1024);
        Entry *entries[LIST_LIMIT_MAX + 1];
        char first[ID_TEXT], last[ID_TEXT];
        ListAsk l = list_ask(op, true);
        size_t n;
        bool done;

        if (!list_objects(op, &l, OBJECT_ENDPOINT, "ep", op_application(op), entries, &n, &done))
                return;
        if (n) {
                id_print("ep", entries[0]->object.id, first);
                id_print("ep", entries[n - 1]->object.id, last);
        }
        list_open(&p);
        for (size_t i = 0; i < n; i++) {
                put_open(&p, NULL, '{');
                endpoint_show(&p, entries[i]);
                put_close(&p, '}');
                entry_unref(entries[i]);
        }
        list_close(&p, span_of(n ? first : NULL), span_of(n ? last : NULL), done, false);
        op_json(op, 200, &p);
}

/* ---- writing ---- */

/* What endpoint_make said, at the member that it names ("url: ..."), by the API's name. */
static void refuse(Op *op, const char *why) {
        static const char *const names[][2] = {{"filterTypes", "eventTypes"},
                                               {"rateLimit", "throttleRate"},
                                               {"secrets", "secret"}};
        size_t n = strcspn(why, ":. ");
        char member[40];

        if (why[n] == ' ' || n >= sizeof member || !why[n]) {
                op_invalid_at(op, "body", NULL, why);
                return;
        }
        memcpy(member, why, n);
        member[n] = 0;
        for (size_t i = 0; i < COUNT_OF(names); i++)
                if (strcmp(member, names[i][0]) == 0)
                        (void)snprintf(member, sizeof member, "%s", names[i][1]);
        op_invalid_at(op, "body", member, why);
}

/* Of those that it did not ask for already: these stay, as they may come out of the archive. */
static bool asks_for_archived(const Op *op, const Endpoint *p) {
        const Endpoint *was = op->endpoint ? op->endpoint->endpoint : NULL;

        for (size_t i = 0; i < p->n_types; i++) {
                bool had = false;

                for (size_t k = 0; was && k < was->n_types && !had; k++)
                        had = span_eq(was->types[k], p->types[i]);
                if (!had && event_type_rests(op, p->types[i]))
                        return true;
        }
        return false;
}

static void write_object(Op *op, Span text, const Entry *was,
                         void (*then)(Op *op, Entry *written)) {
        Object object = {.kind = OBJECT_ENDPOINT,
                         .id = was ? was->object.id : op_new_id(op),
                         .owner = op_application(op),
                         .name = text_plain(text, "uid", op->arena),
                         .text = text};
        Endpoint *judged = NULL;
        Err e = {0};

        if (text.p && endpoint_make(&object, &judged, &e) < 0) {
                refuse(op, e.text);
                return;
        }
        if (judged && asks_for_archived(op, judged)) {
                endpoint_unref(judged);
                op_invalid_at(op, "body", "eventTypes", "one of them is in the archive");
                return;
        }
        endpoint_write_tried(op, &(ObjectWrite){.object = object, .was = was}, judged, then);
        endpoint_unref(judged);
}

void endpoint_write(Op *op, Span text, void (*then)(Op *op, Entry *written)) {
        write_object(op, text, op->endpoint, then);
}

/* The secrets of a new endpoint, or of one that is given another. False when it has answered. */
static bool put_secrets(Op *op, Put *p, const Profile *profile, const Entry *was) {
        AUTO(buf_done)
        Buf made = BUF(PROFILE_SECRET_MAX_BYTES + 1);
        Span given = value_text(&op->body, "secret", op->arena);
        Err e = {0};

        if (!given.p && was) {
                text_show(p, "secrets", was->object.text, "secrets", "[]");
                return true;
        }
        if (!profile->secrets && !given.p)
                return true;
        if (!given.p) {
                bool is_ed =
                        span_eq(value_text(&op->body, "secretType", op->arena), SPAN("ed25519"));

                if (profile_secret_new(profile, is_ed ? PROFILE_ED25519 : PROFILE_HMAC, &made, &e) <
                    0) {
                        op_invalid_at(op, "body", "secretType", e.text);
                        return false;
                }
                given = buf_span(&made);
        } else if (profile_secret_check(profile, given, &e) < 0) {
                op_invalid_at(op, "body", "secret", e.text);
                return false;
        }
        put_open(p, "secrets", '[');
        put_open(p, NULL, '{');
        put_text(p, "key", given);
        put_close(p, '}');
        put_close(p, ']');
        return true;
}

static const Profile *profile_of(Op *op, const Entry *was) {
        Span name = value_text(&op->body, "profile", op->arena);

        if (!name.p && was)
                name = text_plain(was->object.text, "profile", op->arena);
        return profile_find(name.p ? name : SPAN("standard"));
}

/* Being enabled by hand wipes away why it was disabled. */
static void put_state(Put *p, const Values *v, Span old) {
        text_keep(p, "disabled", v, "disabled", old);
        if (value_of(v, "disabled").p || !old.p)
                return;
        text_show(p, "disabledReason", old, "disabledReason", "null");
        text_show(p, "failingSince", old, "failingSince", "null");
}

/* `keeps`: what the request does not name stays. */
static void write_it(Op *op, const Entry *was, bool keeps, void (*then)(Op *op, Entry *written)) {
        static const char *const own[] = {
                "headers", "profile",   "format", "timeout", "concurrency", "retry",    "order",
                "filter",  "transform", "batch",  "auth",    "tls",         "handshake"};
        AUTO(put_done)
        Put p = PUT(TEXT_MAX_BYTES);
        const Values *v = &op->body;
        Span had = was ? was->object.text : (Span){NULL, 0};
        Span old = keeps ? had : (Span){NULL, 0};
        const Profile *profile = profile_of(op, was);
        int64_t now = clock_wall_ms();

        if (!profile) {
                op_invalid_at(op, "body", "profile", "is not known");
                return;
        }
        put_open(&p, NULL, '{');
        text_keep(&p, "url", v, "url", old);
        text_keep(&p, "description", v, "description", old);
        text_keep(&p, "uid", v, "uid", old);
        text_keep(&p, "filterTypes", v, "eventTypes", old);
        text_keep(&p, "channels", v, "channels", old);
        text_keep(&p, "rateLimit", v, "throttleRate", old);
        text_keep(&p, "metadata", v, "metadata", old);
        text_keep(&p, "version", v, "version", old);
        put_state(&p, v, old);
        for (size_t i = 0; i < COUNT_OF(own); i++)
                text_keep(&p, own[i], v, own[i], had);
        put_int(&p, "createdAt", was ? text_int(had, "createdAt", now) : now);
        put_int(&p, "updatedAt", now);
        if (!put_secrets(op, &p, profile, was))
                return;
        put_close(&p, '}');
        write_object(op, p.fault ? (Span){NULL, 0} : arena_span(op->arena, put_span(&p)), was,
                     then);
}

static void on_created(Op *op, Entry *e) {
        answer(op, 201, e);
        entry_unref(e);
}

static void on_changed(Op *op, Entry *e) {
        answer(op, 200, e);
        entry_unref(e);
}

static bool has_room(Op *op) {
        if (registry_count(op->admin->parts.registry, OBJECT_ENDPOINT, op_application(op)) <
            ENDPOINTS_MAX)
                return true;
        op_error(op, 409, "limit_reached", "the application has 10,000 endpoints already");
        return false;
}

void endpoint_create(Op *op) {
        if (has_room(op))
                write_it(op, NULL, false, on_created);
}

/* One that is not there is made, if the path names it by a uid. */
void endpoint_put(Op *op) {
        Span name = op_param(op, "endpoint_id"), uid;
        int64_t id;

        if (op->endpoint) {
                write_it(op, op->endpoint, false, on_changed);
                return;
        }
        uid = value_text(&op->body, "uid", op->arena);
        if (id_parse("ep", name, &id) || !form_name.fits(name))
                op_missing(op);
        else if (!span_eq(uid, name))
                op_invalid_at(op, "body", "uid", "must be that of the path, for a new endpoint");
        else if (has_room(op))
                write_it(op, NULL, false, on_created);
}

void endpoint_patch(Op *op) {
        write_it(op, op->endpoint, true, on_changed);
}

static void on_removed(Op *op, Entry *e) {
        entry_unref(e);
        op_none(op, 204);
}

void endpoint_delete(Op *op) {
        op_write(op,
                 &(ObjectWrite){
                         .object = op->endpoint->object, .removes = true, .was = op->endpoint},
                 on_removed, NULL);
}
