/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the files of tests/cases/map, and what a case cannot say: calls together, helpers and
 * nurseries that are killed, time that runs out. */
#include "run.h"

#include "case_file.h"
#include "map/cage.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { CASES_MAX = 200 };

static const char *cases_folder;

/* Long enough to be met while it runs. */
static const char slow_program[] = "reduce range(1000000) as $i (0; . + $i)";

/* ---- case files ---- */

typedef struct MapCase {
        char *name, *program, *input, *key, *expected;
        Program *p;
} MapCase;

static char *copy(const Buf *b) {
        return strndup(b->n ? b->p : "", b->n);
}

static size_t cases_read(const char *file, MapCase cases[CASES_MAX]) {
        CaseFile f = case_open(cases_folder, file);
        size_t n = 0;

        while (case_next(&f)) {
                MapCase *c = &cases[n];

                must(n < CASES_MAX - 1);
                if (!f.key[0])
                        n += c->program != NULL;
                else if (strcmp(f.key, "name") == 0)
                        c->name = copy(&f.value);
                else if (strcmp(f.key, "program") == 0)
                        c->program = copy(&f.value);
                else if (strcmp(f.key, "input") == 0)
                        c->input = copy(&f.value);
                else {
                        c->key = must_dup(f.key);
                        c->expected = copy(&f.value);
                }
        }
        case_close(&f);
        assert_true(n > 0);
        return n;
}

static void cases_done(MapCase *cases, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free(cases[i].name);
                free(cases[i].program);
                free(cases[i].input);
                free(cases[i].key);
                free(cases[i].expected);
        }
}

static void case_check(const MapCase *c, const char *key, const char *text) {
        if (strcmp(c->key, "ends") == 0)
                return;
        if (strcmp(c->key, key) != 0)
                fail_msg("%s: %s: %s", c->name, key, text);
        bool beginning = strcmp(key, "limit") == 0 || strcmp(key, "broken") == 0,
             within = strcmp(key, "refused") == 0;
        bool good = within      ? strstr(text, c->expected) != NULL
                    : beginning ? strncmp(text, c->expected, strlen(c->expected)) == 0
                                : strcmp(text, c->expected) == 0;
        if (!good)
                fail_msg("%s: %s: %s", c->name, key, text);
}

static void case_run(Bench *b, const MapCase *c) {
        static const char *const keys[] = {"output", "empty", "failed", "unsafe", "limit"};
        Run r;

        run_start(b, &r, c->p, c->input ? c->input : "null");
        run_wait(&r);
        case_check(c, keys[r.call.end], r.output ? r.output : r.call.why);
        run_done_with(&r);
}

static void on_broken(void *arg, Program *p, const char *message) {
        MapCase *c = arg;

        assert_ptr_equal(p, c->p);
        case_check(c, "broken", message);
        c->p = NULL;
}

static void case_break(MapCase *c) {
        ProgramSet *s = program_set_new();
        Err e = {0};

        program_set_binary(s, getenv("GRAPNEL_BINARY"));
        assert_int_equal(program_add(s, span_of(c->program), &c->p, &e), 0);
        assert_int_equal(program_set_seal(s, on_broken, c, &e), -EINVAL);
        assert_null(c->p);
        program_set_unref(s);
}

/* Thousands of definitions crash jq 1.6 (and cost others seconds): whatever comes of it, the
 * daemon is told which program it was. */
static void a_program_that_crashes_the_compiler_is_named(void **state) {
        AUTO(buf_done)
        Buf text = BUF(MAP_TEXT_MAX_BYTES);
        MapCase c = {.name = (char *)"definitions", .key = (char *)"ends"};
        ProgramSet *s = program_set_new();
        Program *first = NULL;
        Err e = {0};

        (void)state;
        for (int i = 0; i < 5000; i++)
                assert_int_equal(buf_addf(&text, "def a%d:1;", i), 0);
        assert_int_equal(buf_addf(&text, "1"), 0);
        program_set_binary(s, getenv("GRAPNEL_BINARY"));
        assert_int_equal(program_add(s, SPAN("[.]"), &first, &e), 0);
        assert_int_equal(program_add(s, buf_span(&text), &c.p, &e), 0);
        int r = program_set_seal(s, on_broken, &c, &e);
        assert_true(r == 0 || (r == -EINVAL && !c.p));
        program_set_unref(s);
}

