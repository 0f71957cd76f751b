/* SPDX-License-Identifier: Apache-2.0
 *
 * The headers that say where a request ends and whom it is for (RFC 9112 sections 3.2, 6, 9;
 * RFC 9110 section 10.1.1): the second half of http_head_parse(). */
#pragma once

#include "http/head.h"

/* Judges one header when its line is complete. `offset` is that of its value. */
MUST_CHECK int http_field_read(HttpFields *f, HttpHead *h, HttpHeader header, size_t offset,
                               HttpRefusal *refusal);
/* What only the whole head tells; `offset` is where the headers end. */
MUST_CHECK int http_fields_end(HttpFields *f, HttpHead *h, size_t offset, HttpRefusal *refusal);
