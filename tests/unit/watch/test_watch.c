/* SPDX-License-Identifier: Apache-2.0
 *
 * The frame around a trigger, with a SQLite outbox as the kind at work and a port that does what it
 * is told. */
#include "unit.h"
#include "watch/watch.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <unistd.h>

typedef struct World {
        pthread_mutex_t lock;
        pthread_cond_t news;
        unsigned submits, busy_left, told;
        const char *refuse; /* a key that can never be taken */
        bool waits_for_end; /* events are taken when no watch is listed any more */
        char taken[4096];   /* keys */
        WatchState state;
        char why[512], folder[64], file[128];
        Watches *watches;
} World;

static World world;

static void count_one(void *arg, const WatchStatus *s) {
        (void)s;
        ++*(size_t *)arg;
}

static void submit(void *self, Span source, const EnvelopeEvent *events, size_t n,
                   WatchTaken *ret) {
        World *w = self;
        size_t listed = w->waits_for_end;

        assert_true(span_eq(source, SPAN("rows")));
        pthread_mutex_lock(&w->lock);
        w->submits++;
        pthread_cond_broadcast(&w->news);
        pthread_mutex_unlock(&w->lock);
        while (listed) {
                listed = 0;
                watches_each(w->watches, count_one, &listed);
        }
        pthread_mutex_lock(&w->lock);
        if (w->busy_left) {
                w->busy_left--;
                *ret = (WatchTaken){.fault = -EAGAIN, .why = "the ledger is busy"};
        } else
                for (size_t i = 0; i < n && ret->fault == 0; i++)
                        if (w->refuse && memmem(events[i].body.p, events[i].body.n, w->refuse,
                                                strlen(w->refuse)))
                                *ret = (WatchTaken){.fault = -EINVAL, .why = "too large"};
        if (ret->fault == 0) {
                for (size_t i = 0; i < n; i++) {
                        (void)strncat(w->taken, events[i].subject.p, events[i].subject.n);
                        (void)strcat(w->taken, " ");
                }
                ret->n_new = n;
        }
        pthread_cond_broadcast(&w->news);
        pthread_mutex_unlock(&w->lock);
}

static void told(void *self, const WatchStatus *s) {
        World *w = self;

        pthread_mutex_lock(&w->lock);
        w->told++;
        w->state = s->state;
        (void)snprintf(w->why, sizeof w->why, "%s", s->why);
        pthread_cond_broadcast(&w->news);
        pthread_mutex_unlock(&w->lock);
}

/* ---- an application ---- */

static void run_sql(const char *sql) {
        sqlite3 *db;
        char *why = NULL;

        assert_int_equal(sqlite3_open(world.file, &db), SQLITE_OK);
        (void)sqlite3_busy_timeout(db, 10000);
        if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
                fail_msg("%s: %s", sql, why);
        sqlite3_close(db);
}

static Triggers *triggers_for(const char *tables) {
        static Arena *arena;
        Problems *problems;
        char text[1024];
        Triggers *t;

        if (!arena)
                arena = arena_new(4 * 1024 * 1024);
        problems = arena_alloc(arena, sizeof *problems);
        assert_non_null(problems);
        problems->arena = arena;
        (void)snprintf(text, sizeof text,
                       "databases: {app: {url: \"sqlite:%s\"}}\n"
                       "sources: {rows: {trigger: {outbox: app, tables: %s}}}\n",
                       world.file, tables);
        Config *c = config_parse(span_of(text), "test.yaml", (char *[]){NULL}, problems);
        if (!c)
                fail_msg("%s", problems->item[0].text);
        t = triggers_build(c, problems);
        if (!t)
                fail_msg("%s", problems->item[0].text);
        config_unref(c);
        return t;
}

static void install(Triggers *t) {
        TriggerScript script = {.sql = BUF(1024 * 1024)};
        Err e = {0};

        if (t->at[0].kind->install(&t->at[0], false, &script, &e) < 0)
                fail_msg("%s", e.text);
        assert_int_equal(buf_add_char(&script.sql, 0), 0);
        run_sql(script.sql.p);
        buf_done(&script.sql);
}