static void run_cases(const char *file) {
        MapCase cases[CASES_MAX] = {0};
        size_t n = cases_read(file, cases);
        Bench *b = bench_new();

        for (size_t i = 0; i < n; i++) {
                Err e = {0};

                if (strcmp(cases[i].key, "broken") == 0)
                        case_break(&cases[i]);
                else if (program_add(b->set, span_of(cases[i].program), &cases[i].p, &e) < 0)
                        case_check(&cases[i], "refused", e.text);
        }
        Program *one = bench_add(b, "1 + 0");
        /* The cases speak of processor time and memory; a busy machine needs more of the other. */
        bench_start(b, &(MapLimits){.wall_ms = 60000});
        for (size_t i = 0; i < n; i++)
                if (cases[i].p) {
                        case_run(b, &cases[i]);
                        run_expect(b, one, "null", MAP_OK, "1");
                }
        bench_end(b);
        cases_done(cases, n);
}

static void programs_do_what_the_cases_say(void **state) {
        (void)state;
        run_cases("map/programs.case");
}

static void bombs_hurt_nobody_else(void **state) {
        (void)state;
        if (!cage_is_strict())
                skip();
        run_cases("map/bombs.case");
}

/* ---- roots ---- */

static const MapRoot roots[] = {
        {SPAN("event"), SPAN("{\"id\":9007199254740993,\"n\":1}")},
        {SPAN("user"), SPAN(" {\"name\":\"x\"} ")},
        {SPAN("none"), {NULL, 0}},
};

static void roots_end(Bench *b, const char *text, MapEnd end, const char *output_or_why) {
        Run r;
        Program *p = NULL;

        must(program_add(b->set, span_of(text), &p, NULL) == 0);
        bench_start(b, NULL);
        assert_int_equal(run_start_with(b, &r, p, roots, COUNT_OF(roots)), 0);
        assert_false(r.ended); /* never inside of map_run */
        run_wait(&r);
        assert_int_equal(r.call.end, end);
        assert_string_equal(r.output ? r.output : r.call.why, output_or_why);
        run_done_with(&r);
        bench_end(b);
}

static void roots_are_the_members_of_the_input(void **state) {
        (void)state;
        roots_end(bench_new(), "[.user.name, (.none | type)]", MAP_OK, "[\"x\",\"null\"]");
        roots_end(bench_new(), "[.event.n]", MAP_UNSAFE, "/event/id");
        roots_end(bench_new(), "keys", MAP_UNSAFE, "/event/id");
}

static void paths_and_the_whole_are_exact(void **state) {
        (void)state;
        roots_end(bench_new(), ".event.id", MAP_OK, "9007199254740993");
        roots_end(bench_new(), ".user", MAP_OK, "{\"name\":\"x\"}");
        roots_end(bench_new(), ".none.a", MAP_OK, "null");
        roots_end(bench_new(), ".", MAP_OK,
                  "{\"event\":{\"id\":9007199254740993,\"n\":1},\"user\": {\"name\":\"x\"} }");
}

static void a_set_of_paths_needs_no_processes(void **state) {
        Bench *b = bench_new();
        Program *p = bench_add(b, ".a");
        int pid;

        (void)state;
        bench_start(b, NULL);
        assert_int_equal(program_set_nursery(b->set), 0);
        assert_int_equal(map_helpers(b->map, &pid, 1), 0);
        run_expect(b, p, "{\"a\":2}", MAP_OK, "2");
        bench_end(b);
}

