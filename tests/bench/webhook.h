/* SPDX-License-Identifier: Apache-2.0
 *
 * The webhooks of the generator: the example of the identity service, one user after the other,
 * signed by Standard Webhooks, with the moment of sending in the body ("sent_ns", of now_ns()) and
 * filled up with text to the size that was asked for. */
#pragma once

#include "sign/key.h"

typedef struct Webhook {
        const char *path;
        uint64_t subjects; /* how many users take turns, at least 1 */
        bool wraps;        /* as the payload of a message, {"eventType", "payload"} */
        size_t body_bytes; /* at least; the members that are always there need about 130 */
        SignKey *key;      /* NULL: unsigned */
        char run[17];      /* no two runs make the same message ids */
        Buf body;
} Webhook;

enum { WEBHOOK_BODY_MAX_BYTES = 256 * 1024 };

/* `secret` is "whsec_..." or NULL. The path is borrowed. */
MUST_CHECK int webhook_init(Webhook *w, const char *path, uint64_t subjects, size_t body_bytes,
                            const char *secret, Err *e);
/* Replaces `out` by the whole request for message number `number`. */
void webhook_make(Webhook *w, uint64_t number, int64_t sent_ns, Buf *out);
void webhook_done(Webhook *w);

/* The moment in a body made so, or passed on by whoever received it; -1 when there is none. */
int64_t webhook_sent_ns(Span body);
