/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kinds.h"

/* One after the other in the manual. Deadlines are a little shorter than what the product waits. */

static const KindDefault trivore[] = {
        {"reply", "trivore"},
        {NULL, NULL},
};
static const KindDefault kratos[] = {
        {"verify.scheme", "bearer"},
        {"once", "header Ory-Webhook-Trigger-ID"},
        {"reply", "kratos"},
        {"deadline", "25s"},
        {NULL, NULL},
};
static const KindDefault okta_inline[] = {
        {"verify.scheme", "bearer"},
        {"once", ".eventId"},
        {"type", ".eventType"},
        {"time", ".eventTime"},
        {"reply", "okta-inline"},
        {"deadline", "2500ms"},
        {NULL, NULL},
};
static const KindDefault okta_event[] = {
        {"verify.scheme", "bearer"}, {"handshake", "okta"},  {"envelope", "okta-event"},
        {"reply", "okta-event"},     {"deadline", "2500ms"}, {NULL, NULL},
};
static const KindDefault entra_extension[] = {
        {"verify.scheme", "jwt"}, {"verify.party", "99045fe1-7639-4a75-9d4a-577b6ca3810f"},
        {"type", ".type"},        {"reply", "entra-extension"},
        {"deadline", "1800ms"},   {NULL, NULL},
};
/* The body holds the secret, which may change between two tries. */
static const KindDefault graph[] = {
        {"changed", "repeat"},
        {"verify.scheme", "member"},
        {"verify.path", ".value[].clientState"},
        {"handshake", "graph"},
        {"envelope", "graph"},
        {"reply", "graph"},
        {"deadline", "2500ms"},
        {NULL, NULL},
};
static const KindDefault auth0[] = {
        {"verify.scheme", "bearer"}, {"once", ".id"},    {"type", ".type"}, {"time", ".time"},
        {"reply", "status"},         {"deadline", "8s"}, {NULL, NULL},
};
/* Nothing in a call tells it from a later one with the same content, but when it was signed. */
static const KindDefault zitadel[] = {
        {"verify.scheme", "zitadel"},
        {"once", "header ZITADEL-Signature"},
        {"type", ".event_type // .fullMethod // .function"},
        {"time", ".created_at"},
        {"reply", "zitadel"},
        {"deadline", "8s"},
        {NULL, NULL},
};
static const KindDefault keycloak[] = {
        {"verify.scheme", "keycloak"}, {"once", ".uid"},   {"type", ".type"}, {"time", ".time"},
        {"reply", "keycloak"},         {"deadline", "8s"}, {NULL, NULL},
};
static const KindDefault fusionauth[] = {
        {"verify.scheme", "basic"},
        {"once", ".event.id"},
        {"type", ".event.type"},
        {"time", ".event.createInstant"},
        {"reply", "status"},
        {"deadline", "8s"},
        {NULL, NULL},
};
static const KindDefault github[] = {
        {"verify.scheme", "github"},
        {"once", "header X-GitHub-Delivery"},
        {"type", "header X-GitHub-Event"},
        {"headers", "X-GitHub-Event"},
        {"headers", "X-GitHub-Delivery"},
        {"forms", "payload"},
        {"body_max", "16M"},
        {"deadline", "8s"},
        {NULL, NULL},
};
/* `pending_webhooks` in the body counts down from try to try. */
static const KindDefault stripe[] = {
        {"changed", "repeat"}, {"verify.scheme", "stripe"}, {"once", ".id"}, {"type", ".type"},
        {"time", ".created"},  {"deadline", "8s"},          {NULL, NULL},
};
static const KindDefault slack[] = {
        {"verify.scheme", "slack"},
        {"handshake", "slack"},
        {"forms", "payload"},
        {"once", ".event_id // .trigger_id"},
        {"type", ".event.type? // .type // .command"},
        {"time", ".event_time"},
        {"headers", "X-Slack-Retry-Num"},
        {"headers", "X-Slack-Retry-Reason"},
        {"reply", "slack"},
        {"deadline", "2500ms"},
        {NULL, NULL},
};
static const KindDefault shopify[] = {
        {"verify.scheme", "shopify"},
        {"once", "header X-Shopify-Webhook-Id"},
        {"type", "header X-Shopify-Topic"},
        {"time", "header X-Shopify-Triggered-At"},
        {"headers", "X-Shopify-Topic"},
        {"headers", "X-Shopify-Shop-Domain"},
        {"headers", "X-Shopify-API-Version"},
        {"headers", "X-Shopify-Event-Id"},
        {"deadline", "4s"},
        {NULL, NULL},
};
/* A message's status calls share its id: what makes them one is the token, else the whole form. */
static const KindDefault twilio[] = {
        {"verify.scheme", "twilio"},
        {"forms", "fields"},
        {"once", "header I-Twilio-Idempotency-Token"},
        {"type", ".MessageStatus // .CallStatus // .SmsStatus"},
        {"headers", "I-Twilio-Idempotency-Token"},
        {"reply", "status"},
        {"deadline", "10s"},
        {NULL, NULL},
};
static const KindDefault cloudevents[] = {
        {"envelope", "cloudevents"},
        {"handshake", "cloudevents"},
        {NULL, NULL},
};
static const KindDefault standard[] = {
        {"verify.scheme", "standard"},
        {"type", ".type"},
        {"time", ".timestamp"},
        {NULL, NULL},
};

