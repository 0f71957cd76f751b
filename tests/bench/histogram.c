/* SPDX-License-Identifier: Apache-2.0 */
#include "histogram.h"

enum { SHARP = 64, EXACT = 2 * SHARP };

#define LONGEST_NS (((int64_t)1 << 41) - 1)

/* Up to EXACT each number has a bucket; after that every power of two has SHARP of them. */
static size_t bucket_of(int64_t ns) {
        if (ns < EXACT)
                return (size_t)ns;
        int shift = 63 - __builtin_clzll((uint64_t)ns) - 6;
        return (size_t)shift * SHARP + (size_t)(ns >> shift);
}

static int64_t bucket_end(size_t i) {
        if (i < EXACT)
                return (int64_t)i;
        size_t shift = i / SHARP - 1;
        return ((int64_t)(i - shift * SHARP + 1) << shift) - 1;
}

void histogram_add(Histogram *h, int64_t ns) {
        ns = ns < 0 ? 0 : ns > LONGEST_NS ? LONGEST_NS : ns;
        h->buckets[bucket_of(ns)]++;
        h->n++;
        if (ns > h->max_ns)
                h->max_ns = ns;
}

int64_t histogram_at(const Histogram *h, double percent) {
        double wanted = (double)h->n * percent / 100;
        uint64_t seen = 0;

        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
                seen += h->buckets[i];
                if (seen > 0 && (double)seen >= wanted)
                        return bucket_end(i) < h->max_ns ? bucket_end(i) : h->max_ns;
        }
        return h->max_ns;
}

int histogram_print(const Histogram *h, Buf *out) {
        return buf_addf(out, "{\"n\":%" PRIu64 ",\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}",
                        h->n, (double)histogram_at(h, 50) / 1000,
                        (double)histogram_at(h, 99) / 1000, (double)h->max_ns / 1000);
}
