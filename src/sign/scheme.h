/* SPDX-License-Identifier: Apache-2.0
 *
 * What the schemes share among themselves; nobody outside this room includes it. */
#pragma once

#include "sign/key.h"

extern const SignScheme sign_basic, sign_bearer, sign_customerio, sign_github, sign_hmac, sign_jwt,
        sign_keycloak, sign_member, sign_none, sign_shopify, sign_slack, sign_standard, sign_stripe,
        sign_twilio, sign_zitadel;

/* Digests as sent, all of the size that the rule's keys make. */
typedef struct SignDigests {
        unsigned char bytes[SIGN_SIGNATURES_MAX][SIGN_DIGEST_MAX];
        size_t n;
} SignDigests;

/* Sets *why and hands the verdict on. */
SignVerdict sign_say(SignVerdict verdict, const char **why, const char *text);
/* The one value of that header, without blanks around it; SIGN_MISSING when it is absent or
 * empty, SIGN_MALFORMED when it occurs twice: two readers could take a different one each. */
SignVerdict sign_header(const SignInput *in, const char *name, Span *ret);
/* Is one of the digests the MAC of the parts under one of the rule's keys? The time depends on
 * lengths and counts, and on which key it was that matched. */
bool sign_matches(const SignRule *rule, const Span *parts, size_t n_parts,
                  const SignDigests *given);
/* Is that text one of the rule's live secrets? */
bool sign_is_secret(const SignRule *rule, Span text);
/* Are there secrets, not more than the maximum, none shorter than `min_bytes`? */
MUST_CHECK int sign_secrets_check(const SignRule *rule, size_t min_bytes, Err *e);
/* Replaces the rule's keys by `key` at place `i`. */
void sign_rule_set_key(SignRule *rule, size_t i, SignKey *key);
/* Makes the HMAC key of secret `i`, written as the rule's form says. -EINVAL with the sentence when
 * it is not, or when the key has fewer bytes. */
MUST_CHECK int sign_make_key(SignRule *rule, size_t i, SignHash hash, size_t min_bytes, Err *e);
/* The token of a request: behind `Authorization: Bearer`, or, when the rule names a header, that
 * header's value behind the rule's prefix. Printable ASCII without blanks. */
SignVerdict sign_token(const SignRule *rule, const SignInput *in, Span *ret, const char **why);
/* Makes the default of no window; -EINVAL with the sentence for one that is out of bounds. */
MUST_CHECK int sign_window_check(SignRule *rule, Err *e);
/* Is the time within the rule's window, either way? In whole seconds. */
bool sign_is_fresh(const SignRule *rule, int64_t now_ms, int64_t time_ms);
/* The message_id of schemes that sign none. */
Span sign_no_message_id(const SignRule *rule, const SignInput *in);
