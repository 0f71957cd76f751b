/* SPDX-License-Identifier: Apache-2.0
 *
 * One byte of framing at a time through a small machine, body bytes in runs. Nothing is kept of
 * the input, so a cut may fall anywhere. */
#include "http/chunked.h"

#include "http/bytes.h"
#include "http/refuse.h"

/* What the next byte is. AT_SIZE must be 0: the state at birth. */
enum {
        AT_SIZE,
        AT_EXTENSION,
        AT_SIZE_FEED,
        AT_DATA,
        AT_DATA_RETURN,
        AT_DATA_FEED,
        AT_TRAILER,
        AT_TRAILER_NAME,
        AT_TRAILER_VALUE,
        AT_TRAILER_FEED,
        AT_LAST_FEED,
        AT_DONE,
};

typedef struct Verdict {
        int status; /* 0: go on */
        const char *why;
} Verdict;

#define GO_ON         ((Verdict){0})
#define BAD(sentence) ((Verdict){400, (sentence)})

enum { SIZE_MAX_DIGITS = 16 }; /* fills 64 bits: no overflow to think about */

static Verdict size_read(HttpChunked *c, char byte) {
        if (http_is(byte, HTTP_HEX)) {
                if (++c->digits > SIZE_MAX_DIGITS)
                        return BAD("a chunk size has too many digits");
                c->left = c->left << 4 | http_hex(byte);
                return GO_ON;
        }
        if (c->digits == 0 || (byte != '\r' && byte != ';'))
                return BAD("a chunk size is not a plain hexadecimal number");
        if (c->left > c->body_max - c->total)
                return (Verdict){413, "the body is too large"};
        c->line = 0;
        c->state = byte == ';' ? AT_EXTENSION : AT_SIZE_FEED;
        return GO_ON;
}

static Verdict extension_read(HttpChunked *c, char byte) {
        if (byte == '\r') {
                c->state = AT_SIZE_FEED;
                return GO_ON;
        }
        if (!http_is(byte, HTTP_FIELD))
                return BAD("a control byte in a chunk extension");
        if (++c->line > CHUNK_EXTENSION_MAX_BYTES)
                return BAD("a chunk extension is too long");
        if (++c->extensions > CHUNK_EXTENSIONS_MAX_BYTES)
                return BAD("the chunk extensions are too many");
        return GO_ON;
}

static Verdict trailer_read(HttpChunked *c, char byte) {
        if (++c->line > CHUNK_TRAILER_MAX_BYTES)
                return (Verdict){431, "the trailers are too long"};
        switch (c->state) {
        case AT_TRAILER:
                if (byte == '\r') {
                        c->state = AT_LAST_FEED;
                        return GO_ON;
                }
                c->state = AT_TRAILER_NAME;
                return http_is(byte, HTTP_TOKEN) ? GO_ON : BAD("not a trailer's name");
        case AT_TRAILER_NAME:
                if (byte == ':')
                        c->state = AT_TRAILER_VALUE;
                else if (!http_is(byte, HTTP_TOKEN))
                        return BAD("not a trailer's name");
                return GO_ON;
        default:
                if (byte == '\r')
                        c->state = AT_TRAILER_FEED;
                else if (!http_is(byte, HTTP_FIELD))
                        return BAD("a control byte in a trailer");
                return GO_ON;
        }
}

static Verdict feed_read(HttpChunked *c, char byte) {
        if (byte != '\n')
                return BAD("a carriage return without line feed");
        switch (c->state) {
        case AT_SIZE_FEED:
                c->line = 0;
                c->state = c->left ? AT_DATA : AT_TRAILER;
                break;
        case AT_DATA_FEED:
                c->digits = 0;
                c->state = AT_SIZE;
                break;
        case AT_TRAILER_FEED:
                c->line++;
                c->state = AT_TRAILER;
                break;
        default:
                c->state = AT_DONE;
                break;
        }
        return GO_ON;
}

static Verdict byte_read(HttpChunked *c, char byte) {
        switch (c->state) {
        case AT_SIZE:
                return size_read(c, byte);
        case AT_EXTENSION:
                return extension_read(c, byte);
        case AT_DATA_RETURN:
                if (byte != '\r')
                        return BAD("a chunk is longer than its size");
                c->state = AT_DATA_FEED;
                return GO_ON;
        case AT_TRAILER:
        case AT_TRAILER_NAME:
        case AT_TRAILER_VALUE:
                return trailer_read(c, byte);
        default:
                return feed_read(c, byte);
        }
}

int http_chunked_next(HttpChunked *c, Span *in, Span *piece, HttpRefusal *refusal) {
        const char *start = in->p;

        must(c->total <= c->body_max);
        *piece = (Span){in->p, 0};
        while (in->n && c->state != AT_DONE) {
                if (c->state == AT_DATA) {
                        size_t n = c->left < in->n ? (size_t)c->left : in->n;

                        *piece = (Span){in->p, n};
                        *in = span_from(*in, n);
                        c->total += n;
                        c->left -= n;
                        if (c->left == 0)
                                c->state = AT_DATA_RETURN;
                        return 0;
                }
                Verdict v = byte_read(c, in->p[0]);
                if (v.status)
                        return http_refuse(refusal, v.status, (size_t)(in->p - start), v.why);
                *in = span_from(*in, 1);
        }
        return c->state == AT_DONE;
}
