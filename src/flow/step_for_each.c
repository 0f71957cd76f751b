/* SPDX-License-Identifier: Apache-2.0
 *
 * for_each: do steps for each element of a list, a few at a time. Each *lane* walks through the
 * steps for one item, then takes the next one that nobody has begun. What the last step gave for
 * each item is kept, in the order of the list.
 *
 * One that fails ends the run, or, with `on_error: continue`, is written down: the others are done
 * and so are the steps behind, and the run then fails for all that. A run in which an item failed
 * never ends well. */
#include "flow/run.h"
#include "flow/step.h"
#include "json/value.h"

enum {
        ITEMS_MAX = 10000,
        TOGETHER_MAX = 32,
        FAILURES_TOLD_MAX = 3, /* in the message; all are in the value */
};

typedef struct ForEachOptions {
        Expr list;
        const Node *steps;
        int64_t max, together;
        int on_error;
        const Program *program[1];
        const StepList *inner;
        bool can_undo; /* an inner step says how it is undone: each walk stays */
} ForEachOptions;

typedef enum OnError { ERROR_FAIL, ERROR_CONTINUE } OnError;
static const char *const on_errors[] = {"fail", "continue", NULL};

#define AT(field) offsetof(ForEachOptions, field)

static const Option options[] = {
        {.name = "for_each",
         .type = OPTION_EXPR,
         .offset = AT(list),
         .required = true,
         .help = "A jq expression that gives the list, such as .user.groups. Null is an empty "
                 "list."},
        {.name = "steps",
         .type = OPTION_NODE,
         .offset = AT(steps),
         .required = true,
         .shape = "list of steps",
         .help = "What is done for each element: they see it as `.item`, its number from 0 on as "
                 "`.index`, and all that this step sees. What the last of them gives is kept."},
        {.name = "max",
         .type = OPTION_NUMBER,
         .offset = AT(max),
         .fallback = "100",
         .min = 1,
         .max = ITEMS_MAX,
         .help = "How long the list may be; a longer one is an error, and nothing is done."},
        {.name = "together",
         .type = OPTION_NUMBER,
         .offset = AT(together),
         .fallback = "1",
         .min = 1,
         .max = TOGETHER_MAX,
         .help = "How many elements are worked on at the same time."},
        {.name = "on_error",
         .type = OPTION_CHOICE,
         .offset = AT(on_error),
         .fallback = "fail",
         .choices = on_errors,
         .help = "`fail`: the first element that fails ends the run, and what was done is undone "
                 "where the steps say how. `continue`: the others and the later steps are done, "
                 "nothing is undone, and the run fails in the end."},
};

static bool may_undo(const StepList *l) {
        for (size_t i = 0; i < l->n; i++)
                if (l->steps[i].undo)
                        return true;
        return false;
}

static int prepare(Build *b, void *into) {
        static const Span names[] = {{"item", 4}, {"index", 5}};
        ForEachOptions *o = into;
        Program *p = NULL;
        int r = build_program(b, &o->list, &p);

        o->program[0] = p;
        if (!o->steps || build_steps(b, o->steps, names, COUNT_OF(names), &o->inner) < 0)
                return -EINVAL;
        b->step->reads = true;
        for (size_t i = 0; i < o->inner->n; i++)
                b->step->reads &= o->inner->steps[i].reads;
        o->can_undo = may_undo(o->inner);
        return r;
}

typedef struct Round {
        Act *act;
        Span list;
        size_t pos; /* in the list, for json_next */
        size_t n, begun, ended, failed;
        Span *values; /* of the items; .p NULL for null */
        Outcome worst;
        char *told; /* what failed, for the message */
} Round;

static const ForEachOptions *options_of(const Round *r) {
        return r->act->step->options;
}

static void no_room(Act *a) {
        act_fail(a, 422, "too-large", false, "the results of the steps are too large");
}

/* ---- the end ---- */

static void tell_failures(Round *r) {
        Outcome o = r->worst;
        char *text = arena_printf(r->act->run->arena,
                                  "%zu of %zu items of step " SPAN_FMT " failed: %s%s", r->failed,
                                  r->n, SPAN_ARG(r->act->step->name), r->told ? r->told : "",
                                  r->failed > FAILURES_TOLD_MAX ? " And others." : "");

        o.message = text ? span_of(text) : SPAN("Some items failed.");
        run_partly(r->act->run, &o);
}

static void end(Round *r) {
        Act *a = r->act;
        AUTO(buf_done)
        Buf all = BUF(RUN_ARENA_MAX_BYTES);
        int e = buf_add_char(&all, '[');

        for (size_t i = 0; i < r->n && e == 0; i++) {
                if (i > 0)
                        e = buf_add_char(&all, ',');
                if (e == 0)
                        e = buf_add(&all, r->values[i].p ? r->values[i] : SPAN("null"));
        }
        if (e == 0)
                e = buf_add_char(&all, ']');
        Span value = e == 0 ? act_keep(a, buf_span(&all)) : (Span){NULL, 0};
        if (!value.p) {
                no_room(a);
                return;
        }
        if (r->failed)
                tell_failures(r);
        act_done(a, value);
}

/* ---- items ---- */

/* Where a lane goes on: the walk's place in the list. */
static size_t place_of(const Walk *w) {
        return w->item - 1;
}

static bool next_item(Round *r, Walk *w);

static void item_ended(Walk *w) {
        Round *r = w->arg;
        Act *a = r->act;

        r->ended++;
        if (r->begun < r->n) {
                if (!next_item(r, w))
                        no_room(a);
        } else if (r->ended == r->n)
                end(r);
}

