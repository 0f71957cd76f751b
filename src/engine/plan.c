/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan.h"

#include "map/path.h"
#include "json/check.h"
#include "json/value.h"

struct PlanRule {
        Path path;
        Span *values; /* JSON texts */
        size_t n;
};

/* A scalar as the file writes it, as JSON: quoted ones are texts; plain ones are what they look
 * like, by JSON's rules for numbers, true, false and null, else texts. */
static Span value_of(const Node *scalar, Arena *a) {
        AUTO(buf_done)
        Buf b = BUF(4096);
        Span t = scalar->text;
        JsonFault fault;
        bool is_text = scalar->quoted || json_check(t, JSON_KEYS_MAX, &fault) < 0 ||
                       json_kind(t) >= JSON_STRING;

        if ((is_text ? buf_add_json(&b, t) : buf_add(&b, t)) < 0)
                return (Span){NULL, 0};
        return arena_span(a, buf_span(&b));
}

static int compile_rule(const MatchRule *m, Arena *a, Problems *problems, struct PlanRule *rule) {
        const Node *v = m->values;
        size_t n = v->kind == NODE_LIST ? v->n : 1;

        if (!path_parse_any(m->path.text, &rule->path))
                return problem_add(problems, m->path.place,
                                   "match compares the value at a plain path such as .entityType, "
                                   "not '" SPAN_FMT "'",
                                   SPAN_ARG(m->path.text));
        rule->values = arena_alloc(a, (n + 1) * sizeof *rule->values);
        if (!rule->values)
                return problem_add(problems, v->place, "too many values");
        for (size_t i = 0; i < n; i++) {
                const Node *scalar = v->kind == NODE_LIST ? v->items[i] : v;

                if (scalar->kind != NODE_SCALAR)
                        return problem_add(problems, scalar->place,
                                           "match takes a value or a list of values");
                rule->values[rule->n] = value_of(scalar, a);
                if (!rule->values[rule->n++].p)
                        return problem_add(problems, scalar->place, "the value is too long");
        }
        return 0;
}

int plan_compile(const MatchRule *match, size_t n, Arena *a, Problems *problems, Plan *ret) {
        struct PlanRule *rules = arena_alloc(a, (n + 1) * sizeof *rules);
        int r = 0;

        must(rules);
        for (size_t i = 0; i < n; i++)
                if (compile_rule(&match[i], a, problems, &rules[i]) < 0)
                        r = -EINVAL;
        *ret = (Plan){rules, n};
        return r;
}

bool plan_rule_matches(const Plan *p, size_t i, Span body, Span *ret_value) {
        const struct PlanRule *rule = &p->rules[i];
        Span value = path_follow(&rule->path, 0, body);
        bool hit = false;

        for (size_t k = 0; k < rule->n && !hit && value.p; k++)
                hit = json_equal(value, rule->values[k]);
        *ret_value = value;
        return hit;
}

bool plan_matches(const Plan *p, Span body) {
        Span value;

        for (size_t i = 0; i < p->n; i++)
                if (!plan_rule_matches(p, i, body, &value))
                        return false;
        return true;
}

Span plan_ambiguous(const Plan *p, Span body) {
        for (size_t i = 0; i < p->n; i++) {
                const Path *path = &p->rules[i].path;

                if (path->n && path->part[0].key.p && json_kind(body) == JSON_OBJECT &&
                    json_member_count(body, path->part[0].key) > 1)
                        return path->part[0].key;
        }
        return (Span){NULL, 0};
}
