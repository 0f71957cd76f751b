/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources and targets as small numbers. The cache is emptied by a rollback, which may have taken
 * a new name back, and when it is full. */
#include "base/table.h"
#include "ledger/store_sqlite.h"

static int look_up(Sqlite *s, Span name, int64_t *ret, Err *e) {
        sqlite3_stmt *st = NULL;
        int r = sqlite_get(s, SQL_NAME_GET, &st, e);

        if (r < 0)
                return r;
        bind_text(st, 1, name);
        r = sqlite_row(s, st, e, "look up a name");
        if (r <= 0)
                return r;
        *ret = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
        return 1;
}

int sqlite_name_find(Sqlite *s, Span name, int64_t *ret, Err *e) {
        void *known = table_get(s->names, name);

        if (!known)
                return look_up(s, name, ret, e);
        *ret = (int64_t)(intptr_t)known;
        return 1;
}

int sqlite_name_number(Sqlite *s, Span name, int64_t *ret, Err *e) {
        void *known = table_get(s->names, name);
        sqlite3_stmt *st = NULL;

        if (known) {
                *ret = (int64_t)(intptr_t)known;
                return 0;
        }
        int r = look_up(s, name, ret, e);
        if (r < 0)
                return r;
        if (r == 0) {
                r = sqlite_get(s, SQL_NAME_ADD, &st, e);
                if (r < 0)
                        return r;
                bind_text(st, 1, name);
                r = sqlite_run(s, st, e, "add a name");
                if (r < 0)
                        return r;
                *ret = sqlite3_last_insert_rowid(s->db);
        }
        if (table_count(s->names) >= NAMES_CACHED_MAX) {
                s->names = table_free(s->names);
                s->names = table_new(NAMES_CACHED_MAX);
        }
        return table_put(s->names, name, (void *)(intptr_t)*ret);
}
