/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers by their decimal value, however they are spelled and however long. */
#pragma once

#include "base/base.h"

/* 0.d1 d2 d3... times ten to the `scale`, d1 not 0; `n` is 0 for zero. */
typedef struct JsonNumber {
        bool is_negative;
        bool is_endless; /* the exponent is beyond +-10^15, and `scale` stops there */
        Span digits;     /* from d1 on, as written: maybe with the point among them */
        size_t n;        /* how many digits up to the last that is not 0 */
        int64_t scale;
} JsonNumber;

/* `text` is a number that has passed json_check. */
JsonNumber json_number(Span text);
/* The same value? Numbers with endless exponents equal only their own spelling. */
bool json_number_equal(Span a, Span b);
/* Would a reader that keeps numbers as IEEE doubles change this one silently: an integer beyond
 * 2^53, whatever its sign, or a number too large for a double? An integer with a point or an
 * exponent comes from a double itself as a rule: it is safe while the double gives its digits
 * back. */
bool json_number_is_unsafe(Span text);
