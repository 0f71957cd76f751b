/* SPDX-License-Identifier: Apache-2.0
 *
 * Signature and credential schemes, made and checked: one table row each. Pure: the clock comes
 * in, nothing goes out. Every refusal is by reason, so that a person can mend it; none of them
 * tells anything about the secret. */
#pragma once

#include "base/buf.h"
#include "base/secret.h"

enum {
        SIGN_SECRETS_MAX = 4,    /* live secrets of one source, newest first */
        SIGN_SIGNATURES_MAX = 8, /* looked at in one header; more are refused */
        SIGN_WINDOW_DEFAULT_MS = 5 * 60 * 1000,
};

typedef enum SignEncoding { SIGN_HEX, SIGN_BASE64, SIGN_BASE64URL } SignEncoding;
typedef enum SignSecret {
        SIGN_TEXT,
        SIGN_SECRET_HEX,
        SIGN_SECRET_BASE64,
        SIGN_SECRET_BASE64URL
} SignSecret;
typedef enum SignHash { SIGN_SHA1, SIGN_SHA256, SIGN_SHA384, SIGN_SHA512 } SignHash;
typedef enum SignUnit { SIGN_SECONDS, SIGN_MILLISECONDS, SIGN_RFC3339 } SignUnit;

/* How an HMAC is sent: what it covers and where its parts stand. Vendors' schemes are nothing but
 * one of these, filled in (hmac_forms.c). Headers' names are in lower case; NULL and 0 stand for
 * what most senders do. */
typedef struct SignForm {
        const char *header;    /* that holds the signatures, such as "x-hub-signature-256" */
        const char *prefix;    /* before each of them, such as "sha256=", or "v1=" in "t=1,v1=00" */
        const char *covers;    /* what is signed, such as "{timestamp}.{body}"; NULL: the body */
        const char *timestamp; /* the header that holds the time */
        const char *timestamp_entry; /* or the prefix of its entry beside the signatures: "t=" */
        const char *id;              /* the header that holds the message's id */
        SignUnit unit;
        SignEncoding encoding;
        SignHash hash;
        SignSecret secret; /* how the key is written */
} SignForm;

/* A claim that a token must bear: its value is one of these. */
typedef struct SignClaim {
        const char *name;
        const char **values;
        size_t n_values;
} SignClaim;

/* What scheme jwt wants of a token; NULL for what is not asked. */
typedef struct SignJwt {
        const char *keys; /* a URL, PEM, a JWK or a JWK set; NULL: discovered from the issuer */
        const char *issuer, *audience;
        const char *party;     /* claim azp, or appid in its absence */
        const char *body_hash; /* the claim that holds the SHA-256 of the body */
        const SignClaim *claims;
        size_t n_claims;
} SignJwt;

/* One source's verification, filled from its `verify:` options; secrets are as configured. The
 * rule owns its secrets and keys and borrows its texts. Once prepared it is read only and shared
 * by threads. A rule without a scheme refuses everything. */
typedef struct SignRule {
        const struct SignScheme *scheme;
        Secret secrets[SIGN_SECRETS_MAX];
        size_t n_secrets;
        struct SignKey *keys[SIGN_SECRETS_MAX]; /* made by prepare where the scheme has keys */
        struct Ed25519Key *public_keys[SIGN_SECRETS_MAX]; /* or one of these, of the same secret */
        int64_t window_ms; /* of schemes that sign a time; prepare makes the default of 0 */
        /* Scheme hmac; bearer and jwt take header and prefix, for a token in a header of its own.
         */
        SignForm form;
        struct SignTemplate *covers; /* made by prepare of form.covers */
        const char *user;            /* scheme basic */
        const char *public_url; /* where senders reach our paths, for schemes that sign the URL */
        const char *path;       /* scheme member */
        SignJwt jwt;
        struct JwkSet *key_set; /* made by prepare of jwt.keys, unless they have to be fetched */
} SignRule;

/* What a scheme may look at. `get` finds a request header by lower-case name (NULL .p when
 * absent) and tells in *count how often it occurs. */
typedef struct SignInput {
        Span (*get)(const void *arg, const char *name, size_t *count);
        const void *arg;
        Span body;
        int64_t now_ms;
        const char *method;        /* of the request, such as "POST" */
        Span path, query;          /* as sent; query without '?', .p NULL for none */
        const struct JwkSet *keys; /* of rules whose keys are fetched; NULL: not known yet */
} SignInput;

typedef enum SignVerdict {
        SIGN_OK,
        SIGN_MISSING,   /* no signature or credentials */
        SIGN_MALFORMED, /* not readable, or given twice */
        SIGN_STALE,     /* outside the window, either way */
        SIGN_WRONG,
        SIGN_NO_KEY, /* the keys that are known are not the one that it names: fetch, ask again */
} SignVerdict;

typedef struct SignScheme {
        const char *name; /* as written after `scheme:` */
        const char *help;
        bool needs_secret;
        const char *const *uses; /* options besides `scheme` and `secret`, ended by NULL */
        const SignForm *form;    /* of a scheme that is hmac with all of it filled in */
        /* Is the rule whole? 0 or -EINVAL with the sentence (secret too short, header missing...);
         * also decodes secrets into their key form where the scheme has one. */
        int (*prepare)(SignRule *rule, Err *e);
        SignVerdict (*check)(const SignRule *rule, const SignInput *in, const char **why);
        /* The delivery's key, where the scheme signs one; .p NULL otherwise. */
        Span (*message_id)(const SignRule *rule, const SignInput *in);
} SignScheme;

extern const SignScheme *const sign_schemes[]; /* ended by NULL */
const SignScheme *sign_scheme_find(Span name); /* NULL when unknown */
/* Does the scheme look at this option? */
bool sign_scheme_uses(const SignScheme *scheme, Span option);

/* Checks under the rule's scheme; SIGN_WRONG when it has none. *why is a static sentence for the
 * sender's operator, "" when all is well. */
SignVerdict sign_check(const SignRule *rule, const SignInput *in, const char **why);
/* Are the keys of a prepared rule to be fetched? Then this is where: the URL of a JWK set (RFC
 * 7517), or with *ret_discover an issuer that tells it (OpenID Connect Discovery 1.0). NULL: no. */
const char *sign_rule_keys_at(const SignRule *rule, bool *ret_discover);
/* Wipes the secrets, frees the keys, forgets the rest. */
void sign_rule_done(SignRule *rule);

/* Standard Webhooks v1 of `id.timestamp.body`: appends "v1,<base64>". `key` is the decoded key.
 * Prepares the key anew each time: whoever signs often keeps a SignKey (sign/key.h) and calls
 * sign_standard_make_with. -EINVAL for an id that is empty, long, or holds a dot. */
MUST_CHECK int sign_standard_make(const Secret *key, Span id, int64_t timestamp_s, Span body,
                                  Buf *out);
MUST_CHECK int sign_standard_make_with(const struct SignKey *key, Span id, int64_t timestamp_s,
                                       Span body, Buf *out);
/* The same for version v1a: appends "v1a,<base64>"; -ENOMEM too. `key` is a private one. */
MUST_CHECK int sign_standard_make_v1a(const struct Ed25519Key *key, Span id, int64_t timestamp_s,
                                      Span body, Buf *out);
/* Decodes "whsec_" + base64 (the prefix may be missing): 24 to 75 bytes. */
MUST_CHECK int sign_standard_key(Span text, Secret *ret, Err *e);
