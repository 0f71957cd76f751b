/* SPDX-License-Identifier: Apache-2.0
 *
 * The file's format, version 1. People may read it with any SQLite while Grapnel runs
 * (`sqlite3 -readonly grapnel.db`), and nobody but Grapnel may write it. Times are milliseconds
 * since 1970 in UTC; ids are what ids print as, in base 10.
 *
 * names          id -> name: sources ("shop") and targets ("flow:x", "endpoint:ep_..."), which
 *                repeat in every row and so are written once.
 * events         One row per event, appended in the order of ids. `key` is the delivery key, for
 *                people; what makes it unique is the table keys. `body` is last, so that lists
 *                never read it, and is the received bytes. `first_job` and `last_job` bound the
 *                ids of its jobs (0: it has none): an index from event to jobs would cost as much
 *                as the jobs themselves. The jobs of an event are
 *                    SELECT j.* FROM events e JOIN jobs j ON j.id BETWEEN e.first_job AND
 *                    e.last_job AND j.event = e.id WHERE e.id = ...
 * jobs           state: 0 queued, 1 waiting for due_ms, 2 blocked, 3 done, 4 dead.
 *                lane: 64 bits, 0 none; jobs of one lane run in the order of their ids.
 *                holder: under state queued, the process that has the job in memory, as the
 *                number of its start (meta `starts`); 0: nobody, any claim may take it.
 *                listed: 1 for queued jobs that the index jobs_listed knows. Fresh jobs are not
 *                listed: they go from queued to done without touching any index. All queued jobs
 *                with an id up to meta `low_water` are listed, so a restart looks for the others
 *                in a short end of the table (sqlite_mark.c).
 * attempts       One row per run. code "unknown": the process ended while it may have run.
 *                Keyed by job and number without a rowid: measured 0.9 us, where appending by
 *                rowid costs 0.6 and then wants an index.
 * answers        What the source heard, for repeats of its delivery; the first answer stays.
 * keys           A log of delivery keys, appended: `hash` (128 bits) of source and key, `body` 64
 *                bits of a hash of the body, both under meta `secret`. No index: filters in memory
 *                say where a key may be (sqlite_keys.c).
 * key_filters    A filter as it lies in memory, in the byte order of the machine, with the number
 *                of keys that it knows. Losing a row costs a scan at the next start.
 * meta           secret (32 random bytes, made once), starts, low_water, last_id (greatest ever),
 *                events (how many there were when events_to was the greatest id), clean (1 after
 *                an orderly close), keys_per_generation.
 *
 * Indexes are partial: they hold the few jobs that wait, and cost nothing for those that do not.
 * auto_vacuum is off: it would keep a pointer map and write it with every new page. Pages that
 * trim empties are used again; to give them back to the disk, stop Grapnel and run VACUUM. */
#include "ledger/store_sqlite.h"

#include "base/random.h"

enum { APPLICATION_ID = 0x4772706e /* "Grpn" */, SCHEMA_VERSION = 1 };
enum { QUICK_CHECK_MAX_BYTES = 16 * 1024 * 1024 };

static const char schema[] =
        "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
        "CREATE TABLE names(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
        "CREATE TABLE events(id INTEGER PRIMARY KEY, received_ms INTEGER NOT NULL,"
        " time_ms INTEGER NOT NULL, source INTEGER NOT NULL, first_job INTEGER NOT NULL,"
        " last_job INTEGER NOT NULL, type TEXT NOT NULL, subject TEXT NOT NULL,"
        " content_type TEXT NOT NULL, trace TEXT NOT NULL, key TEXT NOT NULL,"
        " body BLOB NOT NULL);"
        "CREATE TABLE jobs(id INTEGER PRIMARY KEY, event INTEGER NOT NULL,"
        " target INTEGER NOT NULL, state INTEGER NOT NULL, attempts INTEGER NOT NULL,"
        " due_ms INTEGER NOT NULL, lane INTEGER NOT NULL, shard INTEGER NOT NULL,"
        " holder INTEGER NOT NULL, listed INTEGER NOT NULL);"
        "CREATE INDEX jobs_due ON jobs(due_ms, id, shard) WHERE state = 1;"
        "CREATE INDEX jobs_lane ON jobs(lane, id, state, shard) WHERE lane <> 0 AND"
        " (state IN (1, 2) OR (state = 0 AND holder = 0));"
        "CREATE INDEX jobs_listed ON jobs(id, holder, shard) WHERE listed = 1;"
        "CREATE INDEX jobs_by_state ON jobs(state, event) WHERE state IN (1, 2, 4);"
        "CREATE TABLE attempts(job INTEGER NOT NULL, number INTEGER NOT NULL,"
        " started_ms INTEGER NOT NULL, took_us INTEGER NOT NULL, status INTEGER NOT NULL,"
        " code TEXT NOT NULL, message TEXT NOT NULL, detail TEXT NOT NULL,"
        " PRIMARY KEY(job, number)) WITHOUT ROWID;"
        "CREATE TABLE answers(event INTEGER PRIMARY KEY, status INTEGER NOT NULL,"
        " content_type TEXT NOT NULL, body BLOB NOT NULL);"
        "CREATE TABLE keys(id INTEGER PRIMARY KEY, hash BLOB NOT NULL, event INTEGER NOT NULL,"
        " body INTEGER NOT NULL, received_ms INTEGER NOT NULL);"
        "CREATE TABLE key_filters(generation INTEGER PRIMARY KEY, newest_ms INTEGER NOT NULL,"
        " keys INTEGER NOT NULL, filter BLOB NOT NULL);";

