/* SPDX-License-Identifier: Apache-2.0
 *
 * What the schemes share among themselves; nobody outside this room includes it. */
#pragma once

#include "sign/key.h"

extern const SignScheme sign_basic, sign_bearer, sign_hmac, sign_none, sign_standard;

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
/* The message_id of schemes that sign none. */
Span sign_no_message_id(const SignInput *in);
