/* SPDX-License-Identifier: Apache-2.0
 *
 * sources: who may tell us that something changed, and how they prove it. A source that does not
 * say how is refused here, so that silence never means "everyone". */
#include "config/kinds.h"

/* One entry as its table reads it. */
typedef struct Written {
        SourceConfig s;
        const char *kind;
        const Node *verify, *headers;
        int forms, changed;
} Written;

/* `verify` as its table reads it. */
typedef struct Proof {
        const char *scheme, *header, *timestamp, *id;
        const Node *secret, *claims;
        SignRule rule;
        int encoding, hash, unit, secret_encoding;
} Proof;

#define AT(field) offsetof(Written, field)

static const char *const unmatched_rules[] = {"accept", "refuse", NULL};

static const char *const changed_rules[] = {"refuse", "repeat", NULL};
static const char *const form_rules[] = {"refuse", "fields", "payload", NULL};

static const Option source_options[] = {
        {.name = "kind",
         .type = OPTION_TEXT,
         .offset = AT(kind),
         .shape = "name of a product",
         .help = "The product that sends: it gives the keys below, and `verify`, other defaults. "
                 "See [kinds](#kinds)."},
        {.name = "verify",
         .type = OPTION_NODE,
         .offset = AT(verify),
         .shape = "map, or `none`",
         .help = "How a delivery proves that it comes from this source: see "
                 "[verify](#sourcesnameverify). Every source says it; `verify: none` takes "
                 "deliveries from anyone."},
        {.name = "reply",
         .type = OPTION_TEXT,
         .offset = AT(s.reply),
         .fallback = "problem",
         .shape = "name of a dialect",
         .help = "The dialect in which this source hears what became of its delivery: one of "
                 "those in [replies.md](replies.md)."},
        {.name = "deadline",
         .type = OPTION_DURATION,
         .offset = AT(s.deadline_ms),
         .fallback = "10s",
         .min = 1000,
         .max = 300000,
         .help = "How long this source waits for an answer: a flow that replies with `wait` has "
                 "to be done by then."},
        {.name = "handshake",
         .type = OPTION_TEXT,
         .offset = AT(s.handshake),
         .shape = "name of a handshake",
         .help = "What the product asks before it sends anything: `slack`, `graph`, `okta`, "
                 "`cloudevents`, or `none`."},
        {.name = "envelope",
         .type = OPTION_TEXT,
         .offset = AT(s.envelope),
         .fallback = "body",
         .shape = "name of an envelope",
         .help = "How a request holds events: `body` is one; `graph`, `okta-event` and "
                 "`cloudevents` may be several. All of one request are recorded, or none."},
        {.name = "forms",
         .type = OPTION_CHOICE,
         .offset = AT(forms),
         .fallback = "refuse",
         .choices = form_rules,
         .help = "What becomes of an `application/x-www-form-urlencoded` body. `refuse`: 415. "
                 "`fields`: expressions see an object of its fields. `payload`: they see the JSON "
                 "in its field `payload`; its fields where there is none. It is stored as it "
                 "came."},
        {.name = "headers",
         .type = OPTION_NODE,
         .offset = AT(headers),
         .shape = "list of names",
         .help = "Request headers that steps may see, as `.meta.headers[\"x-name\"]`, in lower "
                 "case. No others are kept."},
        {.name = "body_max",
         .type = OPTION_SIZE,
         .offset = AT(s.body_max_bytes),
         .fallback = "1M",
         .min = 1,
         .max = 16 << 20,
         .help = "The largest body taken from this source; a larger one is answered with 413."},
        {.name = "once",
         .type = OPTION_EXPR,
         .offset = AT(s.once),
         .help = "What makes a delivery the same as an earlier one, such as "
                 "`[.id, .timestamp]`, or `header X-Delivery`. Without it: the scheme's message id "
                 "where it has one, else a hash of the body. `never`: each is a new one."},
        {.name = "changed",
         .type = OPTION_CHOICE,
         .offset = AT(changed),
         .fallback = "refuse",
         .choices = changed_rules,
         .help = "What becomes of a delivery that is the same as an earlier one but has another "
                 "body. `refuse`: 422. `repeat`: it is known, for senders who write a body anew "
                 "for each try."},
        {.name = "prefer",
         .type = OPTION_EXPR,
         .offset = AT(s.prefer),
         .help = "What this source prefers in its own words, turned into "
                 "`{async: true, wait: 3, return: \"minimal\"}`. A `Prefer` header (RFC 7240) is "
                 "read without it."},
        {.name = "type",
         .type = OPTION_EXPR,
         .offset = AT(s.type),
         .help = "The event's type, or `header X-Event`. Without it: `eventType`, else `type`, "
                 "where the body has one."},
        {.name = "time",
         .type = OPTION_EXPR,
         .offset = AT(s.time),
         .help = "When the change happened, or `header X-Time`: RFC 3339, or seconds or "
                 "milliseconds since 1970. Without it: `timestamp`, else `time`."},
        {.name = "schema",
         .type = OPTION_EXPR,
         .offset = AT(s.schema),
         .shape = "file name",
         .help = "A JSON Schema (draft 2020-12) that every body has to fit; one that does not is "
                 "answered with 422 and pointers to what is wrong, and nothing is stored. Relative "
                 "to the folder of this file. See [schemas.md](schemas.md)."},
        {.name = "trigger",
         .type = OPTION_NODE,
         .offset = AT(s.trigger),
         .shape = "map",
         .help = "What notices the changes of an application that sends no webhooks: a look at its "
                 "database or its API, or the time of day. See [triggers](triggers.md). Such a "
                 "source takes nothing from outside unless it says how under `verify`."},
        {.name = "unmatched",
         .type = OPTION_CHOICE,
         .offset = AT(s.unmatched),
         .fallback = "accept",
         .choices = unmatched_rules,
         .help = "What becomes of a delivery that no flow wants: recorded and accepted, or "
                 "refused with 404."},
};