static int pragma_number(Sqlite *s, const char *sql, int64_t *ret, Err *e) {
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

        if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
                *ret = sqlite3_column_int64(st, 0);
                rc = SQLITE_OK;
        }
        int r = rc == SQLITE_OK ? 0 : sqlite_fail(s, rc, e, "read the file's header");
        sqlite3_finalize(st);
        return r;
}

static int make_schema(Sqlite *s, Err *e) {
        sqlite3_stmt *st = NULL;
        char header[96];
        int r = sqlite_begin(s, e);

        if (r < 0)
                return r;
        r = sqlite_exec(s, schema, e, "make the tables");
        if (r == 0)
                r = sqlite_get(s, SQL_META_SET, &st, e);
        if (r == 0) {
                random_bytes(s->secret, sizeof s->secret);
                bind_text(st, 1, SPAN("secret"));
                bind_blob(st, 2, span_make(s->secret, sizeof s->secret));
                r = sqlite_run(s, st, e, "write the secret");
        }
        (void)snprintf(header, sizeof header, "PRAGMA application_id=%d;PRAGMA user_version=%d;",
                       APPLICATION_ID, SCHEMA_VERSION);
        if (r == 0)
                r = sqlite_exec(s, header, e, "write the header");
        return r < 0 ? sqlite_rollback(s, r) : sqlite_commit(s, e);
}

static int read_secret(Sqlite *s, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_META_GET, &st, e);

        if (r < 0)
                return r;
        bind_text(st, 1, SPAN("secret"));
        r = sqlite_row(s, st, e, "read the secret");
        if (r < 0)
                return r;
        Span secret = r ? column_span(st, 0) : SPAN("");
        if (secret.n != sizeof s->secret)
                r = FAIL(e, -EBADMSG, "%s: the ledger has lost its secret", s->path);
        else
                memcpy(s->secret, secret.p, secret.n), r = 0;
        sqlite3_reset(st);
        return r;
}

/* A whole check of a large file takes minutes, which a restart must not: so only small files are
 * checked, and only after a process that did not close them. SQLite notices damaged pages as it
 * meets them; `grapnel doctor` checks all of them. */
static int check_after_crash(Sqlite *s, Err *e) {
        sqlite3_stmt *st = NULL;
        int64_t clean = 1, bytes = 0;
        int r = sqlite_meta_get(s, "clean", &clean, e);

        if (r == 0 && !clean)
                r = sqlite_bytes(s, &bytes, e);
        if (r < 0 || clean || bytes > QUICK_CHECK_MAX_BYTES)
                return r;
        int rc = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &st, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(st);
        if (rc != SQLITE_ROW)
                r = sqlite_fail(s, rc, e, "check the file");
        else if (!span_eq(column_span(st, 0), SPAN("ok")))
                r = FAIL(e, -EBADMSG, "%s: the ledger is damaged: %s", s->path,
                         (const char *)sqlite3_column_text(st, 0));
        sqlite3_finalize(st);
        return r;
}

int sqlite_schema_open(Sqlite *s, Err *e) {
        int64_t application = 0, version = 0, pages = 0;
        int r = pragma_number(s, "PRAGMA application_id", &application, e);

        if (r == 0)
                r = pragma_number(s, "PRAGMA user_version", &version, e);
        if (r == 0)
                r = pragma_number(s, "SELECT count(*) FROM sqlite_schema", &pages, e);
        if (r < 0)
                return r;
        if (pages == 0 && application == 0 && version == 0) {
                r = make_schema(s, e);
                if (r < 0)
                        return r;
        } else if (application != APPLICATION_ID) {
                return FAIL(e, -EINVAL, "%s is a database, but not a ledger of Grapnel", s->path);
        } else if (version > SCHEMA_VERSION) {
                return FAIL(e, -ENOTSUP,
                            "%s was written by a newer Grapnel (format %" PRId64
                            ", this one knows up to %d)",
                            s->path, version, SCHEMA_VERSION);
        } else if (version < SCHEMA_VERSION) {
                return FAIL(e, -EINVAL, "%s has the unknown format %" PRId64, s->path, version);
        }
        r = read_secret(s, e);
        return r < 0 ? r : check_after_crash(s, e);
}
