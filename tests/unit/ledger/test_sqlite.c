/* SPDX-License-Identifier: Apache-2.0
 *
 * What is particular to the store in a file: locks, formats, restarts, the WAL, keys on disk. */
#include "base/random.h"
#include "ledger/store_sqlite.h"
#include "ledger_unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int start(void **state) {
        Place *p = must_alloc(sizeof *p);

        place_make(p);
        *state = p;
        return 0;
}

static int end(void **state) {
        place_done(*state);
        free(*state);
        return 0;
}

static StoreOptions options(const Place *p) {
        return (StoreOptions){.path = p->path, .node = "n", .keys_per_generation = 64};
}

static Store *open_with(const StoreOptions *o) {
        Store *s = NULL;
        Err e = {0};
        int r = store_sqlite.open(o, &s, &e);

        if (r < 0)
                print_message("%s\n", e.text);
        assert_int_equal(r, 0);
        return s;
}

static Store *open_at(const Place *p) {
        StoreOptions o = options(p);

        return open_with(&o);
}

/* As kill -9 does, as far as the file sees it: no mark, no checkpoint. */
static void drop_unclean(Store *s) {
        sqlite_of(s)->broken = true;
        store_sqlite.close(s);
}

static int open_fails(const StoreOptions *o, Err *e) {
        Store *s = NULL;

        return store_sqlite.open(o, &s, e);
}

static void shell(const Place *p, const char *sql) {
        sqlite3 *db = NULL;

        assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
}

static int64_t number(const Place *p, const char *sql) {
        sqlite3 *db = NULL;
        sqlite3_stmt *st = NULL;

        assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        int64_t n = sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        sqlite3_close(db);
        return n;
}

static void a_second_process_is_refused(void **state) {
        Store *s = open_at(*state);
        StoreOptions o = options(*state);
        Err e = {0};

        assert_int_equal(open_fails(&o, &e), -EBUSY);
        assert_non_null(strstr(e.text, o.path));
        pid_t child = fork();
        if (child == 0) {
                Err mine = {0};

                _exit(open_fails(&o, &mine) == -EBUSY ? 0 : 1);
        }
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        store_sqlite.close(s);
        store_sqlite.close(open_at(*state));
}

static void strange_files_are_refused(void **state) {
        const Place *p = *state;
        StoreOptions o = options(p);
        Err e = {0};

        o.path = "/nonexistent/dir/t.db";
        assert_int_equal(open_fails(&o, &e), -ENOENT);
        assert_non_null(strstr(e.text, "/nonexistent/dir/t.db"));
        e = (Err){0};
        o.path = "";
        assert_int_equal(open_fails(&o, &e), -EINVAL);
        o.path = p->path;
        shell(p, "CREATE TABLE other(x)");
        e = (Err){0};
        assert_int_equal(open_fails(&o, &e), -EINVAL);
        assert_non_null(strstr(e.text, "not a ledger"));
        assert_int_equal(number(p, "SELECT count(*) FROM sqlite_schema"), 1);
        assert_int_equal(truncate(p->path, 0), 0);
        int fd = open(p->path, O_WRONLY | O_TRUNC);
        assert_int_equal(write(fd, "this is not a database at all", 29), 29);
        close(fd);
        e = (Err){0};
        assert_true(open_fails(&o, &e) < 0);
}

static void another_format_is_refused(void **state) {
        const Place *p = *state;
        StoreOptions o = options(p);
        Err e = {0};

        store_sqlite.close(open_at(p));
        assert_int_equal(number(p, "PRAGMA application_id"), 0x4772706e);
        assert_int_equal(number(p, "PRAGMA user_version"), 2);
        assert_int_equal(number(p, "PRAGMA page_size"), SQLITE_PAGE_BYTES);
        shell(p, "PRAGMA user_version = 3");
        assert_int_equal(open_fails(&o, &e), -ENOTSUP);
        assert_non_null(strstr(e.text, "newer"));
        e = (Err){0};
        shell(p, "PRAGMA user_version = 1");
        assert_int_equal(open_fails(&o, &e), -ENOTSUP);
        assert_non_null(strstr(e.text, "before the first release"));
}

static void commits_are_synced(void **state) {
        Store *s = open_at(*state);
        sqlite3_stmt *st = NULL;

        assert_int_equal(sqlite3_prepare_v2(sqlite_of(s)->db, "PRAGMA synchronous", -1, &st, NULL),
                         0);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(st, 0), 2);
        sqlite3_finalize(st);
        store_sqlite.close(s);
}

