/* SPDX-License-Identifier: Apache-2.0
 *
 * The option table: each row reads one key of a map into a field of a struct and carries its own
 * help, so that checking, `--help`, and the reference manual come from the same row. Any room may
 * have tables of its own (steps, schemes); unknown keys get the nearest known name. */
#pragma once

#include "base/secret.h"
#include "config/node.h"

typedef enum OptionType {
        OPTION_TEXT,     /* const char *, in the arena */
        OPTION_SPAN,     /* Span */
        OPTION_SECRET,   /* Secret, wiped with the arena */
        OPTION_BOOL,     /* bool */
        OPTION_NUMBER,   /* int64_t in [min, max] */
        OPTION_SIZE,     /* int64_t bytes: 64K, 8M, 1G (powers of 1024) */
        OPTION_DURATION, /* int64_t ms: 250ms, 3s, 5m, 2h, 7d; a bare number is refused */
        OPTION_RATE,     /* Rate: 50/s, 100/m */
        OPTION_CHOICE,   /* int: index into `choices` */
        OPTION_EXPR,     /* Expr: a jq expression */
        OPTION_TEMPLATE, /* Expr: a text with holes */
        OPTION_NODE,     /* const Node *: read by the owner */
} OptionType;

typedef struct Rate {
        uint32_t count;
        int64_t per_ms;
} Rate;

/* Program text with its place; compiled by src/flow. `text.p` is NULL when not given. */
typedef struct Expr {
        Span text;
        Place place;
} Expr;

typedef struct Option {
        const char *name;
        OptionType type;
        size_t offset;
        bool required;
        const char *fallback;       /* as it would be written; NULL: the zero value */
        int64_t min, max;           /* both 0: no bounds */
        const char *const *choices; /* ended by NULL */
        const char *help;
        bool is_secret;    /* a NODE that holds secrets: its lines are shown in no error */
        const char *shape; /* how the manual writes the type; NULL: by `type` */
} Option;

/* A table with its place in the file, as the manual shows it. */
typedef struct OptionGroup {
        const char *title; /* "connections.NAME" */
        const char *intro; /* Markdown */
        const Option *table;
        size_t n;
} OptionGroup;

/* Reads `map` by the table (`n` rows) into `into`. Every error is added to `problems`; returns 0
 * or -EINVAL. */
MUST_CHECK int options_read(const Node *map, const Option *table, size_t n, void *into, Arena *a,
                            Problems *problems);
/* Reads one scalar as a type: for values that stand outside of tables. */
MUST_CHECK int option_read_one(const Node *scalar, const Option *row, void *into, Arena *a,
                               Problems *problems);
/* The name in `names` (ended by NULL) nearest to `word`, NULL when none is near. */
const char *nearest_name(Span word, const char *const *names);

enum { NAME_MAX_BYTES = 64, VALUE_SHOWN_BYTES = 80 };
/* A scalar as an error may show it: in quotes, cut where it is long, "the value" where it is a
 * secret. */
const char *value_shown(const Node *scalar, char ret[VALUE_SHOWN_BYTES]);
/* Appends the group as Markdown: a heading, its intro, a table with one row per option. */
MUST_CHECK int option_print_group(const OptionGroup *group, Buf *out);
