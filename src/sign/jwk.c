/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/jwk.h"

#include "sign/ed25519.h"
#include "sign/encoding.h"
#include "json/check.h"
#include "json/value.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdatomic.h>

enum {
        RSA_MIN_BITS = 2048,
        RSA_MAX_BITS = 8192,
        EXPONENT_MAX_BYTES = 8, /* larger ones only make verifying slow */
        NUMBER_MAX_BYTES = 1024,
        TRIES_MAX = 8,
        ECDSA_DER_MAX_BYTES = 128,
};

struct Jwk {
        JwkKind kind;
        EVP_PKEY *pkey; /* or, */
        Ed25519Key *ed25519;
        char id[JWK_ID_MAX_BYTES];
        size_t id_n;
        bool has_id;
        char alg[JWK_ALG_MAX_BYTES]; /* "": any of its kind */
};

struct JwkSet {
        _Atomic unsigned refs;
        size_t n;
        Jwk keys[JWK_KEYS_MAX];
};

static const struct Alg {
        const char *name;
        JwkKind kind;
        const char *hash;
        bool is_pss;
} algs[] = {
        {"RS256", JWK_RSA, "SHA256", false},  {"RS384", JWK_RSA, "SHA384", false},
        {"RS512", JWK_RSA, "SHA512", false},  {"PS256", JWK_RSA, "SHA256", true},
        {"PS384", JWK_RSA, "SHA384", true},   {"PS512", JWK_RSA, "SHA512", true},
        {"ES256", JWK_P256, "SHA256", false}, {"ES384", JWK_P384, "SHA384", false},
        {"EdDSA", JWK_ED25519, NULL, false},
};

static const struct Alg *alg_find(Span name) {
        for (size_t i = 0; i < COUNT_OF(algs); i++)
                if (span_eq(name, span_of(algs[i].name)))
                        return &algs[i];
        return NULL;
}

bool jwk_alg_known(Span alg) {
        return alg_find(alg);
}

/* ---- a set's life ---- */

JwkSet *jwk_set_ref(JwkSet *s) {
        atomic_fetch_add(&s->refs, 1);
        return s;
}

JwkSet *jwk_set_unref(JwkSet *s) {
        if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
                return NULL;
        for (size_t i = 0; i < s->n; i++) {
                EVP_PKEY_free(s->keys[i].pkey);
                ed25519_free(s->keys[i].ed25519);
        }
        free(s);
        return NULL;
}

size_t jwk_set_size(const JwkSet *s) {
        return s->n;
}

/* ---- keys from OpenSSL ---- */

static bool is_strong_rsa(EVP_PKEY *pkey) {
        BIGNUM *e = NULL;
        int bits = EVP_PKEY_get_bits(pkey);
        bool is_fit = bits >= RSA_MIN_BITS && bits <= RSA_MAX_BITS &&
                      EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
                      BN_num_bytes(e) <= EXPONENT_MAX_BYTES && BN_is_odd(e) && !BN_is_one(e);

        BN_free(e);
        return is_fit;
}

static bool curve_of(EVP_PKEY *pkey, JwkKind *ret) {
        char name[32] = "";

        if (EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof name,
                                           NULL) != 1)
                return false;
        *ret = strcmp(name, "secp384r1") == 0 ? JWK_P384 : JWK_P256;
        return strcmp(name, "prime256v1") == 0 || *ret == JWK_P384;
}

/* Takes the key over. Is it one that can verify? */
static bool take_pkey(Jwk *k, EVP_PKEY *pkey) {
        unsigned char point[ED25519_PUBLIC_BYTES];
        size_t n = sizeof point;

        k->pkey = pkey;
        if (!pkey)
                return false;
        if (EVP_PKEY_is_a(pkey, "RSA")) {
                k->kind = JWK_RSA;
                return is_strong_rsa(pkey);
        }
        if (EVP_PKEY_is_a(pkey, "EC"))
                return curve_of(pkey, &k->kind);
        if (!EVP_PKEY_is_a(pkey, "ED25519") || EVP_PKEY_get_raw_public_key(pkey, point, &n) != 1)
                return false;
        k->kind = JWK_ED25519;
        k->ed25519 = ed25519_new_public(span_make(point, n), NULL);
        return k->ed25519;
}