static void readers_cannot_write(void **state) {
        Store *s = open_at(*state), *reader = NULL;
        Err e = {0};

        assert_int_equal(store_sqlite.open_reader(s, &reader, &e), 0);
        assert_int_not_equal(
                sqlite3_exec(sqlite_of(reader)->db, "DELETE FROM events", NULL, NULL, NULL),
                SQLITE_OK);
        assert_int_not_equal(sqlite3_wal_checkpoint_v2(sqlite_of(reader)->db, NULL,
                                                       SQLITE_CHECKPOINT_FULL, NULL, NULL),
                             SQLITE_OK);
        store_sqlite.close(reader);
        store_sqlite.close(s);
}

/* Fresh jobs, retried ones, spilled ones and one that was claimed: all are there after a crash. */
static void a_restart_takes_its_jobs_back(void **state) {
        Store *s = open_at(*state), *reader = NULL;
        Job *fresh = record_job(s, 10, 0, false), *spilled = record_job(s, 20, 0, true),
            *waiting = record_job(s, 30, 0, false), *claimed = record_job(s, 40, 0, false),
            *done = record_job(s, 50, 0, false);
        ClaimAsk ask = ask_all(100);
        unsigned char secret[32], again[32];
        Err e = {0};

        store_sqlite.secret(s, "x", secret);
        settle(s, waiting, JOB_WAITING, 999);
        settle(s, claimed, JOB_WAITING, 100);
        settle(s, done, JOB_DONE, 0);
        Claim c = claim(s, ask);
        assert_int_equal(c.n, 1);
        claim_free(&c);
        drop_unclean(s);

        s = open_at(*state);
        assert_int_equal(store_sqlite.last_id(s), 51);
        store_sqlite.secret(s, "x", again);
        assert_memory_equal(secret, again, 32);
        ask.is_due = false;
        c = claim(s, ask);
        assert_int_equal(c.n, 3);
        assert_int_equal(c.jobs[0]->id, 11);
        assert_int_equal(c.jobs[0]->attempts, 1);
        assert_int_equal(c.jobs[1]->id, 21);
        assert_int_equal(c.jobs[1]->attempts, 0);
        assert_int_equal(c.jobs[2]->id, 41);
        assert_int_equal(c.jobs[2]->attempts, 2);
        claim_free(&c);
        c = claim(s, ask);
        assert_int_equal(c.n, 0);
        claim_free(&c);
        c = claim(s, ask_all(100));
        assert_int_equal(c.n, 0);
        assert_int_equal(c.next_due_ms, 999);
        claim_free(&c);
        assert_int_equal(store_sqlite.open_reader(s, &reader, &e), 0);
        EventView *v = NULL;
        assert_int_equal(store_sqlite.find_event(reader, 40, &v, &e), 0);
        assert_int_equal(v->jobs[0].n_listed, 2);
        assert_int_equal(v->jobs[0].attempts[1].number, 2);
        assert_true(span_eq(v->jobs[0].attempts[1].code, SPAN("unknown")));
        event_view_free(v);
        LedgerStats stats;
        assert_int_equal(store_sqlite.stats(reader, &stats, &e), 0);
        assert_int_equal(stats.events, 5);
        store_sqlite.close(reader);
        store_sqlite.close(s);
        job_free(fresh);
        job_free(spilled);
        job_free(waiting);
        job_free(claimed);
        job_free(done);
}

