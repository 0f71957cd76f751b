/* SPDX-License-Identifier: Apache-2.0
 *
 * What people ask of a full ledger: events by source and by target, dead ones, attempts, counts.
 * Fills a file with events of `sources` applications, one in two of the first of them, each with a
 * job for one of four endpoints of its application, and prints how long each question takes, and
 * what the index has cost.
 *
 *     ledger_find [directory [events [sources]]] */
#include "base/clock.h"
#include "base/id.h"
#include "base/random.h"
#include "ledger/store_sqlite.h"

#include <sys/stat.h>
#include <unistd.h>

enum { PER_BATCH = 256 };

typedef struct Bench {
        Store *store, *reader;
        IdMaker ids;
        Rng rng;
        size_t sources;
        int64_t now_ms, upkeep_us, upkeep_max_us;
} Bench;

static char body[512];

PRINTF_LIKE(3, 4) static Span print(char *at, size_t n, const char *format, ...) {
        va_list args;

        va_start(args, format);
        int used = vsnprintf(at, n, format, args);
        va_end(args);

        return span_make(at, (size_t)used);
}

static void write_all(Bench *b, Write *writes, size_t n) {
        Write *batch[PER_BATCH];
        Err e = {0};

        for (size_t i = 0; i < n; i++)
                batch[i] = &writes[i];
        if (b->store->ops->write(b->store, batch, n, &e) < 0) {
                (void)fprintf(stderr, "%s\n", e.text);
                abort();
        }
}

/* A second of the ledger's life: 256 events. */
static void fill_some(Bench *b) {
        Write writes[PER_BATCH];
        Job *jobs[PER_BATCH];
        Attempt attempts[PER_BATCH];
        int64_t next;

        b->now_ms += 1000;
        for (size_t i = 0; i < PER_BATCH; i++) {
                char source[32], target[48];
                size_t app = rng_below(&b->rng, 2) ? 0 : (size_t)rng_below(&b->rng, b->sources);
                size_t endpoint = (size_t)rng_below(&b->rng, 4);
                Event *event = event_new(&(Event){
                        .id = id_make(&b->ids, b->now_ms),
                        .received_ms = b->now_ms,
                        .source = print(source, sizeof source, "app_%zu", app),
                        .type = SPAN("order.paid"),
                        .body = span_make(body, sizeof body),
                });

                jobs[i] = job_new(
                        id_make(&b->ids, b->now_ms), event,
                        print(target, sizeof target, "endpoint:ep_%zu_%zu", app, endpoint), 0);
                event_unref(event);
                writes[i] = (Write){.kind = WRITE_RECORD,
                                    .record = {.event = event, .jobs = &jobs[i], .n_jobs = 1}};
        }
        write_all(b, writes, PER_BATCH);
        for (size_t i = 0; i < PER_BATCH; i++) {
                jobs[i]->state = rng_below(&b->rng, 1000) ? JOB_DONE : JOB_DEAD;
                jobs[i]->attempts = 1;
                attempts[i] = (Attempt){.number = 1, .started_ms = b->now_ms, .status = 200};
                writes[i] = (Write){.kind = WRITE_SETTLE,
                                    .settle = {.job = jobs[i], .attempt = &attempts[i]}};
        }
        write_all(b, writes, PER_BATCH);
        for (size_t i = 0; i < PER_BATCH; i++)
                job_free(jobs[i]);
        int64_t began_us = clock_mono_us();
        must(b->store->ops->upkeep(b->store, b->now_ms, &next, NULL) == 0);
        int64_t took_us = clock_mono_us() - began_us;
        b->upkeep_us += took_us;
        b->upkeep_max_us = took_us > b->upkeep_max_us ? took_us : b->upkeep_max_us;
}

static void tell(const char *what, int64_t began_us, size_t found, size_t pages) {
        printf("%-52s %9.1f ms, %zu found, %zu pages\n", what,
               (double)(clock_mono_us() - began_us) / 1000, found, pages);
}

/* Until 50 are found, or all. */
static void ask_events(Bench *b, const char *what, EventQuery q) {
        int64_t began_us = clock_mono_us();
        size_t found = 0, pages = 0;
        Err e = {0};

        for (bool more = true; more && found < 50; pages++) {
                EventPage *p = NULL;

                q.max = 50 - found;
                must(b->reader->ops->list_events(b->reader, &q, &p, &e) == 0);
                found += p->n;
                more = p->more;
                q.before_id = p->next_before_id;
                event_page_free(p);
        }
        tell(what, began_us, found, pages);
}

