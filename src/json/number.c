/* SPDX-License-Identifier: Apache-2.0 */
#include "json/number.h"

#include "json/scan.h"

#include "base/table.h"

enum { DOUBLE_MAX_DIGITS = 17 }; /* more are never needed to tell one double from another */

#define EXPONENT_MAX INT64_C(1000000000000000)

/* The value of the exponent after its letter; false when it is beyond what is counted. */
static bool exponent_read(Span s, int64_t *ret) {
        bool is_negative = s.n && s.p[0] == '-', is_counted;
        uint64_t v = EXPONENT_MAX;

        if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
                s = span_from(s, 1);
        while (s.n > 1 && s.p[0] == '0')
                s = span_from(s, 1);
        is_counted = span_to_u64(s, EXPONENT_MAX, &v);
        *ret = is_negative ? -(int64_t)v : (int64_t)v;
        return is_counted;
}

JsonNumber json_number(Span text) {
        JsonNumber d = {0};
        size_t i = 0, first = 0;
        int64_t whole = 0, seen = 0, exponent = 0;
        bool has_point = false;

        if (text.n && text.p[0] == '-') {
                d.is_negative = true;
                text = span_from(text, 1);
        }
        /* `whole` digits stand before the point; `first` is where the first that counts is. */
        for (; i < text.n && (json_is(text.p[i], JSON_DIGIT) || text.p[i] == '.'); i++) {
                if (text.p[i] == '.') {
                        has_point = true;
                        continue;
                }
                whole += !has_point;
                if (seen || text.p[i] != '0') {
                        if (seen++ == 0)
                                first = i;
                        if (text.p[i] != '0')
                                d.n = (size_t)seen;
                }
        }
        if (d.n == 0)
                return d;
        d.digits = (Span){text.p + first, i - first};
        /* Of the digits before `first`, those behind the point are zeros that scale down. */
        d.scale = (int64_t)first < whole ? whole - (int64_t)first : whole + 1 - (int64_t)first;
        if (i < text.n && !exponent_read(span_from(text, i + 1), &exponent))
                d.is_endless = true;
        d.scale += exponent;
        return d;
}

/* The next digit of `digits`, past the point where it stands. */
static char digit_next(Span *digits) {
        char c = digits->p[0];

        *digits = span_from(*digits, 1);
        if (digits->n && digits->p[0] == '.')
                *digits = span_from(*digits, 1);
        return c;
}

/* Compares without signs: negative, 0 or positive as a is less, the same or more. */
static int magnitude_compare(JsonNumber a, JsonNumber b) {
        if (a.n == 0 || b.n == 0)
                return (a.n > 0) - (b.n > 0);
        if (a.scale != b.scale)
                return a.scale < b.scale ? -1 : 1;
        for (size_t i = 0; i < a.n && i < b.n; i++) {
                int difference = digit_next(&a.digits) - digit_next(&b.digits);

                if (difference)
                        return difference;
        }
        return (a.n > b.n) - (a.n < b.n);
}

bool json_number_equal(Span a, Span b) {
        if (span_eq(a, b))
                return true;
        JsonNumber x = json_number(a), y = json_number(b);

        return !x.is_endless && !y.is_endless && (x.is_negative == y.is_negative || x.n == 0) &&
               magnitude_compare(x, y) == 0;
}

int json_number_compare(Span a, Span b) {
        JsonNumber x = json_number(a), y = json_number(b);
        int order;

        if (x.n == 0)
                x.is_negative = false;
        if (y.n == 0)
                y.is_negative = false;
        if (x.is_negative != y.is_negative)
                return x.is_negative ? -1 : 1;
        order = magnitude_compare(x, y);
        return x.is_negative ? -order : order;
}

bool json_number_is_integer(Span text) {
        JsonNumber d = json_number(text);

        return d.n == 0 || d.scale >= (int64_t)d.n;
}