/* Marks pass over jobs that run for long; a crash finds these too, and none that is done. */
static void marks_lose_no_job(void **state) {
        Store *s = open_at(*state);
        enum { BATCHES = 160, PER_BATCH = 512, KEPT_EVERY = 10000 };
        size_t kept = 0, n = 0;
        Err e = {0};

        for (int i = 0; i < BATCHES; i++) {
                Job *jobs[PER_BATCH];
                Write records[PER_BATCH], settles[PER_BATCH], *batch[PER_BATCH];
                size_t m = 0;

                for (int k = 0; k < PER_BATCH; k++) {
                        int64_t id = 1000 + 2 * (i * PER_BATCH + k);
                        Event *event = make_event(id, NULL, "{}");

                        jobs[k] = job_new(id + 1, event, SPAN("flow:a"), 0);
                        event_unref(event);
                        records[k] = record_of(event, &jobs[k], 1);
                        batch[k] = &records[k];
                }
                assert_int_equal(store_sqlite.write(s, batch, PER_BATCH, &e), 0);
                for (int k = 0; k < PER_BATCH; k++) {
                        if ((i * PER_BATCH + k) % KEPT_EVERY == 0) {
                                kept++;
                                continue;
                        }
                        settles[m] = settle_of(jobs[k], JOB_DONE, NULL);
                        batch[m] = &settles[m];
                        m++;
                }
                assert_int_equal(store_sqlite.write(s, batch, m, &e), 0);
                for (int k = 0; k < PER_BATCH; k++)
                        job_free(jobs[k]);
        }
        int64_t low_water = sqlite_of(s)->low_water;
        assert_true(low_water > 1000 + 2 * (BATCHES * PER_BATCH - 3 * MARK_EVERY_JOBS));
        drop_unclean(s);
        s = open_at(*state);
        assert_int_equal(sqlite_of(s)->events_counted, BATCHES * PER_BATCH);
        ClaimAsk ask = ask_all(1);
        ask.is_due = false;
        for (Claim c = {.more = true}; c.more; n += c.n, claim_free(&c)) {
                ask.max = 3;
                c = claim(s, ask);
        }
        assert_int_equal(n, kept);
        store_sqlite.close(s);
}

/* A claim looks at a bounded number of rows, which may all belong to another shard: it says from
 * where to go on, and gets there, even when many wait for one and the same moment. */
static void many_of_another_shard_hide_none(void **state) {
        enum { BATCH = 500, BATCHES = 50 };
        Store *s = open_at(*state);
        int64_t from_ms = 0, mine = 0;
        size_t n = 0, asked = 0;
        Err e = {0};

        for (int i = 0; i < BATCHES; i++) {
                Job *jobs[BATCH];
                Write records[BATCH], *batch[BATCH];

                for (int k = 0; k < BATCH; k++) {
                        int64_t id = 1000 + 2 * (i * BATCH + k);
                        Event *event = make_event(id, NULL, "{}");

                        jobs[k] = job_new(id + 1, event, SPAN("flow:a"), 0);
                        event_unref(event);
                        jobs[k]->shard = 1;
                        jobs[k]->state = JOB_WAITING;
                        jobs[k]->due_ms = i < BATCHES / 2 ? 100 : 101 + i * BATCH + k;
                        if (i == BATCHES / 2 - 1 && k == BATCH - 1)
                                jobs[k]->shard = 0, mine = id + 1;
                        records[k] = record_of(event, &jobs[k], 1);
                        batch[k] = &records[k];
                }
                assert_int_equal(store_sqlite.write(s, batch, BATCH, &e), 0);
                for (int k = 0; k < BATCH; k++)
                        job_free(jobs[k]);
        }
        do {
                ClaimAsk ask = ask_all(INT64_MAX - 1);

                ask.shards = 2;
                ask.from_ms = from_ms;
                Claim c = claim(s, ask);
                if (c.n > 0)
                        assert_int_equal(c.jobs[0]->id, mine);
                n += c.n;
                assert_true(c.next_due_ms > from_ms);
                from_ms = c.next_due_ms;
                claim_free(&c);
                asked++;
        } while (from_ms < INT64_MAX);
        assert_int_equal(n, 1);
        assert_in_range(asked, 2, 10);
        store_sqlite.close(s);
}

