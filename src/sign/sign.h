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

typedef enum SignEncoding { SIGN_HEX, SIGN_BASE64 } SignEncoding;
typedef enum SignHash { SIGN_SHA1, SIGN_SHA256, SIGN_SHA512 } SignHash;

/* One source's verification, filled from its `verify:` options; secrets are as configured. The
 * rule owns its secrets and keys and borrows its texts. Once prepared it is read only and shared
 * by threads. A rule without a scheme refuses everything. */
typedef struct SignRule {
        const struct SignScheme *scheme;
        Secret secrets[SIGN_SECRETS_MAX];
        size_t n_secrets;
        struct SignKey *keys[SIGN_SECRETS_MAX]; /* made by prepare where the scheme has keys */
        struct Ed25519Key *public_keys[SIGN_SECRETS_MAX]; /* or one of these, of the same secret */
        int64_t window_ms; /* scheme standard; prepare makes the default of 0 */
        /* scheme hmac; scheme bearer takes them too, for a token in a header of its own: */
        const char *header; /* lower case, such as "x-hub-signature-256" */
        const char *prefix; /* before the signature, such as "sha256="; "" for none */
        SignEncoding encoding;
        SignHash hash;
        /* scheme basic: the user name; scheme bearer needs none */
        const char *user;
} SignRule;

/* What a scheme may look at. `get` finds a request header by lower-case name (NULL .p when
 * absent) and tells in *count how often it occurs. */
typedef struct SignInput {
        Span (*get)(const void *arg, const char *name, size_t *count);
        const void *arg;
        Span body;
        int64_t now_ms;
} SignInput;

typedef enum SignVerdict {
        SIGN_OK,
        SIGN_MISSING,   /* no signature or credentials */
        SIGN_MALFORMED, /* not readable, or given twice */
        SIGN_STALE,     /* outside the window, either way */
        SIGN_WRONG,
} SignVerdict;

typedef struct SignScheme {
        const char *name; /* as written after `scheme:` */
        const char *help;
        bool needs_secret;
        /* Is the rule whole? 0 or -EINVAL with the sentence (secret too short, header missing...);
         * also decodes secrets into their key form where the scheme has one. */
        int (*prepare)(SignRule *rule, Err *e);
        SignVerdict (*check)(const SignRule *rule, const SignInput *in, const char **why);
        /* The delivery's key, where the scheme's headers carry one; .p NULL otherwise. */
        Span (*message_id)(const SignInput *in);
} SignScheme;

extern const SignScheme *const sign_schemes[]; /* ended by NULL */
const SignScheme *sign_scheme_find(Span name); /* NULL when unknown */

/* Checks under the rule's scheme; SIGN_WRONG when it has none. *why is a static sentence for the
 * sender's operator, "" when all is well. */
SignVerdict sign_check(const SignRule *rule, const SignInput *in, const char **why);
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
