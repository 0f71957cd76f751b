/* SPDX-License-Identifier: Apache-2.0 */
#include "json/judge.h"

enum { UNIQUE_FEW = 8 };

typedef struct Hashed {
        uint64_t hash;
        Span value;
} Hashed;

static int by_hash(const void *a, const void *b) {
        uint64_t x = ((const Hashed *)a)->hash, y = ((const Hashed *)b)->hash;

        return (x > y) - (x < y);
}

/* 1 when two of the first n of those that follow in the list are equal. */
static int equal_pair(Judge *j, const Hashed *list, size_t n) {
        for (size_t i = 0; i < n; i++)
                for (size_t k = i + 1; k < n && list[k].hash == list[i].hash; k++) {
                        if (judge_work(j, list[k].value.n) < 0)
                                return -EMSGSIZE;
                        if (json_equal(list[i].value, list[k].value))
                                return 1;
                }
        return 0;
}

static int judge_unique(Judge *j, Span array, size_t n, const JsonPlace *place) {
        Hashed few[UNIQUE_FEW], *list = few;
        AUTO(freep)
        void *many = NULL;
        Span key, value;
        size_t i = 0;
        int r;

        if (n > UNIQUE_FEW) {
                list = many = calloc(n, sizeof *list);
                if (!list)
                        return -ENOMEM;
        }
        for (size_t pos = 0; json_next(array, &pos, &key, &value); i++)
                list[i] = (Hashed){n > UNIQUE_FEW ? json_hash(value) : 0, value};
        if (n > UNIQUE_FEW)
                qsort(list, n, sizeof *list, by_hash);
        r = equal_pair(j, list, n);
        return r == 1 ? judge_violated(j, place, "uniqueItems", "holds the same value twice") : r;
}

static int judge_counts(Judge *j, const Rule *rule, size_t n, size_t hits, const JsonPlace *place) {
        Span least = rule->least_contains.p ? rule->least_contains : SPAN("1");
        int all = 0;

        if (rule->least_items.p && judge_count(n, rule->least_items) < 0)
                all = judge_violated(j, place, "minItems", "has %zu items, and needs %.*s", n,
                                     (int)rule->least_items.n, rule->least_items.p);
        if (rule->most_items.p && judge_count(n, rule->most_items) > 0)
                all = judge_violated(j, place, "maxItems", "has %zu items, and may have %.*s", n,
                                     (int)rule->most_items.n, rule->most_items.p);
        if (!rule->contains)
                return all;
        if (judge_count(hits, least) < 0)
                all = judge_violated(j, place, rule->least_contains.p ? "minContains" : "contains",
                                     "has %zu items of the kind of which it needs %.*s", hits,
                                     (int)least.n, least.p);
        if (rule->most_contains.p && judge_count(hits, rule->most_contains) > 0)
                all = judge_violated(j, place, "maxContains",
                                     "has %zu items of the kind of which it may have %.*s", hits,
                                     (int)rule->most_contains.n, rule->most_contains.p);
        return all;
}

int judge_array(Judge *j, const Rule *rule, Span array, const JsonPlace *place) {
        int all = judge_work(j, array.n);
        Span key, value;
        size_t n = 0, hits = 0;

        if (all < 0)
                return all;
        for (size_t pos = 0; json_next(array, &pos, &key, &value); n++) {
                const JsonPlace at = {.up = place, .index = n};
                const Rule *own = n < rule->prefix.n ? rule->prefix.at[n] : rule->items;

                if (own && judge_is_over(j, judge(j, own, value, &at), &all))
                        return all;
                if (rule->contains) {
                        int r = judge_quietly(j, rule->contains, value, &at);

                        if (r < 0)
                                return r;
                        hits += r == 0;
                }
        }
        if (judge_is_over(j, judge_counts(j, rule, n, hits, place), &all))
                return all;
        if (rule->has_unique_items)
                (void)judge_is_over(j, judge_unique(j, array, n, place), &all);
        return all;
}
