/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers with a unit, as people write them: 250ms, 8M, 50/s. One number, one unit, no blanks, no
 * fractions. */
#pragma once

#include "config/option.h"

/* 250ms, 3s, 5m, 2h, 7d; false for anything else, a bare number included. */
bool duration_parse(Span text, int64_t *ret_ms);
/* 512, 64K, 8M, 1G, 2T: powers of 1024. */
bool size_parse(Span text, int64_t *ret_bytes);
/* 50/s, 100/m, 1000/h: at least 1, at most a thousand million. */
bool rate_parse(Span text, Rate *ret);

enum { QUANTITY_TEXT = 32 };
/* In the largest unit that needs no fraction. */
void duration_print(int64_t ms, char ret[QUANTITY_TEXT]);
void size_print(int64_t bytes, char ret[QUANTITY_TEXT]);
