/* SPDX-License-Identifier: Apache-2.0
 *
 * One request to the API on its way through an operation: found in the table, its caller known,
 * the application and endpoint of its path looked up and checked against the caller, its body and
 * query judged. The operation answers it once, now or after the ledger has spoken; then it is gone.
 *
 * Errors are {"code": "...", "detail": "..."}, what fails the schema is the document's list. */
#pragma once

#include "api/caller.h"

typedef struct Op {
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
        void (*then)(struct Op *op);
        unsigned runs;      /* how often it was begun anew, because another write came between */
        IdemTicket *ticket; /* the answer is kept for repeats */
        void (*after)(struct Op *op); /* the operation's */
        void (*with_message)(struct Op *op, EventView *v);
        void *own;  /* of what is under way in the ledger */
        void *mine; /* the operation's */
} Op;

/* ---- the path ---- */

/* What stands at {name}, decoded. */
Span op_param(Op *op, const char *name);
/* The Idempotency-Key, .p NULL when there is none; false when it is malformed. */
bool op_idempotency_key(const Op *op, Span *ret);
/* Its traceparent; .p NULL for none, and for what is none (W3C Trace Context). */
Span op_trace(const Op *op);
/* One more than its Grapnel-Depth says, 0 without one. False with a complaint when it is no number,
 * or so many led to this one that it is taken for a loop. */
bool op_depth(const Op *op, int64_t *ret, Complaints *c);
bool op_depth_fits(int64_t depth, const Where *at, Complaints *c);
int64_t op_application(const Op *op); /* its id */
int64_t op_endpoint(const Op *op);

/* ---- answers: each ends the call ---- */

void op_none(Op *op, int status); /* without a body: 204 */
void op_json(Op *op, int status, const Put *body);
void op_body(Op *op, int status, const char *type, Span body);
void op_error(Op *op, int status, const char *code, const char *detail);
void op_missing(Op *op);     /* 404: it is not there, or not the caller's to see */
void op_in_the_file(Op *op); /* 409: the API does not change what the file declares */
void op_invalid(Op *op, const Complaints *why); /* 422 */
/* 422 of one member: `where` "body" or "query". `why` may begin with the member's name. */
void op_invalid_at(Op *op, const char *where, const char *member, const char *why);

/* ---- the ledger ---- */

/* Asks, and goes on with `then` when it has answered; a fault is answered with 503. */
void op_ask(Op *op, const LedgerRequest *r, void (*then)(Op *op));

typedef struct ObjectWrite {
        Object object; /* its spans stay until it is written; text.p NULL: it is too large */
        bool removes;
        const Entry *was; /* what it changes: nobody may have written in between. NULL: it is new */
} ObjectWrite;

/* For an object that is new. */
int64_t op_new_id(Op *op);
/* Begins the operation anew, on what the registry holds now: others' writes came between. */
void op_again(Op *op);

/* Writes an object, tells the registry and goes on with `then`; the entry is a new reference, NULL
 * when the object was removed. When another write came between, the operation begins anew; a name
 * that is taken is answered with 409, unless `taken` is there: it is told whose it is. */
void op_write(Op *op, const ObjectWrite *w, void (*then)(Op *op, Entry *written),
              void (*taken)(Op *op, int64_t by));

/* Removes an object by the way: the operation does not wait for it. */
void op_remove_aside(Op *op, const Entry *e);

/* The event that {msg_id} names, with its jobs, if it is of the path's application: else 404. The
 * view is the operation's to free. */
void op_message(Op *op, void (*then)(Op *op, EventView *v));

/* ---- for admin.c ---- */

void op_begin(Admin *a, Exchange *x, const RouteMatch *m, const Caller *who);
