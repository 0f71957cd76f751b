/* SPDX-License-Identifier: Apache-2.0
 *
 * A key that is ready to sign: HMAC (RFC 2104) with its padding blocks already hashed, so that a
 * message costs little more than hashing its bytes. Read only once made; any number of threads
 * may use one at the same time. */
#pragma once

#include "sign/sign.h"

enum { SIGN_DIGEST_MAX = 64 };

typedef struct SignKey SignKey;

/* NULL, with the sentence in *e, when the key is empty or OpenSSL refuses it. Copies `key`. */
SignKey *sign_key_new(SignHash hash, Span key, Err *e);
SignKey *sign_key_free(SignKey *k); /* wipes; accepts NULL, returns NULL */
static inline void sign_key_freep(SignKey **k) {
        *k = sign_key_free(*k);
}
/* 20, 32, 48 or 64. */
size_t sign_key_digest_bytes(const SignKey *k);
/* The MAC of the parts, one after the other. Ends the process when there is no memory for it. */
void sign_key_mac(const SignKey *k, const Span *parts, size_t n_parts,
                  unsigned char ret[SIGN_DIGEST_MAX]);
