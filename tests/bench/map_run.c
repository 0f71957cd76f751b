/* SPDX-License-Identifier: Apache-2.0
 *
 * What one mapping costs: a realistic one of 20 fields, with parsing and printing, one call at a
 * time and 16 at a time. Prints microseconds of CPU of this process (the loop's side) and of its
 * helper per call, and the wall time.
 *
 *     build/tests/bench/bench_map_run GRAPNEL [rounds] */
#include "base/clock.h"
#include "map/map.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 20000, TOGETHER_MAX = 16 };

static const char program[] =
        "{email: .user.email, first_name: .user.firstName, last_name: .user.lastName, "
        "name: \"\\(.user.firstName) \\(.user.lastName)\", phone: (.user.phones[0].number // "
        "null), "
        "mobile: ([.user.phones[] | select(.kind == \"mobile\") | .number] | first), "
        "street: .user.address.street, zip: .user.address.zip, city: .user.address.city, "
        "country: (.user.address.country | ascii_upcase), language: (.user.language // \"en\"), "
        "active: (.user.state == \"ACTIVE\"), vip: (.user.tags | index(\"vip\") != null), "
        "tags: (.user.tags | join(\",\")), company: .user.company.name, "
        "tax_id: .user.company.taxId, employees: (.user.company.employees + 0), "
        "external_id: .event.id, changed_at: .event.timestamp, source: \"identity\"}";
static const char user[] =
        "{\"email\":\"ada@example.com\",\"firstName\":\"Ada\",\"lastName\":\"Lovelace\","
        "\"phones\":[{\"kind\":\"home\",\"number\":\"+44 1\"},{\"kind\":\"mobile\",\"number\":"
        "\"+44 2\"}],\"address\":{\"street\":\"12 St James's Square\",\"zip\":\"SW1Y\",\"city\":"
        "\"London\",\"country\":\"gb\"},\"language\":\"en\",\"state\":\"ACTIVE\",\"tags\":[\"vip\","
        "\"maths\"],\"company\":{\"name\":\"Analytical Engines\",\"taxId\":\"GB123\","
        "\"employees\":7},\"notes\":\"the first programmer\"}";
static const char event[] = "{\"id\":\"IDNUMBER1234\",\"entityType\":\"USER\",\"eventType\":"
                            "\"UPDATE\",\"timestamp\":\"2019-01-01T00:00:00Z\"}";

typedef struct Bench {
        Map *map;
        MapRoot roots[2];
        MapCall calls[TOGETHER_MAX];
        uint64_t left, running;
} Bench;

static double own_cpu_us(void) {
        struct rusage u;

        must(getrusage(RUSAGE_SELF, &u) == 0);
        return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double helper_cpu_us(const Map *m) {
        struct timespec t;
        clockid_t clock;
        int pid;

        must(map_helpers(m, &pid, 1) == 1 && clock_getcpuclockid(pid, &clock) == 0);
        must(clock_gettime(clock, &t) == 0);
        return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void start(Bench *b, MapCall *c) {
        if (b->left == 0)
                return;
        b->left--;
        b->running++;
        must(map_run(b->map, c, NULL) == 0);
}

static void on_done(MapCall *c) {
        Bench *b = c->arg;

        if (c->end != MAP_OK) {
                fprintf(stderr, "%s\n", c->why);
                exit(1);
        }
        b->running--;
        start(b, c);
}

static void measure(uv_loop_t *loop, Bench *b, uint64_t rounds, size_t together) {
        double own = own_cpu_us(), helper = helper_cpu_us(b->map), n = (double)rounds;
        int64_t wall = clock_mono_us();

        b->left = rounds;
        for (size_t i = 0; i < together; i++)
                start(b, &b->calls[i]);
        while (b->running)
                uv_run(loop, UV_RUN_ONCE);
        printf("%2zu together: loop %5.1f us, helper %5.1f us of CPU, %6.1f us per call\n",
               together, (own_cpu_us() - own) / n, (helper_cpu_us(b->map) - helper) / n,
               (double)(clock_mono_us() - wall) / n);
}

static long helper_kib(const Map *m) {
        char path[64];
        long pages = 0;
        int pid;

        must(map_helpers(m, &pid, 1) == 1);
        (void)snprintf(path, sizeof path, "/proc/%d/statm", pid);
        FILE *f = fopen(path, "r");
        if (f && fscanf(f, "%*d %ld", &pages) != 1)
                pages = 0;
        if (f)
                (void)fclose(f);
        return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(int argc, char **argv) {
        uint64_t rounds = ROUNDS;
        Bench b = {.roots = {{SPAN("user"), span_of(user)}, {SPAN("event"), span_of(event)}}};
        ProgramSet *s = program_set_new();
        Program *p = NULL;
        uv_loop_t loop;
        Err e = {0};

        if (argc < 2 || (argc > 2 && !span_to_u64(span_of(argv[2]), 1000000000, &rounds)))
                return 2;
        must(uv_loop_init(&loop) == 0);
        program_set_binary(s, argv[1]);
        int64_t begin = clock_mono_us();
        if (program_add(s, span_of(program), &p, &e) < 0 ||
            program_set_seal(s, NULL, NULL, &e) < 0 || map_new(&loop, s, NULL, &b.map, &e) < 0) {
                fprintf(stderr, "%s\n", e.text);
                return 1;
        }
        while (map_helpers(b.map, &(int){0}, 1) == 0)
                uv_run(&loop, UV_RUN_ONCE);
        printf("ready after %.1f ms\n", (double)(clock_mono_us() - begin) / 1e3);
        for (size_t i = 0; i < TOGETHER_MAX; i++)
                b.calls[i] = (MapCall){
                        .program = p, .roots = b.roots, .n_roots = 2, .done = on_done, .arg = &b};
        measure(&loop, &b, rounds / 10 + 1, 1);
        long before = helper_kib(b.map);
        measure(&loop, &b, rounds, 1);
        measure(&loop, &b, rounds, 4);
        measure(&loop, &b, rounds, TOGETHER_MAX);
        printf("helper's memory: %ld KiB, %+ld since the first tenth\n", helper_kib(b.map),
               helper_kib(b.map) - before);
        map_close(b.map, NULL, NULL);
        while (uv_run(&loop, UV_RUN_DEFAULT))
                ;
        program_set_unref(s);
        return 0;
}