/* A replayed job that nobody had taken yet was not running when the process ended. */
static void a_restart_finds_replays(void **state) {
        Store *s = open_at(*state);
        Job *old = record_job(s, 10, 0, false), *added = job_new(40, old->event, SPAN("flow:b"), 0);
        Write again = {.kind = WRITE_REPLAY, .replay = {.job = old}},
              more = {.kind = WRITE_REPLAY, .replay = {.job = added}};
        const Place *p = *state;

        settle(s, old, JOB_DONE, 0);
        write_one(s, &again);
        write_one(s, &more);
        assert_true(again.replay.done && more.replay.done);
        drop_unclean(s);
        s = open_at(p);
        assert_int_equal(store_sqlite.last_id(s), 40);
        Claim c = claim_any(s, 100);
        assert_int_equal(c.n, 2);
        assert_int_equal(c.jobs[0]->id, 11);
        assert_int_equal(c.jobs[0]->attempts, 1);
        assert_int_equal(c.jobs[0]->tries_from, 1);
        assert_int_equal(c.jobs[1]->id, 40);
        assert_int_equal(c.jobs[1]->attempts, 0);
        settle(s, c.jobs[0], JOB_DONE, 0);
        settle(s, c.jobs[1], JOB_DEAD, 0);
        claim_free(&c);
        TrimRule rule = {.before_ms = INT64_MAX, .max = 10};
        size_t n = 0;
        Err e = {0};
        assert_int_equal(number(p, "SELECT count(*) FROM later"), 1);
        assert_int_equal(store_sqlite.trim(s, &rule, &n, &e), 0);
        assert_int_equal(n, 1);
        assert_int_equal(number(p, "SELECT (SELECT count(*) FROM later) + (SELECT count(*) FROM"
                                   " jobs) + (SELECT count(*) FROM aside) + (SELECT count(*) FROM"
                                   " attempts) + (SELECT count(*) FROM events)"),
                         0);
        store_sqlite.close(s);
        job_free(old);
        job_free(added);
}

static RecordResult record_key(Store *s, int64_t id, const char *key, const char *body) {
        Event *event = make_event(id, key, body);
        Write w = record_of(event, NULL, 0);

        write_one(s, &w);
        event_unref(event);
        return w.record.result;
}

/* Keys "key N" from `first`, in one transaction; all have the same result. */
static void record_numbers(Store *s, int64_t id, int first, int n, RecordResult expected) {
        Write *writes = must_alloc((size_t)n * sizeof *writes);
        Write **batch = must_alloc((size_t)n * sizeof *batch);
        char key[32];
        Err e = {0};

        for (int i = 0; i < n; i++) {
                (void)snprintf(key, sizeof key, "key %d", first + i);
                writes[i] = record_of(make_event(id + i, key, "b"), NULL, 0);
                batch[i] = &writes[i];
        }
        assert_int_equal(store_sqlite.write(s, batch, (size_t)n, &e), 0);
        for (int i = 0; i < n; i++) {
                assert_int_equal(writes[i].record.result, expected);
                event_unref(writes[i].record.event);
        }
        free(writes);
        free(batch);
}

/* 20 events in one transaction. */
static void record_bodies(Store *s, int64_t id, const char *body) {
        Write writes[20], *batch[20];
        Err e = {0};

        for (int i = 0; i < 20; i++) {
                writes[i] = record_of(make_event(id + i, NULL, body), NULL, 0);
                batch[i] = &writes[i];
        }
        assert_int_equal(store_sqlite.write(s, batch, 20, &e), 0);
        for (int i = 0; i < 20; i++)
                event_unref(writes[i].record.event);
}

static void upkeep(Store *s, int64_t now_ms) {
        int64_t next;
        Err e = {0};

        assert_int_equal(store_sqlite.upkeep(s, now_ms, &next, &e), 0);
        assert_true(next > 0);
}

static void keys_survive_restarts(void **state) {
        Store *s = open_at(*state);
        const Place *p = *state;

        record_numbers(s, 1000, 0, 200, RECORD_NEW);
        for (int i = 0; i < 10; i++)
                upkeep(s, 1000 * (i + 1));
        drop_unclean(s);
        /* The three full generations were written down; the fourth is scanned. */
        assert_int_equal(number(p, "SELECT count(*) FROM key_filters"), 3);
        for (int round = 0; round < 3; round++) {
                s = open_at(p);
                record_numbers(s, 10000, 0, 200, RECORD_REPEAT);
                if (round > 0)
                        record_numbers(s, 10000, 1000, round, RECORD_REPEAT);
                record_numbers(s, 20000 + round, 1000 + round, 1, RECORD_NEW);
                round == 1 ? drop_unclean(s) : store_sqlite.close(s);
        }
        assert_int_equal(number(p, "SELECT count(*) FROM key_filters"), 4);
        /* A filter that lost its row is made again. */
        shell(p, "DELETE FROM key_filters");
        s = open_at(p);
        record_numbers(s, 10000, 0, 200, RECORD_REPEAT);
        store_sqlite.close(s);
}