/* ---- many ---- */

static void answers_come_in_order(void **state) {
        enum { N = 500 };
        Bench *b = bench_new();
        Program *p = bench_add(b, "{i: .i}"), *path = bench_add(b, ".i");
        static Run runs[N];
        char input[N][32], output[32];

        (void)state;
        bench_start(b, NULL);
        for (size_t i = 0; i < N; i++) {
                (void)snprintf(input[i], sizeof input[i], "{\"i\":%zu}", i);
                run_start(b, &runs[i], i == 7 ? path : p, input[i]);
        }
        for (size_t i = 0; i < N; i++) {
                run_wait(&runs[i]);
                (void)snprintf(output, sizeof output, i == 7 ? "%zu" : "{\"i\":%zu}", i);
                assert_string_equal(runs[i].output, output);
                assert_int_equal(runs[i].turn, i == 7 ? 0 : i < 7 ? i + 1 : i);
                run_done_with(&runs[i]);
        }
        bench_end(b);
}

static void large_texts_pass_in_pieces(void **state) {
        enum { N = 20, BYTES = 700000 };
        Bench *b = bench_new();
        Program *p = bench_add(b, "[.]"), *length = bench_add(b, "length");
        char *input = must_alloc(BYTES + 1);
        Run runs[N];

        (void)state;
        memset(input, 'a', BYTES);
        input[0] = input[BYTES - 1] = '"';
        bench_start(b, NULL);
        for (size_t i = 0; i < N; i++)
                run_start(b, &runs[i], i % 2 ? p : length, input);
        for (size_t i = 0; i < N; i++) {
                run_wait(&runs[i]);
                assert_int_equal(runs[i].call.end, MAP_OK);
                if (i % 2)
                        assert_int_equal(strlen(runs[i].output), BYTES + 2);
                else
                        assert_string_equal(runs[i].output, "699998");
                run_done_with(&runs[i]);
        }
        free(input);
        bench_end(b);
}

static void a_full_queue_says_so(void **state) {
        Bench *b = bench_new();
        Program *p = bench_add(b, "[.]");
        MapLimits limits = {.queue_max = 3};
        MapRoot root = {{NULL, 0}, SPAN("1")};
        Run runs[4];

        (void)state;
        bench_start(b, &limits);
        for (size_t i = 0; i < 3; i++)
                run_start(b, &runs[i], p, "1");
        assert_int_equal(run_start_with(b, &runs[3], p, &root, 1), -EBUSY);
        for (size_t i = 0; i < 3; i++) {
                run_wait(&runs[i]);
                run_done_with(&runs[i]);
        }
        assert_false(runs[3].ended);
        run_expect(b, p, "2", MAP_OK, "[2]");
        bench_end(b);
}

static void an_input_too_large_is_refused(void **state) {
        enum { BYTES = 17 << 20 };
        Bench *b = bench_new();
        Program *p = bench_add(b, "length");
        char *input = must_alloc(BYTES + 1);
        Run r;

        (void)state;
        memset(input, 'a', BYTES);
        input[0] = input[BYTES - 1] = '"';
        MapRoot root = {{NULL, 0}, span_of(input)};
        bench_start(b, NULL);
        assert_int_equal(run_start_with(b, &r, p, &root, 1), -EMSGSIZE);
        run_expect(b, p, "\"ab\"", MAP_OK, "2");
        free(input);
        bench_end(b);
}

static void helpers_share_the_work(void **state) {
        Bench *b = bench_new();
        Program *slow = bench_add(b, slow_program), *quick = bench_add(b, "[.]");
        MapLimits limits = {.helpers = 2};
        Run one, other;

        (void)state;
        bench_start(b, &limits);
        run_start(b, &one, slow, "1");
        run_start(b, &other, quick, "2");
        run_wait(&other);
        assert_false(one.ended);
        assert_string_equal(other.output, "[2]");
        run_wait(&one);
        assert_string_equal(one.output, "499999500000");
        run_done_with(&one);
        run_done_with(&other);
        bench_end(b);
}

