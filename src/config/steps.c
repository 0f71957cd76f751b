/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of steps as they stand in the file: names and shape. What may be written inside a step is
 * known to src/flow. */
#include "config/tables.h"

static bool is_step_name(Span s) {
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
                      (i > 0 && c >= '0' && c <= '9')))
                        return false;
        }
        return s.n >= 1 && s.n <= CONFIG_NAME_MAX_BYTES;
}

static void check_name(const NodeEntry *entry, const Node *const *earlier, size_t n, Problems *p) {
        Node key = {.kind = NODE_SCALAR, .text = entry->key};
        char shown[VALUE_SHOWN_BYTES];

        value_shown(&key, shown);
        if (!is_step_name(entry->key))
                problem_add(p, entry->key_place,
                            "%s is no name for a step: expressions read it as .NAME, so letters, "
                            "digits and '_', no digit first, at most %d",
                            shown, CONFIG_NAME_MAX_BYTES);
        if (span_eq(entry->key, SPAN("event")) || span_eq(entry->key, SPAN("meta")))
                problem_add(p, entry->key_place,
                            "a step cannot be called %s: expressions have something else there",
                            shown);
        for (size_t i = 0; i < n; i++)
                if (span_eq(earlier[i]->entries[0].key, entry->key))
                        problem_add(p, entry->key_place, "a step is called %s already (line %u)",
                                    shown, earlier[i]->entries[0].key_place.line);
}

static bool check_step(const Node *step, const Node *const *earlier, size_t n, Problems *p) {
        if (step->bad)
                return false;
        if (step->kind != NODE_MAP || step->n != 1) {
                problem_add(p, step->place,
                            "a step is one name with its options: - NAME: {get: ...}");
                return false;
        }
        const NodeEntry *entry = &step->entries[0];
        check_name(entry, earlier, n, p);
        if (entry->value->kind != NODE_MAP && !entry->value->bad)
                problem_add(p, entry->value->place,
                            "a step's options are a map: - NAME: {get: ...}");
        return true;
}

size_t steps_read(const Node *steps, Arena *a, Problems *p, const Node ***ret) {
        size_t n = 0;

        *ret = NULL;
        if (steps->bad)
                return 0;
        if (steps->kind != NODE_LIST || steps->n == 0 || steps->n > CONFIG_STEPS_MAX) {
                problem_add(p, steps->place, "steps: a list of 1 to %d steps is expected here",
                            CONFIG_STEPS_MAX);
                return 0;
        }
        *ret = arena_alloc(a, steps->n * sizeof **ret);
        if (!*ret) {
                problem_no_room(p, steps->place);
                return 0;
        }
        for (size_t i = 0; i < steps->n; i++)
                if (check_step(steps->items[i], *ret, n, p))
                        (*ret)[n++] = steps->items[i];
        return n;
}
