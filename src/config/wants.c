/* SPDX-License-Identifier: Apache-2.0
 *
 * Which events: those of the sources of `on`, as `match` narrows them. Flows and endpoints say it
 * with the same words. */
#include "config/tables.h"

enum { MATCH_MAX = 64, VALUES_MAX = 256 };

static void unknown_source(Reading *r, Place at, const char *name) {
        enum { NAMES_MAX = 1000 };
        const Config *c = r->config;
        const char *names[NAMES_MAX + 1];
        Node text = {.kind = NODE_SCALAR, .text = span_of(name)};
        char shown[VALUE_SHOWN_BYTES];
        size_t n = 0;

        for (size_t i = 0; i < c->n_sources && n < NAMES_MAX; i++)
                if (c->sources[i].name)
                        names[n++] = c->sources[i].name;
        names[n] = NULL;
        const char *near = nearest_name(span_of(name), names);
        problem_add(r->problems, at, "on: there is no source %s%s%s%s", value_shown(&text, shown),
                    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

void on_read(Reading *r, const Node *on, const char ***ret, size_t *ret_n) {
        const char **names = NULL;
        Place *places = NULL;
        size_t n = texts_read(r, on, "on", &names, &places);

        if (n == 0 && on->kind == NODE_LIST && on->n == 0)
                problem_add(r->problems, on->place, "on: the list is empty");
        for (size_t i = 0; i < n; i++) {
                if (!config_source(r->config, span_of(names[i])))
                        unknown_source(r, places[i], names[i]);
                for (size_t k = 0; k < i; k++)
                        if (strcmp(names[i], names[k]) == 0)
                                problem_add(r->problems, places[i], "on: '%s' is given twice",
                                            names[i]);
        }
        *ret = names;
        *ret_n = n;
}

/* entityType, data.kind, .data.kind: names between single dots. */
static bool is_path(Span s) {
        bool is_after_dot = true;

        if (s.n && s.p[0] == '.')
                s = span_from(s, 1);
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if (c == '.' ? is_after_dot
                             : !((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                                 (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '@' ||
                                 c == '$' || c == ':'))
                        return false;
                is_after_dot = c == '.';
        }
        return s.n && !is_after_dot;
}

static void read_match_values(Reading *r, Node *n) {
        size_t count = n->kind == NODE_LIST ? n->n : 1;

        if (n->bad)
                return;
        if (n->kind == NODE_MAP || count == 0 || count > VALUES_MAX) {
                problem_add(r->problems, n->place,
                            "match: a value or a list of 1 to %d values is expected here",
                            VALUES_MAX);
                return;
        }
        for (size_t i = 0; n->kind == NODE_LIST && i < count; i++)
                if (n->items[i]->kind != NODE_SCALAR)
                        problem_add(r->problems, n->items[i]->place,
                                    "match: one value is expected here, not a %s",
                                    n->items[i]->kind == NODE_MAP ? "map" : "list");
}

void match_read(Reading *r, const Node *match, MatchRule **ret, size_t *ret_n) {
        MatchRule *rules;

        if (match->bad)
                return;
        if (match->kind != NODE_MAP || match->n == 0 || match->n > MATCH_MAX) {
                problem_add(r->problems, match->place,
                            "match: a map from 1 to %d paths to their values is expected here",
                            MATCH_MAX);
                return;
        }
        rules = arena_alloc(r->arena, match->n * sizeof *rules);
        if (!rules) {
                problem_no_room(r->problems, match->place);
                return;
        }
        for (size_t i = 0; i < match->n; i++) {
                const NodeEntry *entry = &match->entries[i];
                Node key = {.kind = NODE_SCALAR, .text = entry->key};
                char shown[VALUE_SHOWN_BYTES];
                MatchRule *rule = &rules[i];

                if (!is_path(entry->key))
                        problem_add(r->problems, entry->key_place,
                                    "match: %s is not a path such as entityType or data.kind",
                                    value_shown(&key, shown));
                bool has_dot = entry->key.n && entry->key.p[0] == '.';
                rule->path.place = entry->key_place;
                rule->path.text = span_of(arena_printf(r->arena, "%s" SPAN_FMT, has_dot ? "" : ".",
                                                       SPAN_ARG(entry->key)));
                rule->values = entry->value;
                if (!rule->path.text.p)
                        problem_no_room(r->problems, entry->key_place);
                read_match_values(r, entry->value);
        }
        *ret = rules;
        *ret_n = match->n;
}
