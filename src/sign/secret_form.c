/* SPDX-License-Identifier: Apache-2.0
 *
 * The two ways in which secrets are written. `keys`, by Standard Webhooks: "whsec_" and base64 of
 * an HMAC key, or "whsk_" and base64 of an ed25519 seed with its public key behind it. `text`, by
 * the vendors whose libraries take the secret as it stands: printable ASCII. */
#include "base/random.h"
#include "sign/encoding.h"
#include "sign/profile_row.h"

enum {
        NEW_KEY_BYTES = 32,
        TEXT_MIN_BYTES = 16,
        PAIR_BYTES = ED25519_SEED_BYTES + ED25519_PUBLIC_BYTES,
};

/* Prefix and base64 in one piece, so that no grown buffer leaves a part of it behind. */
static int add_key(Buf *out, Span prefix, Span bytes) {
        char *at = NULL;
        int r = buf_room(out, prefix.n + (bytes.n + 2) / 3 * 4, &at);

        r = r < 0 ? r : buf_add(out, prefix);
        return r < 0 ? r : base64_print(bytes, out);
}

static int make_pair(Buf *out) {
        unsigned char pair[PAIR_BYTES];

        random_bytes(pair, ED25519_SEED_BYTES);
        AUTO(ed25519_freep)
        Ed25519Key *k = ed25519_new_private(span_make(pair, ED25519_SEED_BYTES), NULL);
        must(k);
        ed25519_public(k, pair + ED25519_SEED_BYTES);
        int r = add_key(out, SPAN("whsk_"), span_make(pair, sizeof pair));
        explicit_bzero(pair, sizeof pair);
        return r;
}

static int keys_make(const Profile *p, ProfileKind kind, Buf *out) {
        unsigned char bytes[NEW_KEY_BYTES];

        (void)p;
        if (kind == PROFILE_ED25519)
                return make_pair(out);
        random_bytes(bytes, sizeof bytes);
        int r = add_key(out, SPAN("whsec_"), span_make(bytes, sizeof bytes));
        explicit_bzero(bytes, sizeof bytes);
        return r;
}

/* The seed counts; the public key behind it tells whether something was lost on the way. */
static int read_pair(Span text, Secret *ret, Err *e) {
        unsigned char pair[PAIR_BYTES], public[ED25519_PUBLIC_BYTES];
        Span seed = span_make(pair, ED25519_SEED_BYTES);
        size_t n = 0;
        int r = 0;

        if (!base64_parse(text, BASE64_EITHER, pair, sizeof pair, &n) || n != PAIR_BYTES) {
                r = FAIL(e, -EINVAL, "after whsk_ stands base64 of %d bytes: seed and public key",
                         PAIR_BYTES);
        } else {
                AUTO(ed25519_freep)
                Ed25519Key *k = ed25519_new_private(seed, e);

                must(k);
                ed25519_public(k, public);
                if (memcmp(public, pair + ED25519_SEED_BYTES, sizeof public) != 0)
                        r = FAIL(e, -EINVAL,
                                 "the two halves of the whsk_ key do not belong "
                                 "together");
        }
        if (r == 0)
                *ret = secret_copy(seed);
        explicit_bzero(pair, sizeof pair);
        return r;
}

static int keys_read(Span text, ProfileKind *ret_kind, Secret *ret, Err *e) {
        if (span_starts(text, SPAN("whpk_")))
                return FAIL(e, -EINVAL,
                            "this is a public key: receivers verify with it, but "
                            "signing needs whsec_ or whsk_");
        *ret_kind = span_starts(text, SPAN("whsk_")) ? PROFILE_ED25519 : PROFILE_HMAC;
        if (*ret_kind == PROFILE_ED25519)
                return read_pair(span_from(text, 5), ret, e);
        return sign_standard_key(text, ret, e);
}

const SecretForm secret_form_keys = {.make = keys_make, .read = keys_read};

static int text_make(const Profile *p, ProfileKind kind, Buf *out) {
        unsigned char bytes[NEW_KEY_BYTES];
        Span prefix = span_of(p->secret_prefix);
        char *at = NULL;

        (void)kind;
        random_bytes(bytes, sizeof bytes);
        int r = buf_room(out, prefix.n + sizeof bytes * 2, &at); /* in one piece, as above */
        r = r < 0 ? r : buf_add(out, prefix);
        r = r < 0 ? r : hex_print(span_make(bytes, sizeof bytes), out);
        explicit_bzero(bytes, sizeof bytes);
        return r;
}

static int text_read(Span text, ProfileKind *ret_kind, Secret *ret, Err *e) {
        if (text.n < TEXT_MIN_BYTES)
                return FAIL(e, -EINVAL, "the secret has %zu bytes, at least %d are needed", text.n,
                            TEXT_MIN_BYTES);
        for (size_t i = 0; i < text.n; i++)
                if (text.p[i] < ' ' || text.p[i] > '~')
                        return FAIL(e, -EINVAL,
                                    "the secret holds a byte that is no printable "
                                    "ASCII");
        *ret_kind = PROFILE_HMAC;
        *ret = secret_copy(text);
        return 0;
}

const SecretForm secret_form_text = {.make = text_make, .read = text_read};
