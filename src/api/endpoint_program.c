/* SPDX-License-Identifier: Apache-2.0
 *
 * The jq programs that an endpoint brings: tried before the endpoint is written, so that a broken
 * one is told to whoever wrote it; and counted, so that one application does not take the room of
 * all (flow/shelf.h). */
#include "api/nouns.h"
#include "base/table.h"

enum { PROGRAMS_MAX = 100 }; /* different ones of one application */

static const char *const names[] = {"filter", "transform"};

/* An endpoint on its way to the ledger. */
typedef struct Draft {
        ObjectWrite write;
        void (*then)(Op *op, Entry *written);
        Span programs[COUNT_OF(names)]; /* .p NULL: it has none */
        size_t at;
} Draft;

/* ---- counted ---- */

static void count_in(Table *known, Span program) {
        static char there;

        if (program.p && !table_get(known, program))
                must(table_put(known, program, &there) == 0);
}

/* Of the other endpoints of its application. */
static void count_others(Op *op, Table *known, const EndpointSet *set) {
        for (size_t i = 0; i < set->n; i++) {
                const Endpoint *p = set->endpoints[i];

                if (p->id == op_endpoint(op))
                        continue;
                count_in(known, p->filter);
                count_in(known, p->transform);
        }
}

static bool had(const Op *op, Span program) {
        const Endpoint *p = op->endpoint ? op->endpoint->endpoint : NULL;

        return p && (span_eq(program, p->filter) || span_eq(program, p->transform));
}

/* False when it has answered. */
static bool has_room(Op *op, const Draft *d) {
        EndpointSet *set = registry_endpoints(op->admin->parts.registry, op_application(op));
        Table *known = table_new(set ? 2 * set->n + COUNT_OF(names) : 1);
        size_t at = COUNT_OF(names);

        if (set)
                count_others(op, known, set);
        for (size_t i = 0; set && i < COUNT_OF(names); i++) {
                bool is_new = d->programs[i].p && !table_get(known, d->programs[i]) &&
                              !had(op, d->programs[i]);

                count_in(known, d->programs[i]);
                if (is_new && table_count(known) > PROGRAMS_MAX && at == COUNT_OF(names))
                        at = i;
        }
        table_free(known);
        endpoint_set_unref(set);
        if (at < COUNT_OF(names))
                op_invalid_at(op, "body", names[at],
                              "the endpoints of this application have 100 different programs "
                              "already; use one of them, or change an endpoint that has another");
        return at == COUNT_OF(names);
}

/* ---- tried ---- */

static void compile(Op *op);

static void on_compiled(void *arg, int result, const char *why) {
        Op *op = arg;
        Draft *d = op->mine;

        if (result == -EINVAL)
                op_invalid_at(op, "body", names[d->at], why);
        else if (result < 0)
                op_error(op, 503, "unavailable", "the program could not be tried; try again");
        else {
                d->at++;
                compile(op);
        }
}

/* One that is on the shelf already was compiled before. */
static void compile(Op *op) {
        const AdminParts *parts = &op->admin->parts;
        Draft *d = op->mine;
        const Program *program;

        while (d->at < COUNT_OF(d->programs)) {
                Span text = d->programs[d->at];
                ProgramSet *set = text.p ? shelf_find(parts->shelf, text, &program) : NULL;

                if (text.p && !set) {
                        shelf_add_later(parts->shelf, op->admin->loop, text, on_compiled, op);
                        return;
                }
                program_set_unref(set);
                d->at++;
        }
        op_write(op, &d->write, d->then, NULL);
}

static Span kept(Arena *a, Span text) {
        return text.p ? arena_span(a, text) : text;
}

void endpoint_write_tried(Op *op, const ObjectWrite *w, const Endpoint *judged,
                          void (*then)(Op *op, Entry *written)) {
        Draft *d = arena_alloc(op->arena, sizeof *d);

        must(d);
        *d = (Draft){.write = *w, .then = then};
        op->mine = d;
        if (judged) {
                d->programs[0] = kept(op->arena, judged->filter);
                d->programs[1] = kept(op->arena, judged->transform);
        }
        if ((d->programs[0].p || d->programs[1].p) && !has_room(op, d))
                return;
        compile(op);
}
