/* SPDX-License-Identifier: Apache-2.0
 *
 * The file's format, version 2. People may read it with any SQLite while Grapnel runs
 * (`sqlite3 -readonly grapnel.db`), and nobody but Grapnel may write it. Times are milliseconds
 * since 1970 in UTC; ids are what ids print as, in base 10.
 *
 * names          id -> name: sources ("shop") and targets ("flow:x", "endpoint:ep_..."), which
 *                repeat in every row and so are written once.
 * events         One row per event, appended in the order of ids. `key` is the delivery key, for
 *                people; what makes it unique is the table keys. `meta`: JSON of what its maker
 *                knows beside the body, or empty. `body` is last, so that lists never read it, and
 *                is the received bytes. `first_job` and `last_job` bound the
 *                ids of its jobs (0: it has none): an index from event to jobs would cost as much
 *                as the jobs themselves. The jobs of an event are
 *                    SELECT j.* FROM events e JOIN jobs j ON j.id BETWEEN e.first_job AND
 *                    e.last_job AND j.event = e.id WHERE e.id = ...
 *                and those in the table later.
 * later          event, job: jobs that a replay made, with ids beyond those two.
 * jobs           state: 0 queued, 1 waiting for due_ms, 2 blocked, 3 done, 4 dead.
 *                lane: 64 bits, 0 none; jobs of one lane run in the order of their ids.
 *                tries_from: how many attempts it had when it was replayed; NULL: it never was.
 *                No index: each would cost a fresh job 2 us, which goes from queued to done
 *                without ever being looked for.
 * aside          The few jobs that are looked for, once more, with the indexes for it: waiting,
 *                blocked and dead ones, and queued ones that were spilled, claimed, replayed, or
 *                are in memory for long (sqlite_mark.c). holder: under state queued, the process
 *                that has the job in memory, as the number of its start (meta `starts`); 0:
 *                nobody; -1: nobody, since the process that had it has ended. A queued job that
 *                is not aside belongs to the process that runs.
 * attempts       One row per run. code "unknown": the process ended while it may have run.
 *                manual: 1 when the job had been replayed before.
 *                Keyed by job and number without a rowid: measured no slower than appending by
 *                rowid (1.9 us), and found without an index.
 * answers        What the source heard, for repeats of its delivery; the first answer stays.
 * keys           A log of delivery keys, appended: `hash` (128 bits) of source and key, `body` 64
 *                bits of a hash of the body, both under meta `secret`; an empty hash: forgotten.
 *                No index: filters in memory say where a key may be (sqlite_keys.c).
 * key_filters    A filter as it lies in memory, in the byte order of the machine, with the number
 *                of keys that it knows. Losing a row costs a scan at the next start.
 * runs           The index by source and by target, made off the hot path (sqlite_index.c): each
 * run holds events with ids from `first` to `last`, received from from_ms to to_ms. In by_source
 * and by_target `run` is its `last`; `entries` are the n events of the source, or the jobs of the
 * target with their events, as differences (run_code.h). Events after meta `indexed_to` are in none
 * yet. strays         What belongs into an older run and came late, or was left of one: name (of
 * the source, job 0; or of the target), event, job. objects        What people made through the API
 * (ledger/object.h): kind 1 applications, 2 endpoints, 3 event types, 4 keys, 5 replays. text:
 * JSON. version: of the whole table, which meta `objects_version` counts. meta           secret (32
 * random bytes, made once), starts, low_water, last_id (greatest ever), events (how many there were
 * when events_to was the greatest id), indexed_to, objects_version, clean (1 after an orderly
 * close), keys_per_generation, keys_next (where the log of keys goes on when old ones are gone).
 *
 * auto_vacuum is off: it would keep a pointer map and write it with every new page. Pages that
 * trim empties are used again; to give them back to the disk, stop Grapnel and run VACUUM. */
#include "ledger/store_sqlite.h"

#include "base/random.h"

enum { APPLICATION_ID = 0x4772706e /* "Grpn" */, SCHEMA_VERSION = 2 };
enum { QUICK_CHECK_MAX_BYTES = 16 * 1024 * 1024 };