static void old_generations_are_dropped(void **state) {
        const Place *p = *state;
        StoreOptions o = options(p);
        Store *s = open_with(&o);
        int n = 64 * (KEY_GENERATIONS + 3) + 10;

        record_numbers(s, 1000, 0, n, RECORD_NEW);
        for (int i = 0; i < 14; i++)
                upkeep(s, 1000 * (i + 1));
        record_numbers(s, 9000, 64 * 4, 1, RECORD_REPEAT);
        record_numbers(s, 9001, 64 * 4 - 1, 1, RECORD_NEW);
        store_sqlite.close(s);
        assert_int_equal(number(p, "SELECT count(*) FROM keys"), n + 1 - 64 * 4);
        assert_int_equal(number(p, "SELECT count(*) FROM key_filters"), KEY_GENERATIONS);
        /* By age, all that is full. */
        o.once_ms = 10;
        s = open_with(&o);
        for (int i = 0; i < 20; i++)
                upkeep(s, 100000000 + 1000 * (i + 1));
        assert_true(number(p, "SELECT count(*) FROM keys") < 64);
        record_numbers(s, 9002, n - 1, 1, RECORD_NEW);
        store_sqlite.close(s);
}

static int64_t size_of(const Place *p, const char *suffix) {
        char path[128];
        struct stat st = {0};

        (void)snprintf(path, sizeof path, "%s%s", p->path, suffix);
        return stat(path, &st) == 0 ? st.st_size : -1;
}

static void the_wal_stays_small(void **state) {
        const Place *p = *state;
        Store *s = open_at(p);
        char *body = must_alloc(200001);

        memset(body, 'x', 200000);
        for (int i = 0; i < 50; i++) {
                record_bodies(s, 10 + i * 20, body);
                upkeep(s, i);
        }
        assert_true(size_of(p, "-wal") < 40 * 1024 * 1024);
        assert_true(size_of(p, "") > 150 * 1024 * 1024);
        store_sqlite.close(s);
        assert_true(size_of(p, "-wal") <= 0);
        free(body);
}

/* A reader that stays holds checkpoints back; when it goes, the WAL shrinks again. */
static void a_slow_reader_costs_only_room(void **state) {
        const Place *p = *state;
        Store *s = open_at(p), *reader = NULL;
        char *body = must_alloc(200001);
        Err e = {0};

        memset(body, 'x', 200000);
        assert_int_equal(record_key(s, 1, NULL, "first"), RECORD_NEW);
        assert_int_equal(store_sqlite.open_reader(s, &reader, &e), 0);
        sqlite3 *db = sqlite_of(reader)->db;
        sqlite_question_begin(sqlite_of(reader));
        assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT * FROM events", NULL, NULL, NULL), 0);
        for (int i = 0; i < 18; i++) {
                record_bodies(s, 10 + i * 20, body);
                upkeep(s, i);
        }
        assert_true(size_of(p, "-wal") > 50 * 1024 * 1024);
        assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), 0);
        upkeep(s, 1);
        assert_int_equal(record_key(s, 1000, NULL, body), RECORD_NEW);
        assert_true(sqlite_of(s)->wal_pages < 100);
        store_sqlite.close(reader);
        store_sqlite.close(s);
        free(body);
}

static void a_removed_file_is_noticed(void **state) {
        const Place *p = *state;
        Store *s = open_at(p);
        int64_t next;
        Err e = {0};

        upkeep(s, 1000);
        assert_int_equal(unlink(p->path), 0);
        assert_int_equal(store_sqlite.upkeep(s, 2000, &next, &e), -ESTALE);
        drop_unclean(s);
}

static void a_foreign_lock_is_waited_for_and_told(void **state) {
        const Place *p = *state;
        Store *s = open_at(p);
        sqlite3 *db = NULL;
        Event *event = make_event(10, "k", "{}");
        Write w = record_of(event, NULL, 0), *batch[] = {&w};
        Err e = {0};

        assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_busy_timeout(sqlite_of(s)->db, 1), SQLITE_OK);
        assert_int_equal(store_sqlite.write(s, batch, 1, &e), -EAGAIN);
        assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        write_one(s, &w);
        assert_int_equal(w.record.result, RECORD_NEW);
        event_unref(event);
        store_sqlite.close(s);
}

