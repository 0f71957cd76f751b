/* SPDX-License-Identifier: Apache-2.0
 *
 * Stepping over JSON text by its bytes: what the checker and the readers share. Everything but
 * json_plain_run() takes text that has passed json_check; on other text the steps end early but
 * never leave [p, end). */
#pragma once

#include "json/value.h"

enum {
        JSON_PLAIN = 1, /* stands for itself in a string: ASCII but controls, quote, backslash */
        JSON_BLANK = 2, /* between tokens */
        JSON_DIGIT = 4,
        JSON_HEX = 8,
        JSON_BARE = 16, /* letters, digits, signs and points: numbers, true, false, null */
};

extern const unsigned char json_bytes[256];

static inline bool json_is(char c, unsigned kinds) {
        return json_bytes[(unsigned char)c] & kinds;
}

static inline const char *json_blanks(const char *p, const char *end) {
        while (p < end && json_is(*p, JSON_BLANK))
                p++;
        return p;
}

/* The top bit of each byte of eight that is `c`. Borrows run upwards only, so the lowest mark is
 * never a false one. */
static inline uint64_t json_marks_of(uint64_t word, unsigned char c) {
        const uint64_t ones = UINT64_MAX / 255;
        uint64_t zeros = word ^ ones * c;

        return (zeros - ones) & ~zeros & ones * 0x80;
}

/* The first byte from p on that is not JSON_PLAIN, eight at a time. */
static inline const char *json_plain_run(const char *p, const char *end) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        const uint64_t ones = UINT64_MAX / 255;

        while (end - p >= (ptrdiff_t)sizeof(uint64_t)) {
                uint64_t word;

                memcpy(&word, p, sizeof word);
                uint64_t marks = json_marks_of(word, '"') | json_marks_of(word, '\\') |
                                 (((word - ones * 0x20) | word) & ones * 0x80);
                if (marks)
                        return p + (size_t)__builtin_ctzll(marks) / 8;
                p += sizeof word;
        }
#endif
        while (p < end && json_is(*p, JSON_PLAIN))
                p++;
        return p;
}

/* From after the opening quote to the closing one. */
const char *json_string_end(const char *p, const char *end);
/* From the first byte of a value to the byte after it. */
const char *json_value_end(const char *p, const char *end);
