/* SPDX-License-Identifier: Apache-2.0
 *
 * The OAuth2 tokens of one endpoint, as it is configured at one moment. Counted by reference on one
 * loop: whoever waits for a token keeps it, whatever becomes of the endpoint meanwhile. */
#pragma once

#include "flow/endpoint.h"
#include "flow/snapshot.h"

typedef struct Bearer {
        unsigned refs;
        TokenSource *source;
        TokenConfig config;
        Endpoint *endpoint;
        Snapshot *snapshot; /* of the networks that may be dialled */
} Bearer;

Bearer *bearer_new(Client *client, Endpoint *p, Snapshot *s);
Bearer *bearer_ref(Bearer *b);
Bearer *bearer_unref(Bearer *b); /* accepts NULL, returns NULL */
