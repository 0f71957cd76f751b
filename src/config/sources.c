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
        const char *scheme, *header;
        const Node *secret;
        SignRule rule;
        int encoding, hash;
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
        [SIGN_BASE64 + 1] = NULL,
};
static const char *const hashes[] = {
        [SIGN_SHA1] = "sha1",
        [SIGN_SHA256] = "sha256",
        [SIGN_SHA512] = "sha512",
        [SIGN_SHA512 + 1] = NULL,
};

static const Option verify_options[] = {
        {.name = "scheme",
         .type = OPTION_TEXT,
         .offset = offsetof(Proof, scheme),
         .required = true,
         .shape = "name of a scheme",
         .help = "`standard` (Standard Webhooks), `hmac` (a signature of the body in a header), "
                 "`basic`, `bearer`, or `none`."},
        {.name = "secret",
         .type = OPTION_NODE,
         .offset = offsetof(Proof, secret),
         .is_secret = true,
         .shape = "secret, or list of secrets",
         .help = "The secret shared with the source: the signing key, the token or the password. "
                 "While it changes, a list of up to 4, newest first; any of them counts. Scheme "
                 "`standard`: `whsec_...`, or the sender's public key `whpk_...` when it signs "
                 "with ed25519 (v1a)."},
        {.name = "window",
         .type = OPTION_DURATION,
         .offset = offsetof(Proof, rule.window_ms),
         .fallback = "5m",
         .min = 1000,
         .max = 86400000,
         .help = "How far the signed time may be from ours, either way, for schemes that sign a "
                 "time."},
        {.name = "header",
         .type = OPTION_TEXT,
         .offset = offsetof(Proof, header),
         .help = "Scheme `hmac`: the header that holds the signature, such as "
                 "`X-Hub-Signature-256`."},
        {.name = "prefix",
         .type = OPTION_TEXT,
         .offset = offsetof(Proof, rule.prefix),
         .fallback = "",
         .help = "Scheme `hmac`: what stands before the signature, such as `sha256=`."},
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
        {.name = "user",
         .type = OPTION_TEXT,
         .offset = offsetof(Proof, rule.user),
         .help = "Scheme `basic`: the user's name."},
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

static const char *const hmac_only[] = {"header", "prefix", "encoding", "hash"};

/* An option that its scheme does not look at would be a promise that nobody keeps. */
static void check_fit(Reading *r, const Node *map, const char *scheme) {
        for (size_t i = 0; i < map->n; i++) {
                const NodeEntry *entry = &map->entries[i];
                bool fits = true;

                for (size_t k = 0; k < COUNT_OF(hmac_only); k++)
                        if (span_eq(entry->key, span_of(hmac_only[k])))
                                fits = strcmp(scheme, "hmac") == 0;
                if (span_eq(entry->key, SPAN("user")))
                        fits = strcmp(scheme, "basic") == 0;
                if (span_eq(entry->key, SPAN("window")))
                        fits = strcmp(scheme, "standard") == 0;
                if (!fits)
                        problem_add(r->problems, entry->key_place,
                                    SPAN_FMT ": scheme %s does not use it", SPAN_ARG(entry->key),
                                    scheme);
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

/* Headers are looked up by lower-case name. */
static const char *lower_copy(Reading *r, const char *name) {
        char *copy = arena_text(r->arena, span_of(name));

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
        *rule = proof.rule;
        rule->scheme = scheme;
        rule->encoding = (SignEncoding)proof.encoding;
        rule->hash = (SignHash)proof.hash;
        rule->header = proof.header ? lower_copy(r, proof.header) : NULL;
        if (proof.secret && read_secrets(r, proof.secret, rule) < 0)
                err = -EINVAL;
        if (!scheme)
                return;
        check_fit(r, verify, scheme->name);
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