static const char *const encodings[] = {
        [SIGN_HEX] = "hex",
        [SIGN_BASE64] = "base64",
        [SIGN_BASE64URL] = "base64url",
        [SIGN_BASE64URL + 1] = NULL,
};
static const char *const secret_encodings[] = {
        [SIGN_TEXT] = "text",
        [SIGN_SECRET_HEX] = "hex",
        [SIGN_SECRET_BASE64] = "base64",
        [SIGN_SECRET_BASE64URL] = "base64url",
        [SIGN_SECRET_BASE64URL + 1] = NULL,
};
static const char *const hashes[] = {
        [SIGN_SHA1] = "sha1",     [SIGN_SHA256] = "sha256", [SIGN_SHA384] = "sha384",
        [SIGN_SHA512] = "sha512", [SIGN_SHA512 + 1] = NULL,
};
static const char *const units[] = {
        [SIGN_SECONDS] = "s",
        [SIGN_MILLISECONDS] = "ms",
        [SIGN_RFC3339] = "rfc3339",
        [SIGN_RFC3339 + 1] = NULL,
};

#define RULE(field) offsetof(Proof, rule.field)

/* Which of them a scheme looks at is said by its row (SignScheme.uses). */
static const Option verify_options[] = {
        {.name = "scheme",
         .type = OPTION_TEXT,
         .offset = offsetof(Proof, scheme),
         .required = true,
         .shape = "name of a scheme",
         .help = "`standard` (Standard Webhooks), `hmac` (a signature in a header, however it is "
                 "made), `github`, `stripe`, `slack`, `shopify`, `zitadel`, `customerio`, "
                 "`keycloak`, `twilio`, `jwt` (a signed token), `basic`, `bearer`, `member` (a "
                 "secret in the body), or `none`."},
        {.name = "secret",
         .type = OPTION_NODE,
         .offset = offsetof(Proof, secret),
         .is_secret = true,
         .shape = "secret, or list of secrets",
         .help = "The secret shared with the source: the signing key, the token or the password. "
                 "While it changes, a list of up to 4, newest first; any of them counts. Scheme "
                 "`standard`: `whsec_...`, or the sender's public key `whpk_...` when it signs "
                 "with ed25519 (v1a). Scheme `jwt`: only for tokens signed by HS256."},
        {.name = "window",
         .type = OPTION_DURATION,
         .offset = RULE(window_ms),
         .fallback = "5m",
         .min = 1000,
         .max = 86400000,
         .help = "How far the signed time may be from ours, either way, for schemes that sign a "
                 "time. Scheme `jwt`: how old a token without `exp` may be."},
        {.name = "header",
         .type = OPTION_TEXT,
         .offset = offsetof(Proof, header),
         .help = "Scheme `hmac`: the header that holds the signature, such as "
                 "`X-Hub-Signature-256`. Schemes `bearer` and `jwt`: the header that holds the "
                 "token, in place of `Authorization: Bearer`."},
        {.name = "prefix",
         .type = OPTION_TEXT,
         .offset = RULE(form.prefix),
         .fallback = "",
         .help = "What stands before the signature or token, such as `sha256=`. A header may hold "
                 "several entries, divided by commas or blanks; those that begin otherwise are "
                 "passed over: `v1=` in `t=1614265330,v1=...`."},
        {.name = "signed",
         .type = OPTION_TEXT,
         .offset = RULE(form.covers),
         .fallback = "{body}",
         .shape = "text with holes",
         .help = "Scheme `hmac`: what is signed, such as `{timestamp}.{body}`. There are `{body}`, "
                 "`{timestamp}`, `{id}`, `{method}`, `{url}` and `{header:Name}`."},
        {.name = "timestamp",
         .type = OPTION_TEXT,
         .offset = offsetof(Proof, timestamp),
         .help = "Scheme `hmac`: the header that holds the signed time."},
        {.name = "timestamp_entry",
         .type = OPTION_TEXT,
         .offset = RULE(form.timestamp_entry),
         .help = "Scheme `hmac`: where the time stands beside the signatures, what it begins with, "
                 "such as `t=`."},
        {.name = "unit",
         .type = OPTION_CHOICE,
         .offset = offsetof(Proof, unit),
         .fallback = "s",
         .choices = units,
         .help = "Scheme `hmac`: how the time is written: seconds or milliseconds since 1970, or "
                 "RFC 3339."},
        {.name = "id",
         .type = OPTION_TEXT,
         .offset = offsetof(Proof, id),
         .help = "Scheme `hmac`: the header that holds the signed id of the message. Deliveries of "
                 "one id are one event."},
        {.name = "encoding",
         .type = OPTION_CHOICE,
         .offset = offsetof(Proof, encoding),
         .fallback = "hex",
         .choices = encodings,
         .help = "Scheme `hmac`: how the signature is written."},
        {.name = "hash",
         .type = OPTION_CHOICE,
         .offset = offsetof(Proof, hash),
         .fallback = "sha256",
         .choices = hashes,
         .help = "Scheme `hmac`: the hash under it."},
        {.name = "secret_encoding",
         .type = OPTION_CHOICE,
         .offset = offsetof(Proof, secret_encoding),
         .fallback = "text",
         .choices = secret_encodings,
         .help = "Schemes `hmac` and `jwt`: how the key is written; `text` takes it as it stands."},
        {.name = "public_url",
         .type = OPTION_TEXT,
         .offset = RULE(public_url),
         .shape = "URL",
         .help = "For schemes that sign the URL, `twilio` and `hmac` with `{url}`: the base under "
                 "which the sender reaches Grapnel, before `/in/NAME`. Without it, the "
                 "`public_url` of the whole."},
        {.name = "user",
         .type = OPTION_TEXT,
         .offset = RULE(user),
         .help = "Scheme `basic`: the user's name."},
        {.name = "path",
         .type = OPTION_TEXT,
         .offset = RULE(path),
         .help = "Scheme `member`: where the secret stands in the JSON body, such as "
                 "`.value[].clientState`; behind `[]`, in each item of a list."},
        {.name = "keys",
         .type = OPTION_TEXT,
         .offset = RULE(jwt.keys),
         .shape = "URL, PEM, JWK or JWK set",
         .help = "Scheme `jwt`: the public keys, or the URL of a JWK set that holds them. Without "
                 "it, the `issuer` is asked where they are (OpenID Connect Discovery). An address "
                 "within private networks needs `outbound.allow`."},
        {.name = "issuer",
         .type = OPTION_TEXT,
         .offset = RULE(jwt.issuer),
         .help = "Scheme `jwt`: what the claim `iss` has to be, to the letter."},
        {.name = "audience",
         .type = OPTION_TEXT,
         .offset = RULE(jwt.audience),
         .help = "Scheme `jwt`: what the claim `aud` has to be, or to hold."},
        {.name = "party",
         .type = OPTION_TEXT,
         .offset = RULE(jwt.party),
         .help = "Scheme `jwt`: which application the token was given to: claim `azp`, or `appid` "
                 "where there is no `azp`."},
        {.name = "claims",
         .type = OPTION_NODE,
         .offset = offsetof(Proof, claims),
         .shape = "map of values",
         .help = "Scheme `jwt`: what further claims have to be, each one value or one of a list: "
                 "`claims: {ver: \"2.0\", tid: [\"...\", \"...\"]}`."},
        {.name = "body_hash",
         .type = OPTION_TEXT,
         .offset = RULE(jwt.body_hash),
         .help = "Scheme `jwt`: the claim that holds the SHA-256 of the body, such as "
                 "`request_body_sha256`, in base64 or hexadecimal."},
};