static void key_drop(Jwk *k) {
        EVP_PKEY_free(k->pkey);
        ed25519_free(k->ed25519);
        *k = (Jwk){0};
        ERR_clear_error();
}

/* ---- JWK ---- */

/* The text of a member; false when it is not there, is no text, or is there twice. */
static bool text_of(Span object, const char *name, Buf *ret) {
        Span value = json_member(object, span_of(name));

        buf_clear(ret);
        return value.p && json_member_count(object, span_of(name)) == 1 &&
               json_kind(value) == JSON_STRING && json_text(value, ret) == 0;
}

static bool number_of(Span object, const char *name, unsigned char *ret, size_t *ret_n) {
        AUTO(buf_done)
        Buf text = BUF(NUMBER_MAX_BYTES * 4 / 3 + 4);

        return text_of(object, name, &text) &&
               base64url_parse(buf_span(&text), ret, NUMBER_MAX_BYTES, ret_n) && *ret_n > 0;
}

static EVP_PKEY *pkey_from(const char *type, OSSL_PARAM_BLD *build) {
        OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
        EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
        EVP_PKEY *pkey = NULL;

        if (params && c && EVP_PKEY_fromdata_init(c) == 1 &&
            EVP_PKEY_fromdata(c, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
                pkey = NULL;
        EVP_PKEY_CTX_free(c);
        OSSL_PARAM_free(params);
        return pkey;
}

static EVP_PKEY *read_rsa(Span jwk) {
        unsigned char n_bytes[NUMBER_MAX_BYTES], e_bytes[NUMBER_MAX_BYTES];
        size_t n_n = 0, e_n = 0;
        EVP_PKEY *pkey = NULL;

        if (!number_of(jwk, "n", n_bytes, &n_n) || !number_of(jwk, "e", e_bytes, &e_n) ||
            e_n > EXPONENT_MAX_BYTES)
                return NULL;
        BIGNUM *n = BN_bin2bn(n_bytes, (int)n_n, NULL), *e = BN_bin2bn(e_bytes, (int)e_n, NULL);
        OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
        if (n && e && build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
            OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
                pkey = pkey_from("RSA", build);
        OSSL_PARAM_BLD_free(build);
        BN_free(n);
        BN_free(e);
        return pkey;
}

static const struct {
        const char *crv, *group;
        size_t bytes;
} curves[] = {{"P-256", "prime256v1", 32}, {"P-384", "secp384r1", 48}};

static EVP_PKEY *read_ec(Span jwk, Span crv) {
        unsigned char x[NUMBER_MAX_BYTES], y[NUMBER_MAX_BYTES], point[1 + 2 * 48] = {4};
        size_t x_n = 0, y_n = 0, i = 0;
        EVP_PKEY *pkey = NULL;

        while (i < COUNT_OF(curves) && !span_eq(crv, span_of(curves[i].crv)))
                i++;
        /* RFC 7518 section 6.2.1.2: whole coordinates, leading zeros and all. */
        if (i == COUNT_OF(curves) || !number_of(jwk, "x", x, &x_n) ||
            !number_of(jwk, "y", y, &y_n) || x_n != curves[i].bytes || y_n != curves[i].bytes)
                return NULL;
        memcpy(point + 1, x, x_n);
        memcpy(point + 1 + x_n, y, y_n);
        OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
        if (build &&
            OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group,
                                            0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                             1 + x_n + y_n) == 1)
                pkey = pkey_from("EC", build); /* refuses points that are not on the curve */
        OSSL_PARAM_BLD_free(build);
        return pkey;
}

static EVP_PKEY *read_okp(Span jwk, Span crv) {
        unsigned char x[NUMBER_MAX_BYTES];
        size_t n = 0;

        if (!span_eq(crv, SPAN("Ed25519")) || !number_of(jwk, "x", x, &n) ||
            n != ED25519_PUBLIC_BYTES)
                return NULL;
        return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, x, n);
}

/* RFC 7517 sections 4.2 and 4.3: is it a key for signatures, as far as it says? */
static bool is_for_signatures(Span jwk) {
        AUTO(buf_done)
        Buf word = BUF(64);
        Span ops = json_member(jwk, SPAN("key_ops"));
        bool can_verify = false;

        if (json_member(jwk, SPAN("use")).p &&
            (!text_of(jwk, "use", &word) || !span_eq(buf_span(&word), SPAN("sig"))))
                return false;
        if (!ops.p)
                return true;
        if (json_kind(ops) != JSON_ARRAY)
                return false;
        Span key, item;
        for (size_t pos = 0; json_next(ops, &pos, &key, &item);) {
                buf_clear(&word);
                can_verify |= json_kind(item) == JSON_STRING && json_text(item, &word) == 0 &&
                              span_eq(buf_span(&word), SPAN("verify"));
        }
        return can_verify;
}

static bool read_names(Jwk *k, Span jwk) {
        AUTO(buf_done)
        Buf text = BUF(JWK_ID_MAX_BYTES);

        if (json_member(jwk, SPAN("kid")).p) {
                if (!text_of(jwk, "kid", &text))
                        return false;
                if (text.n)
                        memcpy(k->id, text.p, text.n);
                k->id_n = text.n;
                k->has_id = true;
        }
        if (!json_member(jwk, SPAN("alg")).p)
                return true;
        if (!text_of(jwk, "alg", &text) || text.n == 0 || text.n >= sizeof k->alg)
                return false;
        memcpy(k->alg, text.p, text.n);
        return true;
}

/* False for a key that is none of ours. */
static bool read_jwk(Jwk *k, Span jwk) {
        AUTO(buf_done)
        Buf kty = BUF(64), crv = BUF(64);
        EVP_PKEY *pkey = NULL;

        if (json_kind(jwk) != JSON_OBJECT || !text_of(jwk, "kty", &kty) ||
            !is_for_signatures(jwk) || !read_names(k, jwk))
                return false;
        if (span_eq(buf_span(&kty), SPAN("RSA")))
                pkey = read_rsa(jwk);
        else if (span_eq(buf_span(&kty), SPAN("EC")) && text_of(jwk, "crv", &crv))
                pkey = read_ec(jwk, buf_span(&crv));
        else if (span_eq(buf_span(&kty), SPAN("OKP")) && text_of(jwk, "crv", &crv))
                pkey = read_okp(jwk, buf_span(&crv));
        return take_pkey(k, pkey);
}

static void add_jwk(JwkSet *s, Span jwk) {
        if (s->n == JWK_KEYS_MAX)
                return;
        if (read_jwk(&s->keys[s->n], jwk))
                s->n++;
        else
                key_drop(&s->keys[s->n]);
}

static int read_json(JwkSet *s, Span text, Err *e) {
        JsonFault fault;
        Span keys, key, jwk;

        if (json_check(text, JSON_KEYS_MAX, &fault) < 0)
                return FAIL(e, -EINVAL, "the keys are neither PEM nor JSON: %s at byte %zu",
                            fault.why, fault.offset);
        if (json_kind(text) != JSON_OBJECT)
                return FAIL(e, -EINVAL, "the keys are no JWK set: no JSON object");
        keys = json_member(text, SPAN("keys"));
        if (!keys.p) {
                add_jwk(s, text);
                return 0;
        }
        if (json_kind(keys) != JSON_ARRAY || json_member_count(text, SPAN("keys")) != 1)
                return FAIL(e, -EINVAL, "the keys are no JWK set: \"keys\" is not one list");
        for (size_t pos = 0; json_next(keys, &pos, &key, &jwk);)
                add_jwk(s, jwk);
        return 0;
}

static int read_pem(JwkSet *s, Span text, Err *e) {
        BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
        EVP_PKEY *pkey;

        must(bio);
        while (s->n < JWK_KEYS_MAX &&
               (pkey = PEM_read_bio_PUBKEY_ex(bio, NULL, NULL, NULL, NULL, NULL))) {
                if (take_pkey(&s->keys[s->n], pkey))
                        s->n++;
                else
                        key_drop(&s->keys[s->n]);
        }
        BIO_free(bio);
        ERR_clear_error();
        return s->n ? 0 : FAIL(e, -EINVAL, "the PEM holds no public key that can verify");
}

JwkSet *jwk_set_parse(Span text, Err *e) {
        AUTO(jwk_set_unrefp)
        JwkSet *s = must_alloc(sizeof *s);

        s->refs = 1;
        text = span_trim(text, " \t\r\n");
        if (text.n > JWK_SET_MAX_BYTES) {
                (void)FAIL(e, -EINVAL, "the keys have more than %d bytes", JWK_SET_MAX_BYTES);
                return NULL;
        }
        int r = span_starts(text, SPAN("-----BEGIN ")) ? read_pem(s, text, e)
                                                       : read_json(s, text, e);
        if (r == 0 && s->n == 0)
                (void)FAIL(e, -EINVAL,
                           "there is no key that can verify: RSA of 2048 bits or more, P-256, "
                           "P-384 or Ed25519");
        return r == 0 && s->n > 0 ? TAKE(s) : NULL;
}

/* ---- verifying ---- */

/* RFC 7518 section 3.4: both numbers in full length; OpenSSL wants them in DER. */
static size_t ecdsa_der(Span signature, size_t bytes, unsigned char ret[ECDSA_DER_MAX_BYTES]) {
        const unsigned char *p = (const unsigned char *)signature.p;
        unsigned char *at = ret;
        int n = 0;

        if (signature.n != 2 * bytes)
                return 0;
        ECDSA_SIG *sig = ECDSA_SIG_new();
        BIGNUM *r = BN_bin2bn(p, (int)bytes, NULL), *s = BN_bin2bn(p + bytes, (int)bytes, NULL);
        must(sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1);
        if (i2d_ECDSA_SIG(sig, NULL) <= ECDSA_DER_MAX_BYTES)
                n = i2d_ECDSA_SIG(sig, &at);
        ECDSA_SIG_free(sig);
        return n > 0 ? (size_t)n : 0;
}

static bool verify_pkey(const Jwk *k, const struct Alg *alg, Span message, Span signature) {
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        EVP_PKEY_CTX *inner = NULL;
        unsigned char der[ECDSA_DER_MAX_BYTES];

        must(c);
        if (k->kind != JWK_RSA)
                signature =
                        span_make(der, ecdsa_der(signature, k->kind == JWK_P256 ? 32 : 48, der));
        bool is_ready = signature.n > 0 && EVP_DigestVerifyInit_ex(c, &inner, alg->hash, NULL, NULL,
                                                                   k->pkey, NULL) == 1;
        if (is_ready && alg->is_pss)
                is_ready = EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING) == 1 &&
                           EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_DIGEST) == 1;
        bool is_right =
                is_ready && EVP_DigestVerify(c, (const unsigned char *)signature.p, signature.n,
                                             (const unsigned char *)message.p, message.n) == 1;
        EVP_MD_CTX_free(c);
        /* Left in this thread's queue, it would be taken for somebody else's TLS error. */
        ERR_clear_error();
        return is_right;
}