const SourceKind source_kinds[] = {
        {"trivore", "Trivore ID, onePortal", false, trivore},
        {"kratos", "Ory Kratos `web_hook` actions", false, kratos},
        {"okta-inline", "Okta inline hooks", false, okta_inline},
        {"okta-event", "Okta event hooks", true, okta_event},
        {"entra-extension", "Microsoft Entra custom authentication extensions", false,
         entra_extension},
        {"graph", "Microsoft Graph change notifications", true, graph},
        {"auth0", "Auth0 event streams", true, auth0},
        {"zitadel", "ZITADEL Actions v2", false, zitadel},
        {"keycloak", "Keycloak with Phase Two's event extension", true, keycloak},
        {"fusionauth", "FusionAuth webhooks", false, fusionauth},
        {"github", "GitHub webhooks", true, github},
        {"stripe", "Stripe webhooks", true, stripe},
        {"slack", "Slack events, slash commands and interactivity", false, slack},
        {"shopify", "Shopify webhooks", true, shopify},
        {"twilio", "Twilio webhooks", false, twilio},
        {"cloudevents", "CloudEvents 1.0 over HTTP", false, cloudevents},
        {"standard", "Standard Webhooks", false, standard},
        {"generic", "Any other: nothing is assumed", false, NULL},
        {0},
};

enum { KINDS_MAX = 63, KEY_MAX_BYTES = 64 };

static const SourceKind *find(Reading *r, const Node *at) {
        const char *names[KINDS_MAX + 1];
        char shown[VALUE_SHOWN_BYTES];
        size_t n = 0;

        if (at->bad || !node_is_scalar(at))
                return NULL; /* its row says so */
        for (const SourceKind *k = source_kinds; k->name; k++) {
                if (span_eq(at->text, span_of(k->name)))
                        return k;
                must(n < KINDS_MAX);
                names[n++] = k->name;
        }
        names[n] = NULL;
        const char *near = at->secret ? NULL : nearest_name(at->text, names);
        problem_add(r->problems, at->place, "kind: there is no %s%s%s%s", value_shown(at, shown),
                    near ? "; did you mean '" : " (see the manual, sources)", near ? near : "",
                    near ? "'?" : "");
        return NULL;
}

static Node *node_new(Reading *r, const Node *at, NodeKind kind) {
        Node *n = arena_alloc(r->arena, sizeof *n);

        if (!n)
                problem_no_room(r->problems, at->place);
        else
                *n = (Node){.kind = kind,
                            .place = at->place,
                            .text_place = at->place,
                            .last_line = at->last_line,
                            .quoted = true};
        return n;
}

static Node *scalar_new(Reading *r, const Node *at, const char *value) {
        Node *n = node_new(r, at, NODE_SCALAR);

        if (n)
                n->text = span_of(value);
        return n;
}

/* A copy of the map with room for `more` entries: the file's own tree stays as it was read. */
static Node *copy_map(Reading *r, const Node *map, size_t more) {
        Node *n = arena_alloc(r->arena, sizeof *n);
        NodeEntry *entries = arena_alloc(r->arena, (map->n + more + 1) * sizeof *entries);

        if (!n || !entries) {
                problem_no_room(r->problems, map->place);
                return NULL;
        }
        *n = *map;
        if (map->n)
                memcpy(entries, map->entries, map->n * sizeof *entries);
        n->entries = entries;
        return n;
}

