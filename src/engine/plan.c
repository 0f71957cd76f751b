/* SPDX-License-Identifier: Apache-2.0
 *
 * A rule becomes steps to walk and values as JSON text to compare with. What was written unquoted
 * and reads as a JSON number, true, false or null is that; all else is text. */
#include "engine/plan.h"

#include "json/check.h"
#include "json/value.h"

enum { PLAN_MAX_BYTES = 1024 * 1024, PLAN_STEPS_MAX = 32, PLAN_VALUE_MAX_BYTES = 64 * 1024 };

typedef struct PlanStep {
        Span key; /* decoded; .p NULL: the step is an index */
        size_t index;
} PlanStep;

typedef struct PlanRule {
        PlanStep *steps;
        size_t n_steps;
        Span *values; /* JSON texts */
        size_t n_values;
} PlanRule;

struct Plan {
        Arena *arena;
        Span *sources;
        size_t n_sources;
        PlanRule *rules;
        size_t n_rules;
};

static bool is_word_char(char c, bool first) {
        return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               (!first && c >= '0' && c <= '9');
}

/* Takes one name off the front. */
static bool take_word(Span *rest, Span *ret) {
        size_t n = 0;

        while (n < rest->n && is_word_char(rest->p[n], n == 0))
                n++;
        *ret = (Span){rest->p, n};
        *rest = span_from(*rest, n);
        return n > 0;
}

/* Takes one JSON string off the front and decodes it. */
static bool take_string(Arena *a, Span *rest, Span *ret) {
        AUTO(buf_done)
        Buf text = BUF(PLAN_VALUE_MAX_BYTES);
        JsonFault fault;
        size_t n = 1;

        if (rest->n < 2 || rest->p[0] != '"')
                return false;
        while (n < rest->n && rest->p[n] != '"')
                n += rest->p[n] == '\\' ? 2 : 1;
        if (n >= rest->n)
                return false;
        Span whole = {rest->p, n + 1};
        if (json_check(whole, JSON_KEYS_MAX, &fault) < 0 || json_text(whole, &text) < 0)
                return false;
        *ret = arena_span(a, buf_span(&text));
        *rest = span_from(*rest, n + 1);
        return ret->p;
}

/* What stands between brackets: a string or an index. */
static bool take_bracket(Arena *a, Span *rest, PlanStep *ret) {
        size_t end;
        uint64_t index;

        *rest = span_from(*rest, 1);
        if (rest->n && rest->p[0] == '"') {
                if (!take_string(a, rest, &ret->key))
                        return false;
        } else {
                end = span_find(*rest, ']');
                if (!span_to_u64((Span){rest->p, end}, UINT32_MAX, &index))
                        return false;
                ret->index = (size_t)index;
                *rest = span_from(*rest, end);
        }
        if (rest->n == 0 || rest->p[0] != ']')
                return false;
        *rest = span_from(*rest, 1);
        return true;
}

static bool take_step(Arena *a, Span *rest, PlanStep *ret, bool first) {
        bool dotted = rest->p[0] == '.';

        if (!dotted && (first || rest->p[0] != '['))
                return false;
        if (dotted)
                *rest = span_from(*rest, 1);
        if (rest->n == 0)
                return false;
        if (rest->p[0] == '[')
                return take_bracket(a, rest, ret);
        if (rest->p[0] == '"')
                return take_string(a, rest, &ret->key);
        return take_word(rest, &ret->key) && (ret->key = arena_span(a, ret->key)).p;
}

static int compile_path(Arena *a, const Expr *path, PlanRule *rule, Err *e) {
        Span rest = span_trim(path->text, " \t\r\n");

        rule->steps = arena_alloc(a, PLAN_STEPS_MAX * sizeof *rule->steps);
        if (!rule->steps)
                return FAIL(e, -ENOMEM, "the rules of `match` are too large");
        if (span_eq(rest, SPAN(".")))
                return 0; /* the body itself */
        do {
                if (rest.n == 0 || rule->n_steps == PLAN_STEPS_MAX ||
                    !take_step(a, &rest, &rule->steps[rule->n_steps], rule->n_steps == 0))
                        return FAIL(e, -EINVAL,
                                    "`match` compares plain paths such as .entityType or .a.b, "
                                    "not " SPAN_FMT,
                                    SPAN_ARG(path->text));
                rule->n_steps++;
        } while (rest.n > 0);
        return 0;
}

