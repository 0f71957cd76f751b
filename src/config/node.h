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
        Place text_place; /* of a scalar's first character, behind the quote or the block's head */
        unsigned last_line; /* the last line that holds some of it */
        Span text;          /* of a scalar, after ${...}; a terminator follows it */
        bool quoted;        /* a quoted or block scalar: never null, number or boolean */
        bool secret;        /* ${...} took part, or it is a secret: not shown in errors */
        bool bad;           /* an error was reported about it: readers pass over it in silence */
        NodeEntry *entries; /* of a map, in order */
        Node **items;       /* of a list */
        size_t n;
};

/* The value of a key, NULL when absent or when `map` is no map. */
Node *node_get(const Node *map, const char *key);
/* Do they say the same, wherever they stand? */
bool node_same(const Node *a, const Node *b);
/* Is it written as nothing: empty, ~ or null, without quotes? */
bool node_is_null(const Node *n);
/* Is it a number, true, false or text? Maps, lists and nothing are not. */
bool node_is_scalar(const Node *n);
/* Overwrites every text below `n`: which of them was a secret is not known for sure. */
void node_wipe(Node *n);

enum {
        PROBLEMS_MAX = 100,
        PROBLEM_TEXT_MAX_BYTES = 1024,
        PROBLEM_SECRETS_MAX = 64, /* line ranges; when there are more, no line is shown at all */
};
typedef struct Problem {
        Place place; /* line 0: the file as a whole */
        const char *text;
        bool warning;
        bool hidden; /* the line holds a secret in plain text: not shown */
} Problem;
typedef struct Problems { /* collected, so that one check shows them all */
        Arena *arena;     /* the caller's: it outlives a configuration that failed */
        Problem item[PROBLEMS_MAX];
        size_t n, errors;
        Span source; /* the text they are about, for problems_print; set by config_parse */
        struct ProblemLines {
                unsigned first, last;
        } secrets[PROBLEM_SECRETS_MAX];
        size_t n_secrets;
} Problems;

/* Adds an error; beyond PROBLEMS_MAX they are counted only. Control bytes in the text become '?'.
 * Always returns -EINVAL. */
int problem_add(Problems *p, Place at, const char *format, ...) PRINTF_LIKE(3, 4);
void problem_warn(Problems *p, Place at, const char *format, ...) PRINTF_LIKE(3, 4);
/* For an allocation from the configuration's arena that failed. Always returns -EINVAL. */
int problem_no_room(Problems *p, Place at);
/* These lines hold a secret: no problem shows them, neither those here nor those to come. */
void problem_hide_lines(Problems *p, unsigned first, unsigned last);
/* By line and column; those of one place stay in their order. */
void problems_sort(Problems *p);
/* "file:3:7: unknown key 'urll'; did you mean 'url'?" on one line, with the source line and a
 * caret below it when `source` (the file's text) is given. */
MUST_CHECK int problem_print(const Problem *p, Span source, Buf *out);
/* All of them with their lines, and how many more there were. */
MUST_CHECK int problems_print(const Problems *p, Buf *out);
