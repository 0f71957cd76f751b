/* SPDX-License-Identifier: Apache-2.0
 *
 * Public keys that verify tokens: JWK sets (RFC 7517), single JWKs and PEM. RSA of 2048 to 8192
 * bits, P-256, P-384 and Ed25519. Immutable once made and counted, so that threads may share one.
 *
 * Whatever else a set holds is passed over: symmetric keys above all, keys for encryption, curves
 * that we do not know. So a set never makes a public value into an HMAC key. */
#pragma once

#include "base/buf.h"

enum {
        JWK_KEYS_MAX = 64, /* usable ones of a set; what comes behind them is passed over */
        JWK_SET_MAX_BYTES = 256 * 1024,
        JWK_ID_MAX_BYTES = 256,
        JWK_ALG_MAX_BYTES = 16,
};

typedef enum JwkKind { JWK_RSA, JWK_P256, JWK_P384, JWK_ED25519 } JwkKind;

typedef struct Jwk Jwk;
typedef struct JwkSet JwkSet;

/* The keys of a text from outside. NULL, with the sentence in *e, when it is neither PEM nor strict
 * JSON of that form, or holds no key that can verify. */
JwkSet *jwk_set_parse(Span text, Err *e);
JwkSet *jwk_set_ref(JwkSet *s);
JwkSet *jwk_set_unref(JwkSet *s); /* any thread; accepts NULL, returns NULL */
static inline void jwk_set_unrefp(JwkSet **s) {
        *s = jwk_set_unref(*s);
}
size_t jwk_set_size(const JwkSet *s);

typedef enum JwkVerdict {
        JWK_VERIFIED,
        JWK_NOT_VERIFIED,
        JWK_UNKNOWN, /* there is no key of that name and kind; what might be meant verifies nothing
                      */
} JwkVerdict;

/* Does a key of the set verify the signature? `alg` is one of RFC 7518 and RFC 8037: RS256, RS384,
 * RS512, PS256, PS384, PS512, ES256, ES384, EdDSA; only keys of its kind are asked, and of those
 * that are bound to an algorithm the ones of this. `id` is the token's kid, .p NULL for none: then
 * each of them may be meant, as a key without a name may by any. At most 8 keys are tried. */
JwkVerdict jwk_set_verify(const JwkSet *s, Span alg, Span id, Span message, Span signature);
bool jwk_alg_known(Span alg);
