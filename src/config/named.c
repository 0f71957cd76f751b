/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes that several tables hold: maps of named things, lists of texts, URLs. */
#include "config/tables.h"

size_t named_room(Reading *r, const Node *map, const char *what, size_t size, void **ret) {
        if (!map || map->bad || node_is_null(map))
                return 0;
        if (map->kind != NODE_MAP) {
                problem_add(r->problems, map->place,
                            "a map from the name of each %s to its options is expected here", what);
                return 0;
        }
        if (map->n == 0)
                return 0;
        *ret = arena_alloc(r->arena, map->n * size);
        if (!*ret) {
                problem_no_room(r->problems, map->place);
                return 0;
        }
        return map->n;
}

static bool is_name(Span s) {
        for (size_t i = 0; i < s.n; i++)
                if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
                      s.p[i] == '-'))
                        return false;
        return s.n >= 1 && s.n <= CONFIG_NAME_MAX_BYTES;
}

const char *named_key(Reading *r, const NodeEntry *entry, const char *what) {
        Node key = {.kind = NODE_SCALAR, .text = entry->key};
        char shown[VALUE_SHOWN_BYTES];

        /* Keys are copies with a terminator, as every text of the tree. */
        if (is_name(entry->key))
                return entry->key.p;
        problem_add(r->problems, entry->key_place,
                    "%s is no name for %s %s: a-z, 0-9 and '-', at most %d of them",
                    value_shown(&key, shown), strchr("aeiou", what[0]) ? "an" : "a", what,
                    CONFIG_NAME_MAX_BYTES);
        return NULL;
}

void url_hide(Reading *r, const Node *n) {
        if (!n->secret && span_find(n->text, '@') < n->text.n)
                problem_hide_lines(r->problems, n->place.line, n->last_line);
}

/* The URL itself is not repeated: the line below the problem shows it, unless that is hidden. */
int url_check(Reading *r, const Node *n, const char *key, Url *ret) {
        Err e = {0};

        if (url_parse(n->text, ret, &e) == 0)
                return 0;
        url_hide(r, n);
        return problem_add(r->problems, n->place, "%s: %s", key, e.text);
}

static void table_end(void *t) {
        table_free(t);
}

Table *named_table(Reading *r, size_t n) {
        Table *t = table_new(n);

        if (arena_defer(r->arena, table_end, t) == 0)
                return t;
        problem_no_room(r->problems, (Place){r->config->file, 0, 0});
        return table_free(t);
}

size_t texts_read(Reading *r, const Node *n, const char *what, const char ***ret, Place **places) {
        const Option row = {.name = what, .type = OPTION_TEXT};
        size_t count = n->kind == NODE_LIST ? n->n : 1, done = 0;
        const char **texts;
        Place *at;

        if (n->bad)
                return 0;
        texts = arena_alloc(r->arena, (count + 1) * sizeof *texts);
        at = arena_alloc(r->arena, (count + 1) * sizeof *at);
        if (!texts || !at) {
                problem_no_room(r->problems, n->place);
                return 0;
        }
        for (size_t i = 0; i < count; i++) {
                const Node *item = n->kind == NODE_LIST ? n->items[i] : n;

                if (option_read_one(item, &row, &texts[done], r->arena, r->problems) == 0)
                        at[done++] = item->text_place;
        }
        *ret = texts;
        if (places)
                *places = at;
        return done;
}
