/* SPDX-License-Identifier: Apache-2.0
 *
 * An endpoint made ready to send: read from the JSON of its object, its keys prepared. Immutable
 * and counted by reference; a change of the object makes another one.
 *
 * The object's text (the API writes it, endpoint_make reads it; what is not there has its default):
 *
 *   {"uid": "crm", "url": "https://...", "description": "...", "metadata": {...}, "version": 1,
 *    "disabled": false, "disabledReason": "gone" | "failing", "rateLimit": 50,
 *    "filterTypes": ["user.updated", "order.*"], "channels": ["eu"], "headers": {"X-Key": "..."},
 *    "secrets": [{"key": "whsec_...", "until": 1764000000000}, ...],
 *    "createdAt": ms, "updatedAt": ms, "failingSince": ms,
 *    "profile": "standard", "format": "plain" | "cloudevents" | "cloudevents-structured",
 *    "timeout": ms, "concurrency": 16, "retry": [5, 30, 300], "order": "none" | "subject" | "all",
 *    "filter": "jq", "transform": "jq", "batch": {"events": 100, "wait": ms, "bytes": n},
 *    "auth": {"basic": {"user": "", "password": ""}} | {"bearer": ""} |
 *            {"oauth2": {"tokenUrl", "clientId", "clientSecret", "scope", "audience", "inBody"}},
 *    "tls": {"certificate": PEM, "key": PEM, "ca": PEM},
 *    "handshake": true,
 *    "shownUrl": "https://HOST/...", "hiddenHeaders": ["X-Key"], "eventsOnly": true}
 *
 * The last three are of endpoints of the file alone (flow/declared.h): what people are shown of a
 * url that is secret, whose values are not shown, and that its application's messages are not for
 * it.
 *
 * Of "secrets" the newest is first; the others sign along until their moment. */
#pragma once

#include "base/arena.h"
#include "engine/retry.h"
#include "flow/batching.h"
#include "http/head.h"
#include "ledger/object.h"
#include "net/client.h"
#include "net/token.h"
#include "sign/profile.h"

#include <stdatomic.h>

enum {
        ENDPOINT_TYPES_MAX = 500,
        ENDPOINT_CHANNELS_MAX = 10,
        ENDPOINT_HEADERS_MAX = 50,
        ENDPOINT_HEADERS_MAX_BYTES = 32 * 1024, /* names and values, credentials included */
        ENDPOINT_TARGET_TEXT = 40,              /* "endpoint:ep_0123456789abc" */
        ENDPOINT_CONCURRENCY = 64,              /* unless it says another */
        ENDPOINT_TIMEOUT_MS = 15000,
};

typedef enum EndpointOrder { ORDER_NONE, ORDER_SUBJECT, ORDER_ALL } EndpointOrder;
typedef enum EndpointFormat {
        FORMAT_PLAIN,
        FORMAT_CLOUDEVENTS,
        FORMAT_CLOUDEVENTS_STRUCTURED,
} EndpointFormat;

typedef struct EndpointKey {
        ProfileKey *key;
        int64_t until_ms; /* 0: the newest, for ever */
} EndpointKey;

typedef struct Endpoint {
        _Atomic unsigned refs;
        Arena *arena;
        int64_t id, application, version;
        char target[ENDPOINT_TARGET_TEXT];
        Span uid;                    /* may be empty */
        const char *url;             /* has passed url_parse */
        const char *shown_url;       /* for people: the same, unless it is secret */
        Span authority, path, query; /* of it, as they are signed */
        bool is_disabled, is_events_only;
        const Span *types; /* exact, or "prefix.*"; none: all */
        size_t n_types;
        const Span *channels; /* none: all */
        size_t n_channels;
        HttpHeader *headers; /* its own, and the credentials that never change */
        size_t n_headers;
        const Span *hidden; /* names of its headers that are not shown, beside the usual ones */
        size_t n_hidden;
        const Profile *profile;
        EndpointKey keys[PROFILE_KEYS_MAX];
        size_t n_keys;
        EndpointFormat format;
        EndpointOrder order;
        Batching batch;
        RetryRule retry;
        Span filter, transform; /* jq; .p NULL for none */
        TokenConfig oauth2;     /* token_url NULL: none; its secret is: */
        Secret oauth2_secret;
        ClientTls tls;
        bool has_tls, wants_handshake;
        int64_t timeout_ms, failing_since_ms;
        unsigned concurrency;
        uint32_t rate; /* per second; 0: no limit */
} Endpoint;

/* Reads the object. -EINVAL with the sentence for a person who made it, naming the member. */
MUST_CHECK int endpoint_make(const Object *o, Endpoint **ret, Err *e);
Endpoint *endpoint_ref(Endpoint *p);
Endpoint *endpoint_unref(Endpoint *p); /* any thread; accepts NULL, returns NULL */
/* A header whose value opens doors: it is not shown again, and not written into the log of
 * attempts.
 */
bool endpoint_hides_header(Span name);
bool endpoint_hides(const Endpoint *p, Span name); /* these, and its own */
/* Does it want messages of this type, on one of these channels? A disabled one wants none. */
bool endpoint_wants(const Endpoint *p, Span type, const Span *channels, size_t n_channels);
/* Does it want an event of a source, once that was found to be for it? */
bool endpoint_wants_event(const Endpoint *p, Span type);
/* The jq program that a filter or transformation means: itself, or what it is the name of. */
Span endpoint_program(Span text);
