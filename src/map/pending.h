/* SPDX-License-Identifier: Apache-2.0
 *
 * One started call until it ends: its input as it travels to a helper, or its output when it
 * needs none. */
#pragma once

#include "base/list.h"
#include "map/map.h"

typedef struct Pending {
        Link link;     /* on the one list that has it: waiting, of a helper, or finished */
        MapCall *call; /* NULL once cancelled */
        Buf bytes;     /* wire head and input; of a finished one the output */
        bool finished; /* needs no helper: call->end and call->why are filled in */
        bool given;    /* to a helper */
        unsigned lost; /* how often it was the first when a helper ended through no fault of it */
} Pending;

/* Copies what the call's program uses, or evaluates what needs no helper. 0, or -EMSGSIZE or
 * -ENOMEM. */
MUST_CHECK int pending_new(MapCall *call, Pending **ret, Err *e);
/* Accepts NULL, returns NULL. */
Pending *pending_free(Pending *p);
static inline Pending *pending_of(Link *l) {
        return l ? CONTAINER_OF(l, Pending, link) : NULL;
}
