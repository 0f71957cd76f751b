/* SPDX-License-Identifier: Apache-2.0
 *
 * One reader per type, each from a scalar to a field. Fallbacks go through the same readers, so a
 * row cannot promise a default that nobody could write. */
#include "config/option.h"

#include "config/quantity.h"
#include "config/text.h"

typedef struct Target {
        const Option *row;
        void *field;
        Arena *arena;
        Problems *problems;
} Target;

enum { NAMES_MAX = 64, LIST_SHOWN_BYTES = 400 };

const char *value_shown(const Node *n, char ret[VALUE_SHOWN_BYTES]) {
        enum { LEAST_ROOM = 8 }; /* the closing quote, the dots, and one whole character */
        size_t at = 1;

        if (n->secret || n->kind != NODE_SCALAR) {
                (void)snprintf(ret, VALUE_SHOWN_BYTES, "the value");
                return ret;
        }
        ret[0] = '\'';
        for (size_t i = 0, len; i < n->text.n; i += len) {
                len = utf8_at(n->text, i, NULL);
                len = len ? len : 1;
                if (at + len + LEAST_ROOM > VALUE_SHOWN_BYTES) {
                        memcpy(ret + at, "...", 3);
                        at += 3;
                        break;
                }
                memcpy(ret + at, n->text.p + i, len);
                for (size_t k = at; k < at + len; k++)
                        ret[k] = ret[k] ? ret[k] : '?';
                at += len;
        }
        ret[at] = '\'';
        ret[at + 1] = 0;
        return ret;
}

/* "a, b or c" of names ended by NULL, as far as they fit. */
static const char *list_shown(const char *const *names, const char *last,
                              char ret[LIST_SHOWN_BYTES]) {
        size_t at = 0;

        ret[0] = 0;
        for (size_t i = 0; names[i] && at + NAME_MAX_BYTES + 8 < LIST_SHOWN_BYTES; i++)
                at += (size_t)snprintf(ret + at, LIST_SHOWN_BYTES - at, "%s%.*s",
                                       i == 0 ? "" : (names[i + 1] ? ", " : last), NAME_MAX_BYTES,
                                       names[i]);
        return ret;
}

static int wrong(const Target *t, const Node *n, const char *what) {
        char shown[VALUE_SHOWN_BYTES];

        return problem_add(t->problems, n->place, "%s: %s %s", t->row->name, value_shown(n, shown),
                           what);
}

static int read_number(const Target *t, const Node *n) {
        uint64_t v;

        if (!span_to_u64(n->text, INT64_MAX, &v))
                return wrong(t, n, "is not a number");
        *(int64_t *)t->field = (int64_t)v;
        return 0;
}

static int read_size(const Target *t, const Node *n) {
        if (!size_parse(n->text, t->field))
                return wrong(t, n, "is not a size; write 512, 64K, 8M or 1G");
        return 0;
}

static int read_duration(const Target *t, const Node *n) {
        char advice[128];
        uint64_t v;

        if (duration_parse(n->text, t->field))
                return 0;
        if (n->secret || !span_to_u64(n->text, 999999999, &v))
                return wrong(t, n, "is not a duration; write 250ms, 3s, 5m, 2h or 7d");
        (void)snprintf(advice, sizeof advice, "has no unit; write %" PRIu64 "s or %" PRIu64 "ms", v,
                       v);
        return wrong(t, n, advice);
}

static int read_rate(const Target *t, const Node *n) {
        if (!rate_parse(n->text, t->field))
                return wrong(t, n, "is not a rate; write 50/s, 100/m or 1000/h");
        return 0;
}

static int read_bool(const Target *t, const Node *n) {
        bool is_true = span_eq(n->text, SPAN("true"));

        if (!is_true && !span_eq(n->text, SPAN("false")))
                return wrong(t, n, "is neither true nor false");
        *(bool *)t->field = is_true;
        return 0;
}

