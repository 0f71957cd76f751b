/* SPDX-License-Identifier: Apache-2.0
 *
 * What is done between batches. Checkpoints come from the connection that commits, and from no
 * other (promise 4): PASSIVE waits for nobody, and when readers held it back so long that the WAL
 * reaches its cap, one that waits for them, which their time limit bounds. */
#include "ledger/store_sqlite.h"

#include <sys/stat.h>

enum { SLOW_MS = 1000 };

int sqlite_checkpoint(Sqlite *s, int mode, Err *e) {
        int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, mode, NULL, NULL);

        if (rc == SQLITE_OK) {
                s->wal_pages = 0;
                return 0;
        }
        if ((rc & 0xff) == SQLITE_BUSY)
                return 0;
        /* A full disk stops the copying, not the ledger: the WAL still has everything. */
        if ((rc & 0xff) == SQLITE_FULL)
                return FAIL(e, -ENOSPC, "ledger %s: no room for a checkpoint", s->path);
        s->broken = true;
        return sqlite_fail(s, rc, e, "checkpoint");
}

/* A file that was removed or replaced takes everything with it that is committed from now on. */
static int same_file(const Sqlite *s, Err *e) {
        struct stat st;

        if (stat(s->path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
                return 0;
        return FAIL(e, -ESTALE, "ledger %s: the file was removed or replaced while in use",
                    s->path);
}

int sqlite_upkeep(Store *store, int64_t now_ms, int64_t *ret_next_ms, Err *e) {
        Sqlite *s = sqlite_of(store);
        bool more = false;
        int r = 0;

        *ret_next_ms = SLOW_MS;
        if (s->wal_pages >= WAL_MAX_PAGES)
                r = sqlite_checkpoint(s, SQLITE_CHECKPOINT_RESTART, e);
        else if (s->wal_pages >= WAL_CHECKPOINT_PAGES)
                r = sqlite_checkpoint(s, SQLITE_CHECKPOINT_PASSIVE, e);
        if (r == 0)
                r = sqlite_index_upkeep(s, now_ms, e);
        if (r < 0)
                return r;
        if (now_ms < s->slow_next_ms && s->slow_next_ms <= now_ms + SLOW_MS) {
                *ret_next_ms = s->slow_next_ms - now_ms;
                return 0;
        }
        r = same_file(s, e);
        if (r == 0)
                r = sqlite_keys_upkeep(s, now_ms, &more, e);
        if (r < 0)
                return r;
        *ret_next_ms = more ? SLOW_MS / 10 : SLOW_MS;
        s->slow_next_ms = now_ms + *ret_next_ms;
        return 0;
}