static int set_up(void **state) {
        WatchPort port = {.self = &world, .submit = submit, .told = told, .notes_path = ""};
        static char notes[160];

        (void)state;
        world = (World){0};
        assert_int_equal(pthread_mutex_init(&world.lock, NULL), 0);
        assert_int_equal(pthread_cond_init(&world.news, NULL), 0);
        (void)snprintf(world.folder, sizeof world.folder, "/tmp/watch-XXXXXX");
        assert_non_null(mkdtemp(world.folder));
        (void)snprintf(world.file, sizeof world.file, "%s/app.db", world.folder);
        (void)snprintf(notes, sizeof notes, "%s/notes.db", world.folder);
        port.notes_path = notes;
        run_sql("PRAGMA journal_mode=WAL; CREATE TABLE t (id TEXT PRIMARY KEY, v);");
        world.watches = watches_new(&port);
        return 0;
}

static int tear_down(void **state) {
        char command[128];

        (void)state;
        assert_true(watches_stop(world.watches, 10000));
        watches_free(world.watches);
        (void)snprintf(command, sizeof command, "%s/", world.folder);
        for (const char *const *name =
                     (const char *const[]){"app.db", "app.db-wal", "app.db-shm", "notes.db",
                                           "notes.db-wal", "notes.db-shm", "app.db-grapnel-rows",
                                           NULL};
             *name; name++) {
                char path[256];

                (void)snprintf(path, sizeof path, "%s%s", command, *name);
                (void)unlink(path);
        }
        (void)rmdir(world.folder);
        return 0;
}

static void start(const char *tables) {
        Triggers *t = triggers_for(tables);

        install(t);
        watches_set(world.watches, t);
}

/* Waits until `taken` ends so. */
static void wait_taken(const char *wanted) {
        struct timespec until;

        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 20;
        pthread_mutex_lock(&world.lock);
        while (strcmp(world.taken, wanted) != 0)
                if (pthread_cond_timedwait(&world.news, &world.lock, &until) == ETIMEDOUT)
                        break;
        pthread_mutex_unlock(&world.lock);
        assert_string_equal(world.taken, wanted);
}

static void wait_state(WatchState state) {
        struct timespec until;

        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 20;
        pthread_mutex_lock(&world.lock);
        while (world.state != state || world.told == 0)
                if (pthread_cond_timedwait(&world.news, &world.lock, &until) == ETIMEDOUT)
                        break;
        pthread_mutex_unlock(&world.lock);
        assert_int_equal(world.state, state);
}

static void look(void *arg, const WatchStatus *s) {
        *(WatchStatus *)arg = *s;
}

static WatchStatus status(void) {
        WatchStatus s = {0};

        watches_each(world.watches, look, &s);
        return s;
}

/* ---- the cases ---- */

/* They are counted a moment after they were taken. */
static void wait_events(uint64_t n) {
        for (int i = 0; i < 2000 && status().events < n; i++)
                (void)usleep(10000);
        assert_int_equal(status().events, n);
}

static void wait_none_parked(void) {
        for (int i = 0; i < 2000 && status().parked; i++)
                (void)usleep(10000);
        assert_int_equal(status().parked, 0);
}

static void what_is_noticed_is_handed_in(void **state) {
        (void)state;
        start("[t]");
        run_sql("INSERT INTO t VALUES ('a', 1)");
        wait_taken("t/a ");
        run_sql("INSERT INTO t VALUES ('b', 1)");
        wait_taken("t/a t/b ");
        wait_events(2);
        assert_int_equal(status().state, WATCH_WORKING);
}

static void a_busy_ledger_is_asked_again(void **state) {
        (void)state;
        world.busy_left = 4;
        start("[t]");
        run_sql("INSERT INTO t VALUES ('a', 1)");
        wait_taken("t/a ");
        assert_int_equal(world.submits, 5);
        wait_events(1);
}

