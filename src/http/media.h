/* SPDX-License-Identifier: Apache-2.0
 *
 * Content-Type (RFC 9110 section 8.3): what a body says it is. */
#pragma once

#include "base/base.h"

enum { MEDIA_PARAMETERS_MAX = 16 };

typedef struct HttpMedia {
        Span type, subtype; /* in any case, as sent */
        Span parameters;    /* "charset=utf-8; q=1", maybe empty */
} HttpMedia;

/* False for anything that RFC 9110 does not spell: then the body is opaque bytes. The same
 * parameter twice is refused: two readers would choose two ways. */
bool http_media_parse(Span value, HttpMedia *ret);
/* application/json or any subtype with the suffix +json (RFC 6839), in UTF-8 when it names a
 * charset at all: JSON has no other (RFC 8259 section 8.1). */
bool http_media_is_json(const HttpMedia *m);
/* "type/subtype", any case. */
bool http_media_is(const HttpMedia *m, const char *name);
/* The parameter's value without its quotes; .p is NULL when there is none of that name. */
Span http_media_parameter(const HttpMedia *m, const char *name);