/* ---- cancelling ---- */

static int wait_for_helper(Bench *b) {
        int pid = 0;

        while (map_helpers(b->map, &pid, 1) == 0)
                uv_run(&b->loop, UV_RUN_ONCE);
        return pid;
}

static void a_cancelled_call_is_forgotten(void **state) {
        Bench *b = bench_new();
        Program *p = bench_add(b, "[.]"), *path = bench_add(b, ".a");
        Run runs[4];

        (void)state;
        bench_start(b, NULL);
        for (size_t i = 0; i < 4; i++)
                run_start(b, &runs[i], i == 2 ? path : p, "{\"a\":1}");
        map_cancel(b->map, &runs[0].call);
        map_cancel(b->map, &runs[2].call);
        run_wait(&runs[1]);
        run_wait(&runs[3]);
        assert_false(runs[0].ended || runs[2].ended);
        map_cancel(b->map, &runs[1].call); /* harmless now */
        run_done_with(&runs[1]);
        run_done_with(&runs[3]);
        /* With a helper already, and never waited for. */
        wait_for_helper(b);
        run_start(b, &runs[0], p, "1");
        uv_run(&b->loop, UV_RUN_NOWAIT);
        bool is_quick = runs[0].ended; /* a helper on another core may be */
        map_cancel(b->map, &runs[0].call);
        run_expect(b, p, "2", MAP_OK, "[2]");
        assert_int_equal(runs[0].ended, is_quick);
        run_start(b, &runs[1], p, "1");
        uv_run(&b->loop, UV_RUN_NOWAIT);
        is_quick = runs[1].ended;
        map_cancel(b->map, &runs[1].call);
        bench_end(b);
        assert_int_equal(runs[1].ended, is_quick);
        for (size_t i = 0; i < 2; i++)
                if (runs[i].ended)
                        run_done_with(&runs[i]);
}

/* ---- ends that are not jq's ---- */

/* Starts a slow call with others behind it, and comes back when a helper has them all. */
static int start_many(Bench *b, Run *runs, size_t n, const Program *slow, const Program *quick) {
        int pid = wait_for_helper(b);

        for (size_t i = 0; i < n; i++)
                run_start(b, &runs[i], i == 0 ? slow : quick, "1");
        uv_run(&b->loop, UV_RUN_NOWAIT);
        assert_false(runs[0].ended);
        return pid;
}

static void a_killed_helper_fails_one_call(void **state) {
        enum { N = 40 };
        Bench *b = bench_new();
        Program *slow = bench_add(b, slow_program), *quick = bench_add(b, "[.]");
        static Run runs[N];

        (void)state;
        bench_start(b, NULL);
        int pid = start_many(b, runs, N, slow, quick);
        assert_int_equal(kill(pid, SIGKILL), 0);
        for (size_t i = 0; i < N; i++) {
                run_wait(&runs[i]);
                assert_int_equal(runs[i].turn, i);
                assert_int_equal(runs[i].call.end, i == 0 ? MAP_LIMIT : MAP_OK);
                assert_string_equal(runs[i].output ? runs[i].output : runs[i].call.why,
                                    i == 0 ? "the helper for jq programs was killed" : "[1]");
                run_done_with(&runs[i]);
        }
        assert_int_not_equal(wait_for_helper(b), pid);
        bench_end(b);
}

