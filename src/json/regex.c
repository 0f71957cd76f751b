/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a pattern into a tree, then writes the tree out as steps. The tree is what allows a
 * counted repetition to be written out as often as it counts. */
#include "json/regex_node.h"

enum {
        PATTERN_MAX_BYTES = 4000, /* bounds the depth of the tree too */
        GROUPS_MAX = 64,
        COUNT_MAX = 1000,
        WRITES_MAX = 100000, /* repetitions of nothing cost time, and no steps */
        ENDLESS = -1,
};

typedef enum Kind { EMPTY, ONE, THEN, EITHER, REPEAT, ASSERT } Kind;

typedef struct Tree Tree;
struct Tree {
        Kind kind;
        RegexOp op;     /* ASSERT */
        RegexClass set; /* ONE */
        const Tree *a, *b;
        int least, most; /* REPEAT */
};

static Tree *tree_new(const RegexReader *r, Tree t) {
        Tree *made = arena_alloc(r->arena, sizeof *made);

        if (made)
                *made = t;
        return made;
}

static int either_take(RegexReader *r, const Tree **ret);

static int one_of(RegexReader *r, RegexClass set, const Tree **ret) {
        *ret = tree_new(r, (Tree){.kind = ONE, .set = set});
        return *ret ? 0 : regex_no_room(r);
}

static int one_point(RegexReader *r, unsigned c, const Tree **ret) {
        RegexRange *range = arena_alloc(r->arena, sizeof *range);

        if (!range)
                return regex_no_room(r);
        *range = (RegexRange){c, c};
        return one_of(r, (RegexClass){false, range, 1}, ret);
}

static int assertion(RegexReader *r, RegexOp op, const Tree **ret) {
        *ret = tree_new(r, (Tree){.kind = ASSERT, .op = op});
        return *ret ? 0 : regex_no_room(r);
}

/* After '('. */
static int group_take(RegexReader *r, const Tree **ret) {
        int err;

        if (regex_take(r, '?') && !regex_take(r, ':')) {
                if (regex_at(r, '<') && r->end - r->p > 1 && r->p[1] != '=' && r->p[1] != '!') {
                        while (r->p < r->end && *r->p != '>')
                                r->p++;
                        if (!regex_take(r, '>'))
                                return regex_refuse(r, "a group's name that does not end");
                } else {
                        return regex_refuse(r, "a look ahead or behind, which is not supported,");
                }
        }
        if (r->depth == GROUPS_MAX)
                return regex_refuse(r, "groups nested too deeply");
        r->depth++;
        err = either_take(r, ret);
        r->depth--;
        if (err == 0 && !regex_take(r, ')'))
                err = regex_refuse(r, "a group that does not end");
        return err;
}

static int escaped_take(RegexReader *r, const Tree **ret) {
        RegexClass set;
        unsigned c;
        int err;

        if (r->p < r->end && regex_named_set(*r->p, &set)) {
                r->p++;
                return one_of(r, set, ret);
        }
        if (regex_take(r, 'b'))
                return assertion(r, REGEX_WORD_EDGE, ret);
        if (regex_take(r, 'B'))
                return assertion(r, REGEX_NO_WORD_EDGE, ret);
        err = regex_escape_take(r, &c);
        return err == 0 ? one_point(r, c, ret) : err;
}

static int atom_take(RegexReader *r, const Tree **ret) {
        RegexClass set;
        int err;

        if (regex_take(r, '('))
                return group_take(r, ret);
        if (regex_take(r, '[')) {
                err = regex_class_take(r, &set);
                return err == 0 ? one_of(r, set, ret) : err;
        }
        if (regex_take(r, '.'))
                return one_of(r, regex_any, ret);
        if (regex_take(r, '^'))
                return assertion(r, REGEX_START, ret);
        if (regex_take(r, '$'))
                return assertion(r, REGEX_END, ret);
        if (regex_take(r, '\\'))
                return escaped_take(r, ret);
        if (*r->p && strchr("*+?{}]", *r->p))
                return regex_refuse(r, "a character that must be escaped here");
        return one_point(r, regex_point_take(r), ret);
}

static int count_take(RegexReader *r, int *ret) {
        uint64_t v;
        Span s = {r->p, 0};

        while (r->p < r->end && json_is(*r->p, JSON_DIGIT))
                r->p++;
        s.n = (size_t)(r->p - s.p);
        if (!span_to_u64(s, COUNT_MAX, &v))
                return regex_refuse(r, "a count that is missing or above 1000");
        *ret = (int)v;
        return 0;
}

/* {n} {n,} {n,m}, after '{'. */
static int counts_take(RegexReader *r, Tree *t) {
        int err = count_take(r, &t->least);

        t->most = t->least;
        if (err == 0 && regex_take(r, ',')) {
                t->most = ENDLESS;
                if (!regex_at(r, '}'))
                        err = count_take(r, &t->most);
        }
        if (err == 0 && !regex_take(r, '}'))
                err = regex_refuse(r, "a count that does not end");
        if (err == 0 && t->most != ENDLESS && t->most < t->least)
                err = regex_refuse(r, "a count that runs backwards");
        return err;
}