static void ask_attempts(Bench *b, const char *what, AttemptQuery q) {
        int64_t began_us = clock_mono_us();
        size_t found = 0, pages = 0;
        Err e = {0};

        for (bool more = true; more && found < 50; pages++) {
                AttemptPage *p = NULL;

                q.max = 50 - found;
                must(b->reader->ops->list_attempts(b->reader, &q, &p, &e) == 0);
                found += p->n;
                more = p->more;
                q.before_job = p->next_job;
                q.before_number = p->next_number;
                attempt_page_free(p);
        }
        tell(what, began_us, found, pages);
}

static void count(Bench *b, const char *what, Span target) {
        int64_t began_us = clock_mono_us();
        TargetStats n = {0};
        Err e = {0};

        if (b->reader->ops->target_stats(b->reader, target, 0, 0, &n, &e) < 0)
                printf("%s: %s\n", what, e.text);
        tell(what, began_us, (size_t)(n.jobs[JOB_DONE] + n.jobs[JOB_DEAD]), 1);
}

static void ask_all(Bench *b, int64_t first_ms) {
        char source[32], target[48];
        Span rare = print(source, sizeof source, "app_%zu", b->sources - 1);
        Span rare_target =
                print(target, sizeof target, "endpoint:ep_%zu_%zu", b->sources - 1, (size_t)3);
        int64_t middle_ms = first_ms + (b->now_ms - first_ms) / 2;

        for (int round = 0; round < 2; round++) {
                printf("%s\n", round ? "again:" : "first:");
                ask_events(b, "the latest events", (EventQuery){.state = -1});
                ask_events(b, "events from the middle of the time on",
                           (EventQuery){.state = -1, .from_ms = middle_ms, .oldest_first = true});
                ask_events(b, "events of a large source",
                           (EventQuery){.state = -1, .source = SPAN("app_0")});
                ask_events(b, "events of a small source",
                           (EventQuery){.state = -1, .source = rare});
                ask_events(b, "... before the middle of the time",
                           (EventQuery){.state = -1, .source = rare, .to_ms = middle_ms});
                ask_events(b, "events of no source",
                           (EventQuery){.state = -1, .source = SPAN("x")});
                ask_events(b, "events with a job for a small target",
                           (EventQuery){.state = -1, .target = rare_target});
                ask_events(b, "dead jobs of a small target",
                           (EventQuery){.state = JOB_DEAD, .target = rare_target});
                ask_events(b, "dead jobs of a large target",
                           (EventQuery){.state = JOB_DEAD, .target = SPAN("endpoint:ep_0_1")});
                ask_attempts(b, "attempts for a large target",
                             (AttemptQuery){.target = SPAN("endpoint:ep_0_1"), .success = -1});
                ask_attempts(b, "attempts for a small target",
                             (AttemptQuery){.target = rare_target, .success = -1});
                count(b, "jobs of a small target, counted", rare_target);
                count(b, "jobs of a large target, counted", SPAN("endpoint:ep_0_1"));
        }
}

int main(int argc, char **argv) {
        const char *dir = argc > 1 ? argv[1] : "/tmp";
        size_t events = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 1000000;
        Bench b = {.sources = argc > 3 ? (size_t)strtoul(argv[3], NULL, 10) : 1000,
                   .rng = {1},
                   .now_ms = INT64_C(1700000000000)};
        int64_t first_ms = b.now_ms;
        char path[512];
        Err e = {0};

        (void)snprintf(path, sizeof path, "%s/ledger_find-%d.db", dir, (int)getpid());
        StoreOptions o = {.path = path, .node = "n"};
        const StoreOps *ops = store_find(SPAN("sqlite"));
        if (ops->open(&o, &b.store, &e) < 0 || ops->open_reader(b.store, &b.reader, &e) < 0) {
                (void)fprintf(stderr, "%s\n", e.text);
                return 1;
        }
        /* What syncs cost is not the question. */
        must(sqlite_exec(sqlite_of(b.store), "PRAGMA synchronous=OFF", &e, "hurry") == 0);
        id_maker_init(&b.ids, 0, 0);
        memset(body, 'x', sizeof body);
        int64_t began_us = clock_mono_us();
        for (size_t i = 0; i < events; i += PER_BATCH)
                fill_some(&b);
        printf("%zu events in %.1f s; upkeep %.2f us each, at most %.1f ms at once\n", events,
               (double)(clock_mono_us() - began_us) / 1e6, (double)b.upkeep_us / (double)events,
               (double)b.upkeep_max_us / 1000);
        ask_all(&b, first_ms);
        ops->close(b.reader);
        ops->close(b.store);
        printf("left: %s\n", path);
        return 0;
}
