/* SPDX-License-Identifier: Apache-2.0 */
#include "config/quantity.h"

typedef struct Unit {
        const char *name;
        int64_t factor;
} Unit;

/* Largest first. */
static const Unit durations[] = {
        {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
static const Unit sizes[] = {
        {"T", (int64_t)1 << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1},
};

static bool parse(Span text, const Unit *units, size_t n, int64_t *ret) {
        size_t digits = 0;
        uint64_t v;

        while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
                digits++;
        for (size_t i = 0; i < n; i++) {
                if (!span_eq(span_from(text, digits), span_of(units[i].name)))
                        continue;
                if (!span_to_u64((Span){text.p, digits}, (uint64_t)(INT64_MAX / units[i].factor),
                                 &v))
                        return false;
                *ret = (int64_t)v * units[i].factor;
                return true;
        }
        return false;
}

static void print(int64_t v, const Unit *units, size_t n, char *ret) {
        size_t i = 0;

        while (i + 1 < n && (v == 0 ? units[i].factor > 1000 : v % units[i].factor != 0))
                i++;
        (void)snprintf(ret, QUANTITY_TEXT, "%" PRId64 "%s", v / units[i].factor, units[i].name);
}

bool duration_parse(Span text, int64_t *ret_ms) {
        return parse(text, durations, COUNT_OF(durations), ret_ms);
}

bool size_parse(Span text, int64_t *ret_bytes) {
        return parse(text, sizes, COUNT_OF(sizes), ret_bytes);
}

bool rate_parse(Span text, Rate *ret) {
        size_t slash = span_find(text, '/');
        Span unit = span_from(text, slash + 1);
        uint64_t count;

        if (slash == text.n || !span_to_u64((Span){text.p, slash}, 1000000000, &count) ||
            count == 0)
                return false;
        for (size_t i = 1; i < 4; i++)
                if (span_eq(unit, span_of(durations[i].name))) {
                        *ret = (Rate){(uint32_t)count, durations[i].factor};
                        return true;
                }
        return false;
}

void duration_print(int64_t ms, char ret[QUANTITY_TEXT]) {
        print(ms, durations, COUNT_OF(durations), ret);
}

void size_print(int64_t bytes, char ret[QUANTITY_TEXT]) {
        print(bytes, sizes, COUNT_OF(sizes), ret);
}
