/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/bearer.h"

Bearer *bearer_new(Client *client, Endpoint *p, Snapshot *s) {
        Bearer *b = must_alloc(sizeof *b);

        b->refs = 1;
        b->endpoint = endpoint_ref(p);
        b->snapshot = snapshot_ref(s);
        b->config = p->oauth2;
        b->config.allow = &s->allow;
        b->source = token_source_new(client, &b->config);
        return b;
}

Bearer *bearer_ref(Bearer *b) {
        b->refs++;
        return b;
}

Bearer *bearer_unref(Bearer *b) {
        if (!b || --b->refs > 0)
                return NULL;
        token_source_free(b->source);
        endpoint_unref(b->endpoint);
        snapshot_unref(b->snapshot);
        free(b);
        return NULL;
}
