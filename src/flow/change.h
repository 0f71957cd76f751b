/* SPDX-License-Identifier: Apache-2.0
 *
 * Bringing an entity to what it should be: what differs is sent by PATCH, in the format that the
 * target reads (json/patch_format.h); nothing differs: no call. Shared by the steps that do so, and
 * the one place where it is known how a difference is written. */
#pragma once

#include "flow/send.h"
#include "json/patch_format.h"

/* The options of a step that changes. */
typedef struct Change {
        Expr body;
        const Program *program;
        int as; /* index into patch_formats */
} Change;

/* Their rows, for the table of a struct that holds the Change at `at`. */
#define CHANGE_OPTIONS(at)                                                                         \
        {.name = "body",                                                                           \
         .type = OPTION_EXPR,                                                                      \
         .offset = (at) + offsetof(Change, body),                                                  \
         .required = true,                                                                         \
         .help = "A jq expression that gives the members as they should be."},                     \
        {                                                                                          \
                .name = "as", .type = OPTION_CHOICE, .offset = (at) + offsetof(Change, as),        \
                .fallback = "merge", .choices = patch_format_names, .help = change_as_help         \
        }

extern const char change_as_help[];

MUST_CHECK int change_prepare(Build *b, Change *c);

typedef struct ChangeTo {
        const Address *to;
        const char *url;        /* as in Send */
        Span have;              /* the entity as it is; .p NULL or no object: not known */
        Span want;              /* the members as they should be */
        const Program *mapping; /* that made them; NULL: the Change's own */
        const char *verb;       /* as in Send, "Updated" */
        bool (*refused)(Act *a, const ClientAnswer *answer); /* as in Send */
        /* Hears what the target answered to what was sent, .p NULL when it said nothing; or that
         * nothing was sent, since nothing differed, with the entity as it is. */
        void (*then)(Act *a, Span value, bool was_sent);
} ChangeTo;

/* How an entity that is sent whole is written for the same target: its media type. */
const char *change_content_type(const Change *c);
/* And its body: in SCIM without the nulls, since null is unassigned there (RFC 7643 section 2.5)
 * and every server understands an attribute that is not there. .p NULL: there is no room. */
Span change_whole(Act *a, const Change *c, Span body);
/* Sends what differs; a `want` that is no object fails the run. The struct is copied. */
void change_start(Act *a, const Change *c, const ChangeTo *t);
