/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed tokens (JWS in its compact form, RFC 7515; JWT, RFC 7519), taken apart and judged by what
 * they say. Nothing of a token is believed before its signature was verified; that is the caller's
 * to do (sign/jwt_scheme.c). */
#pragma once

#include "base/arena.h"
#include "sign/sign.h"

enum {
        JWT_MAX_BYTES = 16 * 1024,
        JWT_SIGNATURE_MAX_BYTES = 1024, /* RSA of 8192 bits */
        JWT_ARENA_MAX_BYTES = 128 * 1024,
        JWT_LEEWAY_S = 60, /* how far clocks may be apart */
};

typedef struct Jwt {
        Span alg, kid;  /* of the header; kid .p NULL for none */
        Span claims;    /* strict JSON, an object */
        Span signed_of; /* header, dot and payload as they came: what is signed */
        Span signature;
} Jwt;

/* Takes it apart; what it points to lies in the token and in `a`. False, with a static sentence in
 * *why, for what is no token: more or fewer than three parts, another alphabet, JSON that is not
 * strict, a header that names an algorithm twice or extensions that must be understood (crit). */
bool jwt_parse(Span token, Arena *a, Jwt *ret, const char **why);
/* Do the claims fit the rule: issuer, audience, party, further claims, the body's hash, and the
 * time (exp, nbf, iat; a token without exp must be younger than the rule's window)? */
SignVerdict jwt_check_claims(const SignRule *rule, const SignInput *in, const Jwt *t,
                             const char **why);
