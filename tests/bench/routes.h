/* SPDX-License-Identifier: Apache-2.0
 *
 * What the target answers: it plays the identity service, the commercial service, and whoever
 * receives webhooks. Pure: a request line comes in, a body goes out. */
#pragma once

#include "base/buf.h"

typedef enum Route {
        ROUTE_USER,    /* GET /users/ID */
        ROUTE_CONTACT, /* GET /contacts?external_id=ID: the one match, which always differs */
        ROUTE_PATCH,   /* PATCH /contacts/C-ID */
        ROUTE_HANG,    /* POST /hang/...: answered after a while */
        ROUTE_BUSY,    /* POST /busy/...: 503 */
        ROUTE_SINK,    /* any other POST */
        ROUTE_SUMMARY, /* GET /summary: what was counted so far; not counted itself */
        ROUTE_UNKNOWN, /* 404 */
        ROUTES,
} Route;

enum { ROUTE_BODY_MAX_BYTES = 16 * 1024 };

const char *route_name(Route r); /* as in the summary */
/* Appends the body that the route answers with; the caller writes that of ROUTE_SUMMARY. */
Route route_answer(Span request_line, Buf *body);
