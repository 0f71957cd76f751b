/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/notes.h"

#include <errno.h>
#include <sqlite3.h>

#define BUSY_MS 10000 /* other watches write to the same file */

enum { GET, PUT, DELETE, EACH, BEGIN, COMMIT, ROLLBACK, STATEMENTS };

struct Notes {
        sqlite3 *db;
        sqlite3_stmt *st[STATEMENTS];
        Buf owner;
        bool is_open; /* between begin and commit */
};

static const char *const schema =
        "PRAGMA journal_mode=WAL;"
        "PRAGMA synchronous=FULL;"
        "CREATE TABLE IF NOT EXISTS note (owner TEXT NOT NULL, key BLOB NOT NULL,"
        " value BLOB NOT NULL, PRIMARY KEY (owner, key)) WITHOUT ROWID;";

static const char *const sql[STATEMENTS] = {
        [GET] = "SELECT value FROM note WHERE owner=?1 AND key=?2",
        [PUT] = "INSERT INTO note VALUES (?1,?2,?3) ON CONFLICT DO UPDATE SET value=excluded.value",
        [DELETE] = "DELETE FROM note WHERE owner=?1 AND key=?2",
        [EACH] = "SELECT key, value FROM note WHERE owner=?1 AND key>?2 AND key>=?3 ORDER BY key",
        [BEGIN] = "BEGIN IMMEDIATE",
        [COMMIT] = "COMMIT",
        [ROLLBACK] = "ROLLBACK",
};

static int fault(Notes *n, const char *what, Err *e) {
        return FAIL(e, -EIO, "the notebook of triggers could not be %s: %s", what,
                    sqlite3_errmsg(n->db));
}

int notes_open(const char *path, Span owner, Notes **ret, Err *e) {
        Notes *n = must_alloc(sizeof *n);
        int r = 0;

        n->owner = BUF(256);
        if (buf_add(&n->owner, owner) < 0)
                r = FAIL(e, -EMSGSIZE, "the name of the trigger is too long");
        if (r == 0 &&
            sqlite3_open_v2(path, &n->db,
                            SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                            NULL) != SQLITE_OK)
                r = FAIL(e, -EIO, "the notebook of triggers, %s, could not be opened: %s", path,
                         sqlite3_errmsg(n->db));
        if (r == 0) {
                sqlite3_busy_timeout(n->db, BUSY_MS);
                if (sqlite3_exec(n->db, schema, NULL, NULL, NULL) != SQLITE_OK)
                        r = fault(n, "made", e);
        }
        for (int i = 0; r == 0 && i < STATEMENTS; i++)
                if (sqlite3_prepare_v3(n->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &n->st[i],
                                       NULL) != SQLITE_OK)
                        r = fault(n, "read", e);
        *ret = r == 0 ? n : notes_close(n);
        return r;
}

Notes *notes_close(Notes *n) {
        if (!n)
                return NULL;
        for (int i = 0; i < STATEMENTS; i++)
                sqlite3_finalize(n->st[i]);
        sqlite3_close(n->db);
        buf_done(&n->owner);
        free(n);
        return NULL;
}

static void bind(sqlite3_stmt *st, int at, Span s) {
        must(sqlite3_bind_blob(st, at, s.p ? s.p : "", (int)s.n, SQLITE_STATIC) == SQLITE_OK);
}

static sqlite3_stmt *statement(Notes *n, int which, Span key) {
        sqlite3_stmt *st = n->st[which];

        must(sqlite3_bind_text(st, 1, n->owner.p, (int)n->owner.n, SQLITE_STATIC) == SQLITE_OK);
        bind(st, 2, key);
        return st;
}

static Span column(sqlite3_stmt *st, int at) {
        const void *p = sqlite3_column_blob(st, at);

        return span_make(p ? p : "", (size_t)sqlite3_column_bytes(st, at));
}

int notes_get(Notes *n, Span key, Buf *value, Err *e) {
        sqlite3_stmt *st = statement(n, GET, key);
        int step = sqlite3_step(st), r = step == SQLITE_ROW;

        if (r && buf_add(value, column(st, 0)) < 0)
                r = FAIL(e, -EMSGSIZE, "a note of the trigger is too large");
        else if (step != SQLITE_ROW && step != SQLITE_DONE)
                r = fault(n, "read", e);
        (void)sqlite3_reset(st);
        return r;
}

static int run(Notes *n, sqlite3_stmt *st, Err *e) {
        int step = sqlite3_step(st), r = 0;

        if (step != SQLITE_DONE && step != SQLITE_ROW)
                r = fault(n, "written", e);
        (void)sqlite3_reset(st);
        return r;
}

int notes_put(Notes *n, Span key, Span value, Err *e) {
        sqlite3_stmt *st;

        if (key.n > NOTE_KEY_MAX_BYTES || value.n > NOTE_VALUE_MAX_BYTES)
                return FAIL(e, -EMSGSIZE, "a note of the trigger is too large");
        st = statement(n, PUT, key);
        bind(st, 3, value);
        return run(n, st, e);
}

int notes_delete(Notes *n, Span key, Err *e) {
        return run(n, statement(n, DELETE, key), e);
}

int notes_each(Notes *n, Span prefix, Span after, int (*each)(void *arg, Span key, Span value),
               void *arg, Err *e) {
        sqlite3_stmt *st = statement(n, EACH, after);
        int step, r = 0;

        bind(st, 3, prefix);
        while (r == 0 && (step = sqlite3_step(st)) != SQLITE_DONE) {
                if (step != SQLITE_ROW)
                        r = fault(n, "read", e);
                else if (!span_starts(column(st, 0), prefix))
                        break;
                else
                        r = each(arg, column(st, 0), column(st, 1));
        }
        (void)sqlite3_reset(st);
        return r;
}

int notes_begin(Notes *n, Err *e) {
        int r = run(n, n->st[BEGIN], e);

        n->is_open = r == 0;
        return r;
}

int notes_commit(Notes *n, Err *e) {
        int r = run(n, n->st[COMMIT], e);

        if (r < 0)
                notes_rollback(n);
        n->is_open = false;
        return r;
}

void notes_rollback(Notes *n) {
        if (n->is_open)
                (void)run(n, n->st[ROLLBACK], NULL);
        n->is_open = false;
}