bool json_number_is_divisor(Span divisor) {
        JsonNumber d = json_number(divisor);

        return d.n > 0 && d.n <= JSON_DIVISOR_DIGITS_MAX && !d.is_negative && !d.is_endless;
}

/* The digits as a whole number, modulo m; without modulus for those of a divisor. */
static uint64_t digits_value(JsonNumber d, uint64_t m) {
        uint64_t v = 0;

        for (size_t i = 0; i < d.n; i++) {
                unsigned __int128 next =
                        (unsigned __int128)v * 10 + (unsigned)(digit_next(&d.digits) - '0');

                v = (uint64_t)(m ? next % m : next);
        }
        return v;
}

/* 10 to the e, modulo m. */
static uint64_t power_of_ten(uint64_t e, uint64_t m) {
        unsigned __int128 result = 1 % m, base = 10 % m;

        for (; e; e >>= 1) {
                if (e & 1)
                        result = result * base % m;
                base = base * base % m;
        }
        return (uint64_t)result;
}

bool json_number_divides(Span divisor, Span value) {
        JsonNumber d = json_number(divisor), v = json_number(value);
        int64_t exponent;
        uint64_t m;

        if (v.n == 0)
                return true;
        if (v.is_endless || !json_number_is_divisor(divisor))
                return false;
        /* Both as whole numbers that do not end in 0, times a power of ten each. */
        exponent = (v.scale - (int64_t)v.n) - (d.scale - (int64_t)d.n);
        if (exponent < 0)
                return false;
        m = digits_value(d, 0);
        return (unsigned __int128)digits_value(v, m) * power_of_ten((uint64_t)exponent, m) % m == 0;
}

uint64_t json_number_hash(Span text) {
        JsonNumber d = json_number(text);
        uint64_t facts[2] = {d.is_endless ? 0 : (uint64_t)d.scale, d.n && d.is_negative}, sum;

        sum = hash_bytes((Span){(const char *)facts, d.n ? sizeof facts : 0});
        for (size_t i = 0; !d.is_endless && i < d.n;) {
                char piece[64];
                size_t n = sizeof i;

                memcpy(piece, &i, sizeof i);
                for (; n < sizeof piece && i < d.n; i++)
                        piece[n++] = digit_next(&d.digits);
                sum ^= hash_bytes((Span){piece, n});
        }
        return sum;
}

/* Does the nearest double, printed with as many digits, say the same? The text is put together
 * without a point, which strtod() would look for in the locale. */
static bool double_gives_back(JsonNumber d) {
        char text[64], back[64];
        size_t n = 0;

        if (d.n > DOUBLE_MAX_DIGITS)
                return false;
        for (size_t i = 0; i < d.n; i++)
                text[n++] = digit_next(&d.digits);
        (void)snprintf(text + n, sizeof text - n, "e%" PRId64, d.scale - (int64_t)d.n);
        (void)snprintf(back, sizeof back, "%.*e", (int)d.n - 1, strtod(text, NULL));
        for (size_t i = 0, k = 0; i < d.n; i++, k++) {
                k += !json_is(back[k], JSON_DIGIT);
                if (back[k] != text[i])
                        return false;
        }
        return true;
}

bool json_number_is_unsafe(Span text) {
        const Span most = SPAN("1.7976931348623157e308"), exact = SPAN("9007199254740992");
        bool is_plain = true;
        JsonNumber d;

        /* Shorter than 2^53 and without exponent: nearly every number there is. */
        if (text.n < exact.n && !memchr(text.p, 'e', text.n) && !memchr(text.p, 'E', text.n))
                return false;
        d = json_number(text);
        if (magnitude_compare(d, json_number(most)) > 0)
                return true;
        if (d.scale < (int64_t)d.n || magnitude_compare(d, json_number(exact)) <= 0)
                return false; /* no integer, or a small one */
        for (size_t i = 0; i < text.n && is_plain; i++)
                is_plain = text.p[i] == '-' || json_is(text.p[i], JSON_DIGIT);
        return is_plain || !double_gives_back(d);
}
