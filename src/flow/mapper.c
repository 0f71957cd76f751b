/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/mapper.h"

typedef struct MapperMap {
        Link link;
        ProgramSet *set;
        Map *map;
        size_t runs;
} MapperMap;

void mapper_init(Mapper *m, Loop *loop, Shelf *shelf) {
        *m = (Mapper){.loop = loop, .shelf = shelf};
        list_init(&m->maps);
}

static void map_end(Mapper *m, MapperMap *map) {
        list_remove(&m->maps, &map->link);
        map_close(map->map, NULL, NULL);
        program_set_unref(map->set);
        free(map);
}

void mapper_close(Mapper *m) {
        LIST_EACH(&m->maps, it)
        map_end(m, CONTAINER_OF(it, MapperMap, link));
}

/* Sets that were made anew have no new runs. */
static void drop_old(Mapper *m) {
        LIST_EACH(&m->maps, it) {
                MapperMap *map = CONTAINER_OF(it, MapperMap, link);

                if (map->runs == 0 && !shelf_is_current(m->shelf, map->set))
                        map_end(m, map);
        }
}

static MapperMap *map_of(Mapper *m, ProgramSet *set, Err *e) {
        MapperMap *map;

        LIST_EACH(&m->maps, it) {
                map = CONTAINER_OF(it, MapperMap, link);
                if (map->set == set)
                        return map;
        }
        drop_old(m);
        map = must_alloc(sizeof *map);
        if (map_new(&m->loop->uv, set, &(MapLimits){.helpers = 1}, &map->map, e) < 0) {
                free(map);
                return NULL;
        }
        map->set = program_set_ref(set);
        list_push(&m->maps, &map->link);
        return map;
}

static void finish(MapperRun *run, MapEnd end, Span output, const char *why) {
        run->end = end;
        run->output = output;
        run->why = why;
        run->done(run);
}

static void on_mapped(MapCall *c) {
        MapperRun *run = c->arg;

        run->map->runs--;
        finish(run, c->end, c->output, c->why);
}

static void begin(MapperRun *run, ProgramSet *set, const Program *program) {
        Err e = {0};

        run->map = map_of(run->mapper, set, &e);
        run->call = (MapCall){.program = program,
                              .roots = run->roots,
                              .n_roots = run->n_roots,
                              .done = on_mapped,
                              .arg = run};
        if (run->map && map_run(run->map->map, &run->call, &e) == 0) {
                run->map->runs++;
                return;
        }
        finish(run, MAP_LIMIT, (Span){NULL, 0}, e.text);
}

static void on_added(void *arg, int result, const char *why) {
        MapperRun *run = arg;
        const Program *program = NULL;
        ProgramSet *set = result == 0 ? shelf_find(run->mapper->shelf, run->text, &program) : NULL;

        if (set)
                begin(run, set, program);
        else if (result == 0 && !run->is_second) { /* it left this very moment */
                run->is_second = true;
                shelf_add_later(run->mapper->shelf, run->mapper->loop, run->text, on_added, run);
        } else
                finish(run, result == -EINVAL ? MAP_FAILED : MAP_LIMIT, (Span){NULL, 0}, why);
        program_set_unref(set);
}

/* A program that is there is begun in the same turn, others after a worker has compiled it. */
void mapper_run(Mapper *m, MapperRun *run) {
        const Program *program = NULL;
        ProgramSet *set = shelf_find(m->shelf, run->text, &program);

        run->mapper = m;
        run->is_second = false;
        if (!set) {
                shelf_add_later(m->shelf, m->loop, run->text, on_added, run);
                return;
        }
        begin(run, set, program);
        program_set_unref(set);
}
