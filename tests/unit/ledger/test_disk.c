/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that fails on command: this program's own pwrite() and fdatasync() stand before those of
 * the C library, so SQLite calls them. */
#include "ledger/store_sqlite.h"
#include "ledger_unit.h"

#include <sys/syscall.h>

static struct {
        size_t writes, syncs;           /* done so far */
        size_t write_fails, sync_fails; /* the one with this number, counted from 1; 0: none */
        size_t for_writes;              /* and so many after it */
        int error;
} disk;

static ssize_t put(int fd, const void *p, size_t n, off_t at) {
        disk.writes++;
        if (disk.write_fails && disk.writes >= disk.write_fails &&
            disk.writes < disk.write_fails + disk.for_writes) {
                errno = disk.error;
                return -1;
        }
        return syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at) {
        return put(fd, p, n, at);
}

int fdatasync(int fd) {
        disk.syncs++;
        if (disk.sync_fails && disk.syncs >= disk.sync_fails) {
                errno = disk.error;
                return -1;
        }
        return (int)syscall(SYS_fdatasync, fd);
}

static void heal(void) {
        memset(&disk, 0, sizeof disk);
}

static void fail_write(size_t nth, size_t count, int error) {
        heal();
        disk.write_fails = nth;
        disk.for_writes = count;
        disk.error = error;
}

static int start(void **state) {
        Place *p = must_alloc(sizeof *p);

        heal();
        place_make(p);
        *state = p;
        return 0;
}

static int end(void **state) {
        heal();
        place_done(*state);
        free(*state);
        return 0;
}

static Store *open_at(const Place *p) {
        StoreOptions o = {.path = p->path, .keys_per_generation = 64};
        Store *s = NULL;
        Err e = {0};

        assert_int_equal(store_sqlite.open(&o, &s, &e), 0);
        return s;
}

static int try_record(Store *s, int64_t id, RecordResult *ret) {
        char key[32];
        Err e = {0};

        (void)snprintf(key, sizeof key, "%" PRId64, id);
        Event *event = make_event(id, key, "{}");
        Job *j = job_new(id + 1, event, SPAN("flow:a"), 0);
        Write w = record_of(event, &j, 1), *batch[] = {&w};
        int r = store_sqlite.write(s, batch, 1, &e);

        assert_true(r == 0 || e.text[0]);
        if (ret)
                *ret = w.record.result;
        job_free(j);
        event_unref(event);
        return r;
}

