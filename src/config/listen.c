/* SPDX-License-Identifier: Apache-2.0 */
#include "config/listen.h"

#include <arpa/inet.h>

enum { HOST_TEXT = INET6_ADDRSTRLEN };

/* `ret` holds 16 bytes for IPv6, 4 of them for IPv4; 0 when it is neither. */
static int numeric(Span host, unsigned char ret[16]) {
        char text[HOST_TEXT];

        if (host.n == 0 || host.n >= sizeof text || memchr(host.p, 0, host.n))
                return 0;
        memcpy(text, host.p, host.n);
        text[host.n] = 0;
        if (inet_pton(AF_INET, text, ret) == 1)
                return 4;
        return inet_pton(AF_INET6, text, ret) == 1 ? 16 : 0;
}

bool host_is_loopback(Span host) {
        static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
        static const unsigned char one[16] = {[15] = 1};
        unsigned char bytes[16];

        switch (numeric(host, bytes)) {
        case 4:
                return bytes[0] == 127;
        case 16:
                return memcmp(bytes, one, sizeof one) == 0 ||
                       (memcmp(bytes, mapped, sizeof mapped) == 0 && bytes[12] == 127);
        default:
                return span_eq_nocase(host, SPAN("localhost"));
        }
}

/* Cuts `text` at the colon before the port. */
static bool split(Span text, Span *host, Span *port, bool *is_bracketed) {
        size_t end;

        *is_bracketed = text.n > 0 && text.p[0] == '[';
        if (*is_bracketed) {
                text = span_from(text, 1);
                end = span_find(text, ']');
                *host = (Span){text.p, end};
                *port = span_from(text, end + 2);
                return end + 1 < text.n && text.p[end + 1] == ':';
        }
        end = text.n;
        while (end > 0 && text.p[end - 1] != ':')
                end--;
        if (end == 0)
                return false;
        *host = (Span){text.p, end - 1};
        *port = span_from(text, end);
        return true;
}

int listen_parse(Span text, Arena *a, ListenConfig *ret, Err *e) {
        unsigned char bytes[16];
        bool is_bracketed = false;
        uint64_t number;
        Span host, port;
        int size;

        if (!split(text, &host, &port, &is_bracketed))
                return FAIL(e, -EINVAL,
                            "is not an address with a port; write 127.0.0.1:8080 or [::1]:8080");
        size = numeric(host, bytes);
        if (host.n == 0)
                return FAIL(e, -EINVAL,
                            "has no address before its port; write 0.0.0.0:PORT for all of IPv4, "
                            "[::]:PORT for all of IPv6");
        if (size == 16 && !is_bracketed)
                return FAIL(e, -EINVAL, "is an IPv6 address without brackets; write [::1]:8080");
        if (size == 0 || (size == 4 && is_bracketed))
                return FAIL(e, -EINVAL,
                            "is not a numeric address with a port; write 127.0.0.1:8080 or "
                            "[::1]:8080");
        if (!span_to_u64(port, 65535, &number))
                return FAIL(e, -EINVAL, "has no port between 0 and 65535");
        ret->host = arena_text(a, host);
        ret->port = (uint16_t)number;
        return ret->host ? 0 : FAIL(e, -ENOMEM, "needs more memory than the file may have");
}
