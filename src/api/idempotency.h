/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers that are given again: a client that did not hear the first one repeats its request under
 * the same Idempotency-Key, on whatever loop. Held in memory, for 12 hours or as long as there is
 * room, and gone with a restart; messages do not rely on it, their keys are in the ledger. */
#pragma once

#include "base/base.h"

enum {
        IDEM_ANSWERS_MAX = 4096,
        IDEM_ANSWER_MAX_BYTES = 16 * 1024, /* larger ones are not kept */
        IDEM_KEY_MAX_BYTES = 256,
};

typedef struct Idempotency Idempotency;
typedef struct IdemTicket IdemTicket; /* the right to be the first of a key */

typedef enum IdemSaid {
        IDEM_FIRST,   /* do it, then idem_end */
        IDEM_AGAIN,   /* here is the answer */
        IDEM_BUSY,    /* the first is still under way */
        IDEM_OTHER,   /* the key was used with another request */
        IDEM_NO_ROOM, /* do it; nothing will be remembered */
} IdemSaid;

typedef struct IdemAnswer {
        int status;
        Span body; /* JSON; copied when kept, and for whom it is told: from malloc, the caller's */
} IdemAnswer;

Idempotency *idem_new(void);
Idempotency *idem_free(Idempotency *m); /* accepts NULL, returns NULL */

/* Any thread. `who` tells callers and operations apart, `key` is the header's, `request` is all
 * that was asked. */
IdemSaid idem_begin(Idempotency *m, Span who, Span key, Span request, int64_t now_ms,
                    IdemTicket **ret, IdemAnswer *ret_answer);
/* The first has its answer: kept when it is final (status below 500, and not 409 or 429), else
 * forgotten. The ticket is gone. Accepts NULL. */
void idem_end(Idempotency *m, IdemTicket *t, const IdemAnswer *answer);
