/* SPDX-License-Identifier: Apache-2.0
 *
 * What the profiles share among themselves; nobody outside this room includes it. */
#pragma once

#include "sign/ed25519.h"
#include "sign/key.h"
#include "sign/profile.h"

extern const Profile profile_github, profile_none, profile_rfc9421, profile_shopify, profile_slack,
        profile_standard, profile_stripe;

/* How secrets are written. */
typedef struct SecretForm {
        /* As profile_secret_new. */
        int (*make)(const Profile *p, ProfileKind kind, Buf *out);
        /* 0 and the bytes that the key is made of (ed25519: the seed), or -EINVAL. */
        int (*read)(Span text, ProfileKind *ret_kind, Secret *ret, Err *e);
} SecretForm;

extern const SecretForm secret_form_keys; /* whsec_ and whsk_ */
extern const SecretForm secret_form_text; /* the text itself is the key */

struct ProfileKey {
        const Profile *profile;
        ProfileKind kind;
        SignKey *hmac;       /* one of the two, */
        Ed25519Key *ed25519; /* by kind */
        char id[PROFILE_KEY_ID_BYTES];
};

/* The MAC or signature of the parts, one after the other: SHA-256 size or ed25519 size. 0 or
 * -ENOMEM. */
MUST_CHECK int profile_key_sign(const ProfileKey *k, const Span *parts, size_t n_parts,
                                unsigned char ret[SIGN_DIGEST_MAX], size_t *ret_n);

/* Adds one header, its value copied into `a`. -EINVAL with the sentence for a value that is no
 * plain header value, or none at all; -ENOMEM when `a` is full. */
MUST_CHECK int profile_add(SignHeaders *ret, const char *name, Span value, Arena *a, Err *e);
/* The event's type in a header; none where the event has none. */
MUST_CHECK int profile_add_type(SignHeaders *ret, const char *name, const SignMessage *m, Arena *a,
                                Err *e);
/* The attempt's time in whole seconds since 1970. */
MUST_CHECK int profile_add_time(SignHeaders *ret, const char *name, const SignMessage *m, Arena *a,
                                Err *e);
enum { PROFILE_SECONDS_BYTES = 24 };
/* The same as text, for what is signed. */
Span profile_seconds(const SignMessage *m, char ret[PROFILE_SECONDS_BYTES]);
