/* SPDX-License-Identifier: Apache-2.0
 *
 * A value that PostgreSQL has written as text (datestyle ISO, time zone UTC), as the JSON that its
 * own to_json() makes of it. Pure. */
#pragma once

#include "base/buf.h"

/* Of a column, as the catalogue has it. */
typedef struct PgType {
        uint32_t oid;     /* of a domain: what lies below it */
        uint32_t element; /* of an array: its elements', likewise; 0: it is none */
} PgType;

/* Appends it. 0, or as buf_add. What does not look like its type becomes a string: nothing that
 * comes out can break the object around it, but for the insides of json columns, which are taken as
 * the server has checked them. */
MUST_CHECK int pg_json_add(Buf *b, PgType type, Span text);
