/* SPDX-License-Identifier: Apache-2.0 */
/* Standard Webhooks v1, C99 with OpenSSL 1.1.1 or 3: link with -lcrypto. */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int read_key(const char *secret, unsigned char key[96]) {
        const char *text = secret + (strncmp(secret, "whsec_", 6) == 0 ? 6 : 0);
        size_t n = strlen(text);
        int n_key = n > 128 ? -1 : EVP_DecodeBlock(key, (const unsigned char *)text, (int)n);

        while (n_key > 0 && n > 0 && text[--n] == '=')
                n_key--; /* EVP_DecodeBlock counts the padding as bytes */
        return n_key;
}

static bool sign(const unsigned char *key, size_t n_key, const char *head, const void *body,
                 size_t n, unsigned char ret[32]) {
        EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, key, n_key);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        size_t length = 32;
        bool good = pkey && ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1 &&
                    EVP_DigestSignUpdate(ctx, head, strlen(head)) == 1 &&
                    EVP_DigestSignUpdate(ctx, body, n) == 1 &&
                    EVP_DigestSignFinal(ctx, ret, &length) == 1;

        EVP_MD_CTX_free(ctx);
        EVP_PKEY_free(pkey);
        return good;
}

/* True if the holder of the secret sent exactly this, at most 5 minutes ago. A header that is
 * missing is NULL; the body is the `n` bytes that came. */
bool verify(const char *secret, const char *id, const char *timestamp, const char *signatures,
            const void *body, size_t n) {
        unsigned char key[96], mac[32];
        char head[300], expected[48] = "v1,"; /* 32 bytes are 44 letters of base64 */

        if (!id || !timestamp || !signatures || !*id || strchr(id, '.'))
                return false;
        if (strspn(timestamp, "0123456789") != strlen(timestamp) || strlen(timestamp) > 12 ||
            llabs((long long)time(NULL) - atoll(timestamp)) > 300)
                return false;
        if (snprintf(head, sizeof head, "%s.%s.", id, timestamp) >= (int)sizeof head)
                return false;
        int n_key = read_key(secret, key); /* below 24 when there is none, or a damaged one */
        bool good = n_key >= 24 && sign(key, (size_t)n_key, head, body, n, mac);
        OPENSSL_cleanse(key, sizeof key);
        if (!good)
                return false;
        EVP_EncodeBlock((unsigned char *)expected + 3, mac, sizeof mac);
        for (size_t length; *signatures; signatures += length + (signatures[length] == ' ')) {
                length = strcspn(signatures, " ");
                if (length == 47 && CRYPTO_memcmp(signatures, expected, 47) == 0)
                        return true;
        }
        return false;
}
