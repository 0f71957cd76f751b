/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of an HTTP/1.1 request (RFC 9112), read strictly: whatever two readers could read in
 * two ways is refused. Pure: nothing is allocated, the result points into the input. */
#pragma once

#include "base/base.h"

enum {
        HTTP_HEAD_MAX_BYTES = 32 * 1024,  /* request line and headers together: else 431 */
        HTTP_TARGET_MAX_BYTES = 8 * 1024, /* else 414 */
        HTTP_METHOD_MAX_BYTES = 32,       /* else 501 */
        HTTP_NAME_MAX_BYTES = 256,        /* of one header's name: else 431 */
        HTTP_HEADERS_MAX = 100,           /* else 431 */
};

typedef struct HttpHeader {
        Span name, value;
} HttpHeader;

typedef enum HttpMethod {
        HTTP_GET,
        HTTP_HEAD,
        HTTP_POST,
        HTTP_PUT,
        HTTP_PATCH,
        HTTP_DELETE,
        HTTP_OPTIONS,
} HttpMethod;

typedef enum HttpFraming { HTTP_NO_BODY, HTTP_LENGTH, HTTP_CHUNKED } HttpFraming;

typedef struct HttpHead {
        HttpMethod method;
        Span target;      /* as sent, or the path and query of an absolute-form target */
        Span path, query; /* of the target, still encoded; query without '?', .p NULL when none */
        Span host;        /* with its port; .p is NULL where HTTP/1.0 names none */
        int minor;        /* HTTP/1.<minor>: 0 or 1 */
        bool keep_alive;
        bool expects_continue; /* Expect: 100-continue, and a body to wait with */
        HttpFraming framing;
        uint64_t length; /* of the body under HTTP_LENGTH */
        HttpHeader headers[HTTP_HEADERS_MAX];
        size_t n_headers;
} HttpHead;

/* Why a request was refused: the answer it is owed. The connection closes after it. */
typedef struct HttpRefusal {
        int status;
        const char *why; /* a static sentence for a person */
        size_t offset;   /* of the offending byte, from the start of the input */
} HttpRefusal;

/* What the headers read so far have said about the request; head.c's and fields.c's own. */
typedef struct HttpFields {
        Span authority; /* of an absolute-form target */
        bool has_length, has_coding, says_close, says_keep_alive;
} HttpFields;

/* How far a head was read that comes in pieces; zero before its first. */
typedef struct HttpHeadMark {
        size_t line;  /* where the line begins that is not whole yet */
        size_t colon; /* of that line; 0 until it has come */
        size_t run;   /* what stands before it needs no second look */
        bool has_request_line;
        bool has_moved; /* the input did since the first piece */
        const char *at; /* where it lay */
        HttpFields fields;
} HttpHeadMark;

/* Returns the bytes consumed (> 0), 0 for need more, or -EBADMSG with *refusal set. One empty
 * line before the request line is skipped (RFC 9112 2.2). */
MUST_CHECK int http_head_parse(Span in, HttpHead *ret, HttpRefusal *refusal);
/* The same for a head that comes in pieces: `in` is all of it so far, and may have moved since
 * the last call. While 0 comes back, *mark and *ret are to be kept, and *ret is not to be read. The
 * verdict is that on the whole. What was judged is looked at again when its line is whole, and
 * once more at the end if the input has moved: the work grows with the bytes, however small the
 * pieces are. */
MUST_CHECK int http_head_parse_more(Span in, HttpHeadMark *mark, HttpHead *ret,
                                    HttpRefusal *refusal);

/* The value of the one header of that name (any case); .p is NULL when absent. */
Span http_head_get(const HttpHead *h, const char *name);
/* How often the header occurs: headers that are read once must not occur twice (faults B-25). */
size_t http_head_count(const HttpHead *h, const char *name);
const char *http_method_name(HttpMethod m);
/* "Not Found" for 404; "Unknown" for codes without a phrase. */
const char *http_status_phrase(int status);
