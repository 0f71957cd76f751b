/* SPDX-License-Identifier: Apache-2.0
 *
 * What the steps that write share: a body made by an expression, sent, and remembered for the
 * message that a person reads. */
#pragma once

#include "flow/exchange.h"

typedef struct Send {
        const char *method;
        const Address *to;
        const char *url;          /* whole, instead of what `to` says; NULL: what it says */
        Span body;                /* .p NULL for none */
        const char *content_type; /* of the body */
        const Program *mapping;   /* that made the body; NULL for none */
        /* What a person hears when this changes something at the target: "Updated", and the members
         * of the object `told`. NULL for a call that changes nothing. */
        const char *verb;
        Span told;
        /* As in exchange_catch; NULL: every refusal fails the run. */
        bool (*refused)(Act *a, const ClientAnswer *answer);
        /* Hears the answer with its JSON, .p NULL when it has no body; NULL: that is the step's
         * value. */
        void (*then)(Act *a, const ClientAnswer *answer, Span value);
} Send;

/* Sends it. The struct is copied. */
void send_start(Act *a, const Send *s);
/* Nothing had to be sent: counts as unchanged. */
void send_unchanged(Act *a, const Target *target);
