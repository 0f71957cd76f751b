/* SPDX-License-Identifier: Apache-2.0
 *
 * The one table of what the admin listener answers: which method and path, for whom, taking and
 * giving what, by which function. Requests are routed by it and the OpenAPI document is written
 * from it. A new route is a new row in routes.c. */
#pragma once

#include "api/schema.h"
#include "http/head.h"

enum { ROUTE_PARAMS_MAX = 4, ROUTE_STATUSES_MAX = 3 };

struct Op;

/* Who may call it, least first. */
typedef enum Role {
        ROLE_OPEN,        /* anyone, without a key */
        ROLE_ANY,         /* whoever has a key */
        ROLE_APPLICATION, /* an administrator, or the key of the application that the path names */
        ROLE_ADMIN,
} Role;

typedef enum MediaCount { MEDIA_ONE, MEDIA_MANY, MEDIA_ONE_OR_MANY } MediaCount;

/* One of the forms that a body may have. */
typedef struct RouteMedia {
        const char *type; /* NULL ends the list */
        const Schema *of;
        MediaCount count; /* many are an array */
} RouteMedia;

typedef struct Route {
        HttpMethod method;
        const char *path; /* "/api/v1/app/{app_id}": names in braces take one segment */
        Role role;
        const char *tag, *operation, *summary;
        const Schema *query, *takes, *gives; /* NULL: none */
        const char *gives_type;              /* media type; NULL: application/json */
        int statuses[ROUTE_STATUSES_MAX];    /* of success; ended by 0 */
        size_t body_max;                     /* 0: the general limit */
        bool takes_optional;                 /* the body may be left out */
        /* Not NULL: it takes many, as an array or, in this media type, one per line; the operation
         * reads the body itself. */
        const char *takes_lines;
        /* Not NULL: it takes one of these in place of `takes`; the operation reads the body itself.
         */
        const RouteMedia *takes_media;
        /* The application or the last thing that the path names need not be there: the operation
         * makes it, or says itself that it is missing. */
        bool makes;
        /* A repeat under the same Idempotency-Key gets the first answer again: kept by
         * api/idempotency.h. Never of answers that hold a secret. */
        bool repeats;
        void (*run)(struct Op *op);
} Route;

extern const Route routes[];
extern const size_t routes_n;

typedef struct RouteMatch {
        const Route *route; /* NULL: there is none */
        size_t n;
        Span names[ROUTE_PARAMS_MAX], params[ROUTE_PARAMS_MAX]; /* still encoded, not empty */
        unsigned allowed; /* without a route: what the path has, bits 1 << HttpMethod */
} RouteMatch;

/* The first row that fits. A final slash says the same as none; HEAD is answered by GET. */
void route_find(HttpMethod method, Span path, RouteMatch *ret);
/* Of the pattern: does `path` fit, and what stands at the names? */
bool route_fits(const char *pattern, Span path, RouteMatch *ret);