const OptionGroup source_groups[] = {
        {"sources.NAME",
         "An application that sends webhooks to `/in/NAME`. Its name is made of a-z, 0-9 and `-`.",
         source_options, COUNT_OF(source_options)},
        {"sources.NAME.verify",
         "`verify: {scheme: standard, secret: \"${SHOP_SECRET}\"}`. Missing and wrong credentials "
         "are both answered with 401.",
         verify_options, COUNT_OF(verify_options)},
        {0},
};

int source_kinds_print(Buf *out) {
        int r = buf_add(out, SPAN("### kinds\n\n`kind: NAME` in a source stands for these keys. "
                                  "What the source says itself goes first, key by key; with a "
                                  "`scheme` of its own, none of the kind's `verify` keys count.\n\n"
                                  "| kind | stands for | product |\n|---|---|---|\n"));

        for (const SourceKind *k = source_kinds; r == 0 && k->name; k++) {
                r = buf_addf(out, "| `%s` |", k->name);
                for (const KindDefault *d = k->defaults; r == 0 && d && d->key; d++)
                        r = buf_addf(out, "%s `%s: %s`", d == k->defaults ? "" : "<br>", d->key,
                                     d->value);
                if (r == 0)
                        r = buf_addf(out, "%s | %s. |\n", k->defaults ? "" : " nothing", k->help);
        }
        return r < 0 ? r : buf_add_char(out, '\n');
}

