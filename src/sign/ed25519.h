/* SPDX-License-Identifier: Apache-2.0
 *
 * Ed25519 (RFC 8032) keys that are ready to sign or to verify. Read only once made; any number of
 * threads may use one at the same time. A message comes in parts, one after the other; they are
 * copied together, because the scheme reads a message twice and OpenSSL 3.0 wants it whole. */
#pragma once

#include "base/buf.h"

enum {
        ED25519_SEED_BYTES = 32,
        ED25519_PUBLIC_BYTES = 32,
        ED25519_SIGNATURE_BYTES = 64,
};

typedef struct Ed25519Key Ed25519Key;

/* NULL, with the sentence in *e, when the bytes are not ED25519_SEED_BYTES. */
Ed25519Key *ed25519_new_private(Span seed, Err *e);
/* NULL, with the sentence in *e, when the bytes are not ED25519_PUBLIC_BYTES, or are one of the few
 * points under which strangers could make signatures: all zeros is among them. Other bytes that
 * are no point of the curve make a key that verifies nothing. */
Ed25519Key *ed25519_new_public(Span point, Err *e);
Ed25519Key *ed25519_free(Ed25519Key *k); /* wipes; accepts NULL, returns NULL */
static inline void ed25519_freep(Ed25519Key **k) {
        *k = ed25519_free(*k);
}
void ed25519_public(const Ed25519Key *k, unsigned char ret[ED25519_PUBLIC_BYTES]);
/* `k` is a private key. -ENOMEM when there is no memory for the copy of the message. */
MUST_CHECK int ed25519_sign(const Ed25519Key *k, const Span *parts, size_t n_parts,
                            unsigned char ret[ED25519_SIGNATURE_BYTES]);
/* 0, -EKEYREJECTED when it is another message, key or signature, or -ENOMEM as above. */
MUST_CHECK int ed25519_verify(const Ed25519Key *k, const Span *parts, size_t n_parts,
                              const unsigned char signature[ED25519_SIGNATURE_BYTES]);
