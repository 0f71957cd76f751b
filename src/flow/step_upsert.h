/* SPDX-License-Identifier: Apache-2.0
 *
 * upsert: see to it that a target has one entity for one of the source, and that it is as it should
 * be. Found by the source's own id: none is created, one is changed, several are an error. Here is
 * what the step may say; upsert.c does it. */
#pragma once

#include "flow/change.h"
#include "flow/id_cache.h"
#include "map/path.h"

typedef enum WhenGone { GONE_DEACTIVATE, GONE_DELETE, GONE_SKIP } WhenGone;

typedef struct UpsertOptions {
        Expr upsert, find, pick, id, more, gone, inactive;
        Change change;
        const Node *missing, *when_gone;
        int64_t cache_ms;

        Address to, search;
        Path pick_path, id_path;
        Missing when_missing;
        bool creates;  /* what is not there */
        int gone_rule; /* WhenGone */
        const Program *gone_program, *inactive_program;
        const Program *body_programs[2]; /* the Change's, `new` */
        IdCache *ids;                    /* NULL: nothing is remembered */
} UpsertOptions;

/* How StepKind.run is done. */
void upsert_run(Act *a, const Step *s);