static int64_t count_of(const Place *p, const char *sql) {
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

static void assert_whole(const Place *p) {
        assert_int_equal(count_of(p, "SELECT count(*) FROM pragma_integrity_check"
                                     " WHERE integrity_check = 'ok'"),
                         1);
        assert_int_equal(count_of(p, "SELECT count(*) FROM events e WHERE NOT EXISTS"
                                     " (SELECT 1 FROM jobs WHERE id = e.first_job)"),
                         0);
        assert_int_equal(count_of(p, "SELECT count(*) - (SELECT count(*) FROM keys) FROM events"),
                         0);
}

/* Nobody can tell what a failed sync left behind: there is no second try, and no success after. */
static void a_failed_sync_ends_the_writing(void **state) {
        const Place *p = *state;
        Store *s = open_at(p);
        ClaimAsk ask = ask_all(1);
        Claim c;
        Err e = {0};

        assert_int_equal(try_record(s, 10, NULL), 0);
        heal();
        disk.sync_fails = 1;
        disk.error = EIO;
        assert_int_equal(try_record(s, 20, NULL), -EIO);
        size_t syncs = disk.syncs;
        heal();
        disk.syncs = syncs;
        assert_int_equal(try_record(s, 30, NULL), -EIO);
        ask.is_due = false;
        if (store_sqlite.claim(s, &ask, &c, &e) == 0)
                assert_int_equal(c.n, 0);
        store_sqlite.close(s);
        /* Not even closing tries it again. */
        assert_int_equal(disk.syncs, syncs);
        s = open_at(p);
        store_sqlite.close(s);
        assert_whole(p);
        assert_int_equal(count_of(p, "SELECT count(*) FROM events WHERE id = 10"), 1);
        assert_int_equal(count_of(p, "SELECT count(*) FROM events WHERE id = 30"), 0);
}

/* The disk fills at every write call of a batch in turn: each time nothing is written, nothing is
 * broken, and the same batch goes through when there is room. */
static void a_full_disk_is_no_unknown_outcome(void **state) {
        const Place *p = *state;
        Store *s = open_at(p);
        RecordResult result;
        size_t refused = 0;

        for (size_t nth = 1; nth < 1000; nth++) {
                int64_t id = (int64_t)nth * 10;

                fail_write(nth, SIZE_MAX / 2, ENOSPC);
                int r = try_record(s, id, NULL);
                if (r == 0)
                        break;
                assert_int_equal(r, -ENOSPC);
                refused++;
                heal();
                assert_int_equal(try_record(s, id, &result), 0);
                assert_int_equal(result, RECORD_NEW);
                assert_int_equal(try_record(s, id + 1, &result), 0);
        }
        heal();
        assert_true(refused > 2);
        /* Batches that failed left no trace in memory: the log of keys has no gaps. */
        int64_t keys = sqlite_of(s)->keys.next_id;
        store_sqlite.close(s);
        assert_int_equal(count_of(p, "SELECT count(*) FROM keys"), keys);
        assert_whole(p);
}

/* The same for all that the thread does between batches. */
static void housekeeping_survives_a_full_disk(void **state) {
        const Place *p = *state;
        Store *s = open_at(p);
        size_t refused = 0;

        for (size_t nth = 1; nth < 200; nth += 3) {
                TrimRule rule = {.before_ms = 1000 + (int64_t)nth * 100, .max = 3};
                int64_t id = (int64_t)nth * 100, next;
                ClaimAsk ask = ask_all(INT64_MAX);
                size_t trimmed = 0;
                Claim c, first = {0};

                Job *j = record_job(s, id, 0, nth % 2);
                if (nth % 2 == 0)
                        settle(s, j, nth % 4 ? JOB_WAITING : JOB_DONE, 1);
                job_free(j);
                if (nth % 2)
                        ask.is_due = false;
                sqlite_of(s)->wal_pages = WAL_CHECKPOINT_PAGES;
                fail_write(nth % 20 + 1, SIZE_MAX / 2, ENOSPC);
                int r = store_sqlite.claim(s, &ask, &first, &(Err){0});
                assert_true(r == 0 || r == -ENOSPC);
                refused += r < 0;
                r = store_sqlite.trim(s, &rule, &trimmed, &(Err){0});
                assert_true(r == 0 || r == -ENOSPC);
                r = store_sqlite.upkeep(s, (int64_t)nth * 1000, &next, &(Err){0});
                assert_true(r == 0 || r == -ENOSPC);
                refused += r < 0;
                heal();
                assert_int_equal(store_sqlite.claim(s, &ask, &c, &(Err){0}), 0);
                assert_int_equal(c.n + first.n, nth % 4 ? 1 : 0);
                for (size_t i = 0; i < first.n; i++)
                        settle(s, first.jobs[i], JOB_DONE, 0);
                for (size_t i = 0; i < c.n; i++)
                        settle(s, c.jobs[i], JOB_DONE, 0);
                claim_free(&first);
                claim_free(&c);
                assert_false(sqlite_of(s)->broken);
        }
        assert_true(refused > 5);
        store_sqlite.close(s);
        assert_int_equal(count_of(p, "SELECT count(*) FROM jobs WHERE state < 3"), 0);
        assert_int_equal(count_of(p, "SELECT count(*) FROM aside"), 0);
}

/* Any other error of a write may have any outcome; what was acknowledged before is there. */
static void a_failed_write_loses_nothing_acknowledged(void **state) {
        const Place *p = *state;

        for (size_t nth = 1; nth < 12; nth++) {
                Store *s = open_at(p);
                int64_t id = (int64_t)nth * 100;

                assert_int_equal(try_record(s, id, NULL), 0);
                fail_write(nth, SIZE_MAX / 2, EIO);
                int r = try_record(s, id + 10, NULL);
                heal();
                if (r < 0)
                        assert_true(r != -ENOSPC && r != -EAGAIN);
                store_sqlite.close(s);
                s = open_at(p);
                store_sqlite.close(s);
        }
        assert_whole(p);
        assert_int_equal(count_of(p, "SELECT count(*) FROM events WHERE id % 100 = 0"), 11);
}

#define DISK_TEST(test) cmocka_unit_test_setup_teardown(test, start, end)

int main(void) {
        const struct CMUnitTest tests[] = {
                DISK_TEST(a_failed_sync_ends_the_writing),
                DISK_TEST(a_full_disk_is_no_unknown_outcome),
                DISK_TEST(housekeeping_survives_a_full_disk),
                DISK_TEST(a_failed_write_loses_nothing_acknowledged),
        };

        return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
