/* SPDX-License-Identifier: Apache-2.0
 *
 * The index by source and target of the store in a file: whatever is in runs, among the strays, or
 * in neither yet, the answers are those of the store in memory, which walks over all it has. */
#include "base/random.h"
#include "ledger/run_code.h"
#include "ledger/sqlite_walk.h"
#include "ledger_unit.h"

enum { PER_RUN = 16, EVENTS_MAX = 4000, SOURCES = 4, TARGETS = 7 };

typedef struct Twins {
        Place place;
        StoreOptions options;
        Store *file, *memory, *file_reader, *memory_reader;
        Rng rng;
        int64_t next_id, events[EVENTS_MAX];
        size_t n;
        uint64_t seed;
        int64_t dissolved; /* runs, by trimming */
} Twins;

/* Nothing here is about the disk. */
static void open_file(Twins *t) {
        Err e = {0};

        assert_int_equal(store_sqlite.open(&t->options, &t->file, &e), 0);
        assert_int_equal(sqlite_exec(sqlite_of(t->file), "PRAGMA synchronous=OFF", &e, "hurry"), 0);
        assert_int_equal(store_sqlite.open_reader(t->file, &t->file_reader, &e), 0);
}

static void twins_open(Twins *t, uint64_t seed) {
        Err e = {0};

        *t = (Twins){.seed = seed, .rng = {seed}, .next_id = 100};
        place_make(&t->place);
        t->options = (StoreOptions){.path = t->place.path, .node = "n", .index_per_run = PER_RUN};
        open_file(t);
        assert_int_equal(store_memory.open(&t->options, &t->memory, &e), 0);
        assert_int_equal(store_memory.open_reader(t->memory, &t->memory_reader, &e), 0);
}

static void twins_close(Twins *t) {
        store_sqlite.close(t->file_reader);
        store_memory.close(t->memory_reader);
        store_sqlite.close(t->file);
        store_memory.close(t->memory);
        place_done(&t->place);
}

static int64_t chance(Twins *t, uint64_t below) {
        return (int64_t)rng_below(&t->rng, below);
}

static Span source_of(int64_t i) {
        static const char *const names[] = {"app_a", "app_b", "app_c", "shared"};

        return span_of(names[i % SOURCES]);
}

static Span target_of(int64_t i) {
        static const char *const names[] = {"endpoint:1", "endpoint:2", "endpoint:3", "endpoint:4",
                                            "endpoint:5", "endpoint:6", "shared"};

        return span_of(names[i % TARGETS]);
}

static void both(Twins *t, Write w) {
        Write *one[] = {&w}, copy = w, *other[] = {&copy};
        Err e = {0};

        assert_int_equal(store_sqlite.write(t->file, one, 1, &e), 0);
        assert_int_equal(store_memory.write(t->memory, other, 1, &e), 0);
        if (w.kind == WRITE_REPLAY) {
                assert_int_equal(w.replay.done, copy.replay.done);
                assert_int_equal(w.replay.done_id, copy.replay.done_id);
        }
}

/* ---- the deeds ---- */

/* One in eight has an id from some time ago. */
static void record_one(Twins *t) {
        bool is_late = t->n > 0 && chance(t, 8) == 0;
        int64_t id = is_late ? t->events[chance(t, t->n)] / 100 * 100 + 20 * (1 + chance(t, 4))
                             : t->next_id;
        Job *jobs[3];
        size_t n_jobs = (size_t)chance(t, 4), first = (size_t)chance(t, TARGETS);

        for (size_t i = 0; i < t->n; i++)
                if (id == t->events[i])
                        return;
        t->next_id += is_late ? 0 : 100;
        Event *event = event_new(
                &(Event){.id = id,
                         .received_ms = 1000 + id + chance(t, is_late ? 9000 : 300),
                         .source = source_of(chance(t, SOURCES)),
                         .type = chance(t, 2) ? SPAN("order.paid") : SPAN("b"),
                         .meta = chance(t, 2) ? SPAN("{\"channels\":[\"eu\"]}") : SPAN("")});
        for (size_t i = 0; i < n_jobs; i++)
                jobs[i] =
                        job_new(id + 1 + (int64_t)i * 3, event, target_of((int64_t)(first + i)), 0);
        both(t, record_of(event, jobs, n_jobs));
        t->events[t->n++] = id;
        for (size_t i = 0; i < n_jobs; i++)
                job_free(jobs[i]);
        event_unref(event);
}

