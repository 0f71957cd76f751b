/* SPDX-License-Identifier: Apache-2.0
 *
 * A head is read line by line from its first byte, and each line is judged where it stands: the
 * first fault in reading order is the verdict, so it cannot depend on how the bytes arrived. The
 * mark says how far that went, so that the next piece is judged from there on. The input is
 * looked at up to HTTP_HEAD_MAX_BYTES and no further. */
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

/* Reads the line at m->line. Its name's length is bounded, so that the slow table lookup is too. */
static int header_read(Span in, HttpHeadMark *m, HttpHeader *ret, HttpRefusal *refusal) {
        size_t from = m->line, end;
        Span room = {in.p, in.n - from > HTTP_NAME_MAX_BYTES ? from + HTTP_NAME_MAX_BYTES : in.n};
        int r;

        if (!m->colon) {
                if (from == in.n)
                        return LINE_UNFINISHED;
                if (in.p[from] == '\r')
                        return line_end(in, &m->line, LINE_END, refusal);
                m->run += http_run(room, m->run, HTTP_TOKEN);
                if (m->run == in.n)
                        return LINE_UNFINISHED;
                if (in.p[m->run] != ':' || m->run == from)
                        return m->run - from == HTTP_NAME_MAX_BYTES
                                       ? http_refuse(refusal, 431, m->run,
                                                     "a header's name is too long")
                                       : http_refuse(refusal, 400, m->run,
                                                     "not a header's name with a colon after it");
                m->colon = m->run++;
        }
        m->run += http_field_run(in, m->run);
        end = m->run;
        r = line_end(in, &end, LINE_HEADER, refusal);
        if (r != LINE_HEADER)
                return r;
        ret->name = (Span){in.p + from, m->colon - from};
        ret->value = span_trim((Span){in.p + m->colon + 1, m->run - m->colon - 1}, " \t");
        m->line = m->run = end;
        m->colon = 0;
        return r;
}

/* An empty line, perhaps, and the request line: 1 when it is whole, 0 for need more. */
static int request_line_read(Span in, HttpHeadMark *m, HttpHead *h, HttpRefusal *refusal) {
        int r;

        h->host = h->query = (Span){NULL, 0};
        h->framing = HTTP_NO_BODY;
        h->length = 0;
        h->n_headers = 0;
        h->expects_continue = h->keep_alive = false;

        if (m->line == 0 && in.n && in.p[0] == '\r') {
                r = line_end(in, &m->line, LINE_END, refusal);
                if (r <= 0)
                        return r;
        }
        r = http_line_parse(in, m->line, &m->run, h, &m->fields.authority, refusal);
        if (r <= 0)
                return r;
        m->line = m->run = (size_t)r;
        m->has_request_line = true;
        return 1;
}

/* Line by line up to the empty one: 1 when that is read, 0 for need more, or -EBADMSG. */
static int lines_read(Span in, HttpHeadMark *m, HttpHead *h, HttpRefusal *refusal) {
        int r = m->has_request_line ? 1 : request_line_read(in, m, h, refusal);

        while (r > 0) {
                HttpHeader header;
                size_t from = m->line;

                if (h->n_headers == HTTP_HEADERS_MAX && from < in.n && in.p[from] != '\r')
                        return http_refuse(refusal, 431, from, "too many headers");
                r = header_read(in, m, &header, refusal);
                if (r == LINE_END)
                        return 1;
                if (r <= 0)
                        break;
                h->headers[h->n_headers++] = header;
                r = http_field_read(&m->fields, h, header, (size_t)(header.value.p - in.p),
                                    refusal);
                r = r < 0 ? r : 1;
        }
        return r;
}

int http_head_parse_more(Span in, HttpHeadMark *m, HttpHead *ret, HttpRefusal *refusal) {
        Span room = {in.p, in.n < HTTP_HEAD_MAX_BYTES ? in.n : HTTP_HEAD_MAX_BYTES};
        int r;

        m->has_moved |= m->at && m->at != in.p;
        m->at = in.p;
        r = lines_read(room, m, ret, refusal);
        if (r > 0 && m->has_moved) {
                /* What *ret points to is gone. The bytes are known to be good: this finds them. */
                *m = (HttpHeadMark){0};
                r = lines_read(room, m, ret, refusal);
        }
        if (r > 0) {
                r = http_fields_end(&m->fields, ret, m->line, refusal);
                return r < 0 ? r : (int)m->line;
        }
        if (r == 0 && in.n >= HTTP_HEAD_MAX_BYTES)
                return http_refuse(refusal, 431, HTTP_HEAD_MAX_BYTES, "the head is too long");
        return r;
}

int http_head_parse(Span in, HttpHead *ret, HttpRefusal *refusal) {
        HttpHeadMark mark = {0};

        return http_head_parse_more(in, &mark, ret, refusal);
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