static size_t count_defaults(const SourceKind *kind) {
        size_t n = 0;

        while (kind->defaults && kind->defaults[n].key)
                n++;
        return n;
}

/* Does the person choose another scheme? Then what the kind says about its own does not fit. */
static bool is_other_scheme(const SourceKind *kind, const Node *verify) {
        const Node *scheme = node_get(verify, "scheme");

        for (const KindDefault *d = kind->defaults; scheme && d->key; d++)
                if (strcmp(d->key, "verify.scheme") == 0)
                        return !span_eq(scheme->text, span_of(d->value));
        return false;
}

typedef struct Applying {
        Reading *r;
        const SourceKind *kind;
        const Node *at;      /* the value of `kind` */
        const Node *written; /* the map as the person wrote it */
        Node *map;           /* its copy, being filled */
} Applying;

static bool put(Applying *a, Node *map, const char *key, Node *value) {
        if (value)
                map->entries[map->n++] = (NodeEntry){span_of(key), a->at->place, value};
        return value != NULL;
}

/* A second value under one key makes a list of both. */
static bool put_value(Applying *a, Node *map, const char *key, const char *value) {
        Node *scalar = scalar_new(a->r, a->at, value), *before = node_get(map, key);

        if (!scalar || !before)
                return put(a, map, key, scalar);
        if (before->kind != NODE_LIST) {
                Node *first = arena_alloc(a->r->arena, sizeof *first);
                Node **items = arena_alloc(a->r->arena, count_defaults(a->kind) * sizeof *items);

                if (!first || !items)
                        return false;
                *first = *before;
                *before = (Node){.kind = NODE_LIST,
                                 .place = first->place,
                                 .text_place = first->place,
                                 .last_line = first->last_line,
                                 .items = items,
                                 .n = 1};
                items[0] = first;
        }
        before->items[before->n++] = scalar;
        return true;
}

/* The map that a dotted key leads into, in the copy; NULL where the person wrote no map there, or
 * chose what the kind's words do not fit. */
static Node *group_of(Applying *a, const char *name) {
        const Node *written = node_get(a->written, name);
        Node *group = node_get(a->map, name);

        if (written && (written->kind != NODE_MAP || is_other_scheme(a->kind, written)))
                return NULL;
        if (group != written)
                return group; /* made by an earlier default */
        group = written ? copy_map(a->r, written, count_defaults(a->kind))
                        : node_new(a->r, a->at, NODE_MAP);
        if (!group)
                return NULL;
        if (!written) {
                group->entries =
                        arena_alloc(a->r->arena, count_defaults(a->kind) * sizeof *group->entries);
                const char *key = arena_text(a->r->arena, span_of(name));
                return group->entries && key && put(a, a->map, key, group) ? group : NULL;
        }
        for (size_t i = 0; i < a->map->n; i++)
                if (span_eq(a->map->entries[i].key, span_of(name)))
                        a->map->entries[i].value = group;
        return group;
}

static void apply_one(Applying *a, const KindDefault *d) {
        const char *dot = strchr(d->key, '.');
        char group[KEY_MAX_BYTES];

        if (!dot) {
                if (!node_get(a->written, d->key))
                        (void)put_value(a, a->map, d->key, d->value);
                return;
        }
        must((size_t)(dot - d->key) < sizeof group);
        memcpy(group, d->key, (size_t)(dot - d->key));
        group[dot - d->key] = 0;
        const Node *written = node_get(a->written, group);
        Node *into = group_of(a, group);
        if (into && !(written && node_get(written, dot + 1)))
                (void)put_value(a, into, dot + 1, d->value);
}

const Node *kind_apply(Reading *r, const Node *map, const SourceKind **ret_kind) {
        const Node *at = node_get(map, "kind");

        *ret_kind = at ? find(r, at) : NULL;
        if (!*ret_kind || !(*ret_kind)->defaults)
                return map;
        Applying a = {r, *ret_kind, at, map, copy_map(r, map, count_defaults(*ret_kind))};
        for (const KindDefault *d = a.kind->defaults; a.map && d->key; d++)
                apply_one(&a, d);
        return a.map ? a.map : map;
}
