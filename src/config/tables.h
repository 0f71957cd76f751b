/* SPDX-License-Identifier: Apache-2.0
 *
 * What the readers of the file's parts share; nobody outside this room includes it. Readers add
 * what is wrong to `problems` and go on; the caller looks at problems->errors in the end. */
#pragma once

#include "base/table.h"
#include "config/config.h"
#include "http/url.h"

typedef struct Reading {
        Config *config;
        Arena *arena;
        Problems *problems;
} Reading;

/* Each reads the map of that name into the configuration; NULL when the file has none. */
void connections_read(Reading *r, const Node *map);
void databases_read(Reading *r, const Node *map);
void sources_read(Reading *r, const Node *map);
void flows_read(Reading *r, const Node *map);      /* after the sources */
void endpoints_read(Reading *r, const Node *map);  /* after the sources */
void statements_read(Reading *r, const Node *map); /* after databases and sources */

/* For the manual; ended by a NULL title. */
extern const OptionGroup top_groups[], connection_groups[], database_groups[], source_groups[],
        flow_groups[], endpoint_groups[], statement_groups[];

/* What flows and endpoints have in common. Each reads one value of theirs. */
void on_read(Reading *r, const Node *on, const char ***ret, size_t *ret_n);
void match_read(Reading *r, const Node *match, MatchRule **ret, size_t *ret_n);
enum { RETRY_OPTIONS = 3 };
extern const Option retry_options[RETRY_OPTIONS];
void retry_read(Reading *r, const Node *n, RetryConfig *ret);

/* What connections and endpoints have in common: whom is called, and how. These are the values
 * that need a closer look, NULL where they are not given. */
typedef struct CallNodes {
        const Node *basic, *header, *oauth2, *limit, *headers;
} CallNodes;
/* Reads them, and checks what `map`'s table has put into `c`. The URL is checked and told; what
 * follows it is the caller's to judge. */
void call_read(Reading *r, const Node *map, const CallNodes *n, ConnectionConfig *c, Url *ret);

/* Which defaults each kind of source stands for, as Markdown. */
MUST_CHECK int source_kinds_print(Buf *out);

/* The entries of a map of named things. `what` is "connection", "source", "flow" and so on. Returns
 * their number and sets *ret to zeroed room for so many of `size` bytes; 0 when there are none or
 * when a problem was added. */
size_t named_room(Reading *r, const Node *map, const char *what, size_t size, void **ret);
/* Is the key a name, [a-z0-9-]{1,64}? Returns it with a terminator; NULL after adding a problem. */
const char *named_key(Reading *r, const NodeEntry *entry, const char *what);
/* An empty table for `n` names, freed with the arena; NULL after adding a problem. */
Table *named_table(Reading *r, size_t n);
/* Is the scalar a URL to call? 0, or -EINVAL after adding a problem. */
int url_check(Reading *r, const Node *n, const char *key, Url *ret);
/* Before a problem about a text that may hold `user:password@`: such a line is not shown. */
void url_hide(Reading *r, const Node *n);
/* A list of texts, or one text in place of a list of one. Returns how many; the texts at *ret lie
 * in the arena. `places` may be NULL. 0 after adding a problem, and for an empty list. */
size_t texts_read(Reading *r, const Node *n, const char *what, const char ***ret, Place **places);
