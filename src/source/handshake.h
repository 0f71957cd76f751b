/* SPDX-License-Identifier: Apache-2.0
 *
 * What a product asks once, before it sends anything: "is it you, and do you want this?". One table
 * row and one file each. A handshake is answered at once and recorded nowhere. */
#pragma once

#include "base/buf.h"
#include "http/head.h"

enum { HANDSHAKE_BODY_MAX_BYTES = 8 * 1024, HANDSHAKE_HEADERS_MAX = 4 };

typedef struct HandshakeAnswer {
        int status;
        const char *content_type; /* static; NULL for an empty body */
        Buf body;                 /* the caller gives it with its maximum, and frees it */
        HttpHeader headers[HANDSHAKE_HEADERS_MAX]; /* values borrow from the request */
        size_t n_headers;
} HandshakeAnswer;

enum { HANDSHAKE_NONE = 0, HANDSHAKE_ANSWERED = 1 };

typedef struct Handshake {
        const char *name; /* as written after `handshake:` of a source */
        const char *help;
        HttpMethod method; /* by which it comes */
        /* The product signs it like a delivery: it is looked at behind the verification, with a
         * body that is JSON. Any other is answered to whoever asks: it gives nothing away. */
        bool is_verified;
        /* Is this request one? HANDSHAKE_ANSWERED with *ret filled, HANDSHAKE_NONE, or a fault when
         * it is one that cannot be read. Pure. */
        int (*answer)(const HttpHead *head, Span body, HandshakeAnswer *ret);
} Handshake;

extern const Handshake *const handshakes[]; /* ended by NULL */
const Handshake *handshake_find(Span name); /* NULL when unknown */

extern const Handshake handshake_slack, handshake_graph, handshake_okta, handshake_cloudevents;
