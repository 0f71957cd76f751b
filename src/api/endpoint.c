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

enum { TEXT_MAX_BYTES = OBJECT_TEXT_MAX_BYTES + 1024, ENDPOINTS_MAX = 10000, DAY_S = 86400 };

/* ---- shapes ---- */

static const char *profile_name(size_t i) {
        return profiles[i] ? profiles[i]->name : NULL;
}

static const char *const format_names[] = {"plain", "cloudevents", "cloudevents-structured", NULL};
static const char *const order_names[] = {"none", "subject", "all", NULL};

static const Field basic_fields[] = {
        {.name = "user", .type = FIELD_TEXT, .required = true, .max = 1024},
        {.name = "password", .type = FIELD_TEXT, .required = true, .max = 1024},
};
static const Schema schema_basic = {
        .name = "EndpointBasicAuth", SCHEMA_FIELDS(basic_fields), .strict = true};

static const Field oauth2_fields[] = {
        {.name = "tokenUrl", .type = FIELD_URL, .required = true, .max = 2048},
        {.name = "clientId", .type = FIELD_TEXT, .required = true, .min = 1, .max = 1024},
        {.name = "clientSecret", .type = FIELD_TEXT, .required = true, .min = 1, .max = 1024},
        {.name = "scope", .type = FIELD_TEXT, .nullable = true, .max = 1024},
        {.name = "audience", .type = FIELD_TEXT, .nullable = true, .max = 1024},
        {.name = "inBody",
         .type = FIELD_BOOL,
         .fallback = "false",
         .help = "Send the client's id and secret in the body instead of as basic credentials."},
};
static const Schema schema_oauth2 = {
        .name = "EndpointOAuth2", SCHEMA_FIELDS(oauth2_fields), .strict = true};

static const Field auth_fields[] = {
        {.name = "basic", .type = FIELD_OBJECT, .of = &schema_basic},
        {.name = "bearer", .type = FIELD_TEXT, .min = 1, .max = 8192},
        {.name = "oauth2",
         .type = FIELD_OBJECT,
         .of = &schema_oauth2,
         .help = "Client credentials: a token is fetched and kept until it expires."},
};
static const Schema schema_auth = {
        .name = "EndpointAuth",
        .help = "One of them. The secrets in it are taken and never shown: they read as null.",
        SCHEMA_FIELDS(auth_fields),
        .strict = true};

static const Field tls_fields[] = {
        {.name = "certificate", .type = FIELD_TEXT, .nullable = true, .max = 32768},
        {.name = "key", .type = FIELD_TEXT, .nullable = true, .max = 32768},
        {.name = "ca", .type = FIELD_TEXT, .nullable = true, .max = 65536},
};
static const Schema schema_tls = {.name = "EndpointTls",
                                  .help = "PEM. The key is never shown.",
                                  SCHEMA_FIELDS(tls_fields),
                                  .strict = true};

