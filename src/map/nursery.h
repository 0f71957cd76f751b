/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's end of a nursery: starting the process, having programs compiled, asking it for
 * helpers. Not for use by two threads at once. */
#pragma once

#include "map/map.h"

typedef struct Nursery Nursery;

/* Gathers the texts in the form in which nurseries take them (an anonymous file, read by each
 * that is started); *ret_fd is the caller's. */
MUST_CHECK int nursery_texts(const Span *texts, size_t n, int *ret_fd, Err *e);

typedef struct NurseryReport {
        void (*bad)(void *arg, size_t i, const char *message);
        void *arg;
        size_t n; /* texts */
} NurseryReport;

/* Starts `binary` (NULL: this program itself) as a nursery. With a report, waits until all is
 * compiled, about 20 ms for each, calling bad() for those that do not: -EINVAL then. Without one
 * it comes back at once; helpers may be asked for and will come when all is compiled. */
MUST_CHECK int nursery_start(const char *binary, int texts_fd, const NurseryReport *report,
                             Nursery **ret, Err *e);
/* Asks for a helper; *ret_fd is the daemon's end of its stream (non-blocking), which just ends
 * if no helper comes of it. Never blocks. */
MUST_CHECK int nursery_fork(Nursery *n, int *ret_fd, Err *e);
/* Has the process ended? True from before its helpers end with it. */
bool nursery_gone(const Nursery *n);
int nursery_pid(const Nursery *n);
/* Ends the process and its helpers. Accepts NULL, returns NULL. */
Nursery *nursery_stop(Nursery *n);
