/* SPDX-License-Identifier: Apache-2.0 */
#include "json/schema_keyword.h"

#include "json/number.h"
#include "json/text.h"

#define KEYWORD(row) span_of((row)->name)

static void *field(Rule *rule, const Keyword *row) {
        return (char *)rule + row->offset;
}

/* ---- schemas within schemas ---- */

static int read_one(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        Rule *made = NULL;
        int r = schema_rule(c, value, rule->resource, &made);

        *(const Rule **)field(rule, row) = made;
        return r;
}

/* The rules of all members or elements, in the order of the text. */
static int read_all(Compiler *c, const Rule *rule, Span value, RuleList *ret) {
        size_t n = json_length(value);
        const Rule **at = arena_alloc(c->arena, (n + 1) * sizeof *at);
        Span key, inner;

        if (!at)
                return schema_no_room(c);
        *ret = (RuleList){at, n};
        for (size_t pos = 0, i = 0; json_next(value, &pos, &key, &inner); i++) {
                Rule *made = NULL;
                int r = schema_rule(c, inner, rule->resource, &made);

                if (r < 0)
                        return r;
                at[i] = made;
        }
        return 0;
}

static int read_list(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        if (json_kind(value) != JSON_ARRAY || json_length(value) == 0)
                return schema_refuse(c, KEYWORD(row), "has to be a list of schemas");
        return read_all(c, rule, value, field(rule, row));
}

static void index_end(void *index) {
        json_index_done(index);
}

static int read_map(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        RuleMap *map = field(rule, row);
        RuleList all;
        int r;

        if (json_kind(value) != JSON_OBJECT)
                return schema_refuse(c, KEYWORD(row), "has to be an object of schemas");
        r = read_all(c, rule, value, &all);
        if (r < 0)
                return r;
        map->at = all.at;
        map->n = all.n;
        json_index_init(&map->names, value);
        if (arena_defer(c->arena, index_end, &map->names) < 0) {
                json_index_done(&map->names);
                return schema_no_room(c);
        }
        return 0;
}

/* $defs: schemas that somebody may refer to. */
static int read_kept(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        RuleList ignored;

        if (json_kind(value) != JSON_OBJECT)
                return schema_refuse(c, KEYWORD(row), "has to be an object of schemas");
        return read_all(c, rule, value, &ignored);
}

static int read_regex(Compiler *c, Span pattern, const JsonRegex **ret) {
        JsonRegex *made = NULL;
        int r = json_regex_compile(pattern, c->arena, &made, c->e);

        *ret = made;
        return r;
}

static int read_patterns(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        RuleList all;
        Span key, inner;
        int r = read_kept(c, rule, row, value);

        if (r == 0)
                r = read_all(c, rule, value, &all);
        if (r < 0)
                return r;
        rule->patterns = arena_alloc(c->arena, (all.n + 1) * sizeof *rule->patterns);
        if (!rule->patterns)
                return schema_no_room(c);
        rule->n_patterns = all.n;
        for (size_t pos = 0, i = 0; r == 0 && json_next(value, &pos, &key, &inner); i++) {
                AUTO(buf_done)
                Buf text = BUF(JSON_SCHEMA_MAX_BYTES);

                if (json_key_text(key, &text) < 0)
                        return schema_refuse(c, KEYWORD(row), "holds a pattern that is no text");
                rule->patterns[i].rule = all.at[i];
                Span kept = arena_span(c->arena, buf_span(&text));
                r = kept.p ? read_regex(c, kept, &rule->patterns[i].regex) : schema_no_room(c);
        }
        return r;
}

static int read_items(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        if (json_kind(value) == JSON_ARRAY)
                return schema_refuse(c, KEYWORD(row),
                                     "is a list, as in older drafts: call it prefixItems");
        return read_one(c, rule, row, value);
}

/* ---- what asserts by itself ---- */

static const char *const type_names[] = {
        [JSON_NULL] = "null",     [JSON_FALSE] = "boolean", [JSON_TRUE] = "boolean",
        [JSON_NUMBER] = "number", [JSON_STRING] = "string", [JSON_ARRAY] = "array",
        [JSON_OBJECT] = "object",
};

