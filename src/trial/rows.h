/* SPDX-License-Identifier: Apache-2.0
 *
 * What explains a decision: rule by rule, with the value that it saw. Printed as a table or as
 * JSON. No row holds a secret: of headers that may carry one only their presence is told. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

typedef enum RowSays { ROW_TELLS, ROW_HOLDS, ROW_FAILS } RowSays;

typedef struct Row {
        const char *of;   /* "source oneportal", "flow user-to-contact" */
        const char *what; /* "verify", "match", "when" */
        const char *rule; /* ".entityType is USER" */
        RowSays says;
        Span saw; /* .p NULL for nothing */
} Row;

enum { ROWS_MAX = 2000 };

typedef struct Rows {
        Arena *arena;
        Row at[ROWS_MAX];
        size_t n;
} Rows;

/* Copies what it is given; a row for which there is no room is left out. */
void rows_add(Rows *r, const char *of, const char *what, const char *rule, RowSays says, Span saw);
MUST_CHECK int rows_print(const Rows *r, Buf *out);
/* An array of objects. */
MUST_CHECK int rows_json(const Rows *r, Buf *out);
