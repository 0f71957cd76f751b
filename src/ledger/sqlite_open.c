/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and closing a ledger file. The file belongs to one process: a lock on PATH.lock is held
 * as long as it is open. Every commit is synced (promise 1): there is no setting for less. */
#include "base/clock.h"
#include "ledger/store_sqlite.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        BUSY_MAX_MS = 2000, /* for another program's lock */
        READ_MAX_MS = 5000, /* a reader's question: it holds checkpoints back as long */
        PROGRESS_STEPS = 10000,
        WRITER_CACHE_KIB = 8192,
        READER_CACHE_KIB = 2048,
};

static int take_lock(Sqlite *s, Err *e) {
        char path[4096], holder[32] = "";

        if ((size_t)snprintf(path, sizeof path, "%s.lock", s->path) >= sizeof path)
                return FAIL(e, -ENAMETOOLONG, "the ledger's path is too long");
        s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (s->lock < 0)
                return FAIL(e, -errno, "cannot open %s: %s", path, strerror(errno));
        if (flock(s->lock, LOCK_EX | LOCK_NB) < 0) {
                ssize_t n = read(s->lock, holder, sizeof holder - 1);

                holder[n > 0 ? n : 0] = 0;
                return FAIL(e, -EBUSY, "%s is in use by another Grapnel%s%s", s->path,
                            n > 0 ? ", process " : "", holder);
        }
        int n = snprintf(holder, sizeof holder, "%d", (int)getpid());
        if (ftruncate(s->lock, 0) < 0 || write(s->lock, holder, (size_t)n) != n)
                return FAIL(e, errno == ENOSPC ? -ENOSPC : -EIO, "cannot write %s: %s", path,
                            strerror(errno));
        return 0;
}

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages) {
        (void)db;
        (void)name;
        ((Sqlite *)arg)->wal_pages = pages;
        return SQLITE_OK;
}

static int on_progress(void *arg) {
        const Sqlite *s = arg;

        return clock_mono_ms() > s->deadline_ms;
}

void sqlite_question_begin(Sqlite *s) {
        s->deadline_ms = clock_mono_ms() + READ_MAX_MS;
}

/* The library's account of its memory takes a lock at each allocation: an eighth of the time of a
 * batch. It can be turned off before the library is first used; later it merely stays on. */
static void forgo_memory_account(void) {
        (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int open_file(Sqlite *s, int flags, Err *e) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        int on = 1;

        must(pthread_once(&once, forgo_memory_account) == 0);
        int rc = sqlite3_open_v2(s->path, &s->db,
                                 flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

        if (rc != SQLITE_OK)
                return sqlite_fail(s, rc, e, "open the file");
        must(sqlite3_busy_timeout(s->db, BUSY_MAX_MS) == SQLITE_OK);
        /* Closing must not checkpoint by itself: after a failed commit that could make things
         * worse, and a reader never may. */
        must(sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on, NULL) == SQLITE_OK);
        must(sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, on, NULL) == SQLITE_OK);
        /* No question goes through a whole table to index it for itself. */
        return sqlite_exec(s, "PRAGMA automatic_index=0", e, "set up the file");
}

static int text_pragma(Sqlite *s, const char *sql, Span expected, Err *e) {
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL), r = 0;

        if (rc == SQLITE_OK)
                rc = sqlite3_step(st);
        if (rc != SQLITE_ROW)
                r = sqlite_fail(s, rc, e, "set up the file");
        else if (!span_eq(column_span(st, 0), expected))
                r = FAIL(e, -EIO, "ledger %s: the file system does not support %s", s->path, sql);
        sqlite3_finalize(st);
        return r;
}

static int set_up_writer(Sqlite *s, const StoreOptions *o, Err *e) {
        char text[256];
        int r;

        (void)snprintf(text, sizeof text,
                       "PRAGMA page_size=%d; PRAGMA cache_size=-%d; PRAGMA temp_store=MEMORY;"
                       "PRAGMA mmap_size=0; PRAGMA secure_delete=FAST",
                       SQLITE_PAGE_BYTES, WRITER_CACHE_KIB);
        r = sqlite_exec(s, text, e, "set up the file");
        if (r == 0)
                r = text_pragma(s, "PRAGMA journal_mode=WAL", SPAN("wal"), e);
        (void)snprintf(text, sizeof text,
                       "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
                       "PRAGMA journal_size_limit=%d; PRAGMA max_page_count=%" PRId64,
                       WAL_MAX_PAGES * SQLITE_PAGE_BYTES,
                       o->bytes_max > 0 ? o->bytes_max / SQLITE_PAGE_BYTES + 1
                                        : INT64_C(0xfffffffe));
        if (r == 0)
                r = sqlite_exec(s, text, e, "set up the file");
        if (r < 0)
                return r;
        sqlite3_wal_hook(s->db, on_commit, s);
        return sqlite_schema_open(s, e);
}

