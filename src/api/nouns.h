/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations, by the noun that they are about: each row of the table names one. Their schemas
 * stand beside them. */
#pragma once

#include "api/op.h"

/* ---- application.c ---- */
extern const Schema schema_application_in, schema_application_patch, schema_application_out,
        schema_application_list, query_application_list, query_application_create;
void application_list(Op *op);
void application_create(Op *op);
void application_get(Op *op);
void application_put(Op *op);
void application_patch(Op *op);
void application_delete(Op *op);
/* Makes the application that a request carries along as `field`, when that of the path is not
 * there; then goes on with `then`, the application in its place. Answers with 404 when the request
 * carries none. */
void application_along(Op *op, const char *field, void (*then)(Op *op));

/* ---- event_type.c ---- */
extern const Schema schema_event_type_in, schema_event_type_update, schema_event_type_patch,
        schema_event_type_out, schema_event_type_list, query_event_type_list,
        query_event_type_delete;
void event_type_list(Op *op);
void event_type_create(Op *op);
void event_type_get(Op *op);
void event_type_put(Op *op);
void event_type_patch(Op *op);
void event_type_delete(Op *op);

/* ---- endpoint.c ---- */
extern const Schema schema_endpoint_in, schema_endpoint_update, schema_endpoint_patch,
        schema_endpoint_out, schema_endpoint_list, schema_endpoint_shown, query_endpoint_list;
void endpoint_list(Op *op);
void endpoint_create(Op *op);
void endpoint_get(Op *op);
void endpoint_put(Op *op);
void endpoint_patch(Op *op);
void endpoint_delete(Op *op);
/* The members of EndpointOut, into an open object. */
void endpoint_show(Put *p, const Entry *e);
/* Writes a changed text of op->endpoint, judged first; goes on with `then`. */
void endpoint_write(Op *op, Span text, void (*then)(Op *op, Entry *written));

/* ---- endpoint_secret.c ---- */
extern const Schema schema_secret_out, schema_secret_rotate_in;
void endpoint_secret_get(Op *op);
void endpoint_secret_rotate(Op *op);

/* ---- endpoint_headers.c ---- */
extern const Schema schema_headers_in, schema_headers_patch_in, schema_headers_out;
void endpoint_headers_get(Op *op);
void endpoint_headers_put(Op *op);
void endpoint_headers_patch(Op *op);
