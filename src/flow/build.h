/* SPDX-License-Identifier: Apache-2.0
 *
 * A snapshot in the making: compiles the expressions of the configuration and prepares the steps.
 * What is wrong goes to the problems, each with its place, and the building goes on to find more.
 */
#pragma once

#include "flow/snapshot.h"

/* A list of steps being built, within the step of an outer one. */
typedef struct BuildLevel {
        struct BuildLevel *outer;
        StepList *list;    /* those before the one being built are ready */
        uint32_t mentions; /* bits of those that its expressions look at */
        /* What the steps see beside what the outer one sees, such as "item". */
        const Span *names;
        size_t n_names;
} BuildLevel;

typedef struct Build {
        Snapshot *snapshot;
        Problems *problems;
        struct Origin *origins;
        bool is_partial; /* it will not run: expressions and steps are read for their errors */
        bool is_undo;    /* the steps being built undo one */
        Flow *flow;
        BuildLevel *level;
        Step *step; /* being built, at that level */
} Build;

/* Compile one expression; every error goes to the problems. 0 or -EINVAL; *ret is NULL for an
 * expression that was not given. */
MUST_CHECK int build_program(Build *b, const Expr *e, Program **ret);
MUST_CHECK int build_template(Build *b, const Expr *e, Template *ret);
MUST_CHECK int build_address(Build *b, const Expr *e, Address *ret);
/* Adds the problem that there is no connection of that name, with the nearest. -EINVAL. */
int build_no_connection(Build *b, Place place, Span name);
/* The steps of a list within the one being built; `names` are what they see beside what it sees,
 * and stay. */
MUST_CHECK int build_steps(Build *b, const Node *list, const Span *names, size_t n_names,
                           const StepList **ret);
/* The step of that name whose value the one being built sees. NULL, with the problem that `what`
 * names none, when there is none. */
const Step *build_step_named(Build *b, const char *what, Span name);

/* ---- for snapshot.c ---- */

MUST_CHECK int build_flow_steps(Build *b, Flow *f);
/* jq refused a program: the problem gets the places where it stands. */
void build_bad_program(void *build, Program *p, const char *message);