static int take_over(Sqlite *s, const StoreOptions *o, Err *e) {
        struct stat st;
        int r = sqlite_begin(s, e);

        if (r < 0)
                return r;
        r = sqlite_keys_open(s, o, e);
        if (r == 0)
                r = sqlite_mark_open(s, e);
        if (r == 0)
                r = sqlite_index_open(s, o, e);
        r = r < 0 ? sqlite_rollback(s, r) : sqlite_commit(s, e);
        if (r < 0)
                return r;
        if (stat(s->path, &st) < 0)
                return FAIL(e, -errno, "ledger %s: %s", s->path, strerror(errno));
        s->device = st.st_dev;
        s->inode = st.st_ino;
        return 0;
}

static Sqlite *sqlite_free(Sqlite *s) {
        if (!s)
                return NULL;
        for (size_t i = 0; i < SQL_STATEMENTS; i++)
                sqlite3_finalize(s->statements[i]);
        sqlite3_close(s->db);
        if (s->lock >= 0)
                close(s->lock);
        sqlite_keys_done(s);
        sqlite_index_done(s);
        table_free(s->names);
        free(s->path);
        free(s);
        return NULL;
}

static void sqlite_freep(Sqlite **s) {
        *s = sqlite_free(*s);
}

extern const StoreOps store_sqlite;

static Sqlite *sqlite_new(const char *path) {
        Sqlite *s = must_alloc(sizeof *s);

        s->store.ops = &store_sqlite;
        s->path = must_dup(path);
        s->lock = -1;
        s->writer = s;
        s->names = table_new(NAMES_CACHED_MAX);
        return s;
}

static int sqlite_open_writer(const StoreOptions *o, Store **ret, Err *e) {
        AUTO(sqlite_freep)
        Sqlite *s = sqlite_new(o->path);
        int r;

        if (!*o->path)
                return FAIL(e, -EINVAL, "a sqlite ledger needs the path of its file");
        s->can_write = true;
        r = take_lock(s, e);
        if (r == 0)
                r = open_file(s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e);
        if (r == 0)
                r = set_up_writer(s, o, e);
        if (r == 0)
                r = take_over(s, o, e);
        if (r < 0)
                return r;
        *ret = &TAKE(s)->store;
        return 0;
}

static int sqlite_open_reader(Store *writer, Store **ret, Err *e) {
        AUTO(sqlite_freep)
        Sqlite *s = sqlite_new(sqlite_of(writer)->path);
        char text[128];
        int r = open_file(s, SQLITE_OPEN_READONLY, e);

        (void)snprintf(text, sizeof text,
                       "PRAGMA query_only=1; PRAGMA cache_size=-%d; PRAGMA temp_store=MEMORY;"
                       "PRAGMA mmap_size=0; PRAGMA wal_autocheckpoint=0",
                       READER_CACHE_KIB);
        if (r == 0)
                r = sqlite_exec(s, text, e, "set up a reader");
        if (r < 0)
                return r;
        sqlite3_progress_handler(s->db, PROGRESS_STEPS, on_progress, s);
        s->writer = sqlite_of(writer);
        *ret = &TAKE(s)->store;
        return 0;
}

/* Everything into the one file, and a note that a start has nothing to look for. */
static void close_cleanly(Sqlite *s) {
        int r = sqlite_begin(s, NULL /* err */);

        if (r < 0)
                return;
        r = sqlite_mark_totals(s, NULL /* err */);
        if (r == 0)
                r = sqlite_keys_save(s, NULL /* err */);
        if (r == 0)
                r = sqlite_meta_set(s, "clean", 1, NULL /* err */);
        r = r < 0 ? sqlite_rollback(s, r) : sqlite_commit(s, NULL /* err */);
        if (r == 0)
                r = sqlite_checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE, NULL /* err */);
        /* What was not copied is in the WAL, which the next start reads. */
        (void)r;
}

static void sqlite_close(Store *store) {
        Sqlite *s = sqlite_of(store);

        if (s->can_write && !s->broken)
                close_cleanly(s);
        sqlite_free(s);
}

static int64_t sqlite_last_id(Store *store) {
        return sqlite_of(store)->last_id_at_open;
}

static void sqlite_secret(Store *store, const char *purpose, unsigned char ret[32]) {
        const Sqlite *s = sqlite_of(store);

        must(HMAC(EVP_sha256(), s->secret, sizeof s->secret, (const unsigned char *)purpose,
                  strlen(purpose), ret, NULL));
}

const StoreOps store_sqlite = {
        .scheme = "sqlite",
        .open = sqlite_open_writer,
        .write = sqlite_write,
        .claim = sqlite_claim,
        .find_key = sqlite_find_key,
        .trim = sqlite_trim,
        .each_object = sqlite_each_object,
        .each_backlog = sqlite_each_backlog,
        .each_change = sqlite_each_change,
        .last_id = sqlite_last_id,
        .upkeep = sqlite_upkeep,
        .secret = sqlite_secret,
        .close = sqlite_close,
        .open_reader = sqlite_open_reader,
        .find_event = sqlite_find_event,
        .list_events = sqlite_list_events,
        .list_attempts = sqlite_list_attempts,
        .target_stats = sqlite_target_stats,
        .stats = sqlite_stats,
};
