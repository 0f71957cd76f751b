/* SPDX-License-Identifier: Apache-2.0
 *
 * A change of one row, or of a whole table, as an event: the one shape that all triggers give, so
 * that a flow need not know which of them noticed it. docs/triggers.md describes it. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "source/envelope.h"

typedef struct RowChange {
        Span source;          /* its name */
        const char *kind;     /* of the trigger, "outbox" */
        const char *database; /* its name in the configuration; NULL: none */
        Span schema, table;   /* schema may be empty; of what is no table, what is nearest to it */
        const char *op;       /* "insert", "update", "delete", "truncate", "snapshot", ... */
        Span fresh, previous; /* the row after and before, JSON objects; .p NULL: there is none */
        /* Why `previous` is not known, or not whole, although there was one, such as
         * "identity-default"; NULL. */
        const char *previous_missing;
        Span missing; /* JSON array of columns whose value is not known, unchanged; may be empty */
        Span key;     /* JSON object of the key's columns; .p NULL: the table has none */
        Span transaction, position; /* as text; empty: not known */
        int64_t index;              /* within the transaction, from 0; -1: not known */
        Span time;                  /* RFC 3339 */
        const char *time_is;        /* what it is the time of: "commit", "change" or "capture" */
        Span context;               /* JSON object: actor, trace and so on; may be empty */
        Span id;                    /* what makes it this change and no other, within the source */
        bool is_backfill;
        Span more; /* further members, without braces; may be empty */
} RowChange;

enum {
        /* Of an event. What is more does not fit into the ledger's door (the arena of an intake),
         * and could not be put aside whole either. */
        ROW_CHANGE_MAX_BYTES = 48 * 1024 * 1024,
        ROW_CHANGE_LARGE_BYTES = 64 * 1024, /* values that go first when it is too much */
};

/* The event of it, in the arena: body, type ("users.update"), subject (table and key), time and
 * key. One that would be too large goes without its large values: `missing` names those of the row
 * after, and `previousMissing` is "too-large" where the row before lacks some. False when even that
 * is too much. */
bool row_change_event(const RowChange *c, Arena *a, EnvelopeEvent *ret);
/* Appends the names of the members in which two JSON objects differ, as an array. */
MUST_CHECK int row_change_names(Span previous, Span fresh, Buf *out);
