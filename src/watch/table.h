/* SPDX-License-Identifier: Apache-2.0
 *
 * table: an outbox that the application writes itself, in the shape that has become the custom
 * (id, aggregatetype, aggregateid, type, payload), read as it is. Nothing is put into the database.
 */
#pragma once

#include "watch/outbox.h"

typedef struct TableOptions {
        const char *name; /* of the database */
        const DatabaseConfig *database;
        const char *table; /* as written */
        Span schema, relation;
        /* Columns; NULL: the table has none that says it. */
        const char *id, *aggregate_type, *aggregate_id, *type, *payload;
        const char *time;   /* NULL: `timestamp`, if there is one */
        const char *order;  /* NULL: the id if that counts, else the time */
        const char *after;  /* as written */
        const char *mark;   /* the column; NULL: rows are deleted */
        const char *notify; /* the channel that wakes the reader; NULL: none does */
        int64_t poll_ms;
} TableOptions;

MUST_CHECK int table_pg_run(Watch *w, const TableOptions *o, Err *e);

/* ---- between the files of it ---- */

/* The statements that read and settle its rows, written for the columns that it has. */
typedef struct TableSql {
        Buf read;  /* $1: rows at most, $2: array of ids that are passed by */
        Buf after; /* $1: array of ids */
        Buf gauges;
} TableSql;

/* Columns of `read`. */
enum { ROW_ID, ROW_TYPE, ROW_KIND, ROW_ENTITY, ROW_TIME, ROW_REST, ROW_BYTES, ROW_BODY, ROW_OID };

typedef struct TableColumn {
        Span name, type; /* "uuid", "jsonb"; of a domain, what it is made of */
        Span cast;       /* the type as SQL writes it */
        bool is_never_null, is_unique;
} TableColumn;

typedef struct TableColumns {
        const TableColumn *at;
        size_t n;
} TableColumns;

enum { TABLE_COLUMNS_MAX = 200, TABLE_ROW_MAX_BYTES = 64 * 1024 * 1024 };

/* NULL when it has none of that name. */
const TableColumn *table_column(const TableColumns *c, const char *name);
/* -ENOTRECOVERABLE: the table is not as the options say; the sentence says what to do. */
MUST_CHECK int table_sql(const TableOptions *o, const TableColumns *c, TableSql *ret, Err *e);
void table_sql_done(TableSql *s);
