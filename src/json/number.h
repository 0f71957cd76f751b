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

/* Below 0, 0 or above as a is less than b, the same, or more. Of two with endless exponents only
 * the sign counts and which way the exponent goes. */
int json_number_compare(Span a, Span b);
/* 1.0 and 10e-1 are integers too. */
bool json_number_is_integer(Span text);

/* Divisors with more digits are not divided by. */
enum { JSON_DIVISOR_DIGITS_MAX = 18 };

/* Is `divisor` one that json_number_divides() takes: more than 0, not endless, few digits? */
bool json_number_is_divisor(Span divisor);
/* Is `value` a whole multiple of it? Exact for values of any length, 0.1 of 0.3 too; false for
 * those with endless exponents. */
bool json_number_divides(Span divisor, Span value);
/* One for all spellings of a value. */
uint64_t json_number_hash(Span text);
