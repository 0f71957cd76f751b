/* SPDX-License-Identifier: Apache-2.0
 *
 * Running one program at a time, as tests like it: a set, a loop and a Map together, and calls
 * that wait for their end. */
#pragma once

#include "map/map.h"
#include "unit.h"

#include <unistd.h>

typedef struct Bench {
        uv_loop_t loop;
        ProgramSet *set;
        Map *map;
        size_t ended; /* calls */
} Bench;

typedef struct Run {
        MapCall call;
        Bench *bench;
        bool ended;
        size_t turn; /* which of the bench's calls ended this was */
        char *output;
} Run;

static inline Bench *bench_new(void) {
        Bench *b = must_alloc(sizeof *b);

        assert_int_equal(uv_loop_init(&b->loop), 0);
        assert_non_null(getenv("GRAPNEL_BINARY")); /* `meson test` sets it */
        b->set = program_set_new();
        program_set_binary(b->set, getenv("GRAPNEL_BINARY"));
        return b;
}

static inline Program *bench_add(Bench *b, const char *text) {
        Program *p = NULL;
        Err e = {0};

        if (program_add(b->set, span_of(text), &p, &e) < 0)
                fail_msg("%s: %s", text, e.text);
        return p;
}

static inline void bench_start(Bench *b, const MapLimits *limits) {
        Err e = {0};

        if (program_set_seal(b->set, NULL, NULL, &e) < 0 ||
            map_new(&b->loop, b->set, limits, &b->map, &e) < 0)
                fail_msg("%s", e.text);
}

static inline void run_done(MapCall *call) {
        Run *r = call->arg;

        assert_false(r->ended);
        r->ended = true;
        r->turn = r->bench->ended++;
        r->output = call->end == MAP_OK ? strndup(call->output.p, call->output.n) : NULL;
}

static inline int run_start_with(Bench *b, Run *r, const Program *p, const MapRoot *roots,
                                 size_t n) {
        *r = (Run){.bench = b,
                   .call = {.program = p, .roots = roots, .n_roots = n, .done = run_done}};
        r->call.arg = r;
        return map_run(b->map, &r->call, NULL);
}

static inline void run_start(Bench *b, Run *r, const Program *p, const char *input) {
        MapRoot root = {{NULL, 0}, span_of(input)};

        assert_int_equal(run_start_with(b, r, p, &root, 1), 0);
}

static inline void run_wait(Run *r) {
        while (!r->ended)
                uv_run(&r->bench->loop, UV_RUN_ONCE);
}

static inline void run_done_with(Run *r) {
        free(r->output);
        r->output = NULL;
}

/* Starts, waits, and expects. */
static inline void run_expect(Bench *b, const Program *p, const char *input, MapEnd end,
                              const char *output_or_why) {
        Run r;

        run_start(b, &r, p, input);
        run_wait(&r);
        if (r.call.end != end)
                fail_msg("ended as %d, not %d: %s%s", (int)r.call.end, (int)end, r.call.why,
                         r.output ? r.output : "");
        if (output_or_why)
                assert_string_equal(r.output ? r.output : r.call.why, output_or_why);
        run_done_with(&r);
}

static inline void bench_end(Bench *b) {
        if (b->map)
                map_close(b->map, NULL, NULL);
        while (uv_run(&b->loop, UV_RUN_DEFAULT))
                ;
        assert_int_equal(uv_loop_close(&b->loop), 0);
        program_set_unref(b->set);
        free(b);
}
