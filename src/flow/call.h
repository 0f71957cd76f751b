/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP call of an act to a connection: waits for a permit of the connection's limit, gets the
 * credentials, asks the connection's breaker, dials, and once, after a 401 under OAuth2, gets a
 * fresh token and dials again. */
#pragma once

#include "flow/snapshot.h"
#include "net/client.h"

typedef struct Act Act;

typedef enum CallPhase {
        CALL_IDLE,
        CALL_PERMIT, /* waiting for the limit */
        CALL_TOKEN,
        CALL_DIALLING,
        CALL_TAKEN, /* by the run's dialler */
} CallPhase;

struct CallQueue;
struct TokenAsk;

typedef struct Call {
        Act *act;
        const Target *target;
        const char *method;
        const char *url;          /* whole, in the run's arena */
        const char *content_type; /* of the body, NULL for none */
        Span body;
        const HttpHeader *more; /* further headers of the step */
        size_t n_more;
        void (*then)(Act *a, const ClientAnswer *answer);

        /* The call's own. */
        CallPhase phase;
        bool permit, second_try;
        BreakerAnswer leave; /* of the breaker, while dialling */
        bool is_hurried;     /* it has less than half the time that the connection would leave it */
        int64_t away_ms;     /* out: > 0 when the breaker refused, and for how long */
        Link link;           /* in the connection's queue */
        HeapNode due;        /* for the rate */
        struct TokenAsk *token;
        Span token_used;
        ClientCall client;
        HttpHeader headers[HTTP_HEADERS_MAX];
} Call;

/* What a program that was not run is taken to have said. */
typedef struct ProgramSaid {
        int status; /* its exit status */
        Span output;
} ProgramSaid;

/* Who answers a run's calls in place of the network: mocks, or the pretence of a rehearsal. Asked
 * on the run's loop. */
typedef struct Dialler {
        void *self;
        /* Takes the call, or leaves it to the network. A call that is taken needs no permit, token
         * or breaker; its `client` is filled in, all but a token. It ends by one call_answer, never
         * from within. */
        bool (*take)(void *self, Call *c);
        void (*drop)(void *self, Call *c); /* a taken one was cancelled: it is answered no more */
        /* A line for a file ("log"), or an event ("emit"), told in place of being made: `to` is the
         * file, or the event's type. */
        void (*note)(void *self, const Act *a, const char *verb, Span to, Span value);
        /* A program, told in place of being run: `words` ends with NULL, what it would have said is
         * lent until the step has read it. */
        void (*execute)(void *self, const Act *a, char *const *words, Span input, ProgramSaid *ret);
} Dialler;

/* The answer to a call that was taken. */
void call_answer(Call *c, const ClientAnswer *a);

/* Starts a->call as filled in above. `then` is called with whatever the answer is: also for a
 * refused gate, no connection, no token (end CLIENT_FAULT with the sentence). */
void call_start(Act *a);
/* Ends it without calling `then`. */
void call_cancel(Call *c);
/* Starts those in the queue that may go now. `now_us` is monotonic. */
void call_poke_queue(struct CallQueue *q, int64_t now_us);
