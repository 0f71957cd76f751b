/* SPDX-License-Identifier: Apache-2.0
 *
 * The sentences here never repeat the URL: the URLs of webhooks carry keys. */
#include "http/url.h"

#include "http/bytes.h"

#include <arpa/inet.h>

enum { NAME_MAX_BYTES = 253, LABEL_MAX_BYTES = 63 }; /* RFC 1035 section 2.3.4 */

static int scheme_read(Span *rest, Url *ret, Err *e) {
        if (rest->n > 7 && span_eq_nocase((Span){rest->p, 7}, SPAN("http://"))) {
                ret->https = false;
                *rest = span_from(*rest, 7);
                return 0;
        }
        if (rest->n > 8 && span_eq_nocase((Span){rest->p, 8}, SPAN("https://"))) {
                ret->https = true;
                *rest = span_from(*rest, 8);
                return 0;
        }
        return FAIL(e, -EINVAL, "a URL begins with https:// or http:// and a host");
}

/* Would some library take this label for a number, and with it the host for an address? */
static bool label_is_number(Span label) {
        size_t digits = 0;

        if (label.n >= 2 && label.p[0] == '0' && (label.p[1] | 0x20) == 'x')
                return http_run(label, 2, HTTP_HEX) == label.n - 2;
        while (digits < label.n && http_digit(label.p[digits]))
                digits++;
        return digits == label.n;
}

/* Four decimal octets without leading zeros: the one spelling that all readers share. */
static bool host_is_ipv4(Span host) {
        for (int i = 0; i < 4; i++) {
                size_t n = span_find(host, '.');
                uint64_t octet;

                if (n > 3 || !span_to_u64((Span){host.p, n}, 255, &octet) ||
                    (n > 1 && host.p[0] == '0') || (i < 3) != (n < host.n))
                        return false;
                host = span_from(host, n + 1);
        }
        return true;
}

static int name_check(Span host, Err *e) {
        Span label = {NULL, 0};

        if (host.n > NAME_MAX_BYTES)
                return FAIL(e, -EINVAL, "the URL's host is longer than %d bytes", NAME_MAX_BYTES);
        for (size_t i = 0; i <= host.n; i += label.n + 1) {
                label = span_from(host, i);
                label.n = span_find(label, '.');
                if (label.n == 0 || label.n > LABEL_MAX_BYTES)
                        return FAIL(e, -EINVAL,
                                    "a part of the URL's host is empty or over %d bytes",
                                    LABEL_MAX_BYTES);
                if (label.p[0] == '-' || label.p[label.n - 1] == '-')
                        return FAIL(e, -EINVAL, "a part of the URL's host begins or ends with '-'");
        }
        if (label_is_number(label))
                return FAIL(e, -EINVAL,
                            "the URL's host looks like a number but is no plain "
                            "address of four decimal parts");
        return 0;
}

/* `s` begins with the bracket; *ret_n is what the literal takes. */
static int ipv6_read(Span s, Url *ret, size_t *ret_n, Err *e) {
        size_t n = span_find(s, ']');
        char text[INET6_ADDRSTRLEN];
        struct in6_addr address;

        if (n == s.n || n - 1 >= sizeof text)
                return FAIL(e, -EINVAL, "the bracket in the URL's host is not closed");
        memcpy(text, s.p + 1, n - 1);
        text[n - 1] = 0;
        /* Zone ids end here too: inet_pton() knows none. */
        if (memchr(text, 0, n - 1) || inet_pton(AF_INET6, text, &address) != 1)
                return FAIL(e, -EINVAL, "what the URL's host has in brackets is no IPv6 address");
        ret->host = (Span){s.p + 1, n - 1};
        ret->host_kind = URL_IPV6;
        *ret_n = n + 1;
        return 0;
}

static int host_read(Span *rest, Url *ret, Err *e) {
        size_t n = 0;
        int r;

        if (rest->p[0] == '[') {
                r = ipv6_read(*rest, ret, &n, e);
                if (r < 0)
                        return r;
                *rest = span_from(*rest, n);
                return 0;
        }
        n = http_run(*rest, 0, HTTP_LABEL);
        ret->host = (Span){rest->p, n};
        *rest = span_from(*rest, n);
        if (n && ret->host.p[n - 1] == '.')
                ret->host.n--;
        if (ret->host.n == 0)
                return FAIL(e, -EINVAL, "the URL has no host");
        ret->host_kind = host_is_ipv4(ret->host) ? URL_IPV4 : URL_NAME;
        return ret->host_kind == URL_IPV4 ? 0 : name_check(ret->host, e);
}

static int port_read(Span *rest, Url *ret, Err *e) {
        size_t n = 1;
        uint64_t port;

        ret->port = ret->https ? 443 : 80;
        if (rest->n == 0 || rest->p[0] != ':')
                return 0;
        while (n < rest->n && http_digit(rest->p[n]))
                n++;
        if (n < 2 || n > 6 || rest->p[1] == '0' || (n < rest->n && !memchr("/?#", rest->p[n], 3)) ||
            !span_to_u64((Span){rest->p + 1, n - 1}, UINT16_MAX, &port))
                return FAIL(e, -EINVAL,
                            "the URL's port is not a number from 1 to 65535, or the "
                            "URL has a user name");
        ret->port = (uint16_t)port;
        *rest = span_from(*rest, n);
        return 0;
}

/* Steps ("." and "..") that are spelled out are walked by some libraries and sent by others. */
static bool has_step(Span path) {
        for (size_t i = 0; i < path.n;) {
                Span segment = span_from(path, i + 1);

                segment.n = span_find(segment, '/');
                if (span_eq(segment, SPAN(".")) || span_eq(segment, SPAN("..")))
                        return true;
                i += 1 + segment.n;
        }
        return false;
}

static int path_read(Span rest, Url *ret, Err *e) {
        size_t mark = span_find(rest, '?');

        ret->path = (Span){rest.p, mark};
        ret->query = mark < rest.n ? span_from(rest, mark + 1) : (Span){NULL, 0};
        if (mark && rest.p[0] != '/')
                return FAIL(e, -EINVAL,
                            rest.p[0] == '#'   ? "a URL to call has no fragment"
                            : rest.p[0] == '@' ? "a URL to call has no user name"
                                               : "a byte that no host may have in the URL's host");
        if (span_find(rest, '#') < rest.n)
                return FAIL(e, -EINVAL, "a URL to call has no fragment");
        if (http_run(ret->path, 0, HTTP_PATH) < ret->path.n)
                return FAIL(e, -EINVAL, "the URL's path has a byte that must be percent-encoded");
        if (http_run(ret->query, 0, HTTP_QUERY) < ret->query.n)
                return FAIL(e, -EINVAL, "the URL's query has a byte that must be percent-encoded");
        if (http_percent_fault(rest) < rest.n)
                return FAIL(e, -EINVAL,
                            "the URL has a percent sign without two digits after it, "
                            "or an encoded NUL");
        if (has_step(ret->path))
                return FAIL(e, -EINVAL, "the URL's path has a segment of dots");
        return 0;
}

int url_parse(Span text, Url *ret, Err *e) {
        Span rest = text;
        Url url = {0};
        int r;

        if (text.n > URL_MAX_BYTES)
                return FAIL(e, -EINVAL, "the URL is longer than %d bytes", URL_MAX_BYTES);
        r = scheme_read(&rest, &url, e);
        if (r == 0)
                r = host_read(&rest, &url, e);
        if (r == 0)
                r = port_read(&rest, &url, e);
        if (r == 0)
                r = path_read(rest, &url, e);
        if (r == 0)
                *ret = url;
        return r;
}