static int read_choice(const Target *t, const Node *n) {
        char list[LIST_SHOWN_BYTES], shown[VALUE_SHOWN_BYTES];
        const char *near;

        for (int i = 0; t->row->choices[i]; i++)
                if (span_eq(n->text, span_of(t->row->choices[i]))) {
                        *(int *)t->field = i;
                        return 0;
                }
        near = n->secret ? NULL : nearest_name(n->text, t->row->choices);
        return problem_add(t->problems, n->place, "%s: %s is not %s%s%s%s", t->row->name,
                           value_shown(n, shown), list_shown(t->row->choices, " or ", list),
                           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static void secret_wipe(void *holder) {
        secret_done(holder);
}

static int read_secret(const Target *t, const Node *n) {
        Secret *holder;

        if (n->text.n == 0)
                return problem_add(t->problems, n->place, "%s: the secret is empty", t->row->name);
        holder = arena_alloc(t->arena, sizeof *holder);
        if (!holder || arena_defer(t->arena, secret_wipe, holder) < 0)
                return problem_no_room(t->problems, n->place);
        *holder = secret_copy(n->text);
        *(Secret *)t->field = *holder;
        return 0;
}

static int read_text(const Target *t, const Node *n) {
        if (n->text.n && memchr(n->text.p, 0, n->text.n))
                return wrong(t, n, "holds a NUL byte");
        if (t->row->type == OPTION_SPAN)
                *(Span *)t->field = n->text;
        else
                *(const char **)t->field = n->text.p;
        return 0;
}

static int read_expr(const Target *t, const Node *n) {
        if (span_trim(n->text, " \t\r\n").n == 0)
                return wrong(t, n, "is empty");
        *(Expr *)t->field = (Expr){n->text, n->text_place};
        return 0;
}

static int read_scalar(const Target *t, const Node *n) {
        switch (t->row->type) {
        case OPTION_TEXT:
        case OPTION_SPAN:
                return read_text(t, n);
        case OPTION_SECRET:
                return read_secret(t, n);
        case OPTION_BOOL:
                return read_bool(t, n);
        case OPTION_NUMBER:
                return read_number(t, n);
        case OPTION_SIZE:
                return read_size(t, n);
        case OPTION_DURATION:
                return read_duration(t, n);
        case OPTION_RATE:
                return read_rate(t, n);
        case OPTION_CHOICE:
                return read_choice(t, n);
        case OPTION_EXPR:
        case OPTION_TEMPLATE:
                return read_expr(t, n);
        case OPTION_NODE:
                break;
        }
        must(!"a type of options is read here");
        return -EINVAL;
}

static void bound_print(const Option *row, int64_t v, char ret[QUANTITY_TEXT]) {
        if (row->type == OPTION_DURATION)
                duration_print(v, ret);
        else if (row->type == OPTION_SIZE)
                size_print(v, ret);
        else
                (void)snprintf(ret, QUANTITY_TEXT, "%" PRId64, v);
}

static int check_bounds(const Target *t, const Node *n) {
        const Option *row = t->row;
        char least[QUANTITY_TEXT], most[QUANTITY_TEXT], text[128];
        bool is_number = row->type == OPTION_NUMBER || row->type == OPTION_SIZE ||
                         row->type == OPTION_DURATION;

        if (!is_number || (row->min == 0 && row->max == 0))
                return 0;
        int64_t v = *(const int64_t *)t->field;
        if (v >= row->min && v <= row->max)
                return 0;
        bound_print(row, row->min, least);
        bound_print(row, row->max, most);
        (void)snprintf(text, sizeof text, "is not between %s and %s", least, most);
        return wrong(t, n, text);
}

static bool is_secret(const Option *row) {
        return row->type == OPTION_SECRET || row->is_secret;
}

/* Lines that hold a secret in plain text are kept out of every error. `value` is marked for those
 * that read it later; the tree is the reader's own, whatever const says on the way. */
static void hide(Node *value, Problems *problems) {
        if (!value->secret)
                problem_hide_lines(problems, value->place.line, value->last_line);
        value->secret = true;
}

static int read_value(const Target *t, const Node *n) {
        int r;

        if (n->bad)
                return -EINVAL;
        if (t->row->type == OPTION_NODE) {
                *(const Node **)t->field = n;
                return 0;
        }
        if (n->kind != NODE_SCALAR)
                return problem_add(t->problems, n->place, "%s: one value is expected, not a %s",
                                   t->row->name, n->kind == NODE_MAP ? "map" : "list");
        if (node_is_null(n))
                return problem_add(t->problems, n->place, "%s: the value is missing", t->row->name);
        r = read_scalar(t, n);
        return r < 0 ? r : check_bounds(t, n);
}

int option_read_one(const Node *scalar, const Option *row, void *into, Arena *a,
                    Problems *problems) {
        Target t = {row, (char *)into + row->offset, a, problems};

        if (is_secret(row) && !scalar->secret)
                problem_hide_lines(problems, scalar->place.line, scalar->last_line);
        return read_value(&t, scalar);
}

static int read_fallback(const Option *row, void *into, Arena *a, Problems *problems) {
        Target t = {row, (char *)into + row->offset, a, problems};
        Node written = {.kind = NODE_SCALAR, .text = span_of(row->fallback), .quoted = true};

        /* NODE's fallback is for the manual: its owner knows it. */
        if (row->type == OPTION_NODE)
                return 0;
        must(row->type != OPTION_SECRET);
        return read_value(&t, &written);
}

static const char *const *row_names(const Option *table, size_t n, const char *ret[NAMES_MAX + 1]) {
        must(n <= NAMES_MAX);
        for (size_t i = 0; i < n; i++)
                ret[i] = table[i].name;
        ret[n] = NULL;
        return ret;
}

static const Option *find_row(const Option *table, size_t n, const char *name) {
        for (size_t i = 0; name && i < n; i++)
                if (strcmp(table[i].name, name) == 0)
                        return &table[i];
        return NULL;
}

static bool is_known(Span key, const Option *table, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (span_eq(key, span_of(table[i].name)))
                        return true;
        return false;
}

/* Was the row's name meant by a key that is none? Then one error is enough. */
static bool is_mistyped(const Node *map, const Option *row, const Option *table, size_t n) {
        const char *names[NAMES_MAX + 1];

        row_names(table, n, names);
        for (size_t i = 0; i < map->n; i++) {
                Span key = map->entries[i].key;

                if (!is_known(key, table, n) && nearest_name(key, names) == row->name)
                        return true;
        }
        return false;
}

/* A mistyped `secret:` holds a secret all the same. */
static int unknown_key(const NodeEntry *entry, const Option *table, size_t n, Problems *problems) {
        const char *names[NAMES_MAX + 1];
        const char *near = nearest_name(entry->key, row_names(table, n, names));
        const Option *meant = find_row(table, n, near);
        Node key = {.kind = NODE_SCALAR, .text = entry->key};
        char shown[VALUE_SHOWN_BYTES];
        bool has_secrets = false;

        for (size_t i = 0; i < n; i++)
                has_secrets |= is_secret(&table[i]);
        if (meant ? is_secret(meant) : has_secrets)
                hide(entry->value, problems);
        if (near)
                return problem_add(problems, entry->key_place, "unknown key %s; did you mean '%s'?",
                                   value_shown(&key, shown), near);
        char list[LIST_SHOWN_BYTES];
        return problem_add(problems, entry->key_place, "unknown key %s; known here: %s",
                           value_shown(&key, shown), list_shown(names, ", ", list));
}

static int not_a_map(const Node *n, const Option *table, size_t rows, Problems *problems) {
        const char *names[NAMES_MAX + 1];
        char list[LIST_SHOWN_BYTES];

        if (n->bad)
                return -EINVAL;
        for (size_t i = 0; i < rows && !n->secret; i++)
                if (is_secret(&table[i]))
                        problem_hide_lines(problems, n->place.line, n->last_line);
        return problem_add(problems, n->place, "a map is expected here; its keys: %s",
                           list_shown(row_names(table, rows, names), ", ", list));
}

int options_read(const Node *map, const Option *table, size_t n, void *into, Arena *a,
                 Problems *problems) {
        int r = 0;

        if (map->kind != NODE_MAP)
                return not_a_map(map, table, n, problems);
        for (size_t i = 0; i < n; i++) {
                const Option *row = &table[i];
                const Node *value = node_get(map, row->name);

                if (value && option_read_one(value, row, into, a, problems) < 0)
                        r = -EINVAL;
                if (!value && row->required && !is_mistyped(map, row, table, n))
                        r = problem_add(problems, map->place, "'%s' is missing", row->name);
                if (!value && row->fallback && read_fallback(row, into, a, problems) < 0)
                        r = -EINVAL;
        }
        for (size_t i = 0; i < map->n; i++)
                if (!is_known(map->entries[i].key, table, n))
                        r = unknown_key(&map->entries[i], table, n, problems);
        return r;
}