static const char schema[] =
        "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
        "CREATE TABLE names(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
        "CREATE TABLE events(id INTEGER PRIMARY KEY, received_ms INTEGER NOT NULL,"
        " time_ms INTEGER NOT NULL, source INTEGER NOT NULL, first_job INTEGER NOT NULL,"
        " last_job INTEGER NOT NULL, type TEXT NOT NULL, subject TEXT NOT NULL,"
        " content_type TEXT NOT NULL, trace TEXT NOT NULL, key TEXT NOT NULL,"
        " meta TEXT NOT NULL, body BLOB NOT NULL);"
        "CREATE TABLE jobs(id INTEGER PRIMARY KEY, event INTEGER NOT NULL,"
        " target INTEGER NOT NULL, state INTEGER NOT NULL, attempts INTEGER NOT NULL,"
        " due_ms INTEGER NOT NULL, lane INTEGER NOT NULL, shard INTEGER NOT NULL,"
        " tries_from INTEGER);"
        "CREATE TABLE later(event INTEGER NOT NULL, job INTEGER NOT NULL,"
        " PRIMARY KEY(event, job)) WITHOUT ROWID;"
        "CREATE TABLE aside(job INTEGER PRIMARY KEY, event INTEGER NOT NULL,"
        " target INTEGER NOT NULL, state INTEGER NOT NULL, due_ms INTEGER NOT NULL, lane INTEGER "
        "NOT NULL,"
        " shard INTEGER NOT NULL, holder INTEGER NOT NULL);"
        "CREATE INDEX aside_due ON aside(target, due_ms, job, shard) WHERE state = 1;"
        "CREATE INDEX aside_lane ON aside(lane, job, state) WHERE lane <> 0 AND"
        " (state IN (1, 2) OR (state = 0 AND holder <= 0));"
        "CREATE INDEX aside_free ON aside(target, job, shard, holder) WHERE state = 0 AND"
        " holder <= 0;"
        "CREATE INDEX aside_held ON aside(job) WHERE state = 0 AND holder > 0;"
        "CREATE INDEX aside_by_state ON aside(state, event) WHERE state IN (1, 2, 4);"
        "CREATE INDEX aside_by_target ON aside(target, state, event) WHERE state IN (1, 2, 4);"
        "CREATE TABLE attempts(job INTEGER NOT NULL, number INTEGER NOT NULL,"
        " started_ms INTEGER NOT NULL, took_us INTEGER NOT NULL, status INTEGER NOT NULL,"
        " code TEXT NOT NULL, message TEXT NOT NULL, detail TEXT NOT NULL,"
        " manual INTEGER NOT NULL,"
        " PRIMARY KEY(job, number)) WITHOUT ROWID;"
        "CREATE TABLE answers(event INTEGER PRIMARY KEY, status INTEGER NOT NULL,"
        " content_type TEXT NOT NULL, body BLOB NOT NULL);"
        "CREATE TABLE keys(id INTEGER PRIMARY KEY, hash BLOB NOT NULL, event INTEGER NOT NULL,"
        " body INTEGER NOT NULL, received_ms INTEGER NOT NULL);"
        "CREATE TABLE key_filters(generation INTEGER PRIMARY KEY, newest_ms INTEGER NOT NULL,"
        " keys INTEGER NOT NULL, filter BLOB NOT NULL);"
        "CREATE TABLE runs(last INTEGER PRIMARY KEY, first INTEGER NOT NULL,"
        " from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL);"
        "CREATE TABLE by_source(run INTEGER NOT NULL, source INTEGER NOT NULL, n INTEGER NOT NULL,"
        " entries BLOB NOT NULL, PRIMARY KEY(run, source)) WITHOUT ROWID;"
        "CREATE TABLE by_target(run INTEGER NOT NULL, target INTEGER NOT NULL, n INTEGER NOT NULL,"
        " entries BLOB NOT NULL, PRIMARY KEY(run, target)) WITHOUT ROWID;"
        "CREATE TABLE strays(name INTEGER NOT NULL, event INTEGER NOT NULL, job INTEGER NOT NULL,"
        " PRIMARY KEY(name, event, job)) WITHOUT ROWID;"
        "CREATE INDEX strays_by_event ON strays(event);"
        "CREATE TABLE objects(kind INTEGER NOT NULL, id INTEGER NOT NULL, owner INTEGER NOT NULL,"
        " name TEXT NOT NULL, text TEXT NOT NULL, version INTEGER NOT NULL,"
        " PRIMARY KEY(kind, id)) WITHOUT ROWID;"
        "CREATE UNIQUE INDEX objects_by_name ON objects(kind, owner, name) WHERE name <> '';"
        "CREATE INDEX objects_by_owner ON objects(owner) WHERE owner <> 0;";

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
                return FAIL(e, -ENOTSUP,
                            "%s was written by a Grapnel from before the first release (format"
                            " %" PRId64 ", this one knows %d): move it away, and start with an"
                            " empty ledger",
                            s->path, version, SCHEMA_VERSION);
        }
        r = read_secret(s, e);
        return r < 0 ? r : check_after_crash(s, e);
}
