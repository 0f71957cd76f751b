/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/run_code.h"

enum { NUMBER_MAX_BYTES = 10 };

int run_entry_order(const void *a, const void *b) {
        const RunEntry *x = a, *y = b;

        if (x->event != y->event)
                return x->event < y->event ? -1 : 1;
        return x->job < y->job ? -1 : x->job > y->job;
}

static size_t put(unsigned char *at, uint64_t n) {
        size_t used = 0;

        for (; n >= 0x80; n >>= 7)
                at[used++] = (unsigned char)(n | 0x80);
        at[used++] = (unsigned char)n;
        return used;
}

/* False: it is cut off, or more than 64 bits. */
static bool get(Span code, size_t *pos, uint64_t *ret) {
        uint64_t n = 0;

        for (unsigned shift = 0; *pos < code.n && shift < 64; shift += 7) {
                unsigned char c = (unsigned char)code.p[(*pos)++];

                n |= (uint64_t)(c & 0x7f) << shift;
                if (!(c & 0x80)) {
                        *ret = n;
                        return true;
                }
        }
        return false;
}

/* A job's id is near to its event's, on either side: the sign goes into the lowest bit. */
static uint64_t fold(int64_t n) {
        return (uint64_t)n << 1 ^ (uint64_t)(n >> 63);
}

static int64_t unfold(uint64_t n) {
        return (int64_t)(n >> 1 ^ (0 - (n & 1)));
}

int run_code_add(Buf *out, RunEntry before, RunEntry entry, bool with_job) {
        unsigned char bytes[2 * NUMBER_MAX_BYTES];
        size_t n = put(bytes, (uint64_t)entry.event - (uint64_t)before.event);

        if (with_job)
                n += put(bytes + n, fold((int64_t)((uint64_t)entry.job - (uint64_t)entry.event)));
        return buf_add(out, span_make(bytes, n));
}

int run_code_next(Span code, bool with_job, size_t *pos, RunEntry *entry) {
        uint64_t event, job = 0;

        if (*pos == code.n)
                return 0;
        if (!get(code, pos, &event) || (with_job && !get(code, pos, &job)))
                return -EBADMSG;
        entry->event = (int64_t)((uint64_t)entry->event + event);
        entry->job = with_job ? (int64_t)((uint64_t)entry->event + (uint64_t)unfold(job)) : 0;
        return 1;
}
