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
        size_t base;
        size_t item;           /* which one of those that it is done for, from 1 on; 0: none */
        const Program *items;  /* that gave them */
        uint32_t begun, ended; /* bits of steps */
        bool is_over, has_failed;
        Link link; /* among those of the run that have something to do */
        /* All steps have ended well. From the run's own loop, never deeper. */
        void (*done)(Walk *w);
        /* One has failed and the others are over. Without it the outer walk fails. */
        void (*failed)(Walk *w, const Outcome *o);
        Outcome outcome; /* of a failed one, while what cannot be cancelled ends */
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
/* Fails; so does every outer one, up to the first that has a `failed`. The acts within are
 * cancelled. A second failure counts no more. */
void walk_fail(Walk *w, const Outcome *o);
