/* SPDX-License-Identifier: Apache-2.0
 *
 * The public keys of issuers whose tokens sources bear: fetched through the one client, kept as
 * long as their server says within bounds, shared by all loops. Each address belongs to one loop,
 * so that however many requests wait there is one fetch at a time; the other loops keep what they
 * were given.
 *
 * An address is a JWK set's, or an issuer's that tells where its set is (OpenID Connect Discovery
 * 1.0). Keys outlive a reload of the configuration; and a failed fetch, for a day. */
#pragma once

#include "base/inbox.h"
#include "base/list.h"
#include "flow/snapshot.h"
#include "sign/jwk.h"

typedef struct Inlet Inlet;

enum {
        JWKS_AGE_MIN_S = 60, /* however short their server wants it */
        JWKS_AGE_MAX_S = 24 * 3600,
        JWKS_AGE_DEFAULT_S = 600,
        JWKS_STALE_MAX_S = 24 * 3600, /* used beyond their age while no fetch succeeds */
        JWKS_PAUSE_MS = 10 * 1000,    /* between fetches for names that are not known */
        JWKS_FAILURE_MS = 1000,       /* a failed fetch is not begun anew before */
        JWKS_WAITERS_MAX = 10000,     /* for one address */
        JWKS_ADDRESSES_MAX = 1000,    /* of one loop; the ones asked for longest ago make room */
};

/* What one loop knows; a part of its inlet. */
typedef struct Jwks {
        List desks;  /* of the addresses that this loop owns */
        List copies; /* what it was given, by address */
        bool closed;
        /* A fetch failed: for the log, because strangers are told no more than that. May be NULL.
         */
        void (*failed)(void *self, const char *address, const char *why);
        void *self;
} Jwks;

void jwks_init(Jwks *j);
/* The calls of the client have ended. */
void jwks_close(Inlet *in);

/* A question for keys; lives until `done` is called, on the loop that asked. */
typedef struct JwksAsk JwksAsk;
struct JwksAsk {
        Note note;
        Link link;
        Inlet *home;
        Snapshot *snapshot; /* of the networks that may be dialled */
        const char *address;
        bool discover;
        uint64_t seen; /* the number of the set that was not enough, 0 for none */
        JwkSet *set;   /* out: NULL when there are none */
        uint64_t number;
        int64_t fresh_until_ms;   /* of the set, monotonic */
        char why[256];            /* when there are none */
        void (*done)(JwksAsk *a); /* frees it by jwks_ask_free */
        void *arg;
};

/* The keys of that address as this loop has them, lent until it goes back to its loop, and their
 * number; NULL when there are none or they are too old: ask. */
const JwkSet *jwks_get(Inlet *in, const char *address, uint64_t *ret_number);
/* Asks for keys that are fresh, or that are others than the set `seen`, which holds no key of the
 * name that was looked for; the answer is the same set again when there is none newer. `address`
 * lies in the snapshot, of which the ask takes a reference. */
void jwks_ask(Inlet *in, Snapshot *s, const char *address, bool discover, uint64_t seen,
              void (*done)(JwksAsk *a), void *arg);
void jwks_ask_free(JwksAsk *a);

/* How long an answer's keys are fresh: max-age of its Cache-Control (RFC 9111 section 5.2.2) less
 * its Age, both .p NULL where it has none, within the bounds above. */
int64_t jwks_age_s(Span control, Span age);
