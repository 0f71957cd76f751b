/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects. Of members of one name the last counts, as everywhere here. */
#include "json/judge.h"

/* One member by each schema that is meant for it. */
static int judge_member(Judge *j, const Rule *rule, Span key, Span value, const JsonPlace *at) {
        const Rule *own = rule_map_find(&rule->members, key);
        bool is_known = own;
        int all = 0;

        if (own && judge_is_over(j, judge(j, own, value, at), &all))
                return all;
        for (size_t i = 0; i < rule->n_patterns; i++) {
                int r = judge_pattern(j, rule->patterns[i].regex, key);

                if (r < 0)
                        return r;
                is_known |= r;
                if (r && judge_is_over(j, judge(j, rule->patterns[i].rule, value, at), &all))
                        return all;
        }
        if (!is_known && rule->rest && rule->rest->is_false) {
                if (judge_is_over(
                            j,
                            judge_violated(j, at, "additionalProperties", "is not expected here"),
                            &all))
                        return all;
        } else if (!is_known && rule->rest &&
                   judge_is_over(j, judge(j, rule->rest, value, at), &all)) {
                return all;
        }
        /* The key with its quotes is the JSON string that is judged. */
        if (rule->names)
                (void)judge_is_over(j, judge(j, rule->names, (Span){key.p - 1, key.n + 2}, at),
                                    &all);
        return all;
}

/* `names`: a list of them; `because`: the raw key of the member that needs them, or .p NULL. */
static int judge_required(Judge *j, const JsonIndex *x, Span names, Span because,
                          const JsonPlace *place) {
        Span key, name;
        int all = 0;

        for (size_t pos = 0; json_next(names, &pos, &key, &name);) {
                Span raw = {name.p + 1, name.n - 2};

                if (judge_work(j, name.n) < 0)
                        return -EMSGSIZE;
                if (json_index_find(x, raw).p)
                        continue;
                int r = because.p ? judge_violated(j, place, "dependentRequired",
                                                   "lacks \"%.*s\", which it needs beside \"%.*s\"",
                                                   raw.n > 60 ? 60 : (int)raw.n, raw.p,
                                                   because.n > 60 ? 60 : (int)because.n, because.p)
                                  : judge_violated(j, place, "required", "lacks \"%.*s\"",
                                                   raw.n > 100 ? 100 : (int)raw.n, raw.p);
                if (judge_is_over(j, r, &all))
                        return all;
        }
        return all;
}

static int judge_dependent(Judge *j, const Rule *rule, const JsonIndex *x, Span object,
                           const JsonPlace *place) {
        Span key, value;
        int all = 0;

        for (size_t pos = 0;
             rule->dependent_required.p && json_next(rule->dependent_required, &pos, &key, &value);)
                if (json_index_find(x, key).p &&
                    judge_is_over(j, judge_required(j, x, value, key, place), &all))
                        return all;
        for (size_t pos = 0;
             rule->dependent.n && json_next(rule->dependent.names.object, &pos, &key, &value);)
                if (json_index_find(x, key).p &&
                    judge_is_over(j, judge(j, rule_map_find(&rule->dependent, key), object, place),
                                  &all))
                        return all;
        return all;
}

static int judge_counts(Judge *j, const Rule *rule, size_t n, const JsonPlace *place) {
        int all = 0;

        if (rule->least_members.p && judge_count(n, rule->least_members) < 0)
                all = judge_violated(j, place, "minProperties", "has %zu members, and needs %.*s",
                                     n, (int)rule->least_members.n, rule->least_members.p);
        if (rule->most_members.p && judge_count(n, rule->most_members) > 0)
                all = judge_violated(j, place, "maxProperties",
                                     "has %zu members, and may have %.*s", n,
                                     (int)rule->most_members.n, rule->most_members.p);
        return all;
}

int judge_object(Judge *j, const Rule *rule, Span object, const JsonPlace *place) {
        AUTO(json_index_done)
        JsonIndex x = {0};
        int all = judge_work(j, object.n);
        Span key, value;
        size_t n = 0;

        if (all < 0)
                return all;
        json_index_init(&x, object);
        for (size_t pos = 0; json_next(object, &pos, &key, &value);) {
                const JsonPlace at = {.up = place, .key = key};

                if (judge_work(j, key.n) < 0)
                        return -EMSGSIZE;
                if (json_index_find(&x, key).p != value.p)
                        continue;
                n++;
                if (judge_is_over(j, judge_member(j, rule, key, value, &at), &all))
                        return all;
        }
        if (judge_is_over(j, judge_counts(j, rule, n, place), &all))
                return all;
        if (rule->required.p &&
            judge_is_over(j, judge_required(j, &x, rule->required, (Span){NULL, 0}, place), &all))
                return all;
        (void)judge_is_over(j, judge_dependent(j, rule, &x, object, place), &all);
        return all;
}
