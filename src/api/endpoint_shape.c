/* SPDX-License-Identifier: Apache-2.0
 *
 * What endpoints look like: the members that may be given, and those that are shown. */
#include "api/nouns.h"
#include "api/text.h"
#include "json/value.h"

enum { DAY_S = 86400 };

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

static const Field batch_fields[] = {
        {.name = "events",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = BATCHING_EVENTS_MIN,
         .max = BATCHING_EVENTS_MAX,
         .fallback = "100",
         .help = "So many make a batch complete."},
        {.name = "wait",
         .type = FIELD_INTEGER,
         .nullable = true,
         .max = BATCHING_WAIT_MAX_MS,
         .fallback = "1000",
         .help = "Milliseconds until it goes as it is."},
        {.name = "bytes",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = BATCHING_BYTES_MIN,
         .max = BATCHING_BYTES_MAX,
         .fallback = "1048576",
         .help = "Of the body, but for a single event that is larger."},
};
static const Schema schema_batch = {
        .name = "EndpointBatch",
        .help = "Several events in one request, as a JSON array; the ids of their messages are in "
                "the header Grapnel-Ids.",
        SCHEMA_FIELDS(batch_fields),
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
        {.name = "batch", .type = FIELD_OBJECT, .of = &schema_batch, .nullable = true},
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
        {.name = "batch", .type = FIELD_OBJECT, .nullable = true},
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
        text_show(p, "batch", text, "batch", "null");
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
