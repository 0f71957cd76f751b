/* SPDX-License-Identifier: Apache-2.0
 *
 * An endpoint of the configuration file, made ready: the same object as the API makes, so that it
 * is judged, signed and sent alike. The ledger never holds it: its secrets stay in the file. Its id
 * comes from its application's uid and its name, so that what was sent to it is found after a
 * restart too. */
#pragma once

#include "config/config.h"
#include "engine/plan.h"
#include "flow/endpoint.h"

typedef struct Declared {
        const EndpointConfig *config;
        Endpoint *endpoint; /* as the file has it; its application is 0: ids of those may be new */
        Plan plan;          /* of events of sources */
        int64_t id;
        Span members; /* of the object's text, behind its brace: `"url":"...",...}` */
} Declared;

/* Judges it; memory from `a`, which wipes it in the end. Every error goes to the problems. */
MUST_CHECK int declared_build(const EndpointConfig *c, Arena *a, Problems *problems, Declared *ret);
/* Are this source's events for it? */
bool declared_hears(const Declared *d, Span source);
/* Appends the object's text. */
MUST_CHECK int declared_print(const Declared *d, int64_t created_ms, int64_t updated_ms, Buf *out);