static int pidfd_of(int pid) {
        return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void wait_for_end(int pidfd) {
        struct pollfd p = {pidfd, POLLIN, 0};

        if (pidfd >= 0) { /* else it has ended already */
                assert_int_equal(poll(&p, 1, 20000), 1);
                close(pidfd);
        }
}

static void an_idle_helper_that_is_killed_is_replaced(void **state) {
        Bench *b = bench_new();
        Program *p = bench_add(b, "[.]");

        (void)state;
        bench_start(b, NULL);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(kill(wait_for_helper(b), SIGKILL), 0);
                while (map_helpers(b->map, &(int){0}, 1) == 1)
                        uv_run(&b->loop, UV_RUN_ONCE);
                run_expect(b, p, "2", MAP_OK, "[2]");
        }
        bench_end(b);
}

/* The loop has not heard of it yet when the call is handed out. */
static void a_helper_that_ended_before_it_was_asked_fails_no_call(void **state) {
        Bench *b = bench_new();
        Program *p = bench_add(b, "[.]");

        (void)state;
        bench_start(b, NULL);
        run_expect(b, p, "1", MAP_OK, "[1]");
        for (int i = 0; i < 3; i++) {
                int pid = wait_for_helper(b), helper = pidfd_of(pid);

                assert_int_equal(kill(pid, SIGKILL), 0);
                wait_for_end(helper);
                run_expect(b, p, "2", MAP_OK, "[2]");
        }
        bench_end(b);
}

static void a_killed_nursery_fails_no_call(void **state) {
        enum { N = 40 };
        Bench *b = bench_new();
        Program *slow = bench_add(b, slow_program), *quick = bench_add(b, "[.]");
        static Run runs[N];

        (void)state;
        bench_start(b, NULL);
        int pid = start_many(b, runs, N, slow, quick);
        int nursery = program_set_nursery(b->set);
        assert_int_equal(kill(nursery, SIGKILL), 0);
        for (size_t i = 0; i < N; i++) {
                run_wait(&runs[i]);
                assert_int_equal(runs[i].call.end, MAP_OK);
                run_done_with(&runs[i]);
        }
        assert_int_not_equal(wait_for_helper(b), pid);
        assert_int_not_equal(program_set_nursery(b->set), nursery);
        bench_end(b);
}

static void a_silent_helper_is_ended(void **state) {
        Bench *b = bench_new();
        Program *slow = bench_add(b, "def f: f; f"), *quick = bench_add(b, "[.]");
        MapLimits limits = {.wall_ms = 30};
        Run runs[3];

        (void)state;
        bench_start(b, &limits);
        start_many(b, runs, 3, slow, quick);
        for (size_t i = 0; i < 3; i++) {
                run_wait(&runs[i]);
                assert_string_equal(runs[i].output ? runs[i].output : runs[i].call.why,
                                    i == 0 ? "the program took too long" : "[1]");
                run_done_with(&runs[i]);
        }
        bench_end(b);
}

static void a_bomb_among_many_fails_alone(void **state) {
        enum { N = 20, BOMB = 5 };
        Bench *b = bench_new();
        Program *bomb = bench_add(b, "def f: f; f"), *quick = bench_add(b, "[.]");
        /* CPU time ends it, on a busy machine too; but the thread sanitizer holds signals back. */
        MapLimits limits = {.wall_ms = cage_is_strict() ? 60000 : 300};
        const char *why =
                cage_is_strict() ? "the program used up its CPU time" : "the program took too long";
        static Run runs[N];

        (void)state;
        bench_start(b, &limits);
        for (size_t i = 0; i < N; i++)
                run_start(b, &runs[i], i == BOMB ? bomb : quick, "1");
        for (size_t i = 0; i < N; i++) {
                run_wait(&runs[i]);
                assert_string_equal(runs[i].output ? runs[i].output : runs[i].call.why,
                                    i == BOMB ? why : "[1]");
                run_done_with(&runs[i]);
        }
        bench_end(b);
}

