/* SPDX-License-Identifier: Apache-2.0
 *
 * How often something took how long. Buckets are as wide as 1/64 of what they hold, so that a
 * percentile is at most 1.6 % above the truth, from a nanosecond to half an hour, in 18 KiB. */
#pragma once

#include "base/buf.h"

enum {
        HISTOGRAM_BUCKETS = 64 * 36,
        HISTOGRAM_PRINT_MAX_BYTES = 200,
};

typedef struct Histogram {
        uint64_t n, buckets[HISTOGRAM_BUCKETS];
        int64_t max_ns;
} Histogram;

/* Below 0 counts as 0. */
void histogram_add(Histogram *h, int64_t ns);
/* The duration that `percent` (above 0, up to 100) of all did not exceed; 0 when there are none. */
int64_t histogram_at(const Histogram *h, double percent);
/* Appends {"n":..,"p50_us":..,"p99_us":..,"max_us":..}; outcomes as buf_add. */
MUST_CHECK int histogram_print(const Histogram *h, Buf *out);
