/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/statement.h"

#include "json/value.h"

#include <errno.h>
#include <stdatomic.h>

enum { ARENA_MAX_BYTES = 64 * 1024 * 1024 };

const char *const parameter_types[] = {"any", "text", "integer", "number", "boolean", "json", NULL};

/* ---- parameters ---- */

static Parameter *find(Statement *s, Span name) {
        for (size_t i = 0; i < s->n; i++)
                if (span_eq(name, span_of(s->parameters[i].name)))
                        return &s->parameters[i];
        return NULL;
}

static void read_types(Statement *s, Arena *a, Problems *problems) {
        const Option row = {
                .name = "parameters", .type = OPTION_CHOICE, .choices = parameter_types};
        const Node *map = s->config->parameters;

        if (!map || map->bad)
                return;
        if (map->kind != NODE_MAP) {
                problem_add(problems, map->place,
                            "parameters: a map from names to types is expected here: {id: text}");
                return;
        }
        for (size_t i = 0; i < map->n; i++) {
                Parameter *p = find(s, map->entries[i].key);
                int type = 0;

                if (!p)
                        problem_add(problems, map->entries[i].key_place,
                                    "parameters: the sql has no parameter '" SPAN_FMT "'",
                                    SPAN_ARG(map->entries[i].key));
                else if (option_read_one(map->entries[i].value, &row, &type, a, problems) == 0)
                        p->type = (ParameterType)type;
        }
}

/* ---- the outbox that is told ---- */

static const OutboxOptions *outbox_of(const StatementConfig *c, const Triggers *t,
                                      Problems *problems) {
        const Trigger *trigger = triggers_find(t, span_of(c->source->name));
        const OutboxOptions *o =
                trigger && trigger->kind == &trigger_outbox ? trigger->options : NULL;

        if (o && o->database == c->database)
                return o;
        problem_add(problems, c->place,
                    "source: %s has no outbox in database %s (trigger: {outbox: %s, tables: ...})",
                    c->source->name, c->database->name, c->database->name);
        return NULL;
}

/* Its change would be told twice. */
static void check_emit(const StatementConfig *c, const OutboxOptions *o, Problems *problems) {
        for (size_t i = 0; i < o->n_tables; i++)
                if (span_eq(o->tables[i].name, span_of(c->emit.table)))
                        problem_add(problems, c->emit_node->place,
                                    "emit: the triggers of source %s tell of table %s already: "
                                    "leave emit out",
                                    c->source->name, c->emit.table);
}

static const char *key_names(const StatementConfig *c, Arena *a) {
        AUTO(buf_done)
        Buf b = BUF(64 * 1024);
        int r = buf_add_char(&b, '[');

        for (size_t i = 0; r == 0 && i < c->emit.n_key; i++) {
                r = i ? buf_add_char(&b, ',') : 0;
                if (r == 0)
                        r = buf_add_json(&b, span_of(c->emit.key[i]));
        }
        if (r == 0)
                r = buf_add_char(&b, ']');
        return r == 0 ? arena_text(a, buf_span(&b)) : NULL;
}

bool statement_has_key(StatementCall *call) {
        const struct StatementEmit *m = &call->statement->config->emit;
        AUTO(buf_done)
        Buf one = BUF(STATEMENT_ANSWER_MAX_BYTES + 16);
        Span first;

        if (buf_addf(&one, "[" SPAN_FMT "]", SPAN_ARG(buf_span(&call->rows))) < 0)
                return false;
        first = json_element(buf_span(&one), 0);
        for (size_t i = 0; i < m->n_key; i++)
                if (!json_member(first, span_of(m->key[i])).p) {
                        call->result = STATEMENT_BROKEN;
                        (void)snprintf(call->message, sizeof call->message,
                                       "it does not return the column %s, which emit names as key",
                                       m->key[i]);
                        return false;
                }
        return true;
}

/* ---- the whole ---- */

/* What may run within a transaction, and leaves it alone. */
static bool is_allowed(const char *sql) {
        static const char *const words[] = {"SELECT",  "INSERT", "UPDATE", "DELETE",
                                            "REPLACE", "MERGE",  "WITH",   "VALUES"};
        size_t n = strspn(sql, " \t\r\n("), word = strcspn(sql + n, " \t\r\n(*'\"-/");

        for (size_t i = 0; i < COUNT_OF(words); i++)
                if (span_eq_nocase(span_make(sql + n, word), span_of(words[i])))
                        return true;
        return false;
}

static void build(Statements *set, Statement *s, Problems *problems) {
        const StatementConfig *c = s->config;
        Err e = {0};

        /* What was wrong with the file was said; the rest is still looked at. */
        if (!c->name || !c->database || !c->sql.p || (c->source_name && !c->source))
                return;
        if (statement_rewrite(c->sql, c->database->is_sqlite, set->arena, s, &e) < 0) {
                problem_add(problems, c->sql_place, "sql: %s", e.text);
                return;
        }
        if (!is_allowed(s->sql)) {
                problem_add(problems, c->sql_place,
                            "sql: it begins with SELECT, INSERT, UPDATE, DELETE, REPLACE, MERGE, "
                            "VALUES or WITH");
                return;
        }
        read_types(s, set->arena, problems);
        s->outbox = c->source ? outbox_of(c, set->triggers, problems) : NULL;
        if (!c->emits || !s->outbox)
                return;
        check_emit(c, s->outbox, problems);
        s->key_names = key_names(c, set->arena);
        if (!s->key_names)
                problem_no_room(problems, c->place);
}

Statements *statements_build(Config *c, Triggers *t, Problems *problems) {
        Statements *set = must_alloc(sizeof *set);
        size_t before = problems->errors;

        set->refs = 1;
        set->arena = arena_new(ARENA_MAX_BYTES);
        set->config = config_ref(c);
        set->triggers = triggers_ref(t);
        set->n = c->n_statements;
        set->at = arena_alloc(set->arena, (set->n + 1) * sizeof *set->at);
        must(set->at);
        for (size_t i = 0; i < set->n; i++) {
                set->at[i] = (Statement){.config = &c->statements[i], .index = i};
                build(set, &set->at[i], problems);
        }
        return problems->errors == before ? set : statements_unref(set);
}

Statements *statements_ref(Statements *s) {
        atomic_fetch_add(&s->refs, 1);
        return s;
}

Statements *statements_unref(Statements *s) {
        if (s && atomic_fetch_sub(&s->refs, 1) == 1) {
                arena_free(s->arena);
                triggers_unref(s->triggers);
                config_unref(s->config);
                free(s);
        }
        return NULL;
}
