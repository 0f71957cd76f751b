/* SPDX-License-Identifier: Apache-2.0
 *
 * URLs that Grapnel may dial, and the coding of their parts (RFC 3986). Stricter than browsers:
 * a spelling that two libraries read differently is refused (reference: faults 4.1.2). */
#pragma once

#include "base/buf.h"

enum { URL_MAX_BYTES = 2048 };

typedef enum UrlHost { URL_NAME, URL_IPV4, URL_IPV6 } UrlHost;

typedef struct Url {
        bool https;
        UrlHost host_kind;
        Span host;     /* lower case is the caller's to compare; without brackets and final dot */
        uint16_t port; /* 443 or 80 where the text names none */
        Span path;     /* begins with '/', or empty */
        Span query;    /* without '?'; .p is NULL when there is none */
} Url;

/* http and https only; no userinfo, fragment, backslash, control, blank, non-ASCII, percent in
 * the host, number-like last label, zone id. 0 or -EINVAL with the sentence. */
MUST_CHECK int url_parse(Span text, Url *ret, Err *e);
/* Appends `s` percent-encoded as one path segment or query value: only unreserved bytes stay. A
 * segment "." or ".." becomes %2E or %2E%2E, so that no reader takes it for a step. */
MUST_CHECK int url_encode(Buf *out, Span s);
/* Decodes %XX once into `out`; -EINVAL for a bad percent or an encoded NUL. '+' stays '+'. */
MUST_CHECK int url_decode(Buf *out, Span s);