static void settle_one(Twins *t) {
        static const JobState states[] = {JOB_DONE, JOB_DONE, JOB_DONE,   JOB_DONE,
                                          JOB_DONE, JOB_DEAD, JOB_WAITING};
        EventView *v = NULL;
        Err e = {0};

        if (t->n == 0)
                return;
        /* Mostly the older ones have ended. */
        int64_t id = t->events[chance(t, 1 + (uint64_t)chance(t, t->n))];
        assert_int_equal(store_memory.find_event(t->memory_reader, id, &v, &e), 0);
        for (size_t i = 0; v && i < v->n_jobs; i++) {
                const JobView *view = &v->jobs[i];
                Job *j = job_new(view->id, &v->event, view->target, 0);
                Attempt a = {.number = view->n_attempts + 1,
                             .started_ms = 1000 + id + chance(t, 3000),
                             .status = chance(t, 2) ? 200 : 503};

                j->attempts = a.number;
                both(t, settle_of(j, states[chance(t, COUNT_OF(states))], &a));
                j->event = NULL;
                job_free(j);
        }
        event_view_free(v);
}

static void replay_one(Twins *t) {
        if (t->n == 0)
                return;
        Event parts = {.refs = 1, .id = t->events[chance(t, t->n)]};
        Job *j = job_new(t->next_id, &parts, target_of(chance(t, TARGETS)), 0);

        t->next_id += 100;
        both(t, (Write){.kind = WRITE_REPLAY, .replay = {.job = j}});
        j->event = NULL;
        job_free(j);
}

