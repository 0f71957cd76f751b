/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/map: programs and sets as map.c sees them. */
#pragma once

#include "map/map.h"
#include "map/nursery.h"
#include "map/path.h"

#include "base/table.h"

#include <pthread.h>
#include <stdatomic.h>

struct Program {
        ProgramSet *set;
        Span text;
        Path path;
        bool is_path; /* of one part or more; `.` alone is no place to lend */
        bool sees_all;
        Span *names; /* of the roots it sees, unless all */
        size_t n_names;
        uint32_t number; /* among those that the nursery compiles */
};

struct ProgramSet {
        _Atomic unsigned refs;
        Arena *arena;
        Table *by_text;
        Program **programs;
        size_t n;
        pthread_mutex_t lock; /* of the nursery: several loops ask for helpers */
        Nursery *nursery;
        char *binary; /* to start as nursery; NULL: ourselves */
        int texts_fd; /* what it compiles; -1 when there is nothing to compile */
        bool sealed;
};

/* Is it `.`: the input itself, whole? It needs no helper either. */
static inline bool program_is_identity(const Program *p) {
        return p->path.n == 0 && p->path.whole;
}
/* Must a helper run it? */
static inline bool program_needs_helper(const Program *p) {
        return !p->is_path && !program_is_identity(p);
}
/* A helper's stream from the set's nursery, which is started anew if it has ended. Never blocks
 * for longer than the start of a process takes. Any thread. */
MUST_CHECK int program_set_helper(ProgramSet *s, int *ret_fd, Err *e);
/* Has the nursery ended, and with it its helpers through no fault of theirs? Any thread. */
bool program_set_nursery_gone(ProgramSet *s);
/* Ends a nursery that does not answer, so that the next program_set_helper starts another. */
void program_set_drop_nursery(ProgramSet *s);
/* How long a new nursery may take to hand out its first helper. */
int64_t program_set_start_ms(const ProgramSet *s);