/* The binary vanishes, and then the nursery: those who wait are told. */
static void without_helpers_calls_end(void **state) {
        char path[] = "/tmp/grapnel-map-XXXXXX";
        Bench *b = bench_new();
        Program *p = bench_add(b, "[.]");

        (void)state;
        assert_non_null(mkdtemp(path));
        AUTO(freep)
        char *link = must_alloc(sizeof path + 10);
        (void)snprintf(link, sizeof path + 10, "%s/grapnel", path);
        assert_int_equal(symlink(getenv("GRAPNEL_BINARY"), link), 0);
        program_set_binary(b->set, link);
        bench_start(b, NULL);
        run_expect(b, p, "1", MAP_OK, "[1]");
        assert_int_equal(unlink(link), 0);
        assert_int_equal(kill(program_set_nursery(b->set), SIGKILL), 0);
        while (map_helpers(b->map, &(int){0}, 1) == 1)
                uv_run(&b->loop, UV_RUN_ONCE);
        run_expect(b, p, "1", MAP_LIMIT, "no helper for jq programs can be started");
        assert_int_equal(symlink(getenv("GRAPNEL_BINARY"), link), 0);
        wait_for_helper(b);
        run_expect(b, p, "1", MAP_OK, "[1]");
        assert_int_equal(unlink(link), 0);
        assert_int_equal(rmdir(path), 0);
        bench_end(b);
}

static void a_binary_that_is_no_nursery_is_told(void **state) {
        static const char *const binaries[] = {"/bin/true", "/nonexistent"};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(binaries); i++) {
                ProgramSet *s = program_set_new();
                Program *p = NULL;
                Err e = {0};

                program_set_binary(s, binaries[i]);
                assert_int_equal(program_add(s, SPAN("[.]"), &p, NULL), 0);
                assert_true(program_set_seal(s, NULL, NULL, &e) < 0);
                assert_non_null(strstr(e.text, i ? "cannot start" : "did not start"));
                program_set_unref(s);
        }
}

/* jq 1.6 loses memory in index(). */
static void a_helper_stays_small(void **state) {
        enum { RUNS = 800, PAGES_MAX = 48 * 256 };
        char path[64];
        long pages = 0;

        (void)state;
        if (!cage_is_strict())
                skip(); /* the sanitizers' memory is not counted */
        Bench *b = bench_new();
        Program *p = bench_add(b, "reduce range(2000) as $i (0; [1, 2] | index(2))");
        bench_start(b, NULL);
        for (int i = 0; i < RUNS; i++)
                run_expect(b, p, "null", MAP_OK, "1");
        (void)snprintf(path, sizeof path, "/proc/%d/statm", wait_for_helper(b));
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
        (void)fclose(f);
        assert_true(pages < PAGES_MAX);
        bench_end(b);
}

/* ---- processes ---- */

/* Plays the daemon: a busy helper, both process ids told, and then nothing more. */
static _Noreturn void be_daemon(int out) {
        const MapRoot root = {{NULL, 0}, SPAN("1")};
        ProgramSet *set = program_set_new();
        Program *p = NULL;
        Map *map = NULL;
        uv_loop_t loop;
        MapCall call = {.roots = &root, .n_roots = 1, .done = run_done};
        int pids[2];

        program_set_binary(set, getenv("GRAPNEL_BINARY"));
        must(program_add(set, SPAN("def f: f; f"), &p, NULL) == 0);
        must(program_set_seal(set, NULL, NULL, NULL) == 0 && uv_loop_init(&loop) == 0);
        must(map_new(&loop, set, NULL, &map, NULL) == 0);
        while (map_helpers(map, &pids[0], 1) == 0)
                uv_run(&loop, UV_RUN_ONCE);
        pids[1] = program_set_nursery(set);
        call.program = p;
        must(map_run(map, &call, NULL) == 0);
        uv_run(&loop, UV_RUN_NOWAIT);
        must(write(out, pids, sizeof pids) == sizeof pids);
        for (;;)
                pause();
}

