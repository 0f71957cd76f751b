/* SPDX-License-Identifier: Apache-2.0
 *
 * What Grapnel itself has written lately, so that the echo of it can be told from a change that
 * somebody else made. One of a process, shared by all loops: the webhook that a write causes may
 * come in on any of them. In memory only: after a restart an echo is a change like any other. */
#pragma once

#include "base/base.h"

enum {
        WRITES_MAX = 16384,           /* the oldest is forgotten */
        WRITES_MAX_BYTES = 64 * 1024, /* of one body; of a longer one nothing is remembered */
        WRITES_AGE_MAX_MS = 10 * 60 * 1000,
};

typedef struct Writes Writes;

Writes *writes_new(void);
Writes *writes_free(Writes *w); /* accepts NULL */
/* `body`, a JSON object, was written to the entity of that id at that connection. Any thread. */
void writes_add(Writes *w, Span connection, Span id, Span body, int64_t now_ms);
/* Is what `values` (a JSON object; .p NULL: nothing is known of them) says of the entity what was
 * written within that time? Each member that was written has to be there with the same value. Any
 * thread. */
bool writes_has(Writes *w, Span connection, Span id, Span values, int64_t within_ms,
                int64_t now_ms);
