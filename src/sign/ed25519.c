/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/ed25519.h"

#include <openssl/err.h>
#include <openssl/evp.h>

struct Ed25519Key {
        EVP_PKEY *pkey;
};

/* The y coordinates of the eight points of small order, in both spellings where there are two; the
 * sign of x, the top bit, is left out of the comparison. */
static const unsigned char small_order[][ED25519_PUBLIC_BYTES] = {
        {0},
        {1},
        {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
         0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
         0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
        {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
         0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
         0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
        {0xec, [1 ... 30] = 0xff, 0x7f},
        {0xed, [1 ... 30] = 0xff, 0x7f},
        {0xee, [1 ... 30] = 0xff, 0x7f},
};

static bool is_small_order(Span point) {
        unsigned char y[ED25519_PUBLIC_BYTES];

        memcpy(y, point.p, sizeof y);
        y[sizeof y - 1] &= 0x7f;
        for (size_t i = 0; i < COUNT_OF(small_order); i++)
                if (memcmp(y, small_order[i], sizeof y) == 0)
                        return true;
        return false;
}

static Ed25519Key *key_of(EVP_PKEY *pkey, Err *e) {
        if (!pkey) {
                (void)FAIL(e, -EINVAL, "OpenSSL makes no ed25519 key of these bytes");
                return NULL;
        }
        Ed25519Key *k = must_alloc(sizeof *k);
        k->pkey = pkey;
        return k;
}

Ed25519Key *ed25519_new_private(Span seed, Err *e) {
        if (seed.n != ED25519_SEED_BYTES) {
                (void)FAIL(e, -EINVAL, "an ed25519 seed has %d bytes", ED25519_SEED_BYTES);
                return NULL;
        }
        return key_of(EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL,
                                                      (const unsigned char *)seed.p, seed.n),
                      e);
}

Ed25519Key *ed25519_new_public(Span point, Err *e) {
        if (point.n != ED25519_PUBLIC_BYTES) {
                (void)FAIL(e, -EINVAL, "an ed25519 public key has %d bytes", ED25519_PUBLIC_BYTES);
                return NULL;
        }
        if (is_small_order(point)) {
                (void)FAIL(e, -EINVAL, "under this ed25519 public key anybody could sign");
                return NULL;
        }
        return key_of(EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL,
                                                     (const unsigned char *)point.p, point.n),
                      e);
}

Ed25519Key *ed25519_free(Ed25519Key *k) {
        if (!k)
                return NULL;
        EVP_PKEY_free(k->pkey); /* wipes the private part */
        free(k);
        return NULL;
}

void ed25519_public(const Ed25519Key *k, unsigned char ret[ED25519_PUBLIC_BYTES]) {
        size_t n = ED25519_PUBLIC_BYTES;

        must(EVP_PKEY_get_raw_public_key(k->pkey, ret, &n) == 1 && n == ED25519_PUBLIC_BYTES);
}

/* Lends the one part there is, or copies all of them into *copy. */
static int join(const Span *parts, size_t n_parts, Buf *copy, Span *ret) {
        size_t n = 0;
        char *at = NULL;

        if (n_parts == 1) {
                *ret = parts[0];
                return 0;
        }
        for (size_t i = 0; i < n_parts; i++)
                if (__builtin_add_overflow(n, parts[i].n, &n))
                        return -ENOMEM;
        *copy = BUF(n);
        int r = n ? buf_room(copy, n, &at) : 0;
        for (size_t i = 0; r == 0 && i < n_parts; i++)
                r = buf_add(copy, parts[i]);
        *ret = buf_span(copy);
        return r;
}

static void context_freep(EVP_MD_CTX **c) {
        EVP_MD_CTX_free(*c);
}

int ed25519_sign(const Ed25519Key *k, const Span *parts, size_t n_parts,
                 unsigned char ret[ED25519_SIGNATURE_BYTES]) {
        AUTO(context_freep)
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        AUTO(buf_done)
        Buf copy = {0};
        Span message = {0};
        size_t n = ED25519_SIGNATURE_BYTES;
        int r = join(parts, n_parts, &copy, &message);

        if (r < 0)
                return r;
        must(c && EVP_DigestSignInit(c, NULL, NULL, NULL, k->pkey) == 1);
        must(EVP_DigestSign(c, ret, &n, (const unsigned char *)message.p, message.n) == 1 &&
             n == ED25519_SIGNATURE_BYTES);
        return 0;
}

int ed25519_verify(const Ed25519Key *k, const Span *parts, size_t n_parts,
                   const unsigned char signature[ED25519_SIGNATURE_BYTES]) {
        AUTO(context_freep)
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        AUTO(buf_done)
        Buf copy = {0};
        Span message = {0};
        int r = join(parts, n_parts, &copy, &message);

        if (r < 0)
                return r;
        must(c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, k->pkey) == 1);
        if (EVP_DigestVerify(c, signature, ED25519_SIGNATURE_BYTES,
                             (const unsigned char *)message.p, message.n) == 1)
                return 0;
        /* Left in this thread's queue, it would be taken for somebody else's TLS error. */
        ERR_clear_error();
        return -EKEYREJECTED;
}
