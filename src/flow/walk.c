/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/walk.h"

#include "flow/run.h"

Walk *walk_new(Run *r, Walk *outer, size_t seen, const MapRoot *extra, size_t n_extra,
               const StepList *list) {
        Walk *w = arena_alloc(r->arena, sizeof *w);
        MapRoot *roots = arena_alloc(r->arena, (seen + n_extra + list->n + 1) * sizeof *roots);
        Span *tags = arena_alloc(r->arena, (list->n + 1) * sizeof *tags);

        if (!w || !roots || !tags)
                return NULL;
        if (seen)
                memcpy(roots, outer->roots, seen * sizeof *roots);
        if (n_extra)
                memcpy(roots + seen, extra, n_extra * sizeof *roots);
        for (size_t i = 0; i < list->n; i++)
                roots[seen + n_extra + i].name = list->steps[i].name;
        *w = (Walk){.run = r,
                    .outer = outer,
                    .list = list,
                    .roots = roots,
                    .tags = tags,
                    .base = seen + n_extra};
        link_init(&w->link);
        return w;
}

void walk_renew(Walk *w, const MapRoot *extra, size_t n_extra) {
        must(w->is_over && n_extra <= w->base);
        memcpy(w->roots + w->base - n_extra, extra, n_extra * sizeof *extra);
        for (size_t i = 0; i < w->list->n; i++)
                w->roots[w->base + i].value = w->tags[i] = (Span){NULL, 0};
        w->begun = w->ended = 0;
        w->is_over = w->is_ending = false;
}

/* ---- turns ---- */

void walk_start(Walk *w) {
        if (!link_on(&w->link))
                list_push(&w->run->ready, &w->link);
}

/* Has it, or one around it, failed? */
static bool is_lost(const Walk *w) {
        while (w && !w->is_ending)
                w = w->outer;
        return w;
}

static bool is_within(const Walk *w, const Walk *of) {
        while (w && w != of)
                w = w->outer;
        return w;
}

static bool has_acts(const Walk *w) {
        LIST_EACH(&w->run->acts, it)
        if (is_within(CONTAINER_OF(it, Act, link)->walk, w))
                return true;
        return false;
}

static void report(Walk *w) {
        if (is_lost(w->outer) || has_acts(w))
                return;
        w->is_over = true;
        if (w->failed)
                w->failed(w, &w->outcome);
        else
                run_broke_off(w->run, &w->outcome);
}

static uint32_t all_of(const StepList *l) {
        return l->n == STEPS_MAX ? UINT32_MAX : (1U << l->n) - 1;
}

static bool can_begin(const Walk *w, size_t i) {
        return !(w->begun & 1U << i) && !(w->list->steps[i].after & ~w->ended);
}

void walk_go(Walk *w) {
        if (w->is_over)
                return;
        if (w->is_ending) {
                report(w);
                return;
        }
        for (size_t i = 0; i < w->list->n && !is_lost(w); i++) {
                if (!can_begin(w, i))
                        continue;
                Act *a = run_act(w, i);

                if (!a)
                        return; /* it has failed */
                w->begun |= 1U << i;
                act_begin(a);
        }
        if (w->ended != all_of(w->list) || is_lost(w))
                return;
        w->is_over = true;
        w->done(w);
}

/* ---- what acts bring ---- */

/* An orphan is gone: who waited for that may be over now. */
static void start_lost(Walk *w) {
        for (; w; w = w->outer)
                if (w->is_ending)
                        walk_start(w);
}

void walk_take(Walk *w, Act *a, Span value) {
        Run *r = w->run;

        if (!a->is_orphan) {
                w->roots[w->base + a->index].value = value.p ? value : SPAN("null");
                w->tags[a->index] = a->tag;
                w->ended |= 1U << a->index;
                run_did(a);
                walk_start(w);
        }
        run_act_gone(r, a);
        start_lost(w);
        run_go(r);
}

size_t walk_find(const Walk *w, Span name) {
        size_t i = 0;

        while (i < w->list->n && !span_eq(w->list->steps[i].name, name))
                i++;
        return i;
}

void walk_repeat(Walk *w, Act *a, size_t from) {
        Run *r = w->run;
        uint32_t again = 1U << a->index;

        for (size_t i = from; i < a->index; i++)
                if (w->list->steps[i].reads)
                        again |= 1U << i;
        w->begun &= ~again;
        w->ended &= ~again;
        run_act_gone(r, a);
        walk_start(w);
        run_go(r);
}

static void end(Walk *w, const Outcome *o) {
        Run *r = w->run;

        if (!is_lost(w) && !w->is_over) {
                w->is_ending = true;
                w->outcome = *o;
                LIST_EACH(&r->acts, it) {
                        Act *a = CONTAINER_OF(it, Act, link);

                        if (is_within(a->walk, w) && act_cancel(a))
                                run_act_gone(r, a);
                }
                walk_start(w);
        }
        run_go(r);
}

void walk_fail(Walk *w, const Outcome *o) {
        while (!w->failed && w->outer)
                w = w->outer;
        end(w, o);
}

void walk_end_all(Walk *w, const Outcome *o) {
        while (w->outer)
                w = w->outer;
        end(w, o);
}
