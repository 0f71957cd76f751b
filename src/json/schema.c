/* SPDX-License-Identifier: Apache-2.0
 *
 * From the document to rules: one for each schema in it, made when it is first met, by the table
 * of keywords. References are noted meanwhile, and followed when all the document's own names are
 * known. */
#include "json/schema_keyword.h"

#include "base/table.h"

unsigned schema_line(const Compiler *c) {
        unsigned line = 1;

        for (const char *p = c->document.p; p < c->where; p++)
                line += *p == '\n';
        return line;
}

int schema_refuse(Compiler *c, Span keyword, const char *format, ...) {
        char why[300];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(why, sizeof why, format, ap);
        va_end(ap);
        return FAIL(c->e, -EINVAL, "line %u: '%.*s' %s", schema_line(c),
                    keyword.n > 100 ? 100 : (int)keyword.n, keyword.p, why);
}

int schema_no_room(Compiler *c) {
        return FAIL(c->e, -ENOMEM, "the schema is too large");
}

int schema_text(Compiler *c, Span keyword, Span value, Span *ret) {
        AUTO(buf_done)
        Buf text = BUF(JSON_SCHEMA_MAX_BYTES);

        if (json_kind(value) != JSON_STRING || json_text(value, &text) < 0)
                return schema_refuse(c, keyword, "has to be a text");
        *ret = arena_span(c->arena, buf_span(&text));
        return ret->p ? 0 : schema_no_room(c);
}

const Rule *rule_map_find(const RuleMap *m, Span raw_key) {
        Span value = m->n ? json_index_find(&m->names, raw_key) : (Span){NULL, 0};
        size_t low = 0, high = m->n;

        while (value.p && low < high) {
                size_t mid = low + (high - low) / 2;

                if (m->at[mid]->text.p == value.p)
                        return m->at[mid];
                if (m->at[mid]->text.p < value.p)
                        low = mid + 1;
                else
                        high = mid;
        }
        return NULL;
}

/* The keywords of one schema, each by its row. */
static int read_keywords(Compiler *c, Rule *rule) {
        AUTO(json_index_done)
        JsonIndex said = {0};
        Span key, value;

        json_index_init(&said, rule->text);
        for (size_t pos = 0; json_next(rule->text, &pos, &key, &value);) {
                const Keyword *row =
                        json_index_find(&said, key).p == value.p ? keyword_find(key) : NULL;
                c->where = value.p;
                int r = row ? row->read(c, rule, row, value) : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

int schema_rule(Compiler *c, Span value, const Resource *in, Rule **ret) {
        JsonKind kind = json_kind(value);
        uint64_t address = (uint64_t)(uintptr_t)value.p;
        Rule *rule = table_get(c->rules, key_u64(&address));
        int r;

        if (rule) {
                *ret = rule;
                return 0;
        }
        if (kind != JSON_OBJECT && kind != JSON_TRUE && kind != JSON_FALSE)
                return FAIL(c->e, -EINVAL,
                            "line %u: a schema has to be an object, true or false, not %.*s",
                            schema_line(c), value.n > 40 ? 40 : (int)value.n, value.p);
        if (table_count(c->rules) == SCHEMA_RULES_MAX)
                return FAIL(c->e, -EMSGSIZE, "the document holds more than %d schemas",
                            SCHEMA_RULES_MAX);
        rule = arena_alloc(c->arena, sizeof *rule);
        if (!rule || table_put(c->rules, key_u64(&address), rule) < 0)
                return schema_no_room(c);
        *rule = (Rule){.text = value, .resource = in, .is_false = kind == JSON_FALSE};
        *ret = rule;
        if (kind != JSON_OBJECT)
                return 0;
        r = schema_identify(c, rule);
        return r == 0 ? read_keywords(c, rule) : r;
}

/* All that is made while compiling and not kept. */
static void compiler_done(Compiler *c) {
        table_free(c->rules);
        free(c->pending);
        free(c->resources);
        free(c->anchors);
}

static int compile(Compiler *c, Span text, JsonSchema *into) {
        Resource *whole = arena_alloc(c->arena, sizeof *whole);
        int r;

        c->rules = table_new(SCHEMA_RULES_MAX + 1);
        c->pending = calloc(SCHEMA_RULES_MAX, sizeof *c->pending);
        c->resources = calloc(SCHEMA_RULES_MAX + 1, sizeof *c->resources);
        c->anchors = calloc(SCHEMA_RULES_MAX, sizeof *c->anchors);
        if (!whole || !c->pending || !c->resources || !c->anchors)
                return schema_no_room(c);
        *whole = (Resource){SPAN(""), text};
        c->resources[c->n_resources++] = whole;
        r = schema_rule(c, text, whole, &into->root);
        return r == 0 ? schema_connect(c) : r;
}

int json_schema_compile(Span text, bool asserts_formats, Arena *a, JsonSchema **ret, Err *e) {
        AUTO(compiler_done)
        Compiler c = {.arena = a, .e = e, .asserts_formats = asserts_formats};
        JsonSchema *made = arena_alloc(a, sizeof *made);
        JsonFault fault;
        int r;

        if (text.n > JSON_SCHEMA_MAX_BYTES)
                return FAIL(e, -EMSGSIZE, "the schema is larger than %d bytes",
                            JSON_SCHEMA_MAX_BYTES);
        if (json_check(text, JSON_KEYS_MAX, &fault) < 0)
                return FAIL(e, -EBADMSG, "the schema is no JSON: %s at byte %zu", fault.why,
                            fault.offset);
        c.document = made ? arena_span(a, text) : (Span){NULL, 0};
        c.where = c.document.p;
        if (!c.document.p)
                return schema_no_room(&c);
        r = compile(&c, json_trim(c.document), made);
        if (r == 0)
                *ret = made;
        return r;
}
