/* SPDX-License-Identifier: Apache-2.0
 *
 * outbox: triggers in the application's own database write each change into one table, within the
 * transaction that makes it; a reader takes it from there. The option table is one, what is below
 * it differs by database. */
#pragma once

#include "watch/digest.h"
#include "watch/watch.h"

enum {
        OUTBOX_TABLES_MAX = 200,
        OUTBOX_COLUMNS_MAX = 200,
        OUTBOX_NAME_MAX_BYTES = 63,
        /* Of the source, in PostgreSQL: "grapnel_" and "_truncate" stand around it. A name that is
         * cut there could be another source's; a channel that is too long fails whoever notifies.
         */
        OUTBOX_SOURCE_MAX_BYTES = 40,
};

typedef enum OutboxOps {
        OUTBOX_INSERT = 1,
        OUTBOX_UPDATE = 2,
        OUTBOX_DELETE = 4,
        OUTBOX_TRUNCATE = 8
} OutboxOps;

typedef struct OutboxTable {
        Span schema, name;    /* schema empty: "public" in PostgreSQL, "main" in SQLite */
        const char **columns; /* that an event holds, and whose change counts; n 0: all */
        size_t n_columns;
        const char **key; /* n 0: the primary key */
        size_t n_key;
        const char *when; /* SQL with {row} for the row; NULL: always */
        unsigned ops;     /* OutboxOps */
        Place place;
} OutboxTable;

typedef struct OutboxOptions {
        const char *name; /* of the database */
        const DatabaseConfig *database;
        const Node *tables_node;
        const char *schema; /* of the outbox itself, PostgreSQL */
        bool notify;
        int64_t poll_ms;
        OutboxTable *tables;
        size_t n_tables;
} OutboxOptions;

MUST_CHECK int outbox_pg_run(Watch *w, const OutboxOptions *o, Err *e);
MUST_CHECK int outbox_pg_install(const Trigger *t, const OutboxOptions *o, bool removes, Buf *sql,
                                 Err *e);

MUST_CHECK int outbox_lite_run(Watch *w, const OutboxOptions *o, Err *e);
MUST_CHECK int outbox_lite_install(const Trigger *t, const OutboxOptions *o, bool removes, Buf *sql,
                                   Err *e);

/* ---- for both ---- */

/* Appends "name", quoted as SQL wants it. */
MUST_CHECK int outbox_quote(Buf *b, Span name);
/* Appends 'text'. */
MUST_CHECK int outbox_literal(Buf *b, Span text);
/* The name of the trigger on a table for what is done to it, such as "grapnel_users_update". */
MUST_CHECK int outbox_trigger_name(Buf *b, Span source, const char *op);
/* What stands in each trigger, and tells whether it was installed with these options. */
void outbox_mark(const OutboxOptions *o, const OutboxTable *t, char ret[DIGEST_TEXT]);
/* "... is not as it was installed: ...", for people. */
enum { OUTBOX_REMARK = 256 };
void outbox_remark(const Trigger *trigger, const OutboxTable *t, char ret[OUTBOX_REMARK]);
/* Appends `when` with {row} filled in. */
MUST_CHECK int outbox_when(Buf *b, const char *when, const char *row);
/* Appends an object of the columns `names` (JSON array of texts) of `row`. -EINVAL: one is not
 * there. */
MUST_CHECK int outbox_key(Buf *b, Span names, Span row);
