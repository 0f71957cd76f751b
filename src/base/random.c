/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <sys/random.h>

void random_bytes(void *p, size_t n) {
        char *at = p;

        while (n) {
                ssize_t got = getrandom(at, n, 0);

                if (got < 0 && errno == EINTR)
                        continue;
                must(got > 0);
                at += got;
                n -= (size_t)got;
        }
}

uint64_t rng_next(Rng *r) {
        uint64_t z = r->state += 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
}

uint64_t rng_below(Rng *r, uint64_t below) {
        must(below > 0);
        return (uint64_t)(((unsigned __int128)rng_next(r) * below) >> 64);
}
