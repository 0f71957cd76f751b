/* SPDX-License-Identifier: Apache-2.0
 *
 * What the steps that call share: the address, the body, and what the answer means. */
#pragma once

#include "flow/step.h"

/* `missing: {fail: 404, message: '...'}`; by default a 404 with a plain sentence. */
typedef struct Missing Missing;
struct Missing {
        int64_t status;
        Expr message;
        bool as_null; /* `missing: null`: the step gives null and the flow goes on */
        Template text;
};

/* The row of steps whose answers may be used again. */
#define CACHE_OPTION(at)                                                                           \
        {                                                                                          \
                .name = "cache", .type = OPTION_DURATION, .offset = (at), .min = 1000,             \
                .max = 86400000,                                                                   \
                .help = "Use an answer again for so long, for what changes seldom. Only a 200 is " \
                        "kept; a "                                                                 \
                        "reload forgets all."                                                      \
        }

MUST_CHECK int missing_prepare(Build *b, const Node *node, Missing *ret);
/* The entity is not there: fails the run, or goes on with null. */
void missing_run(Act *a, const Missing *m, const Target *target);

/* Fills the template of the address and calls; `then` hears a 2xx or 404 answer, everything else
 * has failed the run. a->call's method, body, content_type must be set before. */
void exchange_start(Act *a, const Address *to, void (*then)(Act *a, const ClientAnswer *answer));
/* The same in two parts: the address alone, for a step that asks more than once ... */
void exchange_address(Act *a, const Address *to, void (*then)(Act *a, const char *url));
/* ... and a call to a URL of that same connection. */
void exchange_go_on(Act *a, const char *url, void (*then)(Act *a, const ClientAnswer *answer));
/* The same to a whole URL of that connection, which must stay. */
void exchange_at(Act *a, const Address *to, const char *url,
                 void (*then)(Act *a, const ClientAnswer *answer));
/* Asks `refused` about the answer of a target that refuses, before that fails the run: when it
 * returns true the step goes on by itself. For the next exchange only; call it before that. NULL
 * for nobody. */
void exchange_catch(Act *a, bool (*refused)(Act *a, const ClientAnswer *answer));
/* What the source would hear of such an answer. */
void exchange_refusal(Act *a, const ClientAnswer *answer, Outcome *ret);
/* For steps that sent something: `mapping` made the body (NULL for none). Call before
 * exchange_start; forgotten after it. */
void exchange_mapping(Act *a, const Program *mapping);
/* The answer's JSON, copied to the run's arena; false when the run has failed: no JSON. An empty
 * body gives null when `may_be_empty`. */
bool exchange_json(Act *a, const ClientAnswer *answer, bool may_be_empty, Span *ret);
