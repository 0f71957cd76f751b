/* SPDX-License-Identifier: Apache-2.0 */
#include "api/list.h"

const char *const list_orders[] = {"ascending", "descending", NULL};

static bool has_field(const Schema *s, const char *name) {
        for (size_t i = 0; i < schema_count(s); i++)
                if (strcmp(schema_field(s, i)->name, name) == 0)
                        return true;
        return false;
}

ListAsk list_ask(const Op *op, bool newest_first) {
        ListAsk l = {.limit = (size_t)value_int(&op->query, "limit", LIST_LIMIT),
                     .iterator = value_of(&op->query, "iterator"),
                     .newest_first = newest_first};

        if (l.iterator.n && l.iterator.p[0] == '-') {
                l.is_prev = true;
                l.iterator = span_from(l.iterator, 1);
        }
        if (has_field(op->query.schema, "order") && value_of(&op->query, "order").p)
                l.newest_first = span_eq(value_of(&op->query, "order"), SPAN("descending"));
        return l;
}

static void reverse(Entry **entries, size_t n) {
        for (size_t i = 0; i < n / 2; i++) {
                Entry *e = entries[i];

                entries[i] = entries[n - 1 - i];
                entries[n - 1 - i] = e;
        }
}

bool list_after(Op *op, const ListAsk *l, const char *prefix, int64_t *ret) {
        if (!l->iterator.p || id_parse(prefix, l->iterator, ret))
                return true;
        op_invalid_at(op, "query", "iterator", "must be one that an earlier answer gave");
        return false;
}

bool list_cut(const ListAsk *l, Entry **entries, size_t *n) {
        bool done = *n <= l->limit;

        if (!done)
                entry_unref(entries[--*n]);
        if (l->is_prev)
                reverse(entries, *n);
        return done;
}

bool list_objects(Op *op, const ListAsk *l, ObjectKind kind, const char *prefix, int64_t owner,
                  Entry **ret, size_t *ret_n, bool *ret_done) {
        int64_t after = 0;

        if (!list_after(op, l, prefix, &after))
                return false;
        *ret_n = registry_page(op->admin->parts.registry, kind, owner, after, list_downward(l),
                               l->limit + 1, ret);
        *ret_done = list_cut(l, ret, ret_n);
        return true;
}

void list_open(Put *p) {
        put_open(p, NULL, '{');
        put_open(p, "data", '[');
}

void list_close(Put *p, Span first, Span last, bool done, bool no_prev) {
        char prev[320];

        put_close(p, ']');
        put_bool(p, "done", done);
        put_text(p, "iterator", last);
        if (first.p && !no_prev) {
                int n = snprintf(prev, sizeof prev, "-" SPAN_FMT, SPAN_ARG(first));

                put_text(p, "prevIterator", (Span){prev, (size_t)n});
        } else
                put_null(p, "prevIterator");
        put_close(p, '}');
}