static int add_type(Compiler *c, Rule *rule, const Keyword *row, Span name, bool *any_number) {
        unsigned before = rule->types;

        if (json_kind(name) != JSON_STRING)
                return schema_refuse(c, KEYWORD(row), "has to be a name or a list of names");
        name = (Span){name.p + 1, name.n - 2};
        for (unsigned kind = 0; kind < COUNT_OF(type_names); kind++)
                if (json_raw_is(name, span_of(type_names[kind])))
                        rule->types |= 1U << kind;
        *any_number |= json_raw_is(name, SPAN("number"));
        if (json_raw_is(name, SPAN("integer"))) {
                rule->types |= 1U << JSON_NUMBER;
                return 0;
        }
        return rule->types != before || *any_number
                       ? 0
                       : schema_refuse(c, KEYWORD(row), "does not know '%.*s'",
                                       name.n > 40 ? 40 : (int)name.n, name.p);
}

static int read_type(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        bool any_number = false;
        Span key, name;
        int r = 0;

        if (json_kind(value) != JSON_ARRAY)
                r = add_type(c, rule, row, value, &any_number);
        else
                for (size_t pos = 0; r == 0 && json_next(value, &pos, &key, &name);)
                        r = add_type(c, rule, row, name, &any_number);
        if (r == 0 && rule->types == 0)
                return schema_refuse(c, KEYWORD(row), "is an empty list");
        rule->only_integers = rule->types & 1U << JSON_NUMBER && !any_number;
        return r;
}

static int read_value(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        (void)c;
        *(Span *)field(rule, row) = value;
        return 0;
}

static int read_enum(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        if (json_kind(value) != JSON_ARRAY)
                return schema_refuse(c, KEYWORD(row), "has to be a list of values");
        return read_value(c, rule, row, value);
}

static int read_number(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        if (json_kind(value) != JSON_NUMBER)
                return schema_refuse(c, KEYWORD(row), "has to be a number%s",
                                     json_kind(value) == JSON_TRUE || json_kind(value) == JSON_FALSE
                                             ? ", and no longer true or false as in draft 4"
                                             : "");
        return read_value(c, rule, row, value);
}

static int read_divisor(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        if (json_kind(value) != JSON_NUMBER || !json_number_is_divisor(value))
                return schema_refuse(c, KEYWORD(row),
                                     "has to be a number above 0 of at most %d digits",
                                     JSON_DIVISOR_DIGITS_MAX);
        return read_value(c, rule, row, value);
}

static int read_count(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        if (json_kind(value) != JSON_NUMBER || !json_number_is_integer(value) ||
            json_number_compare(value, SPAN("0")) < 0)
                return schema_refuse(c, KEYWORD(row), "has to be a whole number, 0 or more");
        return read_value(c, rule, row, value);
}

static int read_unique(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        if (json_kind(value) != JSON_TRUE && json_kind(value) != JSON_FALSE)
                return schema_refuse(c, KEYWORD(row), "has to be true or false");
        rule->has_unique_items = json_kind(value) == JSON_TRUE;
        return 0;
}

static bool is_names(Span value) {
        Span key, name;

        if (json_kind(value) != JSON_ARRAY)
                return false;
        for (size_t pos = 0; json_next(value, &pos, &key, &name);)
                if (json_kind(name) != JSON_STRING)
                        return false;
        return true;
}

static int read_names(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        if (!is_names(value))
                return schema_refuse(c, KEYWORD(row), "has to be a list of names");
        return read_value(c, rule, row, value);
}

static int read_names_of(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        Span key, names;

        if (json_kind(value) != JSON_OBJECT)
                return schema_refuse(c, KEYWORD(row), "has to be an object of lists of names");
        for (size_t pos = 0; json_next(value, &pos, &key, &names);)
                if (!is_names(names))
                        return schema_refuse(c, KEYWORD(row),
                                             "has to be an object of lists of names");
        return read_value(c, rule, row, value);
}

static int read_pattern(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        int r = schema_text(c, KEYWORD(row), value, &rule->pattern_text);

        return r == 0 ? read_regex(c, rule->pattern_text, &rule->pattern) : r;
}

static int read_format(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        Span name;
        int r = schema_text(c, KEYWORD(row), value, &name);

        if (r == 0 && c->asserts_formats)
                rule->format = schema_format_find(name);
        return r;
}

