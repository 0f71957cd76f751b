/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request for a backfill asks for: looked at while whoever asks is there to be told. The
 * names are those of the configuration as it is now, and the expression is compiled. */
#include "api/nouns.h"
#include "api/text.h"
#include "trigger/backfill.h"
#include "trigger/fetch.h"
#include "json/value.h"

enum { WISH_MAX_BYTES = 64 * 1024 };

typedef struct Wish {
        Span text, event;
        void (*then)(Op *op, Span text);
} Wish;

/* ---- its text ---- */

static void put_given(Put *p, const Op *op, const char *name) {
        if (value_of(&op->body, name).p && !value_is_null(&op->body, name))
                put_raw(p, name, value_of(&op->body, name));
}

static Span text_with(Op *op, Span source) {
        static const char *const same[] = {"flow",  "from", "event",   "key",
                                           "pages", "rate", "maxPages"};
        AUTO(put_done)
        Put p = PUT(WISH_MAX_BYTES);

        put_open(&p, NULL, '{');
        put_text(&p, "source", source);
        for (size_t i = 0; i < COUNT_OF(same); i++)
                put_given(&p, op, same[i]);
        put_close(&p, '}');
        return p.fault ? (Span){NULL, 0} : arena_span(op->arena, put_span(&p));
}

/* ---- names ---- */

static const Flow *flow_of(Op *op) {
        char target[JOB_TARGET_MAX_BYTES];

        (void)snprintf(target, sizeof target, "flow:" SPAN_FMT,
                       SPAN_ARG(value_text(&op->body, "flow", op->arena)));
        return snapshot_flow(op->admin->inlet->runner->snapshot, span_of(target));
}

/* .p NULL when the flow does not look at it. */
static Span source_of(Op *op, const FlowConfig *f) {
        Span given = value_text(&op->body, "source", op->arena);

        for (size_t i = 0; i < f->n_on; i++)
                if (!given.p || span_eq(given, span_of(f->on[i])))
                        return span_of(f->on[i]);
        return (Span){NULL, 0};
}

/* ---- tried ---- */

static void on_compiled(void *arg, int result, const char *why) {
        Op *op = arg;
        Wish *w = op->mine;

        if (result == -EINVAL)
                op_invalid_at(op, "body", "event", why);
        else if (result < 0)
                op_error(op, 503, "unavailable", "the expression could not be tried; try again");
        else
                w->then(op, w->text);
}

static void compile(Op *op) {
        Shelf *shelf = op->admin->parts.shelf;
        Wish *w = op->mine;
        const Program *program;
        ProgramSet *set = w->event.n ? shelf_find(shelf, w->event, &program) : NULL;

        if (w->event.n && !set) {
                shelf_add_later(shelf, op->admin->loop, w->event, on_compiled, op);
                return;
        }
        program_set_unref(set);
        w->then(op, w->text);
}

void backfill_wish(Op *op, void (*then)(Op *op, Span text)) {
        const Flow *flow = flow_of(op);
        Span source = flow ? source_of(op, flow->config) : SPAN("");
        const char *wrong, *member;
        Wish *w = arena_alloc(op->arena, sizeof *w);
        BackfillPlan plan;
        Err e = {0};

        must(w);
        if (!flow) {
                op_invalid_at(op, "body", "flow", "there is no such flow");
                return;
        }
        if (!source.p) {
                op_invalid_at(op, "body", "source", "the flow is not on this source");
                return;
        }
        *w = (Wish){.text = text_with(op, source), .then = then};
        op->mine = w;
        if (!w->text.p) {
                op_error(op, 413, "too_large", "the request is too large");
                return;
        }
        wrong = backfill_plan(w->text, op->arena, &plan, &member);
        if (wrong) {
                op_invalid_at(op, "body", member, wrong);
                return;
        }
        if (fetch_check(op->admin->inlet->runner->snapshot, plan.from, &e) < 0) {
                op_invalid_at(op, "body", "from", e.text);
                return;
        }
        w->event = plan.event;
        compile(op);
}
