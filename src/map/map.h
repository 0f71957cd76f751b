/* SPDX-License-Identifier: Apache-2.0
 *
 * jq programs, compiled once, run where they can hurt nobody.
 *
 * A ProgramSet belongs to one configuration snapshot. Sealing it starts its *nursery*: a process
 * without files, network or environment that compiles every program and then forks *helpers*
 * (sealed off by seccomp and limits on CPU time and memory) as loops ask for them. A helper that
 * dies fails the one program it was running; what waited behind is given to its successor.
 *
 * Plain paths such as `.user.email` never travel: they are read from the bytes in place, so an
 * integer of any size stays exact. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

#include <uv.h>

enum {
        MAP_TEXT_MAX_BYTES = 64 * 1024,
        MAP_OUTPUT_MAX_BYTES = 1024 * 1024,
        MAP_CPU_MS = 1000,                      /* per run */
        MAP_MEMORY_BYTES = 256 * 1024 * 1024,   /* that a helper may ask for */
        MAP_QUEUE_MAX_BYTES = 64 * 1024 * 1024, /* of the inputs of all calls of one Map */
        MAP_PROGRAMS_MAX = 4096,
};

typedef struct ProgramSet ProgramSet;
typedef struct Program Program;

ProgramSet *program_set_new(void);
ProgramSet *program_set_ref(ProgramSet *s);
ProgramSet *program_set_unref(ProgramSet *s); /* any thread; the last one ends the nursery */
/* The grapnel binary to start as nursery. Without this call it is the running program itself,
 * which must answer to `jq-nursery FD` (tests do not). Before sealing. */
void program_set_binary(ProgramSet *s, const char *path);
/* Adds a program; the same text is added once. The Program lives as long as the set. 0, or
 * -EINVAL with the sentence: too long, a string that does not end, a number that jq would round,
 * a forbidden word (import, include, modulemeta, get_search_list, env, $ENV, $__prog_args, input,
 * inputs, input_filename, input_line_number, debug, stderr, halt, halt_error). As names of fields
 * these words are fine: `.env`, `{input: 1}`. `now`, `localtime`, `mktime`, `strftime` are
 * allowed; the zone is the host's. */
MUST_CHECK int program_add(ProgramSet *s, Span text, Program **ret, Err *e);
/* Starts the nursery and compiles all. For each program that does not compile, calls
 * bad(arg, program, message) with jq's message made readable (no "jq: error" or "<top-level>"
 * noise; line within the program kept); returns -EINVAL then, other faults with *e. A set whose
 * programs are all plain paths needs no nursery. */
MUST_CHECK int program_set_seal(ProgramSet *s,
                                void (*bad)(void *arg, Program *p, const char *message), void *arg,
                                Err *e);
/* A program that was added; NULL when there is none of that text. */
const Program *program_set_find(const ProgramSet *s, Span text);
Span program_text(const Program *p);
/* Is it a plain path, `.a.b[0]."c d"`? Then program_path_get reads it in place, at once. `.` is
 * not one, since the roots lie in different places; but map_run gives it byte for byte. */
bool program_is_path(const Program *p);

/* The input of a run is one object whose members are the roots, such as
 * {"event":{...},"user":{...}}: names in plain text, values as checked JSON text (.p NULL: left
 * out). One single root with an empty name is the input itself. */
typedef struct MapRoot {
        Span name, value;
} MapRoot;

/* For plain paths only: the value's bytes in the roots, .p NULL where nothing is. That is null in
 * jq, but for steps into texts and numbers, which jq calls an error. */
Span program_path_get(const Program *p, const MapRoot *roots, size_t n_roots);
/* Does the program look at this root? True unless its text proves that it cannot. */
bool program_uses(const Program *p, Span root);

typedef enum MapEnd {
        MAP_OK,     /* output is one JSON text; its numbers are the shortest text that reads back
                       as the same double (0.1; 7; 1e+17) */
        MAP_EMPTY,  /* the program gave no output; error(null) is the same to jq 1.6 */
        MAP_FAILED, /* jq's own error(), a type error, two outputs, NaN or Infinity: why says which
                     */
        MAP_UNSAFE, /* a number that jq would round, the program did not run: why is its RFC 6901
                       pointer from the roots on, "/event/order/id", and nothing else */
        MAP_LIMIT,  /* CPU, memory, time or output over the limit; or the helper crashed or was
                       killed: why says which */
} MapEnd;

typedef struct MapCall MapCall;
struct MapCall {
        /* In; `roots` are copied by map_run, of those values only that the program uses. */
        const Program *program;
        const MapRoot *roots;
        size_t n_roots;
        void (*done)(MapCall *call); /* on the loop's thread, never inside map_run */
        void *arg;
        /* Out, lent until done returns. */
        MapEnd end;
        Span output;
        char why[512];
        /* map's own. */
        void *own[8];
};

/* The helpers of one loop for one set. */
typedef struct Map Map;

typedef struct MapLimits {
        unsigned helpers; /* 0: 1 */
        size_t queue_max; /* calls waiting or running; 0: 4096 */
        int64_t wall_ms;  /* a helper silent for longer on one run is killed; 0: 5 s */
} MapLimits;

MUST_CHECK int map_new(uv_loop_t *loop, ProgramSet *s, const MapLimits *limits, Map **ret, Err *e);
/* 0; or -EBUSY (the queue is full), -EMSGSIZE (the input is larger than 16 MiB): then done will
 * not be called. Plain paths may be given too. */
MUST_CHECK int map_run(Map *m, MapCall *call, Err *e);
/* Forgets a started call; done will not be called. */
void map_cancel(Map *m, MapCall *call);
/* No call may be running. Closing needs turns of the loop; `closed` may be NULL. */
void map_close(Map *m, void (*closed)(void *arg), void *arg);
/* Process ids of this loop's helpers (for tests, metrics): fills at most `max`, returns count. */
size_t map_helpers(const Map *m, int *pids, size_t max);
/* Of the nursery; 0 when there is none. Any thread. */
int program_set_nursery(ProgramSet *s);

/* The entry of the hidden command that becomes the nursery: `grapnel jq-nursery FD`. Does not
 * return. */
int map_nursery_main(int fd);
