/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of code points: the classes of a pattern, and its escapes. */
#include "json/regex_node.h"

enum { RANGES_MAX = 256, POINT_MAX = 0x10ffff };

int regex_refuse(const RegexReader *r, const char *why) {
        return FAIL(r->e, -EINVAL, "the pattern '%.*s' has %s at character %zu",
                    r->pattern.n > 100 ? 100 : (int)r->pattern.n, r->pattern.p, why,
                    (size_t)(r->p - r->pattern.p) + 1);
}

int regex_no_room(const RegexReader *r) {
        return FAIL(r->e, -ENOMEM, "the pattern is too large");
}

unsigned regex_point_take(RegexReader *r) {
        JsonReader one = {.p = r->p, .end = r->end};
        int c;

        if ((unsigned char)*r->p < 0x80) /* a backslash stands for itself here */
                return (unsigned char)*r->p++;
        c = regex_point(&one);
        r->p = one.p;
        return (unsigned)c;
}

static const RegexRange digits[] = {{'0', '9'}};
static const RegexRange words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const RegexRange blanks[] = {
        {'\t', '\r'},     {' ', ' '},       {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
        {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
static const RegexRange line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

const RegexClass regex_any = {true, line_ends, COUNT_OF(line_ends)};

/* \d \D \w \W \s \S */
bool regex_named_set(char c, RegexClass *ret) {
        bool is_negated = c >= 'A' && c <= 'Z';

        switch (c | 0x20) {
        case 'd':
                *ret = (RegexClass){is_negated, digits, COUNT_OF(digits)};
                return true;
        case 'w':
                *ret = (RegexClass){is_negated, words, COUNT_OF(words)};
                return true;
        case 's':
                *ret = (RegexClass){is_negated, blanks, COUNT_OF(blanks)};
                return true;
        default:
                return false;
        }
}

static bool hex_take(RegexReader *r, size_t n, unsigned *ret) {
        *ret = 0;
        for (size_t i = 0; i < n; i++, r->p++) {
                if (r->p == r->end || !json_is(*r->p, JSON_HEX))
                        return false;
                *ret = *ret << 4 |
                       (json_is(*r->p, JSON_DIGIT) ? (unsigned)(*r->p - '0')
                                                   : (unsigned)((*r->p | 0x20) - 'a') + 10);
        }
        return true;
}

/* After \u: four digits, two halves of four, or {...}. */
static int unicode_take(RegexReader *r, unsigned *ret) {
        static const char why[] = "\\u without its hexadecimal digits";
        unsigned low;

        if (regex_take(r, '{')) {
                size_t n = 0;

                while (r->p + n < r->end && json_is(r->p[n], JSON_HEX))
                        n++;
                if (n == 0 || n > 6 || !hex_take(r, n, ret) || !regex_take(r, '}') ||
                    *ret > POINT_MAX)
                        return regex_refuse(r, why);
                return 0;
        }
        if (!hex_take(r, 4, ret))
                return regex_refuse(r, why);
        if (*ret >= 0xd800 && *ret < 0xdc00 && r->end - r->p >= 6 && r->p[0] == '\\' &&
            r->p[1] == 'u') {
                const char *before = r->p;

                r->p += 2;
                if (hex_take(r, 4, &low) && low >= 0xdc00 && low < 0xe000)
                        *ret = 0x10000 + ((*ret - 0xd800) << 10) + (low - 0xdc00);
                else
                        r->p = before;
        }
        return 0;
}

/* After the backslash, an escape that stands for one code point. */
int regex_escape_take(RegexReader *r, unsigned *ret) {
        static const char controls[] = "tnvfr", stands_for[] = "\t\n\v\f\r";
        const char *found;
        char c;

        if (r->p == r->end)
                return regex_refuse(r, "a backslash without what it escapes");
        c = *r->p;
        if ((found = memchr(controls, c, sizeof controls - 1))) {
                r->p++;
                *ret = (unsigned char)stands_for[found - controls];
                return 0;
        }
        if (c && strchr("^$\\.*+?()[]{}|/-", c)) {
                r->p++;
                *ret = (unsigned char)c;
                return 0;
        }
        if (c == 'p' || c == 'P')
                return regex_refuse(r,
                                    "\\p{...}, which is not supported: write the characters as a "
                                    "class,");
        if ((c >= '1' && c <= '9') || c == 'k')
                return regex_refuse(r, "a reference back to a group, which is not supported,");
        if (c == '0' && (r->p + 1 == r->end || !json_is(r->p[1], JSON_DIGIT))) {
                r->p++;
                *ret = 0;
                return 0;
        }
        if (c == 'c' && r->end - r->p > 1 && ((r->p[1] | 0x20) >= 'a' && (r->p[1] | 0x20) <= 'z')) {
                *ret = (unsigned char)r->p[1] & 0x1f;
                r->p += 2;
                return 0;
        }
        if (c == 'u' || c == 'x') {
                r->p++;
                if (c == 'u')
                        return unicode_take(r, ret);
                return hex_take(r, 2, ret) ? 0
                                           : regex_refuse(r, "\\x without its hexadecimal digits");
        }
        return regex_refuse(r, "an escape that does not exist");
}

/* The ranges of a class while it is read. */
typedef struct Ranges {
        RegexRange at[RANGES_MAX];
        size_t n;
} Ranges;

static int ranges_add(const RegexReader *r, Ranges *to, unsigned from, unsigned last) {
        if (to->n == RANGES_MAX)
                return regex_refuse(r, "a class of too many parts");
        to->at[to->n++] = (RegexRange){from, last};
        return 0;
}

static int ranges_add_set(const RegexReader *r, Ranges *to, const RegexClass *set) {
        unsigned from = 0;
        int err = 0;

        for (size_t i = 0; err == 0 && i < set->n; i++) {
                if (!set->is_negated)
                        err = ranges_add(r, to, set->ranges[i].from, set->ranges[i].to);
                else if (set->ranges[i].from > from) /* the sets by name are in order */
                        err = ranges_add(r, to, from, set->ranges[i].from - 1);
                from = set->ranges[i].to + 1;
        }
        return err == 0 && set->is_negated ? ranges_add(r, to, from, POINT_MAX) : err;
}

/* One member of a class: a code point into *ret, or a set that is added (*ret_set). */
static int member_take(RegexReader *r, Ranges *to, unsigned *ret, bool *ret_set) {
        RegexClass set;

        *ret_set = false;
        if (!regex_take(r, '\\')) {
                *ret = regex_point_take(r);
                return 0;
        }
        if (r->p < r->end && regex_named_set(*r->p, &set)) {
                r->p++;
                *ret_set = true;
                return ranges_add_set(r, to, &set);
        }
        if (regex_take(r, 'b')) {
                *ret = '\b';
                return 0;
        }
        return regex_escape_take(r, ret);
}

/* After '['. */
int regex_class_take(RegexReader *r, RegexClass *ret) {
        Ranges ranges = {.n = 0};
        bool is_negated = regex_take(r, '^');
        RegexRange *kept;

        while (!regex_take(r, ']')) {
                unsigned from, last;
                bool is_set, ends_in_set = false;
                int err = r->p == r->end ? regex_refuse(r, "a class that does not end")
                                         : member_take(r, &ranges, &from, &is_set);

                if (err < 0)
                        return err;
                last = from;
                if (regex_at(r, '-') && r->end - r->p > 1 && r->p[1] != ']') {
                        r->p++;
                        err = member_take(r, &ranges, &last, &ends_in_set);
                        if (err == 0 && (is_set || ends_in_set || last < from))
                                err = regex_refuse(r, "a range that is none");
                }
                if (err == 0 && !is_set)
                        err = ranges_add(r, &ranges, from, last);
                if (err < 0)
                        return err;
        }
        kept = arena_alloc(r->arena, (ranges.n + 1) * sizeof *kept);
        if (!kept)
                return regex_no_room(r);
        memcpy(kept, ranges.at, ranges.n * sizeof *kept);
        *ret = (RegexClass){is_negated, kept, ranges.n};
        return 0;
}