static void all_end_with_the_daemon(void **state) {
        int ends[2], pids[2];

        (void)state;
        assert_int_equal(pipe(ends), 0);
        pid_t daemon = fork();
        if (daemon == 0)
                be_daemon(ends[1]);
        close(ends[1]);
        assert_int_equal(read(ends[0], pids, sizeof pids), sizeof pids);
        int helper = pidfd_of(pids[0]), nursery = pidfd_of(pids[1]);
        assert_int_equal(kill(daemon, SIGKILL), 0);
        assert_int_equal(waitpid(daemon, NULL, 0), daemon);
        wait_for_end(helper);
        wait_for_end(nursery);
        close(ends[0]);
}

static void *seal_elsewhere(void *arg) {
        must(program_set_seal(arg, NULL, NULL, NULL) == 0);
        return NULL;
}

static void a_nursery_outlives_the_thread_that_started_it(void **state) {
        Bench *b = bench_new();
        Program *p = bench_add(b, "[.]");
        pthread_t thread;

        (void)state;
        assert_int_equal(pthread_create(&thread, NULL, seal_elsewhere, b->set), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        int nursery = program_set_nursery(b->set);
        assert_int_equal(map_new(&b->loop, b->set, NULL, &b->map, NULL), 0);
        run_expect(b, p, "1", MAP_OK, "[1]");
        assert_int_equal(program_set_nursery(b->set), nursery);
        bench_end(b);
}

static void helpers_see_no_environment_and_no_descriptors(void **state) {
        Bench *b = bench_new();
        char path[64], environment[64], target[256];
        ssize_t n;

        (void)state;
        bench_add(b, "[.]");
        bench_start(b, NULL);
        int pid = wait_for_helper(b);
        if (cage_is_strict() && geteuid() == 0) { /* else /proc shows nothing of it */
                (void)snprintf(environment, sizeof environment, "/proc/%d/environ", pid);
                FILE *f = fopen(environment, "r");
                assert_non_null(f);
                assert_int_equal(fread(target, 1, sizeof target, f), 0);
                (void)fclose(f);
                for (int fd = 0; fd < 20; fd++) {
                        (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
                        n = readlink(path, target, sizeof target - 1);
                        assert_true(fd == 0 ? n > 0 && strncmp(target, "socket:", 7) == 0 : n < 0);
                }
        }
        bench_end(b);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(programs_do_what_the_cases_say),
                cmocka_unit_test(a_program_that_crashes_the_compiler_is_named),
                cmocka_unit_test(roots_are_the_members_of_the_input),
                cmocka_unit_test(paths_and_the_whole_are_exact),
                cmocka_unit_test(a_set_of_paths_needs_no_processes),
                cmocka_unit_test(answers_come_in_order),
                cmocka_unit_test(large_texts_pass_in_pieces),
                cmocka_unit_test(a_full_queue_says_so),
                cmocka_unit_test(an_input_too_large_is_refused),
                cmocka_unit_test(helpers_share_the_work),
                cmocka_unit_test(a_cancelled_call_is_forgotten),
                cmocka_unit_test(a_killed_helper_fails_one_call),
                cmocka_unit_test(an_idle_helper_that_is_killed_is_replaced),
                cmocka_unit_test(a_helper_that_ended_before_it_was_asked_fails_no_call),
                cmocka_unit_test(a_killed_nursery_fails_no_call),
                cmocka_unit_test(a_silent_helper_is_ended),
                cmocka_unit_test(a_bomb_among_many_fails_alone),
                cmocka_unit_test(without_helpers_calls_end),
                cmocka_unit_test(a_binary_that_is_no_nursery_is_told),
                cmocka_unit_test(a_helper_stays_small),
                cmocka_unit_test(all_end_with_the_daemon),
                cmocka_unit_test(a_nursery_outlives_the_thread_that_started_it),
                cmocka_unit_test(helpers_see_no_environment_and_no_descriptors),
                cmocka_unit_test(bombs_hurt_nobody_else),
        };

        must(argc > 1);
        cases_folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
