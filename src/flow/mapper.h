/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs programs of the shelf on one loop: keeps a Map (its helper process) for each set that is in
 * use, and closes those whose set was made anew once nothing runs on them. */
#pragma once

#include "base/list.h"
#include "flow/shelf.h"

typedef struct Mapper {
        Loop *loop;
        Shelf *shelf;
        List maps; /* MapperMap */
} Mapper;

typedef struct MapperRun MapperRun;
struct MapperRun {
        /* In; the roots' bytes must stay. */
        Span text;
        const MapRoot *roots;
        size_t n_roots;
        void (*done)(
                MapperRun *run); /* on the loop's thread; inside mapper_run when it is refused */
        void *arg;
        /* Out, lent until done returns: */
        MapEnd end; /* MAP_FAILED also when the program does not compile */
        Span output;
        const char *why;
        /* Its own. */
        Mapper *mapper;
        struct MapperMap *map;
        MapCall call;
        bool is_second; /* try to put the program on the shelf */
};

void mapper_init(Mapper *m, Loop *loop, Shelf *shelf);
/* Nothing may run. The maps' closing needs turns of the loop. */
void mapper_close(Mapper *m);
void mapper_run(Mapper *m, MapperRun *run);
