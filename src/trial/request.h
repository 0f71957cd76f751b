/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a webhook that no network carries, and the answer to it. */
#pragma once

#include "config/config.h"
#include "http/head.h"

typedef struct RequestParts {
        const SourceConfig *source; /* signs it, unless `how` says not */
        const char *name;           /* of the source */
        const HttpHeader *headers;  /* go before those of the signature */
        size_t n_headers;
        Span body;
        int how; /* SignHow */
        Span id;
        int64_t signed_ms;
} RequestParts;

/* Appends the request; a fault with the sentence when it cannot be signed. */
MUST_CHECK int request_make(const RequestParts *p, Buf *out, Err *e);
/* Takes the answer of our own listener apart; spans point into it, the headers lie in the arena.
 * -EBADMSG when it is none. */
MUST_CHECK int answer_read(Span text, Arena *a, int *ret_status, HttpHeader **ret_headers,
                           size_t *ret_n, Span *ret_body);
