/* SPDX-License-Identifier: Apache-2.0 */
#include "json/scan.h"

#define P JSON_PLAIN
#define W JSON_BLANK
#define D JSON_DIGIT
#define X JSON_HEX
#define B JSON_BARE

const unsigned char json_bytes[256] = {
        ['\t'] = W,
        ['\n'] = W,
        ['\r'] = W,
        [' '] = P | W,
        ['!'] = P,
        ['#' ... '*'] = P,
        ['+'] = P | B,
        [','] = P,
        ['-' ... '.'] = P | B,
        ['/'] = P,
        ['0' ... '9'] = P | D | X | B,
        [':' ... '@'] = P,
        ['A' ... 'F'] = P | X | B,
        ['G' ... 'Z'] = P | B,
        ['['] = P,
        [']' ... '`'] = P,
        ['a' ... 'f'] = P | X | B,
        ['g' ... 'z'] = P | B,
        ['{' ... 0x7f] = P,
};

/* The first quote or backslash from p on: in checked text the rest need not be told apart. */
static const char *quote_run(const char *p, const char *end) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        while (end - p >= (ptrdiff_t)sizeof(uint64_t)) {
                uint64_t word;

                memcpy(&word, p, sizeof word);
                uint64_t marks = json_marks_of(word, '"') | json_marks_of(word, '\\');
                if (marks)
                        return p + (size_t)__builtin_ctzll(marks) / 8;
                p += sizeof word;
        }
#endif
        while (p < end && *p != '"' && *p != '\\')
                p++;
        return p;
}

const char *json_string_end(const char *p, const char *end) {
        for (;;) {
                p = quote_run(p, end);
                if (p == end || *p == '"')
                        return p;
                if (end - p < 2)
                        return end;
                p += 2;
        }
}

/* The first quote, brace or bracket from p on, outside strings. Braces and brackets differ in one
 * bit, which is set in all bytes first: nothing else in checked text becomes one of them by it. */
static const char *structure_run(const char *p, const char *end) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        const uint64_t ones = UINT64_MAX / 255;

        while (end - p >= (ptrdiff_t)sizeof(uint64_t)) {
                uint64_t word;

                memcpy(&word, p, sizeof word);
                word |= ones * 0x20;
                uint64_t marks = json_marks_of(word, '"') | json_marks_of(word, '{') |
                                 json_marks_of(word, '}');
                if (marks)
                        return p + (size_t)__builtin_ctzll(marks) / 8;
                p += sizeof word;
        }
#endif
        while (p < end && *p != '"' && *p != '{' && *p != '[' && *p != '}' && *p != ']')
                p++;
        return p;
}

static const char *container_end(const char *p, const char *end) {
        size_t depth = 0;

        for (p = structure_run(p, end); p < end; p = structure_run(p, end)) {
                char c = *p++;

                if (c == '"') {
                        p = json_string_end(p, end);
                        p += p < end;
                } else if (c == '{' || c == '[') {
                        depth++;
                } else if (--depth == 0) {
                        return p;
                }
        }
        return end;
}

const char *json_value_end(const char *p, const char *end) {
        if (p == end)
                return end;
        if (*p == '"') {
                p = json_string_end(p + 1, end);
                return p < end ? p + 1 : end;
        }
        if (*p == '{' || *p == '[')
                return container_end(p, end);
        while (p < end && json_is(*p, JSON_BARE))
                p++;
        return p;
}