static const Field in_fields[] = {
        {.name = "url", .type = FIELD_URL, .required = true, .min = 1, .max = 2048},
        {.name = "description", .type = FIELD_TEXT, .max = 8192, .fallback = "\"\""},
        {.name = "uid",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 256,
         .form = &form_name,
         .help = "A name of one's own, accepted wherever the id is."},
        {.name = "disabled", .type = FIELD_BOOL, .fallback = "false"},
        {.name = "eventTypes",
         .alias = "filterTypes",
         .type = FIELD_LIST,
         .item = FIELD_TEXT,
         .form = &form_type_filter,
         .nullable = true,
         .unique = true,
         .min = 1,
         .max = ENDPOINT_TYPES_MAX,
         .help = "Messages of these types alone; \"order.*\" stands for all that begin so."},
        {.name = "channels",
         .type = FIELD_LIST,
         .item = FIELD_TEXT,
         .form = &form_name,
         .nullable = true,
         .unique = true,
         .min = 1,
         .max = ENDPOINT_CHANNELS_MAX,
         .item_max = 128,
         .help = "Messages on one of these channels alone."},
        {.name = "throttleRate",
         .alias = "rateLimit",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 1,
         .max = 65535,
         .help = "Requests a second."},
        {.name = "metadata",
         .type = FIELD_MAP,
         .item = FIELD_TEXT,
         .item_max = 4096,
         .max = 100,
         .fallback = "{}"},
        {.name = "version", .type = FIELD_INTEGER, .nullable = true, .min = 1, .max = 65535},
        {.name = "secret",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = PROFILE_SECRET_MAX_BYTES,
         .help = "What signs, in the form of the profile; made when it is not given. In a change "
                 "it takes the place of all that there were at once."},
        {.name = "profile",
         .type = FIELD_TEXT,
         .choice = profile_name,
         .fallback = "\"standard\"",
         .help = "How deliveries are signed."},
        {.name = "format",
         .type = FIELD_TEXT,
         .choices = format_names,
         .fallback = "\"plain\"",
         .help = "The payload as it is, or as a CloudEvent."},
        {.name = "timeout",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 100,
         .max = 60000,
         .fallback = "15000",
         .help = "Milliseconds until an attempt is given up."},
        {.name = "concurrency",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 1,
         .max = 1000,
         .fallback = "64",
         .help = "Requests under way at the same time."},
        {.name = "retry",
         .type = FIELD_LIST,
         .item = FIELD_INTEGER,
         .nullable = true,
         .max = RETRY_STEPS_MAX,
         .item_max = 7 * DAY_S,
         .help = "Seconds before each further attempt."},
        {.name = "order",
         .type = FIELD_TEXT,
         .choices = order_names,
         .fallback = "\"none\"",
         .help = "One after the other: of one subject, or all."},
        {.name = "filter",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 16384,
         .help = "A jq condition on the message: those that it is false for are not sent."},
        {.name = "transform",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 65536,
         .help = "A jq program that makes the body."},
        {.name = "auth", .type = FIELD_OBJECT, .of = &schema_auth, .nullable = true},
        {.name = "tls", .type = FIELD_OBJECT, .of = &schema_tls, .nullable = true},
        {.name = "handshake",
         .type = FIELD_BOOL,
         .fallback = "false",
         .help = "Ask for permission first, as CloudEvents web hooks do."},
        {.name = "headers",
         .type = FIELD_MAP,
         .item = FIELD_TEXT,
         .item_max = 4096,
         .max = ENDPOINT_HEADERS_MAX,
         .nullable = true,
         .help = "Sent with every request."},
        {.name = "secretType",
         .type = FIELD_TEXT,
         .choices = (const char *const[]){"hmac", "ed25519", NULL},
         .fallback = "\"hmac\"",
         .help = "Of the secret that is made."},
};
const Schema schema_endpoint_in = {.name = "EndpointIn", SCHEMA_FIELDS(in_fields)};
const Schema schema_endpoint_update = {.name = "EndpointUpdate", SCHEMA_FIELDS(in_fields)};
const Schema schema_endpoint_patch = {
        .name = "EndpointPatch", SCHEMA_FIELDS(in_fields), .partial = true};

static const Field out_fields[] = {
        {.name = "id", .type = FIELD_TEXT, .required = true},
        {.name = "url", .type = FIELD_URL, .required = true},
        {.name = "description", .type = FIELD_TEXT, .required = true},
        {.name = "uid", .type = FIELD_TEXT, .nullable = true},
        {.name = "disabled", .type = FIELD_BOOL, .required = true},
        {.name = "disabledReason",
         .type = FIELD_TEXT,
         .nullable = true,
         .help = "Why Grapnel disabled it: \"gone\" or \"failing\"."},
        {.name = "failingSince",
         .type = FIELD_TIME,
         .nullable = true,
         .help = "Nothing but failures since then."},
        {.name = "eventTypes", .type = FIELD_LIST, .item = FIELD_TEXT, .nullable = true},
        {.name = "filterTypes",
         .type = FIELD_LIST,
         .item = FIELD_TEXT,
         .nullable = true,
         .help = "The same as eventTypes, by its older name."},
        {.name = "channels", .type = FIELD_LIST, .item = FIELD_TEXT, .nullable = true},
        {.name = "throttleRate", .type = FIELD_INTEGER, .nullable = true},
        {.name = "rateLimit",
         .type = FIELD_INTEGER,
         .nullable = true,
         .help = "The same as throttleRate, by its older name."},
        {.name = "metadata", .type = FIELD_MAP, .item = FIELD_TEXT, .required = true},
        {.name = "version", .type = FIELD_INTEGER, .required = true},
        {.name = "createdAt", .type = FIELD_TIME, .required = true},
        {.name = "updatedAt", .type = FIELD_TIME, .required = true},
        {.name = "profile", .type = FIELD_TEXT, .required = true},
        {.name = "format", .type = FIELD_TEXT, .required = true},
        {.name = "timeout", .type = FIELD_INTEGER, .required = true},
        {.name = "concurrency", .type = FIELD_INTEGER, .required = true},
        {.name = "retry",
         .type = FIELD_LIST,
         .item = FIELD_INTEGER,
         .nullable = true,
         .help = "null: the usual pauses."},
        {.name = "order", .type = FIELD_TEXT, .required = true},
        {.name = "filter", .type = FIELD_TEXT, .nullable = true},
        {.name = "transform", .type = FIELD_TEXT, .nullable = true},
        {.name = "auth", .type = FIELD_OBJECT, .nullable = true},
        {.name = "tls", .type = FIELD_OBJECT, .nullable = true},
        {.name = "handshake", .type = FIELD_BOOL, .required = true},
        {.name = "declared",
         .type = FIELD_BOOL,
         .required = true,
         .help = "It is in the configuration file, and changed there."},
};
const Schema schema_endpoint_out = {.name = "EndpointOut", SCHEMA_FIELDS(out_fields)};
LIST_SCHEMA(schema_endpoint_list, "EndpointOut", schema_endpoint_out);