static bool is_option(Span name) {
        for (size_t i = 0; i < COUNT_OF(verify_options); i++)
                if (span_eq(name, span_of(verify_options[i].name)))
                        return true;
        return false;
}

/* An option that its scheme does not look at would be a promise that nobody keeps. */
static void check_fit(Reading *r, const Node *map, const SignScheme *scheme) {
        for (size_t i = 0; i < map->n; i++) {
                const NodeEntry *entry = &map->entries[i];

                if (is_option(entry->key) && !sign_scheme_uses(scheme, entry->key))
                        problem_add(r->problems, entry->key_place,
                                    SPAN_FMT ": scheme %s does not use it", SPAN_ARG(entry->key),
                                    scheme->name);
        }
}

/* The rule owns copies: a scheme may put the decoded key in the place of the text. */
static int read_secrets(Reading *r, const Node *n, SignRule *rule) {
        const Option row = {.name = "secret", .type = OPTION_SECRET};
        size_t count = n->kind == NODE_LIST ? n->n : 1;

        if (count == 0 || count > SIGN_SECRETS_MAX)
                return problem_add(r->problems, n->place, "secret: from 1 to %d of them are read",
                                   SIGN_SECRETS_MAX);
        for (size_t i = 0; i < count; i++) {
                Secret lent = {0};
                int err = option_read_one(n->kind == NODE_LIST ? n->items[i] : n, &row, &lent,
                                          r->arena, r->problems);

                if (err < 0)
                        return err;
                rule->secrets[rule->n_secrets++] = secret_copy(secret_reveal(&lent));
        }
        return 0;
}

