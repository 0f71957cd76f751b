/* SPDX-License-Identifier: Apache-2.0
 *
 * An application's SQLite file, opened beside the application: it is never made, its journal mode
 * stays what it is, and nothing here holds a lock for longer than one short statement. */
#pragma once

#include "base/arena.h"
#include "config/config.h"

#include <sqlite3.h>

enum { LITE_COLUMNS_MAX = 500 };

/* -ENOENT when the file is not there, -EBADMSG when it is no database. */
MUST_CHECK int lite_open(const DatabaseConfig *d, sqlite3 **ret, Err *e);
/* Is it still the file of that name? A backup that was put back is another one, and whoever goes on
 * with the old one reads and writes what nobody else ever sees. -ENOENT. */
MUST_CHECK int lite_check_place(sqlite3 *db, const DatabaseConfig *d, Err *e);
sqlite3 *lite_close(sqlite3 *db);
/* Says what the database says. -EAGAIN when somebody else holds it, -EBADMSG otherwise. */
int lite_fault(sqlite3 *db, const DatabaseConfig *d, const char *doing, Err *e);
/* One statement, prepared; finalized by the caller. */
MUST_CHECK int lite_prepare(sqlite3 *db, const DatabaseConfig *d, const char *sql,
                            sqlite3_stmt **ret, Err *e);
/* A cell's text, lent until the statement goes on; .p NULL for null. */
Span lite_cell(sqlite3_stmt *st, int column);

typedef struct LiteTable {
        Span columns[LITE_COLUMNS_MAX]; /* that hold values, in their order */
        size_t n;
        Span key[LITE_COLUMNS_MAX]; /* of the primary key, in its order */
        size_t n_key;
        bool has_rowid;
} LiteTable;

/* Its columns; -ENOENT when there is no such table. The names lie in the arena. */
MUST_CHECK int lite_table(sqlite3 *db, const DatabaseConfig *d, Span name, Arena *a, LiteTable *ret,
                          Err *e);
