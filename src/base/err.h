/* SPDX-License-Identifier: Apache-2.0
 *
 * An error's sentence for a person, written once where the fault is born. The first writer wins;
 * the layers above only return. The edges (log, reply, command line) print it. */
#pragma once

#include <stddef.h>

typedef struct Err {
        int code; /* negative errno of the first FAIL, 0 while nothing failed */
        char text[512];
} Err;

/* Writes the sentence unless one is there already; `e` may be NULL. Returns `code`. */
int err_set(Err *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Puts "prefix: " before the sentence, once the place is known that only an upper layer knows. */
void err_prefix(Err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define FAIL(e, code, ...) err_set((e), (code), __VA_ARGS__)