/* Headers are looked up by lower-case name. NULL stays NULL. */
static const char *lower_copy(Reading *r, const char *name) {
        char *copy = name ? arena_text(r->arena, span_of(name)) : NULL;

        for (char *c = copy; c && *c; c++)
                if (*c >= 'A' && *c <= 'Z')
                        *c = (char)(*c - 'A' + 'a');
        return copy;
}

static const SignScheme *find_scheme(Reading *r, const Node *at, const char *name) {
        enum { SCHEMES_MAX = 64 };
        const SignScheme *scheme = sign_scheme_find(span_of(name));
        const char *names[SCHEMES_MAX + 1];
        char shown[VALUE_SHOWN_BYTES];
        size_t n = 0;

        if (scheme)
                return scheme;
        for (const SignScheme *const *s = sign_schemes; *s && n < SCHEMES_MAX; s++)
                names[n++] = (*s)->name;
        names[n] = NULL;
        const char *near = at->secret ? NULL : nearest_name(span_of(name), names);
        problem_add(r->problems, at->place, "scheme: there is no %s%s%s%s", value_shown(at, shown),
                    near ? "; did you mean '" : " (see the manual, verify)", near ? near : "",
                    near ? "'?" : "");
        return NULL;
}

/* Without the slashes at its end: paths begin with one. */
static int read_base(Reading *r, const Node *verify, const char *own, const char **ret) {
        const Node *n = node_get(verify, "public_url");
        Span base = span_of(own ? own : r->config->public_url);
        Url url;

        *ret = NULL;
        if (own && n && url_check(r, n, "public_url", &url) < 0)
                return -EINVAL;
        while (base.n > 0 && base.p[base.n - 1] == '/')
                base.n--;
        *ret = base.n ? arena_text(r->arena, base) : NULL;
        return 0;
}

static int read_claims(Reading *r, const Node *map, SignJwt *jwt) {
        if (map->bad)
                return -EINVAL;
        if (map->kind != NODE_MAP || map->n == 0)
                return problem_add(r->problems, map->place,
                                   "claims: a map from names to values is expected here");
        SignClaim *claims = arena_alloc(r->arena, map->n * sizeof *claims);
        if (!claims)
                return problem_no_room(r->problems, map->place);
        for (size_t i = 0; i < map->n; i++) {
                claims[i].name = map->entries[i].key.p;
                claims[i].n_values =
                        texts_read(r, map->entries[i].value, "claims", &claims[i].values, NULL);
                if (claims[i].n_values == 0)
                        return -EINVAL;
        }
        jwt->claims = claims;
        jwt->n_claims = map->n;
        return 0;
}

/* What the options say in words, in the rule's own. */
static int fill_rule(Reading *r, const Node *verify, const Proof *proof, SignRule *rule) {
        *rule = proof->rule;
        rule->form.encoding = (SignEncoding)proof->encoding;
        rule->form.hash = (SignHash)proof->hash;
        rule->form.unit = (SignUnit)proof->unit;
        rule->form.secret = (SignSecret)proof->secret_encoding;
        rule->form.header = lower_copy(r, proof->header);
        rule->form.timestamp = lower_copy(r, proof->timestamp);
        rule->form.id = lower_copy(r, proof->id);
        int err = read_base(r, verify, proof->rule.public_url, &rule->public_url);
        if (proof->claims && read_claims(r, proof->claims, &rule->jwt) < 0)
                err = -EINVAL;
        return err;
}

static void rule_end(void *rule) {
        sign_rule_done(rule);
}

