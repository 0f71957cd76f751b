/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON on its way out. The first fault sticks and nothing is added after it, so that what writes
 * an object needs no branch per member: it is asked once, at the end. */
#pragma once

#include "base/buf.h"

typedef struct Put {
        Buf out;
        int fault;    /* of a buf_add */
        bool between; /* the next member or element needs a comma before it */
} Put;

#define PUT(max_bytes) ((Put){.out = BUF(max_bytes)})

void put_done(Put *p);
static inline Span put_span(const Put *p) {
        return buf_span(&p->out);
}

/* `key` NULL: an element of an array, or the whole text. */
void put_open(Put *p, const char *key, char bracket); /* '{' or '[' */
void put_close(Put *p, char bracket);                 /* '}' or ']' */
void put_raw(Put *p, const char *key, Span json);     /* .p NULL writes null */
void put_text(Put *p, const char *key, Span text);    /* .p NULL writes null */
void put_int(Put *p, const char *key, int64_t n);
void put_bool(Put *p, const char *key, bool yes);
void put_null(Put *p, const char *key);
void put_time(Put *p, const char *key, int64_t wall_ms); /* RFC 3339 */
void put_id(Put *p, const char *key, const char *prefix, int64_t id);
/* A member whose key comes from outside: plain, or still escaped as json_next gives it. */
void put_raw_for(Put *p, Span key, Span json);
void put_raw_for_raw(Put *p, Span raw_key, Span json);
