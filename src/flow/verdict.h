/* SPDX-License-Identifier: Apache-2.0
 *
 * How an attempt to deliver ended: what becomes of the job, and a code by which people and programs
 * know the reason. Each code is a row of the table, which docs/operating.md is written from. */
#pragma once

#include "engine/engine.h"
#include "net/client.h"

typedef enum DeliveryCode {
        DELIVERY_DELIVERED,
        DELIVERY_FILTERED,
        DELIVERY_REFUSED,
        DELIVERY_GONE,
        DELIVERY_ADDRESS_REFUSED,
        DELIVERY_NAME_UNKNOWN,
        DELIVERY_UNREACHABLE,
        DELIVERY_TLS,
        DELIVERY_TIMEOUT,
        DELIVERY_BROKEN,
        DELIVERY_BAD_ANSWER,
        DELIVERY_MAPPING_FAILED,
        DELIVERY_NOT_SIGNABLE,
        DELIVERY_NO_TOKEN,
        DELIVERY_NO_CONSENT,
        DELIVERY_ENDPOINT_DISABLED,
        DELIVERY_NO_TARGET,
        DELIVERY_CANCELLED,
        DELIVERY_NOT_SENT,
        DELIVERY_LEFT_OUT,
        DELIVERY_CODES,
} DeliveryCode;

extern const struct DeliveryCodeRow { const char *name, *help; } delivery_codes[DELIVERY_CODES];

typedef struct Verdict {
        JobVerdict job;
        int status; /* of the answer; 0: none */
        DeliveryCode code;
        int64_t wait_ms; /* the receiver's Retry-After; -1: none */
        char message[512];
} Verdict;

/* What the end of a POST means. */
Verdict verdict_of(const ClientAnswer *a);
/* Appends the codes as a table in Markdown. */
MUST_CHECK int delivery_codes_print(Buf *out);
