/* SPDX-License-Identifier: Apache-2.0
 *
 * kill -9 at random moments: a child records, settles and claims through the ledger and reports
 * each acknowledged event on a pipe; what was reported before the kill must be there after it,
 * byte for byte, and the file must be whole. */
#include "base/clock.h"
#include "base/id.h"
#include "base/random.h"
#include "ledger_unit.h"

#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

enum { ROUNDS = 30, IN_FLIGHT = 64, ACKED_MAX = 1 << 20 };

/* The body tells the id, so that a mix-up shows. */
static void body_of(int64_t id, char ret[200]) {
        (void)snprintf(ret, 200, "{\"id\":%" PRId64 ",\"pad\":\"%0*d\"}", id, (int)(id % 97) + 1,
                       7);
}

typedef struct Slot {
        LedgerRequest record, settle;
        Event *event;
        Job *job;
        Attempt attempt;
} Slot;

static struct {
        Ledger *ledger;
        Inbox home;
        IdMaker ids;
        int report;
} child;

static void send_next(Slot *s);

static void on_settled(LedgerRequest *r) {
        Slot *s = r->arg;

        job_free(s->job);
        send_next(s);
}

static void on_recorded(LedgerRequest *r) {
        Slot *s = r->arg;

        must(r->result == 0 && r->write.record.result == RECORD_NEW);
        must(write(child.report, &s->event->id, sizeof s->event->id) == sizeof s->event->id);
        s->job->attempts = 1;
        s->attempt = (Attempt){.number = 1, .code = SPAN("updated")};
        s->settle = (LedgerRequest){.ask = ASK_WRITE,
                                    .home = &child.home,
                                    .done = on_settled,
                                    .arg = s,
                                    .write = settle_of(s->job, JOB_DONE, &s->attempt)};
        event_unref(s->event);
        must(ledger_send(child.ledger, &s->settle) == 0);
}

static void send_next(Slot *s) {
        char body[200], key[40];
        int64_t id = id_make(&child.ids, clock_wall_ms());

        body_of(id, body);
        (void)snprintf(key, sizeof key, "%" PRId64, id);
        s->event = make_event(id, key, body);
        s->job = job_new(id_make(&child.ids, clock_wall_ms()), s->event, SPAN("flow:a"), 0);
        s->record = (LedgerRequest){.ask = ASK_WRITE,
                                    .home = &child.home,
                                    .done = on_recorded,
                                    .arg = s,
                                    .write = record_of(s->event, &s->job, 1)};
        must(ledger_send(child.ledger, &s->record) == 0);
}

_Noreturn static void run_child(const char *url, int report) {
        static Slot slots[IN_FLIGHT];
        LedgerOptions o = {.url = span_of(url), .store = {.keys_per_generation = 4096}};
        Err e = {0};

        child.report = report;
        inbox_init(&child.home, NULL, NULL);
        if (ledger_open(&o, &child.ledger, &e) < 0) {
                (void)fprintf(stderr, "%s\n", e.text);
                _exit(1);
        }
        id_maker_init(&child.ids, 1, ledger_last_id(child.ledger));
        for (int i = 0; i < IN_FLIGHT; i++)
                send_next(&slots[i]);
        for (;;)
                for (Note *n = inbox_wait(&child.home, -1), *next; n; n = next) {
                        next = n->next;
                        n->read(n);
                }
}

static void check_file(const char *path, const int64_t *acked, size_t n) {
        sqlite3 *db = NULL;
        sqlite3_stmt *st = NULL;
        char body[200];

        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL), 0);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(st, 0), "ok");
        sqlite3_finalize(st);
        assert_int_equal(sqlite3_prepare_v2(db,
                                            "SELECT e.body, (SELECT count(*) FROM jobs j WHERE"
                                            " j.id = e.first_job AND j.event = e.id)"
                                            " FROM events e WHERE e.id = ?1",
                                            -1, &st, NULL),
                         0);
        for (size_t i = 0; i < n; i++) {
                sqlite3_bind_int64(st, 1, acked[i]);
                assert_int_equal(sqlite3_step(st), SQLITE_ROW);
                body_of(acked[i], body);
                assert_int_equal(sqlite3_column_bytes(st, 0), strlen(body));
                assert_memory_equal(sqlite3_column_blob(st, 0), body, strlen(body));
                assert_int_equal(sqlite3_column_int(st, 1), 1);
                sqlite3_reset(st);
        }
        sqlite3_finalize(st);
        /* No attempt without its job, no unfinished job that the next start would not find. */
        assert_int_equal(sqlite3_prepare_v2(db,
                                            "SELECT count(*) FROM attempts WHERE job NOT IN"
                                            " (SELECT id FROM jobs)",
                                            -1, &st, NULL),
                         0);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(st, 0), 0);
        sqlite3_finalize(st);
        sqlite3_close(db);
}

/* Reads whole ids that the child wrote; returns how many there are in all. */
static size_t read_acked(int fd, int64_t *acked, size_t n) {
        size_t room = (ACKED_MAX - n) * sizeof *acked, got = 0;

        while (got < room) {
                ssize_t k = read(fd, (char *)(acked + n) + got, room - got);

                if (k <= 0)
                        break;
                got += (size_t)k;
        }
        return n + got / sizeof *acked;
}

static void acknowledged_events_survive_kill_9(void **state) {
        AUTO(freep)
        int64_t *acked = must_alloc(ACKED_MAX * sizeof *acked);
        uint64_t seed;
        size_t n = 0;
        Place p;
        char url[128];

        (void)state;
        random_bytes(&seed, sizeof seed);
        Rng rng = {seed};
        print_message("seed %" PRIu64 "\n", seed);
        place_make(&p);
        (void)snprintf(url, sizeof url, "sqlite:%s", p.path);
        for (int round = 0; round < ROUNDS; round++) {
                int fds[2];
                struct pollfd ready;

                assert_int_equal(pipe(fds), 0);
                pid_t pid = fork();
                if (pid == 0) {
                        close(fds[0]);
                        run_child(url, fds[1]);
                }
                close(fds[1]);
                /* Kill it after its first acknowledgement and up to 40 ms more. */
                ready = (struct pollfd){.fd = fds[0], .events = POLLIN};
                assert_int_equal(poll(&ready, 1, 60000), 1);
                usleep((useconds_t)rng_below(&rng, 40000));
                assert_int_equal(kill(pid, SIGKILL), 0);
                size_t before = n;
                n = read_acked(fds[0], acked, n);
                close(fds[0]);
                int status = 0;
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFSIGNALED(status));
                assert_true(n > before);
                check_file(p.path, acked + before, n - before);
        }
        check_file(p.path, acked, n);
        print_message("%zu acknowledged events\n", n);
        place_done(&p);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(acknowledged_events_survive_kill_9),
        };

        return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