/* A page of a small file turned to rubbish is found at the start after a crash. */
static void damage_is_noticed(void **state) {
        const Place *p = *state;
        StoreOptions o = options(p);
        Err e = {0};
        char rubbish[4096];
        char *body = must_alloc(3001);
        Store *s = open_at(p);

        memset(body, 'x', 3000);
        for (int i = 0; i < 5; i++)
                record_bodies(s, 10 + i * 20, body);
        store_sqlite.close(s);
        shell(p, "UPDATE meta SET value = 0 WHERE name = 'clean'");
        memset(rubbish, 0xa5, sizeof rubbish);
        int64_t page = number(p, "SELECT max(pageno) FROM dbstat WHERE name = 'events'");
        int fd = open(p->path, O_WRONLY);
        assert_int_equal(pwrite(fd, rubbish, sizeof rubbish, (page - 1) * SQLITE_PAGE_BYTES),
                         sizeof rubbish);
        close(fd);
        assert_int_equal(open_fails(&o, &e), -EBADMSG);
        assert_non_null(strstr(e.text, "damaged"));
        free(body);
}

/* No statement goes through a whole table, but for the few that are meant to. */
static void looks_for(Store *s, StatementName name, sqlite3_stmt *st) {
        bool goes_through_all = name == SQL_OBJECT_EACH || name == SQL_OLDEST || name == SQL_ENDED;
        sqlite3_stmt *plan = NULL;
        char text[1024];

        (void)snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", sqlite3_sql(st));
        assert_int_equal(sqlite3_prepare_v2(sqlite_of(s)->db, text, -1, &plan, NULL), 0);
        while (sqlite3_step(plan) == SQLITE_ROW) {
                const char *line = (const char *)sqlite3_column_text(plan, 3);
                bool is_scan = strstr(line, "SCAN") && !strstr(line, "CONSTANT ROW") &&
                               !strstr(line, "SUBQUERY") && !strstr(line, "(subquery");

                if (strstr(line, "TEMP B-TREE") || strstr(line, "AUTOMATIC") ||
                    (is_scan && !goes_through_all))
                        print_message("%s\n  %s\n", sqlite3_sql(st), line);
                assert_null(strstr(line, "TEMP B-TREE"));
                assert_null(strstr(line, "AUTOMATIC"));
                assert_true(!is_scan || goes_through_all);
        }
        sqlite3_finalize(plan);
}

/* The hot path touches no index: each question that must be fast names the one that it uses. */
static void statements_use_their_indexes(void **state) {
        Store *s = open_at(*state);

        for (int i = 0; i < SQL_STATEMENTS; i++) {
                sqlite3_stmt *st = NULL, *plan = NULL;
                char text[1024], index[64], use[80];
                Err e = {0};

                assert_int_equal(sqlite_get(sqlite_of(s), (StatementName)i, &st, &e), 0);
                const char *named = strstr(sqlite3_sql(st), "INDEXED BY ");
                if (!named) {
                        looks_for(s, (StatementName)i, st);
                        continue;
                }
                assert_int_equal(sscanf(named, "INDEXED BY %63s", index), 1);
                (void)snprintf(use, sizeof use, "INDEX %s ", index);
                (void)snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", sqlite3_sql(st));
                assert_int_equal(sqlite3_prepare_v2(sqlite_of(s)->db, text, -1, &plan, NULL), 0);
                while (sqlite3_step(plan) == SQLITE_ROW) {
                        const char *line = (const char *)sqlite3_column_text(plan, 3);

                        assert_null(strstr(line, "TEMP B-TREE"));
                        assert_non_null(strstr(line, use));
                }
                sqlite3_finalize(plan);
        }
        store_sqlite.close(s);
}

#define FILE_TEST(test) cmocka_unit_test_setup_teardown(test, start, end)

int main(void) {
        const struct CMUnitTest tests[] = {
                FILE_TEST(a_second_process_is_refused),
                FILE_TEST(strange_files_are_refused),
                FILE_TEST(another_format_is_refused),
                FILE_TEST(commits_are_synced),
                FILE_TEST(readers_cannot_write),
                FILE_TEST(a_restart_takes_its_jobs_back),
                FILE_TEST(marks_lose_no_job),
                FILE_TEST(many_of_another_shard_hide_none),
                FILE_TEST(a_restart_finds_replays),
                FILE_TEST(keys_survive_restarts),
                FILE_TEST(old_generations_are_dropped),
                FILE_TEST(the_wal_stays_small),
                FILE_TEST(a_slow_reader_costs_only_room),
                FILE_TEST(a_removed_file_is_noticed),
                FILE_TEST(a_foreign_lock_is_waited_for_and_told),
                FILE_TEST(damage_is_noticed),
                FILE_TEST(statements_use_their_indexes),
        };

        return cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
}
