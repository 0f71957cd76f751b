/* SPDX-License-Identifier: Apache-2.0
 *
 * A YAML document as read: nodes that know where they stand, for errors that a person can follow.
 * Anchors, aliases, tags and merge keys are refused: one spelling, one meaning. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

typedef enum NodeKind { NODE_SCALAR, NODE_MAP, NODE_LIST } NodeKind;

typedef struct Place {
        const char *file;
        unsigned line, column; /* from 1 */
} Place;

typedef struct Node Node;
typedef struct NodeEntry {
        Span key;
        Place key_place;
        Node *value;
} NodeEntry;

struct Node {
        NodeKind kind;
        Place place;
        Span text;          /* of a scalar, after ${...} */
        bool quoted;        /* a quoted or block scalar: never null, number or boolean */
        bool secret;        /* ${...} took part: the text is not shown in errors */
        NodeEntry *entries; /* of a map, in order */
        Node **items;       /* of a list */
        size_t n;
};

/* The value of a key, NULL when absent. */
Node *node_get(const Node *map, const char *key);

enum { PROBLEMS_MAX = 100 };
typedef struct Problem {
        Place place;
        const char *text;
        bool warning;
} Problem;
typedef struct Problems { /* collected, so that one check shows them all */
        Arena *arena;
        Problem item[PROBLEMS_MAX];
        size_t n, errors;
} Problems;

/* Adds an error; beyond PROBLEMS_MAX they are counted only. Always returns -EINVAL. */
int problem_add(Problems *p, Place at, const char *format, ...) PRINTF_LIKE(3, 4);
void problem_warn(Problems *p, Place at, const char *format, ...) PRINTF_LIKE(3, 4);
/* "file:3:7: unknown key 'urll'; did you mean 'url'?" on one line, with the source line and a
 * caret below it when `source` (the file's text) is given. */
MUST_CHECK int problem_print(const Problem *p, Span source, Buf *out);
