/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the messages of PostgreSQL's output plugin `pgoutput`, protocol version 1, values as text
 * (PostgreSQL manual, "Logical Replication Message Formats"). Pure: bytes in, a verdict out,
 * nothing kept; what it gives lies in the message. */
#pragma once

#include "base/base.h"

enum { PGOUTPUT_COLUMNS_MAX = 1664, PGOUTPUT_TABLES_MAX = 100000 };

typedef enum PgoutputKind {
        PGOUTPUT_BEGIN,
        PGOUTPUT_COMMIT,
        PGOUTPUT_ORIGIN,
        PGOUTPUT_RELATION,
        PGOUTPUT_TYPE,
        PGOUTPUT_INSERT,
        PGOUTPUT_UPDATE,
        PGOUTPUT_DELETE,
        PGOUTPUT_TRUNCATE,
        PGOUTPUT_MESSAGE,
} PgoutputKind;

/* Values of one row, for pgoutput_value. */
typedef struct PgoutputRow {
        Span bytes; /* .p NULL: there is none */
        size_t n;
} PgoutputRow;

typedef struct PgoutputMessage {
        PgoutputKind kind;
        /* begin: of the commit record; commit: of it; message: of the message; origin: of the
         * commit there */
        uint64_t lsn;
        uint64_t end_lsn;  /* commit: behind the transaction */
        int64_t micros;    /* begin, commit: since 2000-01-01T00:00:00Z */
        uint32_t xid;      /* begin */
        uint32_t relation; /* relation, type, insert, update, delete: its OID */
        Span schema, name; /* relation, type, origin (name alone) */
        char identity;     /* relation: 'd' primary key, 'n' nothing, 'f' full, 'i' index */
        size_t n_columns;  /* relation, for pgoutput_column */
        Span columns;
        PgoutputRow fresh;    /* insert, update */
        PgoutputRow previous; /* update, delete: what is known of the row before */
        bool is_key_only; /* `previous` holds the columns of the identity, the others are null */
        size_t n_tables;  /* truncate, for pgoutput_table */
        Span tables;
        Span prefix, content;  /* message */
        bool is_transactional; /* message */
} PgoutputMessage;

/* 0, or -EBADMSG with a static sentence at *why. What it has passed can be walked below to its
 * end. */
MUST_CHECK int pgoutput_read(Span bytes, PgoutputMessage *ret, const char **why);

typedef struct PgoutputColumn {
        Span name;
        uint32_t type; /* OID */
        bool is_identity;
} PgoutputColumn;

/* Each walks: start with pos = 0; false at the end. */
bool pgoutput_column(const PgoutputMessage *relation, size_t *pos, PgoutputColumn *ret);
bool pgoutput_table(const PgoutputMessage *truncate, size_t *pos, uint32_t *ret);

typedef enum PgoutputValueKind {
        PGOUTPUT_NULL,
        PGOUTPUT_UNCHANGED, /* stored out of line, and not sent as it did not change */
        PGOUTPUT_TEXT,
} PgoutputValueKind;

typedef struct PgoutputValue {
        PgoutputValueKind kind;
        Span text;
} PgoutputValue;

bool pgoutput_value(const PgoutputRow *row, size_t *pos, PgoutputValue *ret);