static void on_item_done(Walk *w) {
        Round *r = w->arg;

        r->values[place_of(w)] = w->roots[w->base + w->list->n - 1].value;
        item_ended(w);
}

/* Which item it was, said behind the message. */
static Span message_of(const Walk *w, const Outcome *o) {
        const Round *r = w->arg;
        char *text =
                arena_printf(w->run->arena, SPAN_FMT " (item %zu of %zu, step " SPAN_FMT ")",
                             SPAN_ARG(o->message), w->item, r->n, SPAN_ARG(r->act->step->name));

        return text ? span_of(text) : o->message;
}

/* What stands in the value for an item that failed. */
static Span failure_of(const Run *run, const Outcome *o) {
        AUTO(buf_done)
        Buf b = BUF(8 * 1024);

        if (buf_addf(&b, "{\"failed\":{\"status\":%d,\"code\":\"%s\",\"message\":", o->status,
                     o->code) < 0 ||
            buf_add_json(&b, o->message) < 0 || buf_add(&b, SPAN("}}")) < 0)
                return SPAN("{\"failed\":{}}");
        return arena_span(run->arena, buf_span(&b));
}

static void note_failure(Round *r, const Walk *w, const Outcome *o) {
        if (r->failed++ == 0)
                r->worst = *o;
        else if (strcmp(r->worst.code, o->code) != 0) { /* not all the same */
                r->worst.status = 424;
                r->worst.code = "some-failed";
        }
        r->worst.not_tried = false;
        r->worst.retryable |= o->retryable;
        if (o->retry_after_s > r->worst.retry_after_s)
                r->worst.retry_after_s = o->retry_after_s;
        if (r->failed <= FAILURES_TOLD_MAX) {
                char *told = arena_printf(w->run->arena, "%s%sitem %zu: " SPAN_FMT,
                                          r->told ? r->told : "", r->told ? " " : "", w->item,
                                          SPAN_ARG(o->message));

                r->told = told ? told : r->told;
        }
}

static void on_item_failed(Walk *w, const Outcome *o) {
        Round *r = w->arg;
        Outcome told = *o;

        if (options_of(r)->on_error == ERROR_CONTINUE) {
                r->values[place_of(w)] = failure_of(w->run, o);
                note_failure(r, w, o);
                run_item_failed(w->run, r->act->step->name, w->item, o);
                item_ended(w);
                return;
        }
        told.message = message_of(w, o);
        act_fail_with(r->act, &told);
}

static Walk *walk_for(Round *r, Walk *w, const MapRoot *roots, size_t n) {
        const ForEachOptions *o = options_of(r);
        Act *a = r->act;

        /* What began within one that failed must find it failed for ever. */
        if (w && !w->is_ending && !o->can_undo) {
                walk_renew(w, roots, n);
                return w;
        }
        w = walk_new(a->run, a->walk, a->walk->base + a->index, roots, n, o->inner);
        if (w) {
                w->arg = r;
                w->items = o->program[0];
                w->done = on_item_done;
                w->failed = on_item_failed;
        }
        return w;
}

/* Begins the next one, with the lane's walk or a new one. False when there is no room. */
static bool next_item(Round *r, Walk *w) {
        Arena *arena = r->act->run->arena;
        char *index = arena_printf(arena, "%zu", r->begun);
        MapRoot roots[] = {{SPAN("item"), {NULL, 0}}, {SPAN("index"), {NULL, 0}}};
        Span key;

        must(json_next(r->list, &r->pos, &key, &roots[0].value));
        w = index ? walk_for(r, w, (roots[1].value = span_of(index), roots), COUNT_OF(roots))
                  : NULL;
        if (!w)
                return false;
        w->item = ++r->begun;
        walk_start(w);
        return true;
}

/* ---- the beginning ---- */

static void begin(Act *a, Span list) {
        const ForEachOptions *o = a->step->options;
        Round *r = arena_alloc(a->run->arena, sizeof *r);

        if (r) {
                *r = (Round){.act = a, .list = list, .n = json_length(list)};
                r->values = arena_alloc(a->run->arena, (r->n + 1) * sizeof *r->values);
        }
        if (!r || !r->values) {
                no_room(a);
                return;
        }
        if (r->n == 0) {
                end(r);
                return;
        }
        for (size_t i = 0; i < r->n && i < (size_t)o->together; i++)
                if (!next_item(r, NULL)) {
                        no_room(a);
                        return;
                }
        run_go(a->run);
}

static void on_list(Act *a) {
        const ForEachOptions *o = a->step->options;
        Span list = a->evaluation.values[0];

        if (!list.p)
                list = SPAN("[]");
        if (json_kind(list) != JSON_ARRAY)
                act_fail(a, 422, "mapping-failed", false,
                         "step " SPAN_FMT ": " SPAN_FMT " gives no list", SPAN_ARG(a->step->name),
                         SPAN_ARG(o->list.text));
        else if (json_length(list) > (size_t)o->max)
                act_fail(a, 422, "too-many", false,
                         "step " SPAN_FMT ": the list holds %zu items, and at most %" PRId64
                         " are allowed",
                         SPAN_ARG(a->step->name), json_length(list), o->max);
        else
                begin(a, list);
}

static void run(Act *a, const Step *s) {
        const ForEachOptions *o = s->options;

        act_evaluate(a, o->program, 1, on_list);
}

const StepKind step_for_each = {
        .name = "for_each",
        .help = "Does steps for each element of a list.",
        .options = options,
        .n_options = COUNT_OF(options),
        .size = sizeof(ForEachOptions),
        .prepare = prepare,
        .run = run,
};
