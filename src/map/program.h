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
        bool is_path, takes_all;
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
        bool sealed;
};

/* A helper's stream from the set's nursery, which is started anew if it has died. Any thread. */
MUST_CHECK int program_set_helper(ProgramSet *s, int *ret_fd, Err *e);
