/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether an endpoint is sent to in batches, and of what size: the member "batch" of its object,
 *
 *   {"events": 100, "wait": 1000, "bytes": 1048576}
 *
 * A batch goes when it has so many events, or its first has waited so many milliseconds, or the
 * next one's payload would make it larger. Every member may be left out. */
#pragma once

#include "base/base.h"

struct json_t; /* jansson's */

enum {
        BATCHING_EVENTS_MIN = 2,
        /* Their ids are one header's value, of 18 bytes each: many servers take 8 KiB for all
         * headers and no more. */
        BATCHING_EVENTS_MAX = 250,
        BATCHING_EVENTS = 100,
        BATCHING_WAIT_MAX_MS = 60000,
        BATCHING_WAIT_MS = 1000,
        BATCHING_BYTES_MIN = 1024,
        BATCHING_BYTES_MAX = 8 * 1024 * 1024,
        BATCHING_BYTES = 1024 * 1024,
};

typedef struct Batching {
        unsigned events; /* 0: it is sent to one by one */
        int64_t wait_ms;
        size_t bytes; /* of the request's body, but for a single event that is larger */
} Batching;

/* Reads the member; NULL and null are for none. -EINVAL with the sentence, which begins with the
 * member's name. */
MUST_CHECK int batching_read(const struct json_t *from, Batching *ret, Err *e);
