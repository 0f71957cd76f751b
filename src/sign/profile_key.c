/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/encoding.h"
#include "sign/profile_row.h"

#include <openssl/sha.h>

enum { HMAC_ID_BYTES = 8 };

static int read_secret(const Profile *p, Span text, ProfileKind *ret_kind, Secret *ret, Err *e) {
        if (!p->secrets)
                return FAIL(e, -EINVAL, "profile %s signs nothing and has no secret", p->name);
        if (text.n == 0)
                return FAIL(e, -EINVAL, "the secret is empty");
        if (text.n > PROFILE_SECRET_MAX_BYTES)
                return FAIL(e, -EINVAL, "the secret has more than %d bytes",
                            PROFILE_SECRET_MAX_BYTES);
        return p->secrets->read(text, ret_kind, ret, e);
}

int profile_secret_new(const Profile *p, ProfileKind kind, Buf *out, Err *e) {
        if ((unsigned)kind >= PROFILE_KINDS || !p->makes[kind])
                return FAIL(e, -EINVAL, "profile %s has no secrets of that kind", p->name);
        return p->secrets->make(p, kind, out);
}

int profile_secret_check(const Profile *p, Span text, Err *e) {
        AUTO(secret_done)
        Secret key = {0};
        ProfileKind kind;

        return read_secret(p, text, &kind, &key, e);
}

int profile_public_key(Span secret, Buf *out, Err *e) {
        AUTO(secret_done)
        Secret seed = {0};
        unsigned char public[ED25519_PUBLIC_BYTES];
        ProfileKind kind;
        int r = read_secret(&profile_standard, secret, &kind, &seed, e);

        if (r == 0 && kind != PROFILE_ED25519)
                r = FAIL(e, -EINVAL, "only a whsk_ key has a public key");
        if (r < 0)
                return r;
        AUTO(ed25519_freep)
        Ed25519Key *k = ed25519_new_private(secret_reveal(&seed), e);
        size_t before = out->n;
        must(k);
        ed25519_public(k, public);
        r = buf_add(out, SPAN("whpk_"));
        r = r < 0 ? r : base64_print(span_make(public, sizeof public), out);
        if (r < 0)
                out->n = before;
        return r;
}

/* RFC 4648 section 5, without padding. */
static int add_base64url(Buf *out, Span bytes) {
        size_t from = out->n;
        int r = base64_print(bytes, out);

        if (r < 0)
                return r;
        while (out->n > from && out->p[out->n - 1] == '=')
                out->n--;
        for (size_t i = from; i < out->n; i++)
                out->p[i] = out->p[i] == '+' ? '-' : out->p[i] == '/' ? '_' : out->p[i];
        return 0;
}

static int thumbprint(const Ed25519Key *k, Buf *out) {
        unsigned char public[ED25519_PUBLIC_BYTES], digest[SHA256_DIGEST_LENGTH];
        AUTO(buf_done)
        Buf jwk = BUF(256);

        ed25519_public(k, public);
        int r = buf_add(&jwk, SPAN("{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\""));
        r = r < 0 ? r : add_base64url(&jwk, span_make(public, sizeof public));
        r = r < 0 ? r : buf_add(&jwk, SPAN("\"}"));
        if (r < 0)
                return r;
        SHA256((const unsigned char *)jwk.p, jwk.n, digest);
        return add_base64url(out, span_make(digest, sizeof digest));
}

static int hmac_name(const SignKey *k, Buf *out) {
        unsigned char mac[SIGN_DIGEST_MAX];
        Span what = SPAN("key id");

        sign_key_mac(k, &what, 1, mac);
        return hex_print(span_make(mac, HMAC_ID_BYTES), out);
}

static void name_key(ProfileKey *k) {
        AUTO(buf_done)
        Buf id = BUF(PROFILE_KEY_ID_BYTES * 2);
        int r = k->kind == PROFILE_HMAC ? hmac_name(k->hmac, &id) : thumbprint(k->ed25519, &id);

        must(r == 0 && id.n < sizeof k->id);
        memcpy(k->id, id.p, id.n);
}

ProfileKey *profile_key_new(const Profile *p, Span secret, Err *e) {
        AUTO(secret_done)
        Secret bytes = {0};
        AUTO(profile_key_freep)
        ProfileKey *k = must_alloc(sizeof *k);

        k->profile = p;
        if (read_secret(p, secret, &k->kind, &bytes, e) < 0)
                return NULL;
        if (k->kind == PROFILE_HMAC)
                k->hmac = sign_key_new(SIGN_SHA256, secret_reveal(&bytes), e);
        else
                k->ed25519 = ed25519_new_private(secret_reveal(&bytes), e);
        if (!k->hmac && !k->ed25519)
                return NULL;
        name_key(k);
        return TAKE(k);
}

ProfileKey *profile_key_free(ProfileKey *k) {
        if (!k)
                return NULL;
        sign_key_free(k->hmac);
        ed25519_free(k->ed25519);
        free(k);
        return NULL;
}

ProfileKind profile_key_kind(const ProfileKey *k) {
        return k->kind;
}

Span profile_key_id(const ProfileKey *k) {
        return span_of(k->id);
}

int profile_key_sign(const ProfileKey *k, const Span *parts, size_t n_parts,
                     unsigned char ret[SIGN_DIGEST_MAX], size_t *ret_n) {
        if (k->kind == PROFILE_ED25519) {
                *ret_n = ED25519_SIGNATURE_BYTES;
                return ed25519_sign(k->ed25519, parts, n_parts, ret);
        }
        *ret_n = sign_key_digest_bytes(k->hmac);
        sign_key_mac(k->hmac, parts, n_parts, ret);
        return 0;
}