static int repeat_take(RegexReader *r, const Tree **ret) {
        int err = atom_take(r, ret);
        Tree t = {.kind = REPEAT, .most = ENDLESS, .a = *ret};

        if (err < 0 || r->p == r->end)
                return err;
        if (regex_take(r, '+'))
                t.least = 1;
        else if (regex_take(r, '?'))
                t.most = 1;
        else if (regex_take(r, '{'))
                err = counts_take(r, &t);
        else if (!regex_take(r, '*'))
                return 0;
        if (err < 0)
                return err;
        (void)regex_take(r, '?'); /* lazy ones match the same texts */
        if (t.a->kind == ASSERT)
                return regex_refuse(r, "a repetition of nothing");
        *ret = tree_new(r, t);
        return *ret ? 0 : regex_no_room(r);
}

static int then_take(RegexReader *r, const Tree **ret) {
        *ret = tree_new(r, (Tree){.kind = EMPTY});
        while (*ret && r->p < r->end && !regex_at(r, '|') && !regex_at(r, ')')) {
                const Tree *next = NULL;
                int err = repeat_take(r, &next);

                if (err < 0)
                        return err;
                *ret = tree_new(r, (Tree){.kind = THEN, .a = *ret, .b = next});
        }
        return *ret ? 0 : regex_no_room(r);
}

static int either_take(RegexReader *r, const Tree **ret) {
        int err = then_take(r, ret);

        while (err == 0 && regex_take(r, '|')) {
                const Tree *other = NULL;

                err = then_take(r, &other);
                if (err == 0 && !(*ret = tree_new(r, (Tree){EITHER, .a = *ret, .b = other})))
                        err = regex_no_room(r);
        }
        return err;
}

/* ---- from the tree to steps ---- */

typedef struct Writer {
        RegexStep steps[JSON_REGEX_MAX];
        size_t n, writes;
} Writer;

/* False when there is no room. */
static bool step_add(Writer *w, RegexStep step) {
        if (w->n == JSON_REGEX_MAX)
                return false;
        w->steps[w->n++] = step;
        return true;
}

static bool tree_write(Writer *w, const Tree *t);

static bool either_write(Writer *w, const Tree *t) {
        size_t split = w->n, jump;

        if (!step_add(w, (RegexStep){.op = REGEX_SPLIT, .x = (uint16_t)(split + 1)}) ||
            !tree_write(w, t->a))
                return false;
        jump = w->n;
        if (!step_add(w, (RegexStep){.op = REGEX_JUMP}))
                return false;
        w->steps[split].y = (uint16_t)w->n;
        if (!tree_write(w, t->b))
                return false;
        w->steps[jump].x = (uint16_t)w->n;
        return true;
}

static bool repeat_write(Writer *w, const Tree *t) {
        size_t first, length;

        for (int i = 0; i < t->least; i++)
                if (!tree_write(w, t->a))
                        return false;
        first = w->n;
        if (t->most == ENDLESS) {
                if (!step_add(w, (RegexStep){.op = REGEX_SPLIT, .x = (uint16_t)(first + 1)}) ||
                    !tree_write(w, t->a) ||
                    !step_add(w, (RegexStep){.op = REGEX_JUMP, .x = (uint16_t)first}))
                        return false;
                w->steps[first].y = (uint16_t)w->n;
                return true;
        }
        for (int i = t->least; i < t->most; i++)
                if (!step_add(w, (RegexStep){.op = REGEX_SPLIT, .x = (uint16_t)(w->n + 1)}) ||
                    !tree_write(w, t->a))
                        return false;
        /* Each copy is as long as the others; from each one may leave to the end. */
        length = t->most > t->least ? (w->n - first) / (size_t)(t->most - t->least) : 1;
        for (size_t i = first; i < w->n; i += length)
                w->steps[i].y = (uint16_t)w->n;
        return true;
}

static bool tree_write(Writer *w, const Tree *t) {
        if (++w->writes > WRITES_MAX)
                return false;
        switch (t->kind) {
        case ONE:
                return step_add(w, (RegexStep){.op = REGEX_CLASS, .set = t->set});
        case ASSERT:
                return step_add(w, (RegexStep){.op = t->op});
        case THEN:
                return tree_write(w, t->a) && tree_write(w, t->b);
        case EITHER:
                return either_write(w, t);
        case REPEAT:
                return repeat_write(w, t);
        default:
                return true;
        }
}

int json_regex_compile(Span pattern, Arena *a, JsonRegex **ret, Err *e) {
        RegexReader r = {.p = pattern.p,
                         .end = pattern.p + pattern.n,
                         .pattern = pattern,
                         .arena = a,
                         .e = e};
        const Tree *tree = NULL;
        JsonRegex *made = arena_alloc(a, sizeof *made);
        AUTO(freep)
        Writer *w = must_alloc(sizeof *w);
        int err;

        if (pattern.n > PATTERN_MAX_BYTES || !made)
                return regex_no_room(&r);
        err = either_take(&r, &tree);
        if (err == 0 && r.p < r.end)
                err = regex_refuse(&r, "a ) without its (");
        if (err < 0)
                return err;
        if (!tree_write(w, tree) || !step_add(w, (RegexStep){.op = REGEX_MATCH}))
                return regex_no_room(&r);
        made->n = w->n;
        made->steps = arena_alloc(a, w->n * sizeof *made->steps);
        if (!made->steps)
                return regex_no_room(&r);
        memcpy(made->steps, w->steps, w->n * sizeof *made->steps);
        *ret = made;
        return 0;
}
