/* SPDX-License-Identifier: Apache-2.0
 *
 * A head is read line by line from its first byte, and each line is judged where it stands: the
 * first fault in reading order is the verdict, so it cannot depend on how the bytes arrived. The
 * input is looked at up to HTTP_HEAD_MAX_BYTES and no further. */
#include "http/head.h"

#include "http/bytes.h"
#include "http/fields.h"
#include "http/line.h"
#include "http/refuse.h"

/* What a line below the request line turned out to be. */
enum { LINE_UNFINISHED, LINE_HEADER, LINE_END };

/* Expects CRLF at *at and goes past it; LINE_UNFINISHED when the input ends before. */
static int line_end(Span in, size_t *at, int found, HttpRefusal *refusal) {
        if (*at == in.n)
                return LINE_UNFINISHED;
        if (in.p[*at] != '\r')
                return http_refuse(refusal, 400, *at,
                                   in.p[*at] == '\n' ? "a line feed without carriage return"
                                                     : "a control byte in a header");
        if (*at + 1 == in.n)
                return LINE_UNFINISHED;
        if (in.p[*at + 1] != '\n')
                return http_refuse(refusal, 400, *at + 1, "a carriage return without line feed");
        *at += 2;
        return found;
}

/* Reads the line at *at. Its name's length is bounded, so that the slow table lookup is too. */
static int header_read(Span in, size_t *at, HttpHeader *ret, HttpRefusal *refusal) {
        size_t from = *at, colon, value;
        Span room = {in.p, in.n - from > HTTP_NAME_MAX_BYTES ? from + HTTP_NAME_MAX_BYTES : in.n};

        if (from == in.n)
                return LINE_UNFINISHED;
        if (in.p[from] == '\r')
                return line_end(in, at, LINE_END, refusal);
        colon = from + http_run(room, from, HTTP_TOKEN);
        if (colon == in.n)
                return LINE_UNFINISHED;
        if (in.p[colon] != ':' || colon == from)
                return colon - from == HTTP_NAME_MAX_BYTES
                               ? http_refuse(refusal, 431, colon, "a header's name is too long")
                               : http_refuse(refusal, 400, colon,
                                             "not a header's name with a colon after it");
        value = colon + 1;
        *at = value + http_field_run(in, value);
        ret->name = (Span){in.p + from, colon - from};
        ret->value = span_trim((Span){in.p + value, *at - value}, " \t");
        return line_end(in, at, LINE_HEADER, refusal);
}

/* The whole head: the bytes consumed, 0 for need more, or -EBADMSG. */
static int head_read(Span in, HttpHead *h, HttpRefusal *refusal) {
        HttpFields fields = {0};
        size_t at = 0;
        int r;

        h->host = h->query = (Span){NULL, 0};
        h->framing = HTTP_NO_BODY;
        h->length = 0;
        h->n_headers = 0;
        h->expects_continue = h->keep_alive = false;

        if (in.n && in.p[0] == '\r') {
                r = line_end(in, &at, LINE_END, refusal);
                if (r <= 0)
                        return r;
        }
        r = http_line_parse(in, at, h, &fields.authority, refusal);
        if (r <= 0)
                return r;
        at = (size_t)r;
        for (;;) {
                HttpHeader header;

                if (at < in.n && in.p[at] != '\r' && h->n_headers == HTTP_HEADERS_MAX)
                        return http_refuse(refusal, 431, at, "too many headers");
                r = header_read(in, &at, &header, refusal);
                if (r <= 0)
                        return r;
                if (r == LINE_END)
                        break;
                h->headers[h->n_headers++] = header;
                r = http_field_read(&fields, h, header, (size_t)(header.value.p - in.p), refusal);
                if (r < 0)
                        return r;
        }
        r = http_fields_end(&fields, h, at, refusal);
        return r < 0 ? r : (int)at;
}

/* Where the line begins that was begun at `seen` and is unfinished still; 0 when the input must
 * be read from its start: a line was finished since, or begun, or it is the request line. */
static size_t line_going_on(Span in, size_t seen) {
        const char *feed;

        if (seen == 0 || seen > in.n || memchr(in.p + seen, '\n', in.n - seen))
                return 0;
        feed = memrchr(in.p, '\n', seen);
        if (!feed || feed + 1 == in.p + seen || feed - in.p < 2)
                return 0;
        return (size_t)(feed + 1 - in.p);
}

int http_head_parse_more(Span in, size_t seen, HttpHead *ret, HttpRefusal *refusal) {
        Span room = {in.p, in.n < HTTP_HEAD_MAX_BYTES ? in.n : HTTP_HEAD_MAX_BYTES};
        size_t line = line_going_on(room, seen);
        int r;

        if (line) {
                HttpHeader header;

                r = header_read(room, &line, &header, refusal);
        } else {
                r = head_read(room, ret, refusal);
        }
        if (r == 0 && in.n >= HTTP_HEAD_MAX_BYTES)
                return http_refuse(refusal, 431, HTTP_HEAD_MAX_BYTES, "the head is too long");
        return r;
}

int http_head_parse(Span in, HttpHead *ret, HttpRefusal *refusal) {
        return http_head_parse_more(in, 0, ret, refusal);
}

Span http_head_get(const HttpHead *h, const char *name) {
        Span want = span_of(name);

        for (size_t i = 0; i < h->n_headers; i++)
                if (span_eq_nocase(h->headers[i].name, want))
                        return h->headers[i].value;
        return (Span){NULL, 0};
}

size_t http_head_count(const HttpHead *h, const char *name) {
        Span want = span_of(name);
        size_t n = 0;

        for (size_t i = 0; i < h->n_headers; i++)
                n += span_eq_nocase(h->headers[i].name, want);
        return n;
}
