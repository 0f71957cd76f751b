/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/lite.h"

#include <errno.h>

#define BUSY_MS 3000 /* the application writes too */

int lite_fault(sqlite3 *db, const DatabaseConfig *d, const char *doing, Err *e) {
        int code = sqlite3_errcode(db) & 0xff;
        bool is_busy = code == SQLITE_BUSY || code == SQLITE_LOCKED;

        return FAIL(e, is_busy ? -EAGAIN : -EBADMSG, "database %s could not be %s: %s", d->name,
                    doing, sqlite3_errmsg(db));
}

int lite_open(const DatabaseConfig *d, sqlite3 **ret, Err *e) {
        int r = 0;

        *ret = NULL;
        if (sqlite3_open_v2(d->file, ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
            SQLITE_OK)
                r = FAIL(e, -ENOENT, "database %s, %s, could not be opened: %s", d->name, d->file,
                         sqlite3_errmsg(*ret));
        if (r == 0) {
                sqlite3_busy_timeout(*ret, BUSY_MS);
                /* It reads the file, which opening does not. */
                if (sqlite3_exec(*ret, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL) !=
                    SQLITE_OK)
                        r = lite_fault(*ret, d, "read", e);
        }
        if (r < 0)
                *ret = lite_close(*ret);
        return r;
}

int lite_check_place(sqlite3 *db, const DatabaseConfig *d, Err *e) {
        int has_moved = 0;

        (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
        return has_moved
                       ? FAIL(e, -ENOENT, "database %s, %s, is another file now: it is opened anew",
                              d->name, d->file)
                       : 0;
}

sqlite3 *lite_close(sqlite3 *db) {
        sqlite3_close_v2(db);
        return NULL;
}

int lite_prepare(sqlite3 *db, const DatabaseConfig *d, const char *sql, sqlite3_stmt **ret,
                 Err *e) {
        return sqlite3_prepare_v2(db, sql, -1, ret, NULL) == SQLITE_OK
                       ? 0
                       : lite_fault(db, d, "asked", e);
}

Span lite_cell(sqlite3_stmt *st, int column) {
        const unsigned char *p = sqlite3_column_text(st, column);

        return p ? span_make(p, (size_t)sqlite3_column_bytes(st, column)) : (Span){NULL, 0};
}

static int add_column(sqlite3_stmt *st, Arena *a, LiteTable *ret) {
        Span name = arena_span(a, lite_cell(st, 0));
        int place = sqlite3_column_int(st, 1); /* in the primary key, from 1 */

        if (!name.p || ret->n == LITE_COLUMNS_MAX || place > LITE_COLUMNS_MAX)
                return -EMSGSIZE;
        ret->columns[ret->n++] = name;
        if (place) {
                ret->key[place - 1] = name;
                ret->n_key++;
        }
        return 0;
}

/* Hidden columns of virtual tables (hidden 1) hold nothing; generated ones (2, 3) do. */
int lite_table(sqlite3 *db, const DatabaseConfig *d, Span name, Arena *a, LiteTable *ret, Err *e) {
        sqlite3_stmt *st;
        int step, r = lite_prepare(db, d,
                                   "SELECT x.name, x.pk, t.wr FROM pragma_table_xinfo(?1) x,"
                                   " pragma_table_list t WHERE t.name=?1 COLLATE NOCASE AND"
                                   " t.schema='main' AND t.type='table' AND x.hidden<>1"
                                   " ORDER BY x.cid",
                                   &st, e);

        *ret = (LiteTable){.has_rowid = true};
        if (r < 0)
                return r;
        must(sqlite3_bind_text(st, 1, name.p, (int)name.n, SQLITE_STATIC) == SQLITE_OK);
        while (r == 0 && (step = sqlite3_step(st)) != SQLITE_DONE) {
                if (step != SQLITE_ROW)
                        r = lite_fault(db, d, "read", e);
                else if (add_column(st, a, ret) < 0)
                        r = FAIL(e, -EMSGSIZE, "table " SPAN_FMT " has too many columns",
                                 SPAN_ARG(name));
                else
                        ret->has_rowid = sqlite3_column_int(st, 2) == 0;
        }
        sqlite3_finalize(st);
        if (r == 0 && ret->n == 0)
                r = FAIL(e, -ENOENT, "database %s has no table " SPAN_FMT, d->name, SPAN_ARG(name));
        return r;
}
