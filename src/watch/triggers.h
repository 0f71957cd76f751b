/* SPDX-License-Identifier: Apache-2.0
 *
 * The triggers of a configuration, checked: immutable, counted by reference. */
#pragma once

#include "watch/kind.h"

struct Trigger {
        const TriggerKind *kind;
        const SourceConfig *source; /* its name is the trigger's */
        const Node *map;            /* as written */
        const void *options;        /* of the kind */
};

typedef struct Triggers {
        _Atomic unsigned refs;
        Arena *arena;
        Config *config; /* a reference */
        Trigger *at;
        size_t n;
} Triggers;

/* NULL when there is any error; `problems` says them. */
Triggers *triggers_build(Config *c, Problems *problems);
Triggers *triggers_ref(Triggers *t);
Triggers *triggers_unref(Triggers *t); /* any thread */
/* Would they do the same to the same database? */
bool trigger_same(const Trigger *a, const Trigger *b);
/* NULL when the source has none. */
const Trigger *triggers_find(const Triggers *t, Span source);

/* The reference of all kinds as Markdown, written from their tables. */
MUST_CHECK int triggers_print_reference(Buf *out);
