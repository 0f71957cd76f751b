/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunked bodies (RFC 9112 section 7.1), decoded strictly and in pieces. Extensions are bounded
 * and ignored; trailers are read, bounded, and dropped. */
#pragma once

#include "http/head.h"

enum {
        CHUNK_EXTENSION_MAX_BYTES = 256,         /* of one chunk: else 400 */
        CHUNK_EXTENSIONS_MAX_BYTES = 256 * 1024, /* of all chunks together: else 400 */
        CHUNK_TRAILER_MAX_BYTES = 4096,          /* of the trailer section: else 431 */
};

typedef struct HttpChunked {
        int state;         /* 0 at birth */
        uint64_t left;     /* of the current chunk */
        uint64_t total;    /* bytes of body so far */
        uint64_t body_max; /* set by the caller; more is refused with 413 */
        size_t line;       /* bytes seen of the current extension or of the trailer section */
        size_t extensions; /* bytes of all extensions so far */
        unsigned digits;
} HttpChunked;

/* Eats from *in what belongs to the body. On return *piece lends the next run of body bytes
 * (maybe empty), which points into the input. Returns 1 when the body is complete, 0 when
 * *in holds more to decode or more must be read (in->n == 0), or -EBADMSG with *refusal set,
 * its offset counted from where *in began in this call. */
MUST_CHECK int http_chunked_next(HttpChunked *c, Span *in, Span *piece, HttpRefusal *refusal);
