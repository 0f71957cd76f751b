/* SPDX-License-Identifier: Apache-2.0
 *
 * One request to the API on its way through an operation: found in the table, its caller known,
 * the application and endpoint of its path looked up and checked against the caller, its body and
 * query judged. The operation answers it once, now or after the ledger has spoken; then it is gone.
 *
 * Errors are {"code": "...", "detail": "..."}, what fails the schema is the document's list. */
#pragma once

#include "api/caller.h"

typedef struct Call {
        Admin *admin;
        Exchange *x;
        const Route *route;
        RouteMatch match;
        Arena *arena; /* ends with the call */
        Caller caller;
        Entry *application, *endpoint; /* of the path; NULL where it names none */
        Values query, body;            /* judged; of the route's schemas */
        Span json;                     /* the body */
        LedgerRequest request;         /* the one under way */
        void (*then)(struct Call *c);
        unsigned runs;      /* how often it was begun anew, because another write came between */
        IdemTicket *ticket; /* the answer is kept for repeats */
        void *own;          /* the operation's */
} Call;

/* ---- the path ---- */

/* What stands at {name}, decoded. */
Span call_param(Call *c, const char *name);
int64_t call_application(const Call *c); /* its id */
int64_t call_endpoint(const Call *c);

/* ---- answers: each ends the call ---- */

void call_none(Call *c, int status); /* without a body: 204 */
void call_json(Call *c, int status, const Put *body);
void call_body(Call *c, int status, const char *type, Span body);
void call_error(Call *c, int status, const char *code, const char *detail);
void call_missing(Call *c); /* 404: it is not there, or not the caller's to see */
void call_invalid(Call *c, const Complaints *why); /* 422 */
/* 422 of one member: `where` "body" or "query". `why` may begin with the member's name. */
void call_invalid_at(Call *c, const char *where, const char *member, const char *why);

/* ---- the ledger ---- */

/* Asks, and goes on with `then` when it has answered; a fault is answered with 503. */
void call_ask(Call *c, const LedgerRequest *r, void (*then)(Call *c));

typedef struct ObjectWrite {
        Object object; /* its version is ignored */
        bool removes;
        const Entry *was; /* what it changes: nobody may have written in between. NULL: it is new */
        Span member;      /* of the body: what a 409 is about. Empty: "uid" */
} ObjectWrite;

/* Writes an object, tells the registry and goes on with `then`; the entry is a new reference, NULL
 * when the object was removed. When another write came between, the operation begins anew; a name
 * that is taken is answered with 409, unless `taken` is there: it is told whose it is. */
void call_write(Call *c, const ObjectWrite *w, void (*then)(Call *c, Entry *written),
                void (*taken)(Call *c, int64_t by));

/* The event that {msg_id} names, with its jobs, if it is of the path's application: else 404. */
void call_message(Call *c, void (*then)(Call *c, EventView *v));

/* ---- for admin.c ---- */

void call_begin(Admin *a, Exchange *x, const RouteMatch *m, const Caller *who);
