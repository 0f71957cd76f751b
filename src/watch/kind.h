/* SPDX-License-Identifier: Apache-2.0
 *
 * Kinds of triggers: the ways in which a change is noticed that nobody tells of. One table row and
 * one file for each; its key in `trigger:` names it, such as `outbox: shop`. */
#pragma once

#include "config/config.h"

typedef struct Watch Watch;
typedef struct Trigger Trigger;

/* What a kind has at hand when a file is read. */
typedef struct TriggerBuild {
        const Config *config;
        const SourceConfig *source;
        const Node *map; /* as written */
        Arena *arena;
        Problems *problems;
} TriggerBuild;

/* What a person is shown or asked before something is put into a database of theirs. */
typedef struct TriggerScript {
        Buf sql;                        /* as UTF-8 text, one or more statements */
        const DatabaseConfig *database; /* where it belongs */
} TriggerScript;

typedef struct TriggerKind {
        const char *name; /* the key that names it */
        const char *help; /* one sentence */
        const Option *options;
        size_t n_options, size;
        const OptionGroup *more; /* tables within it, for the manual; NULL: none */
        /* Looks closer at what the table has read. 0, or -EINVAL after adding a problem. */
        int (*prepare)(TriggerBuild *b, void *options);
        /* On the watch's own thread: notices and hands in (watch/watch.h) until it is to stop.
         * 0 then. Below 0 it could not go on: it is run again after a while; -ENOTRECOVERABLE says
         * that a person has to act first. What was not handed in is noticed again. */
        int (*run)(Watch *w, const void *options, Err *e);
        /* Where all that it reads is. NULL for a kind that reads elsewhere: such a one is begun
         * anew by each reload. */
        const DatabaseConfig *(*database)(const void *options);
        /* What has to be in the database for it, and what takes it out again; NULL: nothing. */
        int (*install)(const Trigger *t, bool removes, TriggerScript *ret, Err *e);
} TriggerKind;

extern const TriggerKind *const trigger_kinds[]; /* ended by NULL */
const TriggerKind *trigger_kind_find(Span name); /* NULL when unknown */

/* ---- for the rows ---- */

extern const TriggerKind trigger_outbox;
extern const TriggerKind trigger_replication;
extern const TriggerKind trigger_table;
extern const TriggerKind trigger_query;
extern const TriggerKind trigger_poll;
extern const TriggerKind trigger_schedule;

/* The database of that name, which the key `key` names; NULL after adding a problem. */
const DatabaseConfig *trigger_database(TriggerBuild *b, const char *key, const char *name);
