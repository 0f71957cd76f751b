/* SPDX-License-Identifier: Apache-2.0
 *
 * What the runners of one loop have in common, and how hubs tell each other: that a permit came
 * free, and OAuth2 tokens. Each connection's tokens belong to one hub, so that however many loops
 * ask there is one fetch at a time. */
#pragma once

#include "flow/snapshot.h"
#include "net/child.h"
#include "net/loop.h"
#include "net/token.h"

typedef struct Runner Runner;
typedef struct TokenDesk TokenDesk;

typedef struct Hub {
        Loop *loop;
        Client *client;
        List runners;
        Children children;     /* programs that steps run */
        struct Writes *writes; /* lent; shared by all */
        List desks;            /* token sources of the connections that this hub owns */
        struct Hub *all;       /* the array of all hubs, by loop index */
        unsigned n;
} Hub;

void hub_init(Hub *h, Loop *loop, Client *client, struct Writes *writes, Hub *all, unsigned n);
void hub_done(Hub *h);
/* Tells the loops of the mask that a permit of some connection came free. */
void hub_wake(Hub *h, uint64_t loops);

/* A question for a token; lives until `done`, which is called on the asking hub's loop. */
typedef struct TokenAsk TokenAsk;
struct TokenAsk {
        Note note;
        Hub *home;
        Snapshot *snapshot;
        size_t target;
        Span rejected; /* a token that was refused; copied */
        TokenWait wait;
        Secret token; /* out: empty when there is none */
        char why[256];
        void (*done)(TokenAsk *a); /* frees the ask by token_ask_free */
        void *arg;
};

/* Takes references of its own. */
void hub_ask_token(Hub *h, Snapshot *s, size_t target, Span rejected, void (*done)(TokenAsk *a),
                   void *arg, TokenAsk **ret);
void token_ask_free(TokenAsk *a);
