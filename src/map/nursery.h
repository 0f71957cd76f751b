/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's end of a nursery: starting it, having programs compiled, asking for helpers. */
#pragma once

#include "map/map.h"

typedef struct Nursery Nursery;

/* The binary to start; NULL: this program itself. For tests, before any set is sealed. */
void nursery_set_binary(const char *path);

/* Starts the process and has the texts compiled; bad() is called for each that does not. Blocks:
 * about 20 ms a program. 0, -EINVAL when a program is bad, or a fault. */
MUST_CHECK int nursery_start(const Span *texts, size_t n,
                             void (*bad)(void *arg, size_t i, const char *message), void *arg,
                             Nursery **ret, Err *e);
/* Asks for a helper; *ret_fd is the daemon's end of its stream (non-blocking). Any thread. */
MUST_CHECK int nursery_fork(Nursery *n, int *ret_fd, Err *e);
int nursery_pid(const Nursery *n);
/* Ends the process and its helpers. */
Nursery *nursery_stop(Nursery *n);
