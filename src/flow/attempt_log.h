/* SPDX-License-Identifier: Apache-2.0
 *
 * What is written of one attempt to deliver, as the API shows it: a JSON object with the address,
 * the headers that were sent and heard, the begin of the answer, and how long each part took.
 * Headers that open doors are masked. Pure. */
#pragma once

#include "base/buf.h"
#include "flow/endpoint.h"
#include "net/client.h"

enum {
        ATTEMPT_LOG_MAX_BYTES = 128 * 1024,
        ATTEMPT_KEPT_BYTES = 16 * 1024,  /* of the answer's body, usually */
        ATTEMPT_KEPT_BRIEF_BYTES = 1024, /* ... and where the whole is on record elsewhere */
};

typedef struct AttemptLog {
        const Endpoint *endpoint;  /* what it hides is not told */
        const HttpHeader *headers; /* of the request */
        size_t n_headers;
        const ClientAnswer *answer;
        size_t kept;          /* of the answer's body, at most */
        Span batch;           /* its id; empty: it was none */
        size_t n_batch;       /* messages in it */
        const char *left_out; /* a header of the request that is not told; NULL: all are */
} AttemptLog;

/* Appends the object; nothing when it does not fit. */
void attempt_log_write(const AttemptLog *l, Buf *b);
