/* SPDX-License-Identifier: Apache-2.0
 *
 * replication: changes are read from the write-ahead log of a PostgreSQL database, by the output
 * plugin `pgoutput` that every server has. The server keeps a place for us (the slot) and all that
 * comes behind it; the place moves on once what was read is in the ledger. */
#pragma once

#include "base/table.h"
#include "watch/pg.h"
#include "watch/pg_json.h"
#include "watch/pgoutput.h"
#include "watch/row_change.h"

enum { REPLICATION_TABLES_MAX = 200, REPLICATION_NAME_MAX_BYTES = 63 };

typedef struct ReplicationTable {
        const char *schema, *name;
        Place place;
} ReplicationTable;

typedef struct ReplicationOptions {
        const char *name; /* of the database */
        const DatabaseConfig *database;
        const Node *tables_node;
        ReplicationTable *tables;
        size_t n_tables;
        const char *slot, *publication;
        bool snapshot;
        int64_t max_lag; /* bytes; 0: none is given */
        int64_t heartbeat_ms;
} ReplicationOptions;

MUST_CHECK int replication_install(const Trigger *t, const ReplicationOptions *o, bool removes,
                                   Buf *sql, Err *e);
MUST_CHECK int replication_run(Watch *w, const ReplicationOptions *o, Err *e);

/* ---- at work (replication_*.c) ---- */

typedef struct Replication {
        Watch *watch;
        const ReplicationOptions *o;
        Pg *pg;        /* an ordinary connection: questions, the snapshot, the heartbeat */
        Pg *walsender; /* the one that is replicated over */
        struct Shapes *shapes;
        char publication[16]; /* its OID */
        bool has_server_cap;  /* max_slot_wal_keep_size */
} Replication;

#define LSN_FMT    "%X/%X"
#define LSN_ARG(x) (unsigned)((x) >> 32), (unsigned)((x)&UINT32_MAX)

/* Is the database ready, and what we need in it? -ENOTRECOVERABLE: somebody has to act; -ENOTCONN:
 * it is another publication than the last time. */
MUST_CHECK int replication_look(Replication *r, Err *e);
/* Finds the slot, or makes it and hands in what stands in the tables (`snapshot`). After 0 all
 * before the slot's place is in the ledger. */
MUST_CHECK int replication_slot(Replication *r, Err *e);
enum { REPLICATION_GAUGES_MS = 5000 }; /* so often they are looked at */
/* The slot's state and lag, as gauges; what the server keeps for it at *lag (bytes, 0: there is no
 * slot). -ENOTRECOVERABLE when it is lost. */
MUST_CHECK int replication_gauges(Replication *r, int64_t *lag, Err *e);
/* After a run that ended with `fault`: beyond the cap, with nobody to read on, the slot is dropped.
 * What the run has come to now. */
int replication_give_up(Replication *r, int fault, Err *e);
/* Hands in the rows that stand in the tables as the ordinary connection's transaction shows them,
 * and ends it. `epoch` (text) and `time` (RFC 3339) tell this backfill from others. */
MUST_CHECK int replication_backfill(Replication *r, Span epoch, Span time, Err *e);
/* Reads, hands in and acknowledges until it is to stop; with an `until` (LSN; 0: none) it is 0 once
 * all that was committed before that is in the ledger, and the connection is a fresh one. */
MUST_CHECK int replication_stream(Replication *r, uint64_t until, Err *e);
/* Another connection, for commands of replication or for questions, without the role's limits of
 * time; the caller closes it. -ENOTRECOVERABLE: the role may not replicate. */
MUST_CHECK int replication_open(Replication *r, bool replicates, Pg **ret, Err *e);
enum { REPLICATION_WORDS = 300 };
/* The server's words in one line. */
void replication_words(const char *words, char ret[REPLICATION_WORDS]);
/* Is that one of our tables? */
bool replication_has(const ReplicationOptions *o, Span schema, Span table);

/* ---- what tables look like, as the stream last said it (replication_shape.c) ---- */

typedef struct ShapeColumn {
        Span name;
        PgType type;
        bool is_identity;
} ShapeColumn;

typedef struct Shape {
        uint32_t relation;
        Span schema, name;
        char identity;
        bool is_ours;
        ShapeColumn *columns;
        size_t n_columns;
        size_t *key; /* columns of the primary key, or of the identity, in its order */
        size_t n_key;
        Arena *arena; /* that holds it */
} Shape;

typedef struct Shapes Shapes;
Shapes *shapes_new(void);
Shapes *shapes_free(Shapes *s);
/* What a Relation message says; asks the catalogue for types and the primary key. */
MUST_CHECK int shapes_take(Shapes *s, Replication *r, const PgoutputMessage *relation, Err *e);
const Shape *shapes_find(const Shapes *s, uint32_t relation); /* NULL: not told of */

/* ---- a change as an event (replication_event.c) ---- */

typedef struct ReplicationPlace {
        uint64_t lsn; /* of the commit */
        int64_t micros;
        uint32_t xid;
        int64_t index;
        Span context; /* JSON; empty: none */
} ReplicationPlace;

/* Of an insert, update or delete; or of one table of a truncate. In the arena. */
MUST_CHECK int replication_event(Replication *r, const Shape *shape, const PgoutputMessage *m,
                                 const ReplicationPlace *at, Arena *a, EnvelopeEvent *ret, Err *e);
