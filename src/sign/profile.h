/* SPDX-License-Identifier: Apache-2.0
 *
 * Signature profiles of endpoints: which headers a delivery bears, so that the receiver can verify
 * it with the library that it has. One row each. Pure: times come in, headers go out.
 *
 * What outsiders chose (types, paths, ids) never breaks out of a header or into another line of
 * what is signed: each header's value is printable ASCII without a blank at its ends, or the whole
 * message is refused with -EINVAL and a sentence. Nothing is escaped, because no vendor's receiver
 * would undo it. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

enum {
        PROFILE_KEYS_MAX = 11, /* live keys of one endpoint: the newest, and ten that still count */
        PROFILE_HEADERS_MAX = 8,
        PROFILE_ID_MAX_BYTES = 255,
        PROFILE_TYPE_MAX_BYTES = 256,
        PROFILE_SECRET_MAX_BYTES = 256, /* as text, in any form */
        PROFILE_KEY_ID_BYTES = 48,      /* room for a key's name and its terminator */
};

typedef enum ProfileKind { PROFILE_HMAC, PROFILE_ED25519, PROFILE_KINDS } ProfileKind;

/* One attempt to deliver one event, as it goes over the wire. */
typedef struct SignMessage {
        Span id;          /* the same for each attempt; 1 to 255 printable bytes, no blank */
        int64_t time_ms;  /* of this attempt */
        int64_t event_ms; /* when the event happened */
        Span type;        /* of the event; may be empty */
        Span method;
        Span authority;    /* as in Host: without the scheme's own port */
        Span path;         /* as sent; empty stands for "/" */
        Span query;        /* as sent, without '?'; may be empty */
        Span content_type; /* as sent; may be empty */
        Span body;
} SignMessage;

typedef struct SignHeader {
        const char *name;
        Span value; /* also terminated */
} SignHeader;

typedef struct SignHeaders {
        SignHeader at[PROFILE_HEADERS_MAX];
        size_t n;
} SignHeaders;

/* A secret, ready to sign for one profile. Read only once made; any number of threads may use one
 * at the same time. */
typedef struct ProfileKey ProfileKey;

/* How one endpoint signs. Borrows all that it points to. */
typedef struct Signer {
        const struct Profile *profile;
        const ProfileKey *keys[PROFILE_KEYS_MAX]; /* of this profile, newest first */
        size_t n_keys;
        bool svix_names; /* profile standard: send svix-id and so on beside webhook-id */
} Signer;

typedef struct Profile {
        const char *name; /* as written in configuration and API */
        const char *help;
        const struct SecretForm *secrets; /* NULL: it signs nothing */
        bool makes[PROFILE_KINDS];        /* the kinds of keys that it knows */
        const char *secret_prefix;        /* of new secrets that are plain text */
        bool tells_type;                  /* of the event, in a header of its own */
        /* Adds the headers; profile_sign has seen to keys, id and times. */
        int (*sign)(const Signer *s, const SignMessage *m, Arena *a, SignHeaders *ret, Err *e);
} Profile;

extern const Profile *const profiles[]; /* ended by NULL */
const Profile *profile_find(Span name); /* NULL when unknown */

/* Adds the headers of this message to *ret, their values in `a`. 0; -EINVAL with the sentence when
 * the message cannot be signed as it is, or there are no keys or too many; -ENOMEM when `a` or the
 * machine is full. *ret is as before unless 0. */
MUST_CHECK int profile_sign(const Signer *s, const SignMessage *m, Arena *a, SignHeaders *ret,
                            Err *e);

/* Appends a new secret from the kernel's random numbers, in the form of that profile; the caller
 * wipes it. -EINVAL when the profile has no keys of that kind; else as buf_add. */
MUST_CHECK int profile_secret_new(const Profile *p, ProfileKind kind, Buf *out, Err *e);
/* Judges a secret that somebody chose: 0 or -EINVAL with a sentence that tells nothing of it. */
MUST_CHECK int profile_secret_check(const Profile *p, Span text, Err *e);
/* Appends "whpk_..." for a secret of "whsk_...", for the receivers. -EINVAL for any other. */
MUST_CHECK int profile_public_key(Span secret, Buf *out, Err *e);

/* NULL, with the sentence in *e, where profile_secret_check says -EINVAL. Copies. */
ProfileKey *profile_key_new(const Profile *p, Span secret, Err *e);
ProfileKey *profile_key_free(ProfileKey *k); /* wipes; accepts NULL, returns NULL */
static inline void profile_key_freep(ProfileKey **k) {
        *k = profile_key_free(*k);
}
ProfileKind profile_key_kind(const ProfileKey *k);
/* The key's name, which tells nothing of a secret: for people, and the keyid of RFC 9421. For
 * ed25519 the JWK thumbprint of the public key (RFC 7638, RFC 8037); for HMAC the first 8 bytes
 * of HMAC-SHA256(key, "key id") in hexadecimal. */
Span profile_key_id(const ProfileKey *k);