static int compile_value(Arena *a, const Node *node, Span *ret, Err *e) {
        AUTO(buf_done)
        Buf text = BUF(PLAN_VALUE_MAX_BYTES);
        JsonFault fault;

        if (node->kind != NODE_SCALAR)
                return FAIL(e, -EINVAL, "`match` compares with a scalar or a list of scalars");
        bool is_text = node->quoted || json_check(node->text, JSON_KEYS_MAX, &fault) < 0 ||
                       json_kind(node->text) >= JSON_STRING;
        int r = is_text ? buf_add_json(&text, node->text) : buf_add(&text, node->text);
        if (r < 0)
                return FAIL(e, r, "a value of `match` is too long");
        *ret = arena_span(a, buf_span(&text));
        return ret->p ? 0 : FAIL(e, -ENOMEM, "the rules of `match` are too large");
}

static int compile_rule(Arena *a, const MatchRule *from, PlanRule *rule, Err *e) {
        const Node *values = from->values;
        int r = compile_path(a, &from->path, rule, e);

        if (r < 0)
                return r;
        rule->n_values = values->kind == NODE_LIST ? values->n : 1;
        rule->values = arena_alloc(a, (rule->n_values + 1) * sizeof *rule->values);
        if (!rule->values)
                return FAIL(e, -ENOMEM, "the rules of `match` are too large");
        for (size_t i = 0; r == 0 && i < rule->n_values; i++)
                r = compile_value(a, values->kind == NODE_LIST ? values->items[i] : values,
                                  &rule->values[i], e);
        return r;
}

static int compile(Plan *p, const FlowConfig *flow, Err *e) {
        int r = 0;

        p->sources = arena_alloc(p->arena, (flow->n_on + 1) * sizeof *p->sources);
        p->rules = arena_alloc(p->arena, (flow->n_match + 1) * sizeof *p->rules);
        if (!p->sources || !p->rules)
                return FAIL(e, -ENOMEM, "the rules of `match` are too large");
        for (size_t i = 0; i < flow->n_on; i++, p->n_sources++) {
                p->sources[i] = arena_span(p->arena, span_of(flow->on[i]));
                if (!p->sources[i].p)
                        return FAIL(e, -ENOMEM, "the sources of `on` are too many");
        }
        for (size_t i = 0; r == 0 && i < flow->n_match; i++, p->n_rules++)
                r = compile_rule(p->arena, &flow->match[i], &p->rules[i], e);
        return r;
}

static void plan_freep(Plan **p) {
        *p = plan_free(*p);
}

int plan_new(const FlowConfig *flow, Plan **ret, Err *e) {
        AUTO(plan_freep)
        Plan *p = must_alloc(sizeof *p);
        int r;

        p->arena = arena_new(PLAN_MAX_BYTES);
        r = compile(p, flow, e);
        if (r < 0)
                return r;
        *ret = TAKE(p);
        return 0;
}

Plan *plan_free(Plan *p) {
        if (p)
                arena_free(p->arena);
        free(p);
        return NULL;
}

static bool rule_holds(const PlanRule *rule, Span body) {
        Span at = body;

        for (size_t i = 0; i < rule->n_steps && at.p; i++) {
                const PlanStep *step = &rule->steps[i];

                at = step->key.p ? json_member(at, step->key) : json_element(at, step->index);
        }
        if (!at.p)
                at = SPAN("null"); /* as in jq */
        for (size_t i = 0; i < rule->n_values; i++)
                if (json_equal(at, rule->values[i]))
                        return true;
        return false;
}

bool plan_matches(const Plan *p, Span source, Span body) {
        bool is_wanted = false;

        for (size_t i = 0; !is_wanted && i < p->n_sources; i++)
                is_wanted = span_eq(p->sources[i], source);
        for (size_t i = 0; is_wanted && i < p->n_rules; i++)
                is_wanted = body.n > 0 && rule_holds(&p->rules[i], body);
        return is_wanted;
}