static const Field list_fields[] = {LIST_FIELDS, LIST_ORDER_FIELD};
const Schema query_endpoint_list = {SCHEMA_FIELDS(list_fields)};

/* ---- showing ---- */

/* The members of `object`, and null for those that are secret. */
static void put_masked(Put *p, const char *key, Span object, const char *const *secrets) {
        Span name, value;

        if (!object.p || json_kind(object) != JSON_OBJECT) {
                put_null(p, key);
                return;
        }
        put_open(p, key, '{');
        for (size_t pos = 0; json_next(object, &pos, &name, &value);) {
                bool is_secret = false;

                for (size_t i = 0; secrets[i]; i++)
                        is_secret |= span_eq(name, span_of(secrets[i]));
                put_raw_for_raw(p, name, is_secret ? SPAN("null") : value);
        }
        put_close(p, '}');
}

static void put_auth(Put *p, Span auth) {
        static const char *const secrets[] = {"password", "clientSecret", NULL};
        static const char *const kinds[] = {"basic", "oauth2"};

        if (!auth.p) {
                put_null(p, "auth");
                return;
        }
        put_open(p, "auth", '{');
        for (size_t i = 0; i < COUNT_OF(kinds); i++)
                if (text_member(auth, kinds[i]).p)
                        put_masked(p, kinds[i], text_member(auth, kinds[i]), secrets);
        if (text_member(auth, "bearer").p)
                put_null(p, "bearer");
        put_close(p, '}');
}

static void put_own(Put *p, Span text) {
        static const char *const secrets[] = {"key", NULL};

        text_show(p, "profile", text, "profile", "\"standard\"");
        text_show(p, "format", text, "format", "\"plain\"");
        text_show(p, "timeout", text, "timeout", "15000");
        text_show(p, "concurrency", text, "concurrency", "64");
        text_show(p, "retry", text, "retry", "null");
        text_show(p, "order", text, "order", "\"none\"");
        text_show(p, "filter", text, "filter", "null");
        text_show(p, "transform", text, "transform", "null");
        put_auth(p, text_member(text, "auth"));
        put_masked(p, "tls", text_member(text, "tls"), secrets);
        text_show(p, "handshake", text, "handshake", "false");
}

void endpoint_show(Put *p, const Entry *e) {
        Span text = e->object.text;
        int64_t failing = text_int(text, "failingSince", 0);

        put_id(p, "id", "ep", e->object.id);
        put_text(p, "url", span_of(e->endpoint->shown_url));
        text_show(p, "description", text, "description", "\"\"");
        text_show(p, "uid", text, "uid", "null");
        text_show(p, "disabled", text, "disabled", "false");
        text_show(p, "disabledReason", text, "disabledReason", "null");
        if (failing)
                put_time(p, "failingSince", failing);
        else
                put_null(p, "failingSince");
        text_show(p, "eventTypes", text, "filterTypes", "null");
        text_show(p, "filterTypes", text, "filterTypes", "null");
        text_show(p, "channels", text, "channels", "null");
        text_show(p, "throttleRate", text, "rateLimit", "null");
        text_show(p, "rateLimit", text, "rateLimit", "null");
        text_show(p, "metadata", text, "metadata", "{}");
        text_show(p, "version", text, "version", "1");
        text_show_time(p, "createdAt", text, "createdAt");
        text_show_time(p, "updatedAt", text, "updatedAt");
        put_own(p, text);
        put_bool(p, "declared", e->is_declared);
}

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
        static const char *const own[] = {"headers",     "profile", "format", "timeout",
                                          "concurrency", "retry",   "order",  "filter",
                                          "transform",   "auth",    "tls",    "handshake"};
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