static void what_can_never_be_taken_is_put_aside_alone(void **state) {
        (void)state;
        world.refuse = "\"poison\"";
        start("[t]");
        run_sql("INSERT INTO t VALUES ('a', 1), ('b', 'poison'), ('c', 1)");
        wait_taken("t/a t/c ");
        run_sql("INSERT INTO t VALUES ('d', 1)");
        wait_taken("t/a t/c t/d ");
        assert_int_equal(status().parked, 1);
        assert_string_equal(status().parked_why, "too large");
        world.refuse = NULL;
        assert_false(watches_wish(world.watches, SPAN("nobody"), WATCH_RETRIES));
        assert_true(watches_wish(world.watches, SPAN("rows"), WATCH_RETRIES));
        wait_taken("t/a t/c t/d t/b ");
        wait_none_parked();
        assert_string_equal(status().parked_why, "");
}

static void what_was_put_aside_may_be_forgotten(void **state) {
        (void)state;
        world.refuse = "\"poison\"";
        start("[t]");
        run_sql("INSERT INTO t VALUES ('b', 'poison'), ('c', 1)");
        wait_taken("t/c ");
        assert_true(watches_wish(world.watches, SPAN("rows"), WATCH_FORGETS));
        wait_none_parked();
        world.refuse = NULL;
        run_sql("INSERT INTO t VALUES ('d', 1)");
        wait_taken("t/c t/d ");
}

static void one_that_is_gone_ends_and_one_that_is_new_begins(void **state) {
        (void)state;
        start("[t]");
        run_sql("INSERT INTO t VALUES ('a', 1)");
        wait_taken("t/a ");
        Triggers *none = must_alloc(sizeof *none);
        *none = (Triggers){.refs = 1, .arena = arena_new(4096), .config = NULL};
        /* A configuration without sources. */
        AUTO(arena_freep)
        Arena *arena = arena_new(1024 * 1024);
        Problems *problems = arena_alloc(arena, sizeof *problems);
        problems->arena = arena;
        Config *c = config_parse(SPAN("listen: 127.0.0.1:0\n"), "none.yaml", (char *[]){NULL},
                                 problems);
        assert_non_null(c);
        none->config = c;
        watches_set(world.watches, none);
        assert_null(status().source);
        run_sql("INSERT INTO t VALUES ('b', 1)");
        watches_set(world.watches, triggers_for("[t]"));
        wait_taken("t/a t/b ");
}

static void a_change_of_its_options_is_taken_up(void **state) {
        (void)state;
        start("[t]");
        wait_state(WATCH_WORKING);
        watches_set(world.watches, triggers_for("[t, u]"));
        wait_state(WATCH_BROKEN);
        assert_non_null(strstr(world.why, "table u has no trigger"));
        watches_set(world.watches, triggers_for("[t]"));
        wait_state(WATCH_WORKING);
}

static void it_ends_while_the_ledger_is_busy(void **state) {
        (void)state;
        world.busy_left = 1000000;
        start("[t]");
        run_sql("INSERT INTO t VALUES ('a', 1)");
        pthread_mutex_lock(&world.lock);
        while (world.submits == 0)
                (void)pthread_cond_wait(&world.news, &world.lock);
        pthread_mutex_unlock(&world.lock);
        /* tear_down stops it, and it does end; the row is still there. */
}

/* As a loop does that a program for monitoring asks while all ends. */
static void it_ends_while_somebody_lists_them(void **state) {
        (void)state;
        world.waits_for_end = true;
        start("[t]");
        run_sql("INSERT INTO t VALUES ('a', 1)");
        pthread_mutex_lock(&world.lock);
        while (world.submits == 0)
                pthread_cond_wait(&world.news, &world.lock);
        pthread_mutex_unlock(&world.lock);
        assert_true(watches_stop(world.watches, 10000));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(what_is_noticed_is_handed_in),
                CASE(a_busy_ledger_is_asked_again),
                CASE(what_can_never_be_taken_is_put_aside_alone),
                CASE(what_was_put_aside_may_be_forgotten),
                CASE(one_that_is_gone_ends_and_one_that_is_new_begins),
                CASE(a_change_of_its_options_is_taken_up),
                CASE(it_ends_while_the_ledger_is_busy),
                CASE(it_ends_while_somebody_lists_them),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
