/* SPDX-License-Identifier: Apache-2.0
 *
 * One spelling of each framing header is understood and every other is refused, even where the
 * RFC lets a server be kind: two readers in a row that are kind in two ways are how requests get
 * smuggled. */
#include "http/fields.h"

#include "http/bytes.h"
#include "http/line.h"
#include "http/list.h"
#include "http/refuse.h"

static int length_read(HttpFields *f, HttpHead *h, Span value, size_t offset,
                       HttpRefusal *refusal) {
        if (f->has_length)
                return http_refuse(refusal, 400, offset, "a second Content-Length");
        if (f->has_coding)
                return http_refuse(refusal, 400, offset,
                                   "Content-Length and Transfer-Encoding together");
        if (!span_to_u64(value, INT64_MAX, &h->length))
                return http_refuse(refusal, 400, offset, "Content-Length is not a plain number");
        f->has_length = true;
        h->framing = HTTP_LENGTH;
        return 0;
}

/* Codings that exist but are not spoken here deserve 501; everything else is a trick. */
static bool coding_is_known(Span value) {
        static const Span names[] = {SPAN("gzip"), SPAN("x-gzip"), SPAN("deflate"),
                                     SPAN("compress"), SPAN("x-compress")};
        const Span last = SPAN(", chunked");

        if (value.n > last.n && span_eq(span_from(value, value.n - last.n), last))
                value.n -= last.n;
        for (size_t i = 0; i < COUNT_OF(names); i++)
                if (span_eq(value, names[i]))
                        return true;
        return false;
}

static int coding_read(HttpFields *f, HttpHead *h, Span value, size_t offset,
                       HttpRefusal *refusal) {
        if (f->has_coding)
                return http_refuse(refusal, 400, offset, "a second Transfer-Encoding");
        if (f->has_length)
                return http_refuse(refusal, 400, offset,
                                   "Content-Length and Transfer-Encoding together");
        if (h->minor == 0)
                return http_refuse(refusal, 400, offset, "Transfer-Encoding in HTTP/1.0");
        if (coding_is_known(value))
                return http_refuse(refusal, 501, offset, "a Transfer-Encoding not spoken here");
        if (!span_eq(value, SPAN("chunked")))
                return http_refuse(refusal, 400, offset, "Transfer-Encoding is not 'chunked'");
        f->has_coding = true;
        h->framing = HTTP_CHUNKED;
        return 0;
}

static int host_read(HttpHead *h, Span value, size_t offset, HttpRefusal *refusal) {
        Span name;
        unsigned port;

        if (h->host.p)
                return http_refuse(refusal, 400, offset, "a second Host");
        if (!http_authority_parse(value, &name, &port))
                return http_refuse(refusal, 400, offset, "Host is not a name with or without port");
        h->host = value;
        return 0;
}

static void connection_read(HttpFields *f, Span value) {
        Span item;

        while (http_list_next(&value, ',', &item)) {
                f->says_close |= span_eq_nocase(item, SPAN("close"));
                f->says_keep_alive |= span_eq_nocase(item, SPAN("keep-alive"));
        }
}

int http_field_read(HttpFields *f, HttpHead *h, HttpHeader header, size_t offset,
                    HttpRefusal *refusal) {
        Span name = header.name, value = header.value;

        switch (name.n) { /* most headers are none of ours: their length tells it */
        case 4:
                if (span_eq_nocase(name, SPAN("host")))
                        return host_read(h, value, offset, refusal);
                break;
        case 6:
                if (!span_eq_nocase(name, SPAN("expect")))
                        break;
                if (!span_eq_nocase(value, SPAN("100-continue")))
                        return http_refuse(refusal, 417, offset, "Expect is not '100-continue'");
                h->expects_continue = true;
                break;
        case 10:
                if (span_eq_nocase(name, SPAN("connection")))
                        connection_read(f, value);
                break;
        case 14:
                if (span_eq_nocase(name, SPAN("content-length")))
                        return length_read(f, h, value, offset, refusal);
                break;
        case 17:
                if (span_eq_nocase(name, SPAN("transfer-encoding")))
                        return coding_read(f, h, value, offset, refusal);
                break;
        default:
                break;
        }
        return 0;
}

/* Do both name the same place? A port that is the scheme's own may be left out of either. */
static bool authority_agrees(Span a, Span b, unsigned port_of_scheme) {
        Span host[2];
        unsigned port[2];

        return http_authority_parse(a, &host[0], &port[0]) &&
               http_authority_parse(b, &host[1], &port[1]) && span_eq_nocase(host[0], host[1]) &&
               (port[0] ? port[0] : port_of_scheme) == (port[1] ? port[1] : port_of_scheme);
}

int http_fields_end(HttpFields *f, HttpHead *h, size_t offset, HttpRefusal *refusal) {
        if (!h->host.p && h->minor == 1)
                return http_refuse(refusal, 400, offset, "no Host");
        if (f->authority.p && h->host.p) {
                /* The letter before "://" tells the scheme. */
                unsigned port = (f->authority.p[-4] | 0x20) == 's' ? 443 : 80;

                if (!authority_agrees(f->authority, h->host, port))
                        return http_refuse(refusal, 400, offset,
                                           "the target names another host than Host");
        } else if (f->authority.p) {
                h->host = f->authority;
        }
        h->keep_alive = h->minor == 1 ? !f->says_close : f->says_keep_alive && !f->says_close;
        /* HTTP/1.0 knows no interim answers (RFC 9110 section 10.1.1), and without a body there
         * is nothing to wait with. */
        if (h->minor == 0 || h->framing == HTTP_NO_BODY ||
            (h->framing == HTTP_LENGTH && h->length == 0))
                h->expects_continue = false;
        return 0;
}
