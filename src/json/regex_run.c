/* SPDX-License-Identifier: Apache-2.0 */
#include "json/regex_node.h"

/* The steps at which a match may stand, each once. */
typedef struct Threads {
        uint16_t at[JSON_REGEX_MAX];
        size_t n;
} Threads;

typedef struct Runner {
        const JsonRegex *regex;
        uint32_t seen[JSON_REGEX_MAX]; /* the turn in which a step was added last */
        uint32_t turn;
        uint16_t open[JSON_REGEX_MAX * 2 + 1]; /* add()'s own */
        int before, after; /* the code points around the place; -1 at the ends */
} Runner;

int regex_point(JsonReader *r) {
        int c = json_reader_next(r), more;
        unsigned v;

        if (c < 0x80)
                return c;
        more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        v = (unsigned)c & (0x3fU >> more);
        for (; more > 0 && (c = json_reader_next(r)) >= 0; more--)
                v = v << 6 | ((unsigned)c & 0x3f);
        return (int)v;
}

static bool class_has(const RegexClass *set, unsigned c) {
        for (size_t i = 0; i < set->n; i++)
                if (c >= set->ranges[i].from && c <= set->ranges[i].to)
                        return !set->is_negated;
        return set->is_negated;
}

static bool is_word(int c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '_';
}

static bool assertion_holds(const Runner *r, RegexOp op) {
        switch (op) {
        case REGEX_START:
                return r->before < 0;
        case REGEX_END:
                return r->after < 0;
        default:
                return (is_word(r->before) != is_word(r->after)) == (op == REGEX_WORD_EDGE);
        }
}

/* Adds the step and all that is reached from it without a code point. True: a match is there. */
static bool add(Runner *r, Threads *to, size_t first) {
        uint16_t *open = r->open;
        size_t n = 0;

        open[n++] = (uint16_t)first;
        while (n > 0) {
                uint16_t i = open[--n];
                const RegexStep *s = &r->regex->steps[i];

                if (r->seen[i] == r->turn)
                        continue;
                r->seen[i] = r->turn; /* so each step is opened once, and leads to two at most */
                switch (s->op) {
                case REGEX_MATCH:
                        return true;
                case REGEX_CLASS:
                        to->at[to->n++] = i;
                        break;
                case REGEX_SPLIT:
                        open[n++] = s->y;
                        open[n++] = s->x;
                        break;
                case REGEX_JUMP:
                        open[n++] = s->x;
                        break;
                default:
                        if (assertion_holds(r, s->op))
                                open[n++] = (uint16_t)(i + 1);
                        break;
                }
        }
        return false;
}

int json_regex_find(const JsonRegex *x, JsonReader text, int64_t *work) {
        Runner r = {.regex = x, .before = -1};
        Threads lists[2], *now = &lists[0], *next = &lists[1];

        now->n = 0;
        r.after = regex_point(&text);
        for (;;) {
                Threads *swap = now;

                /* A match may begin at every place. */
                if (now->n == 0)
                        r.turn++;
                if (add(&r, now, 0))
                        return 1;
                if (r.after < 0)
                        return 0;
                *work -= (int64_t)now->n + 1;
                if (*work < 0)
                        return -EMSGSIZE;
                int c = r.after;
                r.before = c;
                r.after = regex_point(&text);
                r.turn++;
                next->n = 0;
                for (size_t i = 0; i < now->n; i++)
                        if (class_has(&x->steps[now->at[i]].set, (unsigned)c) &&
                            add(&r, next, (size_t)now->at[i] + 1))
                                return 1;
                now = next;
                next = swap;
        }
}
