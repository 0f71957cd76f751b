/* SPDX-License-Identifier: Apache-2.0
 *
 * unevaluatedItems and unevaluatedProperties. Nothing is noted while a value is judged; when one
 * of the two asks, it is looked up which schemas speak of a member or item, and of those that
 * need not fit (anyOf, if) again whether they do. */
#include "json/judge.h"

/* A member or an item of the container. */
typedef struct Part {
        Span container, key, value; /* key: of a member, else .p NULL */
        size_t index;
        const JsonPlace *place; /* of the container */
} Part;

static int is_evaluated(Judge *j, const Rule *rule, const Part *part, bool is_asking);

/* By the keywords that name members. */
static int is_named_member(Judge *j, const Rule *rule, const Part *part) {
        if (rule->rest || rule_map_find(&rule->members, part->key))
                return 1;
        for (size_t i = 0; i < rule->n_patterns; i++) {
                int r = judge_pattern(j, rule->patterns[i].regex, part->key);

                if (r != 0)
                        return r;
        }
        return 0;
}

static int is_named_item(Judge *j, const Rule *rule, const Part *part) {
        const JsonPlace at = {.up = part->place, .index = part->index};
        int r;

        if (rule->items || part->index < rule->prefix.n)
                return 1;
        if (!rule->contains)
                return 0;
        r = judge_quietly(j, rule->contains, part->value, &at);
        return r < 0 ? r : r == 0;
}

/* By one that need not fit, if it does. */
static int by_one(Judge *j, const Rule *rule, const Part *part) {
        int r = judge_quietly(j, rule, part->container, part->place);

        return r == 0 ? is_evaluated(j, rule, part, false) : r < 0 ? r : 0;
}

static int by_any(Judge *j, const RuleList *list, const Part *part) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < list->n; i++)
                r = by_one(j, list->at[i], part);
        return r;
}

static int by_if(Judge *j, const Rule *rule, const Part *part) {
        int fits = judge_quietly(j, rule->iff, part->container, part->place), r = 0;
        const Rule *next = fits == 0 ? rule->then : rule->otherwise;

        if (fits < 0)
                return fits;
        if (fits == 0)
                r = is_evaluated(j, rule->iff, part, false);
        return r == 0 && next ? is_evaluated(j, next, part, false) : r;
}

static int by_dependent(Judge *j, const Rule *rule, const Part *part) {
        Span key, value;
        int r = 0;

        if (!part->key.p || rule->dependent.n == 0)
                return 0;
        AUTO(json_index_done)
        JsonIndex x = {0};
        json_index_init(&x, part->container);
        for (size_t pos = 0; r == 0 && json_next(rule->dependent.names.object, &pos, &key, &value);)
                if (json_index_find(&x, key).p)
                        r = is_evaluated(j, rule_map_find(&rule->dependent, key), part, false);
        return r;
}

/* 1, 0, or a fault. `is_asking`: it is the rule whose unevaluated... is being judged. */
static int is_evaluated(Judge *j, const Rule *rule, const Part *part, bool is_asking) {
        int r = judge_work(j, 0);

        if (r < 0)
                return r;
        if (!is_asking && (part->key.p ? rule->unevaluated_members : rule->unevaluated_items))
                return 1;
        r = part->key.p ? is_named_member(j, rule, part) : is_named_item(j, rule, part);
        if (r == 0 && rule->ref)
                r = is_evaluated(j, rule->ref, part, false);
        for (size_t i = 0; r == 0 && i < rule->all_of.n; i++)
                r = is_evaluated(j, rule->all_of.at[i], part, false);
        if (r == 0)
                r = by_any(j, &rule->any_of, part);
        if (r == 0)
                r = by_any(j, &rule->one_of, part);
        if (r == 0 && rule->iff)
                r = by_if(j, rule, part);
        return r == 0 ? by_dependent(j, rule, part) : r;
}

static int judge_rest(Judge *j, const Rule *rule, const Rule *rest, Span value,
                      const JsonPlace *place) {
        AUTO(json_index_done)
        JsonIndex x = {0};
        bool is_member = json_kind(value) == JSON_OBJECT;
        Part part = {.container = value, .place = place};
        int all = 0;

        json_index_init(&x, value);
        for (size_t pos = 0; json_next(value, &pos, &part.key, &part.value); part.index++) {
                JsonPlace at = {.up = place, .index = part.index};

                if (!is_member)
                        part.key = (Span){NULL, 0};
                else if (json_index_find(&x, part.key).p != part.value.p)
                        continue; /* a later one of this name counts */
                at.key = part.key;
                int r = is_evaluated(j, rule, &part, true);
                if (r < 0)
                        return r;
                if (r)
                        continue;
                r = rest->is_false ? judge_violated(j, &at,
                                                    is_member ? "unevaluatedProperties"
                                                              : "unevaluatedItems",
                                                    "is not expected here")
                                   : judge(j, rest, part.value, &at);
                if (judge_is_over(j, r, &all))
                        return all;
        }
        return all;
}

int judge_unevaluated(Judge *j, const Rule *rule, Span value, const JsonPlace *place) {
        JsonKind kind = json_kind(value);
        const Rule *rest = kind == JSON_OBJECT  ? rule->unevaluated_members
                           : kind == JSON_ARRAY ? rule->unevaluated_items
                                                : NULL;

        return rest ? judge_rest(j, rule, rest, value, place) : 0;
}
