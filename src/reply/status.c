/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources that look at the status alone. `status` is the plain one: 2xx went well, 4xx will not,
 * 5xx is worth another try; Auth0 event streams, FusionAuth and Ory Hydra read it so (Hydra takes
 * new claims from the body of a success). The others are those for which one of these means
 * something else: none of them has anybody who could read a refusal, and two would send it again
 * and again. What they are refused is in the ledger, dead, where it can be seen and replayed. */
#include "reply/body.h"

static int status_write(const Outcome *o, Reply *ret) {
        if (outcome_has_data(o))
                return body_is_data(o, ret, "application/json");
        if (outcome_kind(o) == OUTCOME_DONE)
                ret->status = 204;
        return 0;
}

const Dialect dialect_status = {
        .name = "status",
        .help = "The status alone: for Auth0 event streams, FusionAuth, Ory Hydra, and whoever "
                "reads no body. Data that the flow answers with is the body of its 200",
        .status = {.later = 503},
        .has_hints = true,
        .write = status_write,
};

/* No retry after 4xx, one after 5xx; the outcome is in Okta's System Log only. */
const Dialect dialect_okta_event = {
        .name = "okta-event",
        .help = "Okta event hooks: an empty 204 at once. A refusal is 400, which Okta does not "
                "send again",
        .status = {.done = 204, .accepted = 204, .refused = 400, .later = 503},
};

/* 202: stored; anything but a 2xx is sent again for up to 4 hours, and slows the endpoint down. */
const Dialect dialect_graph = {
        .name = "graph",
        .help = "Microsoft Graph change notifications: an empty 202. A refusal is 202 too, because "
                "Graph would send it again for hours",
        .status = {.done = 202, .accepted = 202, .refused = 202, .later = 503},
};

/* The event has been committed there; anything but a 2xx is sent again for 15 minutes. */
const Dialect dialect_keycloak = {
        .name = "keycloak",
        .help = "Keycloak's webhook extension: an empty 204. A refusal is 204 too, because "
                "Keycloak would send it again",
        .status = {.done = 204, .accepted = 204, .refused = 204, .later = 503},
};
