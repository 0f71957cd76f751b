/* SPDX-License-Identifier: Apache-2.0
 *
 * The words every other room is written in: spans of outside bytes, errors that travel, locals
 * that clean up after themselves, and promises we make each other.
 *
 * Results: 0 is success, < 0 a fault (a negative errno value, passed up untouched, explained once
 * in an Err), > 0 a named outcome that the direct caller handles. */
#pragma once

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/span.h"

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* AUTO(fn) calls fn(&variable) when the variable leaves its scope; TAKE(variable) hands the value
 * on and leaves NULL behind. Together they make every early return safe. */
#define AUTO(fn) __attribute__((cleanup(fn)))
#define TAKE(var)                                                                                  \
        ({                                                                                         \
                __typeof__(var) taken_ = (var);                                                    \
                (var) = NULL;                                                                      \
                taken_;                                                                            \
        })

#define COUNT_OF(array)                 (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* must(x): a promise of our own code, kept in release builds. Never for what outsiders send. */
#define must(x) ((x) ? (void)0 : must_failed(__FILE__, __LINE__, #x))
_Noreturn void must_failed(const char *file, int line, const char *what);

/* Memory that has to be there: small, bounded allocations whose failure no caller could survive
 * sensibly. They end the process with a line on standard error. Sizes that outsiders choose go
 * through Buf and Arena, which have maxima and return -ENOMEM. */
void *must_alloc(size_t n) __attribute__((malloc, alloc_size(1))); /* zeroed */
char *must_dup(const char *s) __attribute__((malloc));
static inline void freep(void *p) {
        free(*(void **)p);
}
