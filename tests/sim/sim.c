/* SPDX-License-Identifier: Apache-2.0
 *
 * Thousands of hours of the real engine in seconds, from a seed:
 *
 *     sim --seed 7 --hours 2000            one world
 *     sim --seed 1 --seeds 500 --hours 200 many, one after the other
 *     sim --seed 7 --hours 2000 --job 1234 with the story of one job and its lane
 *
 * A seed that breaks a promise is run again with the story of the job that broke it; the seed is
 * the whole bug report. */
#include "world.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static bool number(const char *text, int64_t *ret) {
        uint64_t n;

        if (!text || !span_to_u64(span_of(text), INT64_MAX, &n))
                return false;
        *ret = (int64_t)n;
        return true;
}

static void add(Tally *sum, const Tally *t) {
        uint64_t *to = (uint64_t *)sum;
        const uint64_t *from = (const uint64_t *)t;

        for (size_t i = 0; i < sizeof *t / sizeof *to; i++)
                to[i] += from[i];
}

/* True when all promises held. */
static bool run(Seed seed, Tally *sum) {
        World *w = must_alloc(sizeof *w);
        char failure[sizeof w->failure];
        bool ok;

        ok = world_run(w, &seed);
        add(sum, &w->tally);
        memcpy(failure, w->failure, sizeof failure);
        if (!ok && w->failed_job && seed.told_job == 0) {
                World *again = must_alloc(sizeof *again);

                seed.told_job = w->failed_job;
                printf("The story of job %" PRId64 " and its lane:\n", seed.told_job);
                seed.told_lane = rows_get(&w->rows, w->failed_job)->lane;
                ok = world_run(again, &seed);
                must(!ok);
                world_done(again);
                free(again);
        }
        if (!ok)
                printf("sim --seed %" PRIu64 " --hours %" PRId64 ": job %" PRId64 ": %s\n",
                       seed.seed, seed.hours, w->failed_job, failure);
        world_done(w);
        free(w);
        return ok;
}

/* Each world in a process of its own, so that a promise which the engine itself finds broken (it
 * ends the process) has a seed too. `sum` is shared with it. */
static bool run_apart(Seed seed, Tally *sum) {
        int status = 0;
        pid_t child = fork();

        must(child >= 0);
        if (child == 0) {
                bool ok = run(seed, sum);

                fflush(stdout);
                _exit(ok ? 0 : 1);
        }
        must(waitpid(child, &status, 0) == child);
        if (WIFSIGNALED(status))
                printf("sim --seed %" PRIu64 " --hours %" PRId64 ": ended by signal %d\n",
                       seed.seed, seed.hours, WTERMSIG(status));
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv) {
        int64_t first = 1, n = 1, hours = 1000, job = 0;
        Tally *sum =
                mmap(NULL, sizeof *sum, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        bool ok = true;

        for (int i = 1; i < argc; i += 2) {
                Span name = span_of(argv[i]);
                int64_t *value = span_eq(name, SPAN("--seed"))    ? &first
                                 : span_eq(name, SPAN("--seeds")) ? &n
                                 : span_eq(name, SPAN("--hours")) ? &hours
                                 : span_eq(name, SPAN("--job"))   ? &job
                                                                  : NULL;

                if (!value || !number(argv[i + 1], value)) {
                        fprintf(stderr, "usage: sim [--seed N] [--seeds COUNT] [--hours H] "
                                        "[--job ID]\n");
                        return 2;
                }
        }
        must(sum != MAP_FAILED);
        for (int64_t i = 0; ok && i < n; i++)
                ok = run_apart(
                        (Seed){.seed = (uint64_t)(first + i), .hours = hours, .told_job = job},
                        sum);
        printf("%" PRIu64 " events accepted, %" PRIu64 " refused, %" PRIu64 " spilled, %" PRIu64
               " attempts, %" PRIu64 " batches of %" PRIu64 ", %" PRIu64 " done, %" PRIu64
               " dead, %" PRIu64 " blocked when recorded, %" PRIu64 " parked, %" PRIu64
               " given back, %" PRIu64 " claims, %" PRIu64 " crashes, %" PRIu64 " stops, %" PRIu64
               " full disks\n",
               sum->accepted, sum->refused, sum->spilled, sum->runs, sum->batches, sum->together,
               sum->done, sum->dead, sum->crossed, sum->parked, sum->given, sum->claims,
               sum->crashes, sum->stops, sum->full_disks);
        return ok ? 0 : 1;
}