static bool verify(const Jwk *k, const struct Alg *alg, Span message, Span signature) {
        if (k->kind != JWK_ED25519)
                return verify_pkey(k, alg, message, signature);
        return signature.n == ED25519_SIGNATURE_BYTES &&
               ed25519_verify(k->ed25519, &message, 1, (const unsigned char *)signature.p) == 0;
}

static bool is_meant(const Jwk *k, const struct Alg *alg, Span id) {
        if (k->kind != alg->kind || (k->alg[0] && strcmp(k->alg, alg->name) != 0))
                return false;
        return !id.p || !k->has_id || span_eq(id, (Span){k->id, k->id_n});
}

JwkVerdict jwk_set_verify(const JwkSet *s, Span alg, Span id, Span message, Span signature) {
        const struct Alg *a = alg_find(alg);
        size_t tries = 0;
        bool is_named = false;

        for (size_t i = 0; a && i < s->n && tries < TRIES_MAX; i++) {
                if (!is_meant(&s->keys[i], a, id))
                        continue;
                tries++;
                is_named |= id.p && s->keys[i].has_id;
                if (verify(&s->keys[i], a, message, signature))
                        return JWK_VERIFIED;
        }
        return is_named ? JWK_NOT_VERIFIED : JWK_UNKNOWN;
}
