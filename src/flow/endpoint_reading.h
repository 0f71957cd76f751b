/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files that read an endpoint from its JSON share; nobody outside of them includes it. */
#pragma once

#include "flow/endpoint.h"

#include <jansson.h>

/* One endpoint being read. */
typedef struct Reading {
        Endpoint *p;
        const json_t *from;
        Err *e;
        size_t header_bytes, header_room;
} Reading;

/* -EINVAL with "member: want". */
int reading_wrong(const Reading *r, const char *member, const char *want);
/* 1 when the member is there and not null, 0 when not. */
MUST_CHECK int reading_text(Reading *r, const char *member, Span *ret);
MUST_CHECK int reading_texts(Reading *r, const char *member, size_t max, const Span **ret,
                             size_t *ret_n);
/* Headers, with the credentials that never change; other credentials; certificates. */
MUST_CHECK int reading_headers(Reading *r);
MUST_CHECK int reading_auth(Reading *r);
MUST_CHECK int reading_tls(Reading *r);