static int64_t number(const Twins *t, const char *sql) {
        sqlite3_stmt *st = NULL;

        assert_int_equal(sqlite3_prepare_v2(sqlite_of(t->file_reader)->db, sql, -1, &st, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        int64_t n = sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        return n;
}

static void trim_some(Twins *t) {
        TrimRule rule = {.before_ms = 1000 + t->next_id - 100 * (10 + chance(t, 100)), .max = 5};
        size_t n = 0;
        Err e = {0};

        t->dissolved += number(t, "SELECT count(*) FROM runs");
        /* Each looks at a slice: until all of it has been looked at. */
        for (size_t i = 0; i < t->n / 10 + 2; i++)
                for (size_t k = 0; k < 2; k++) {
                        Store *s = k ? t->memory : t->file;

                        do
                                assert_int_equal(s->ops->trim(s, &rule, &n, &e), 0);
                        while (n > 0);
                }
        t->dissolved -= number(t, "SELECT count(*) FROM runs");
}

static void keep_house(Twins *t) {
        int64_t next;
        Err e = {0};

        assert_int_equal(store_sqlite.upkeep(t->file, 1, &next, &e), 0);
}

static void restart(Twins *t) {
        store_sqlite.close(t->file_reader);
        sqlite_of(t->file)->broken = chance(t, 2);
        store_sqlite.close(t->file);
        open_file(t);
}

/* ---- the questions ---- */

static void tell(const Twins *t, const EventQuery *q, int64_t file, int64_t memory) {
        print_message("seed %" PRIu64 ", after %zu events: source '" SPAN_FMT "' target '" SPAN_FMT
                      "' state %d %s before %" PRId64 ", %zu types, channel '" SPAN_FMT
                      "', %" PRId64 " to %" PRId64 ", at most %zu: %" PRId64 ", but %" PRId64 "\n",
                      t->seed, t->n, SPAN_ARG(q->source), SPAN_ARG(q->target), q->state,
                      q->oldest_first ? "up" : "down", q->before_id, q->n_types,
                      SPAN_ARG(q->channel), q->from_ms, q->to_ms, q->max, file, memory);
}

static void same_pages(Twins *t, EventQuery q) {
        for (bool more = true; more;) {
                EventPage *a = NULL, *b = NULL;
                Err e = {0};

                assert_int_equal(store_sqlite.list_events(t->file_reader, &q, &a, &e), 0);
                assert_int_equal(store_memory.list_events(t->memory_reader, &q, &b, &e), 0);
                for (size_t i = 0; i < a->n || i < b->n; i++) {
                        int64_t x = i < a->n ? a->events[i]->event.id : 0;
                        int64_t y = i < b->n ? b->events[i]->event.id : 0;

                        if (x != y)
                                tell(t, &q, x, y);
                        assert_int_equal(x, y);
                }
                assert_int_equal(a->more, b->more);
                for (size_t i = 0; i < a->n; i++) {
                        assert_int_equal(a->events[i]->event.id, b->events[i]->event.id);
                        assert_int_equal(a->events[i]->n_jobs, b->events[i]->n_jobs);
                }
                more = a->more;
                q.before_id = a->next_before_id;
                assert_int_equal(a->next_before_id, b->next_before_id);
                event_page_free(a);
                event_page_free(b);
        }
}

static void same_attempts(Twins *t, AttemptQuery q) {
        for (bool more = true; more;) {
                AttemptPage *a = NULL, *b = NULL;
                Err e = {0};

                assert_int_equal(store_sqlite.list_attempts(t->file_reader, &q, &a, &e), 0);
                assert_int_equal(store_memory.list_attempts(t->memory_reader, &q, &b, &e), 0);
                assert_int_equal(a->n, b->n);
                assert_int_equal(a->more, b->more);
                for (size_t i = 0; i < a->n; i++) {
                        assert_int_equal(a->attempts[i].job, b->attempts[i].job);
                        assert_int_equal(a->attempts[i].event, b->attempts[i].event);
                        assert_int_equal(a->attempts[i].attempt.number,
                                         b->attempts[i].attempt.number);
                        assert_int_equal(a->attempts[i].state, b->attempts[i].state);
                        assert_int_equal(a->attempts[i].is_last, b->attempts[i].is_last);
                }
                more = a->more;
                q.before_job = a->next_job;
                q.before_number = a->next_number;
                assert_int_equal(a->next_job, b->next_job);
                assert_int_equal(a->next_number, b->next_number);
                attempt_page_free(a);
                attempt_page_free(b);
        }
}

static void ask(Twins *t) {
        Span type = SPAN("order.paid");
        int64_t from = 1000 + chance(t, (uint64_t)t->next_id), to = from + chance(t, 20000);
        bool by_time = chance(t, 2), by_type = chance(t, 4) == 0;
        EventQuery q = {.source = chance(t, 2) ? source_of(chance(t, SOURCES)) : SPAN(""),
                        .target = chance(t, 2) ? target_of(chance(t, TARGETS)) : SPAN(""),
                        .state = (int)chance(t, JOB_STATES * 2) - JOB_STATES,
                        .oldest_first = chance(t, 2),
                        .channel = chance(t, 4) == 0 ? SPAN("eu") : SPAN(""),
                        .types = &type,
                        .n_types = by_type,
                        .from_ms = by_time ? from : 0,
                        .to_ms = by_time && chance(t, 2) ? to : 0,
                        .with_jobs = true,
                        .max = 1 + (size_t)chance(t, 60)};
        AttemptQuery a = {.target = target_of(chance(t, TARGETS)),
                          .event = t->n && chance(t, 4) == 0 ? t->events[chance(t, t->n)] : 0,
                          .success = (int)chance(t, 3) - 1,
                          .types = &type,
                          .n_types = by_type,
                          .from_ms = by_time ? from : 0,
                          .to_ms = by_time ? to : 0,
                          .max = 1 + (size_t)chance(t, 60)};
        TargetStats n = {0}, m = {0};
        Err e = {0};

        if (q.state < 0)
                q.state = -1;
        same_pages(t, q);
        same_attempts(t, a);
        assert_int_equal(
                store_sqlite.target_stats(t->file_reader, a.target, a.from_ms, a.to_ms, &n, &e), 0);
        assert_int_equal(
                store_memory.target_stats(t->memory_reader, a.target, a.from_ms, a.to_ms, &m, &e),
                0);
        assert_memory_equal(&n, &m, sizeof n);
}

static void deed(Twins *t) {
        int64_t what = chance(t, 1000);

        if (what < 350 && t->n < EVENTS_MAX)
                record_one(t);
        else if (what < 850)
                settle_one(t);
        else if (what < 900)
                replay_one(t);
        else if (what < 965)
                keep_house(t);
        else if (what < 985)
                trim_some(t);
        else if (what < 988)
                restart(t);
        else
                ask(t);
}

static void answers_are_those_of_a_store_without_an_index(void **state) {
        int64_t runs = 0, strays = 0, dissolved = 0;

        (void)state;
        for (uint64_t seed = 1; seed <= 6; seed++) {
                Twins t;

                twins_open(&t, seed);
                for (int i = 0; i < 2000; i++)
                        deed(&t);
                for (int i = 0; i < 50; i++)
                        ask(&t);
                runs += number(&t, "SELECT count(*) FROM runs");
                strays += number(&t, "SELECT count(*) FROM strays");
                dissolved += t.dissolved;
                twins_close(&t);
        }
        print_message("%d runs, %d strays, %d dissolved\n", (int)runs, (int)strays, (int)dissolved);
        assert_true(runs > 100);
        assert_true(strays > 100);
        assert_true(dissolved > 10);
}

/* ---- answers that are too much work for one page ---- */

static void record_many(Twins *t, size_t n, Span source, Span target) {
        enum { PER_BATCH = 250 };
        Write writes[PER_BATCH], *batch[PER_BATCH];
        Job *jobs[PER_BATCH];
        Err e = {0};

        for (size_t done = 0; done < n; done += PER_BATCH) {
                for (size_t i = 0; i < PER_BATCH; i++, t->next_id += 100) {
                        Event *event = event_new(&(Event){.id = t->next_id,
                                                          .received_ms = 1000 + t->next_id,
                                                          .source = source});

                        jobs[i] = job_new(t->next_id + 1, event, target, 0);
                        event_unref(event);
                        writes[i] = record_of(event, &jobs[i], 1);
                        batch[i] = &writes[i];
                }
                assert_int_equal(store_sqlite.write(t->file, batch, PER_BATCH, &e), 0);
                for (size_t i = 0; i < PER_BATCH; i++)
                        job_free(jobs[i]);
        }
}

/* The ids on all pages; returns how many pages there were. */
static size_t all_pages(Twins *t, EventQuery q, int64_t *ret_ids, size_t max, size_t *ret_n) {
        size_t pages = 0;

        *ret_n = 0;
        for (bool more = true; more; pages++) {
                EventPage *p = NULL;
                Err e = {0};

                assert_int_equal(store_sqlite.list_events(t->file_reader, &q, &p, &e), 0);
                for (size_t i = 0; i < p->n && *ret_n < max; i++)
                        ret_ids[(*ret_n)++] = p->events[i]->event.id;
                more = p->more;
                assert_true(!more || p->next_before_id != q.before_id);
                q.before_id = p->next_before_id;
                event_page_free(p);
        }
        return pages;
}

/* Two events of interest with 25,000 between them, in runs, in none, or some of both. */
static void a_long_search_goes_on_from_page_to_page(void **state) {
        EventQuery asks[] = {
                {.state = -1, .source = SPAN("rare")},
                {.state = -1, .target = SPAN("endpoint:rare")},
                {.state = -1, .channel = SPAN("none")},
                {.state = JOB_QUEUED, .target = SPAN("endpoint:usual"), .source = SPAN("rare")},
                {.state = -1, .to_ms = 1101},
        };
        const size_t found[] = {2, 2, 0, 0, 1};

        (void)state;
        for (int indexed = 0; indexed < 3; indexed++) {
                Twins t;
                int64_t ids[8], first, next;
                size_t n;
                Err e = {0};

                twins_open(&t, 1);
                first = t.next_id;
                for (int i = 0; i < 2; i++) {
                        Event *event = event_new(&(Event){.id = t.next_id,
                                                          .received_ms = 1000 + t.next_id,
                                                          .source = SPAN("rare")});
                        Job *job = job_new(t.next_id + 1, event, SPAN("endpoint:rare"), 0);
                        Write w = record_of(event, &job, 1);

                        t.next_id += 100;
                        write_one(t.file, &w);
                        job_free(job);
                        event_unref(event);
                        if (i == 0)
                                record_many(&t, 25000, SPAN("usual"), SPAN("endpoint:usual"));
                        sqlite_of(t.file)->index.per_run = i == 0 ? 1024 : 20;
                        /* All, a part, or none. */
                        for (int k = 0; k < (indexed == 0 ? 0 : indexed == 1 ? 10 : 1000); k++)
                                assert_int_equal(store_sqlite.upkeep(t.file, 1, &next, &e), 0);
                }
                for (size_t i = 0; i < COUNT_OF(asks); i++)
                        for (int up = 0; up < 2; up++) {
                                asks[i].oldest_first = up;
                                size_t pages = all_pages(&t, asks[i], ids, COUNT_OF(ids), &n);
                                assert_int_equal(n, found[i]);
                                if (n == 2)
                                        assert_int_equal(ids[up ? 0 : 1], first);
                                /* Runs of another time are passed over. */
                                assert_true(i < 4 || indexed < 2 || pages == 1);
                                assert_true(i != 2 || pages > 1);
                        }
                TargetStats stats;
                assert_int_equal(store_sqlite.target_stats(t.file_reader, SPAN("endpoint:usual"), 0,
                                                           0, &stats, &e),
                                 0);
                assert_int_equal(stats.jobs[JOB_QUEUED], 25000);
                twins_close(&t);
        }
}

/* More runs than one page may look into, and an attempt at either end. */
static void a_long_search_for_attempts_goes_on(void **state) {
        AttemptQuery q = {.target = SPAN("endpoint:rare"), .success = -1};
        Twins t;
        size_t n = 0, pages = 0;
        int64_t next;
        Err e = {0};

        (void)state;
        twins_open(&t, 1);
        sqlite_of(t.file)->index.per_run = 2;
        for (int i = 0; i < 2; i++) {
                Event *event = event_new(
                        &(Event){.id = t.next_id, .received_ms = 1000, .source = SPAN("rare")});
                Job *job = job_new(t.next_id + 1, event, SPAN("endpoint:rare"), 0);
                Write w = record_of(event, &job, 1);

                t.next_id += 100;
                write_one(t.file, &w);
                settle(t.file, job, JOB_DONE, 0);
                job_free(job);
                event_unref(event);
                if (i == 0)
                        record_many(&t, 22000, SPAN("usual"), SPAN("endpoint:usual"));
        }
        while (sqlite_of(t.file)->index.n > 8)
                assert_int_equal(store_sqlite.upkeep(t.file, 1, &next, &e), 0);
        for (bool more = true; more; pages++) {
                AttemptPage *p = NULL;

                assert_int_equal(store_sqlite.list_attempts(t.file_reader, &q, &p, &e), 0);
                n += p->n;
                more = p->more;
                assert_true(!more || p->next_number > 0);
                q.before_job = p->next_job;
                q.before_number = p->next_number;
                attempt_page_free(p);
        }
        assert_int_equal(n, 2);
        assert_true(pages > 1);
        TargetStats stats;
        assert_int_equal(store_sqlite.target_stats(t.file_reader, q.target, 0, 0, &stats, &e), 0);
        assert_int_equal(stats.jobs[JOB_DONE], 2);
        twins_close(&t);
}

/* What a batch that failed would have added is in no run. */
static void what_was_rolled_back_is_not_found(void **state) {
        char *body = must_alloc(1 << 20);
        size_t before;
        Twins t;
        Err e = {0};

        (void)state;
        twins_open(&t, 1);
        record_many(&t, 250, SPAN("usual"), SPAN("endpoint:usual"));
        before = sqlite_of(t.file)->index.n;
        assert_int_equal(sqlite_exec(sqlite_of(t.file), "PRAGMA max_page_count=30", &e, "fill"), 0);
        Event *small = event_new(&(Event){.id = t.next_id, .source = SPAN("rare")});
        Event *large = event_new(&(Event){
                .id = t.next_id + 1, .source = SPAN("rare"), .body = span_make(body, 1 << 20)});
        Write w[2] = {record_of(small, NULL, 0), record_of(large, NULL, 0)},
              *batch[] = {&w[0], &w[1]};
        assert_int_equal(store_sqlite.write(t.file, batch, 2, &e), -ENOSPC);
        assert_int_equal(sqlite_of(t.file)->index.n, before);
        event_unref(small);
        event_unref(large);
        free(body);
        twins_close(&t);
}

/* Runs, strays and jobs of replays go with the last of their events. */
static void nothing_is_left_of_what_was_trimmed(void **state) {
        Twins t;
        int64_t next;
        Err e = {0};

        (void)state;
        twins_open(&t, 7);
        for (int round = 0; round < 2; round++)
                for (int i = 0; i < 150; i++) {
                        round ? replay_one(&t) : record_one(&t);
                        assert_int_equal(store_sqlite.upkeep(t.file, 1, &next, &e), 0);
                }
        assert_true(number(&t, "SELECT count(*) FROM strays") > 50);
        assert_true(number(&t, "SELECT count(*) FROM later") > 50);
        assert_true(number(&t, "SELECT count(*) FROM by_target") > 50);
        assert_int_equal(sqlite_exec(sqlite_of(t.file), "UPDATE jobs SET state = 3", &e, "end"), 0);
        TrimRule rule = {.before_ms = INT64_MAX, .max = 7};
        for (size_t n = 1; n > 0;)
                assert_int_equal(store_sqlite.trim(t.file, &rule, &n, &e), 0);
        static const char *const tables[] = {"events",    "jobs",      "later", "strays",
                                             "by_source", "by_target", "aside", "attempts"};
        for (size_t i = 0; i < COUNT_OF(tables); i++) {
                char sql[64];

                (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[i]);
                assert_int_equal(number(&t, sql), 0);
        }
        twins_close(&t);
}

/* ---- the code of a run ---- */

static void a_run_is_read_as_it_was_written(void **state) {
        static const RunEntry entries[] = {
                {1, 2},
                {1, 3},
                {128, 127},
                {INT64_C(388219712937984), INT64_C(388219712937985)},
                {INT64_C(388219712937986), 1},
                {INT64_MAX, 1},
        };

        (void)state;
        for (int with_job = 0; with_job < 2; with_job++) {
                AUTO(buf_done)
                Buf code = BUF(1024);
                RunEntry before = {0}, entry = {0};
                size_t pos = 0;

                for (size_t i = 0; i < COUNT_OF(entries); i++) {
                        assert_int_equal(run_code_add(&code, before, entries[i], with_job), 0);
                        before = entries[i];
                }
                for (size_t i = 0; i < COUNT_OF(entries); i++) {
                        assert_int_equal(run_code_next(buf_span(&code), with_job, &pos, &entry), 1);
                        assert_int_equal(entry.event, entries[i].event);
                        assert_int_equal(entry.job, with_job ? entries[i].job : 0);
                }
                assert_int_equal(run_code_next(buf_span(&code), with_job, &pos, &entry), 0);
                /* Cut off within the last entry. */
                code.n--;
                pos = 0;
                entry = (RunEntry){0};
                int r = 1;
                while (r > 0)
                        r = run_code_next(buf_span(&code), with_job, &pos, &entry);
                assert_int_equal(r, -EBADMSG);
        }
        size_t pos = 0;
        RunEntry entry = {0};
        assert_int_equal(run_code_next(SPAN("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                                       false, &pos, &entry),
                         -EBADMSG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_run_is_read_as_it_was_written),
                cmocka_unit_test(what_was_rolled_back_is_not_found),
                cmocka_unit_test(nothing_is_left_of_what_was_trimmed),
                cmocka_unit_test(a_long_search_goes_on_from_page_to_page),
                cmocka_unit_test(a_long_search_for_attempts_goes_on),
                cmocka_unit_test(answers_are_those_of_a_store_without_an_index),
        };

        return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