/* `rule` has its final place: it is undone there when the arena goes. */
static void read_verify(Reading *r, const Node *verify, SignRule *rule) {
        Node none = {.kind = NODE_MAP};
        bool is_short = verify->kind == NODE_SCALAR;
        Proof proof = {0};
        Err e = {0};

        if (verify->bad)
                return;
        if (node_is_null(verify)) {
                problem_add(r->problems, verify->place,
                            "verify: the value is missing; to take deliveries from anyone, say so "
                            "with verify: none");
                return;
        }
        /* `verify: none` is `verify: {scheme: none}`. */
        int err = options_read(is_short ? &none : verify, verify_options + is_short,
                               COUNT_OF(verify_options) - is_short, &proof, r->arena, r->problems);
        if (is_short)
                proof.scheme = verify->text.p;
        const Node *named = is_short ? verify : node_get(verify, "scheme");
        const SignScheme *scheme = proof.scheme ? find_scheme(r, named, proof.scheme) : NULL;
        if (arena_defer(r->arena, rule_end, rule) < 0) {
                problem_no_room(r->problems, verify->place);
                return;
        }
        if (fill_rule(r, verify, &proof, rule) < 0)
                err = -EINVAL;
        rule->scheme = scheme;
        if (proof.secret && read_secrets(r, proof.secret, rule) < 0)
                err = -EINVAL;
        if (!scheme)
                return;
        check_fit(r, verify, scheme);
        if (err == 0 && scheme->prepare(rule, &e) < 0)
                problem_add(r->problems, verify->place, "verify: %s", e.text);
}

/* Where credentials are, nobody else may look. */
static bool holds_credentials(const char *header) {
        static const char *const names[] = {"authorization", "cookie", "proxy-authorization"};

        for (size_t i = 0; i < COUNT_OF(names); i++)
                if (strcmp(header, names[i]) == 0)
                        return true;
        return false;
}

static void read_headers(Reading *r, const Node *n, SourceConfig *s) {
        Place *places = NULL;

        s->n_headers = texts_read(r, n, "headers", &s->headers, &places);
        if (s->n_headers > CONFIG_SHOWN_HEADERS_MAX)
                problem_add(r->problems, n->place, "headers: more than %d names",
                            CONFIG_SHOWN_HEADERS_MAX);
        for (size_t i = 0; i < s->n_headers; i++) {
                s->headers[i] = lower_copy(r, s->headers[i]);
                if (!s->headers[i])
                        problem_no_room(r->problems, n->place);
                else if (holds_credentials(s->headers[i]))
                        problem_add(r->problems, places[i],
                                    "headers: '%s' holds credentials, which no step may see",
                                    s->headers[i]);
        }
}

static void read_source(Reading *r, const NodeEntry *entry, SourceConfig *s) {
        static const Node internal = {.kind = NODE_SCALAR, .text = {"internal", 8}};
        const SourceKind *kind = NULL;
        const Node *map = kind_apply(r, entry->value, &kind);
        Written w = {.s = *s};
        const Node *reply = node_get(map, "reply"), *handshake = node_get(map, "handshake");
        const Node *envelope = node_get(map, "envelope");
        int err = options_read(map, source_options, COUNT_OF(source_options), &w, r->arena,
                               r->problems);

        (void)err; /* r->problems has counted it */
        if (map->kind != NODE_MAP)
                return;
        *s = w.s;
        s->kind = kind;
        s->is_deaf = kind && kind->is_deaf;
        s->forms = (FormRule)w.forms;
        s->changed = (ChangedRule)w.changed;
        s->reply_place = reply ? reply->text_place : s->place;
        s->handshake_place = handshake ? handshake->text_place : s->place;
        s->envelope_place = envelope ? envelope->text_place : s->place;
        if (w.headers)
                read_headers(r, w.headers, s);
        if (w.verify)
                read_verify(r, w.verify, &s->verify);
        else if (w.s.trigger)
                read_verify(r, &internal, &s->verify);
        else
                problem_add(r->problems, map->place,
                            "'verify' is missing: a source that proves nothing is refused; to take "
                            "deliveries from anyone, say so with verify: none");
}

void sources_read(Reading *r, const Node *map) {
        Config *config = r->config;
        void *room = NULL;
        size_t n = named_room(r, map, "source", sizeof *config->sources, &room);

        if (n == 0)
                return;
        config->sources = room;
        config->source_names = named_table(r, n);
        for (size_t i = 0; config->source_names && i < n; i++) {
                SourceConfig *s = &config->sources[i];

                s->name = named_key(r, &map->entries[i], "source");
                s->place = map->entries[i].key_place;
                s->index = i;
                read_source(r, &map->entries[i], s);
                if (s->name)
                        must(table_put(config->source_names, span_of(s->name), s) == 0);
        }
        config->n_sources = n;
}