/* ---- names and references ---- */

static int read_ref(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        Pending *p = &c->pending[c->n_pending];
        int r = schema_text(c, KEYWORD(row), value, &p->to);

        p->rule = rule;
        c->n_pending++; /* one for a rule at most, so there is room */
        return r;
}

static int read_draft(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        Span draft;
        int r = schema_text(c, KEYWORD(row), value, &draft);

        (void)rule;
        if (r < 0)
                return r;
        if (draft.n && draft.p[draft.n - 1] == '#')
                draft.n--;
        if (span_eq(draft, SPAN("https://json-schema.org/draft/2020-12/schema")))
                return 0;
        return schema_refuse(c, KEYWORD(row),
                             "has to be https://json-schema.org/draft/2020-12/schema, not %.*s",
                             draft.n > 100 ? 100 : (int)draft.n, draft.p);
}

static int read_refused(Compiler *c, Rule *rule, const Keyword *row, Span value) {
        (void)rule;
        (void)value;
        return schema_refuse(c, KEYWORD(row), "is not supported%s", row->why);
}

#define AT(member) offsetof(Rule, member)

static const Keyword keywords[] = {
        {"$schema", read_draft, 0, NULL},
        {"$ref", read_ref, 0, NULL},
        {"$defs", read_kept, 0, NULL},
        {"definitions", read_kept, 0, NULL},
        {"type", read_type, 0, NULL},
        {"enum", read_enum, AT(one_of_values), NULL},
        {"const", read_value, AT(value), NULL},
        {"multipleOf", read_divisor, AT(multiple_of), NULL},
        {"maximum", read_number, AT(maximum), NULL},
        {"exclusiveMaximum", read_number, AT(below), NULL},
        {"minimum", read_number, AT(minimum), NULL},
        {"exclusiveMinimum", read_number, AT(above), NULL},
        {"maxLength", read_count, AT(most_length), NULL},
        {"minLength", read_count, AT(least_length), NULL},
        {"pattern", read_pattern, 0, NULL},
        {"format", read_format, 0, NULL},
        {"prefixItems", read_list, AT(prefix), NULL},
        {"items", read_items, AT(items), NULL},
        {"contains", read_one, AT(contains), NULL},
        {"maxContains", read_count, AT(most_contains), NULL},
        {"minContains", read_count, AT(least_contains), NULL},
        {"maxItems", read_count, AT(most_items), NULL},
        {"minItems", read_count, AT(least_items), NULL},
        {"uniqueItems", read_unique, 0, NULL},
        {"unevaluatedItems", read_one, AT(unevaluated_items), NULL},
        {"properties", read_map, AT(members), NULL},
        {"patternProperties", read_patterns, 0, NULL},
        {"additionalProperties", read_one, AT(rest), NULL},
        {"propertyNames", read_one, AT(names), NULL},
        {"required", read_names, AT(required), NULL},
        {"maxProperties", read_count, AT(most_members), NULL},
        {"minProperties", read_count, AT(least_members), NULL},
        {"dependentRequired", read_names_of, AT(dependent_required), NULL},
        {"dependentSchemas", read_map, AT(dependent), NULL},
        {"unevaluatedProperties", read_one, AT(unevaluated_members), NULL},
        {"allOf", read_list, AT(all_of), NULL},
        {"anyOf", read_list, AT(any_of), NULL},
        {"oneOf", read_list, AT(one_of), NULL},
        {"not", read_one, AT(no), NULL},
        {"if", read_one, AT(iff), NULL},
        {"then", read_one, AT(then), NULL},
        {"else", read_one, AT(otherwise), NULL},
        {"$dynamicRef", read_refused, 0, ": name the schema with $ref"},
        {"$recursiveRef", read_refused, 0, ": name the schema with $ref"},
        {"additionalItems", read_refused, 0, ": it is called items since draft 2020-12"},
        {"dependencies", read_refused, 0,
         ": it is called dependentRequired and dependentSchemas since draft 2019-09"},
};

const Keyword *keyword_find(Span raw_key) {
        for (size_t i = 0; i < COUNT_OF(keywords); i++)
                if (json_raw_is(raw_key, span_of(keywords[i].name)))
                        return &keywords[i];
        return NULL;
}
