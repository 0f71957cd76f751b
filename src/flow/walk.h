/* SPDX-License-Identifier: Apache-2.0
 *
 * A walk through a list of steps: the flow's own, those of a for_each for one item, or those that
 * undo a step. It begins each step as soon as those before it that it depends on have ended: a step
 * that only reads depends on the steps whose names its expressions mention and on all that write;
 * one that writes depends on everything before it, unless it says `after`. So what is read together
 * is fetched together, and what is written is written in the order of the file.
 *
 * A walk sees what its outer walk saw when it began, and the values of its own steps that stand
 * before the one that looks, whichever ended first. */
#pragma once

#include "flow/act.h"

struct Walk {
        Run *run;
        Walk *outer; /* NULL for the flow's own */
        const StepList *list;
        MapRoot *roots; /* `base` from outside, then one for each step: .p NULL until it ended */
        Span *tags;     /* of the steps' values */
        size_t base;
        size_t item;             /* which one of those that it is done for, from 1 on; 0: none */
        const Program *items;    /* that gave them */
        uint32_t begun, ended;   /* bits of steps */
        bool is_over, is_ending; /* is_ending: it has an outcome, and waits for its acts */
        Link link;               /* among those of the run that have something to do */
        /* All steps have ended well. From the run's own loop, never deeper. */
        void (*done)(Walk *w);
        /* One has failed and the others are over. Without it the outer walk fails. */
        void (*failed)(Walk *w, const Outcome *o);
        Outcome outcome; /* of one that is ending */
        void *arg;
};

/* `outer` is seen up to its first `seen` roots; NULL for a walk that sees the extra ones alone.
 * Memory from the run's arena; NULL when that is full. */
Walk *walk_new(Run *r, Walk *outer, size_t seen, const MapRoot *extra, size_t n_extra,
               const StepList *list);
/* Makes one that is over as new, for other extra roots: as many as it was made with. Not where
 * something that it did can be undone, which needs its values. */
void walk_renew(Walk *w, const MapRoot *extra, size_t n_extra);
/* It has its turn in the next run_go, which is the last thing that the caller does: acts and walks
 * may be gone after it. */
void walk_start(Walk *w);

/* ---- for act.c and run.c ---- */

/* Its turn, from the run's loop: begins what can begin, or reports that it is over. */
void walk_go(Walk *w);
/* An act of it has ended; the act is gone after. */
void walk_take(Walk *w, Act *a, Span value);
/* The step of that name in its list; list->n when there is none. */
size_t walk_find(const Walk *w, Span name);
/* The act, which is gone after, and the steps before it from `from` on that only read are to be
 * done again. */
void walk_repeat(Walk *w, Act *a, size_t from);
/* Fails; so does every outer one, up to the first that has a `failed`. The acts within are
 * cancelled. A second failure counts no more. */
void walk_fail(Walk *w, const Outcome *o);
/* Ends the outermost one by that outcome, whatever it is. */
void walk_end_all(Walk *w, const Outcome *o);
