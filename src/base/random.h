/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/base.h"

/* Bytes from the kernel, for keys, ids and seeds. Ends the process when the kernel has none. */
void random_bytes(void *p, size_t n);

/* A small generator for jitter and simulations: from one seed always the same numbers
 * (splitmix64, Steele and others). Never for secrets. */
typedef struct Rng {
        uint64_t state;
} Rng;

uint64_t rng_next(Rng *r);
/* In [0, below); `below` must not be 0. */
uint64_t rng_below(Rng *r, uint64_t below);
