/* SPDX-License-Identifier: Apache-2.0
 *
 * Transactions and what their failures mean. SQLite reports a full disk from the write calls,
 * before the sync that decides: at COMMIT too, SQLITE_FULL means that the frame which would end
 * the transaction is not whole. Any other error of COMMIT may come from the sync, after which
 * nobody can tell what the disk holds: the store is broken, and stays so. */
#include "ledger/store_sqlite.h"

int sqlite_begin(Sqlite *s, Err *e) {
        sqlite3_stmt *st = NULL;

        if (s->broken)
                return FAIL(e, -EIO, "ledger %s: closed to writing after a failed commit", s->path);
        int r = sqlite_get(s, SQL_BEGIN, &st, e);
        return r < 0 ? r : sqlite_run(s, st, e, "begin a transaction");
}

int sqlite_rollback(Sqlite *s, int fault) {
        sqlite3_stmt *st = NULL;

        /* After some errors SQLite has rolled back by itself. */
        if (!sqlite3_get_autocommit(s->db) &&
            (sqlite_get(s, SQL_ROLLBACK, &st, NULL /* err */) < 0 ||
             sqlite_run(s, st, NULL /* err */, "roll back") < 0))
                s->broken = true;
        s->names = table_free(s->names);
        s->names = table_new(NAMES_CACHED_MAX);
        sqlite_keys_end(s, false);
        sqlite_mark_end(s, false);
        sqlite_index_end(s, false);
        s->events_delta = 0;
        return fault;
}

int sqlite_commit(Sqlite *s, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_COMMIT, &st, e);

        if (r < 0)
                return sqlite_rollback(s, r);
        if (hook_skips_commit()) {
                (void)sqlite_rollback(s, 0);
                return 0;
        }
        r = sqlite_run(s, st, e, "commit");
        if (r < 0) {
                if (r != -ENOSPC)
                        s->broken = true;
                return sqlite_rollback(s, r);
        }
        sqlite_keys_end(s, true);
        sqlite_mark_end(s, true);
        sqlite_index_end(s, true);
        atomic_fetch_add_explicit(&s->events_counted, s->events_delta, memory_order_relaxed);
        s->events_delta = 0;
        return 0;
}
