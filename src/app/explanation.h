/* SPDX-License-Identifier: Apache-2.0
 *
 * What the configuration makes of one request, as rows: `grapnel explain`. */
#pragma once

#include "app/player.h"
#include "cli/command.h"
#include "trial/reasons.h"

typedef struct Explaining {
        const CommandLine *line;
        Arena *arena;
        Snapshot *snapshot;
        const Source *source;
        const Flow *only; /* NULL: all of the source */
        Player *player;
        HttpHeader headers[HTTP_HEADERS_MAX];
        size_t n_headers;
        Span body;
        bool is_recorded; /* it was verified when it came; its headers are not kept */
        Proof proof;
        Rows *rows;
        int refused; /* the status with which it is refused; 0: it is taken */
} Explaining;

/* Adds all rows; a fault with the sentence when it could not be played. */
MUST_CHECK int explain(Explaining *x, Err *e);
/* Takes the source and the body out of an event as the API shows it; false when they are not
 * there. */
bool explain_recorded(Explaining *x, Span event, const char **ret_source);
