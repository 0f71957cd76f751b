/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration made ready to run: every expression compiled, every step prepared, every name
 * resolved. Immutable and counted by reference, but for the limits and breakers of its
 * connections, which are atomics. Work in flight ends on the snapshot it began with. */
#pragma once

#include "config/config.h"
#include "engine/breaker.h"
#include "engine/limit.h"
#include "engine/plan.h"
#include "engine/retry.h"
#include "http/head.h"
#include "ledger/job.h"
#include "map/map.h"
#include "map/template.h"
#include "net/address.h"
#include "reply/dialect.h"
#include "source/envelope.h"
#include "source/handshake.h"
#include "json/schema.h"

enum {
        STEPS_MAX = 32,     /* of one list: their bits fit a word */
        STEP_DEPTH_MAX = 4, /* lists within steps */
};

typedef struct Step Step;
typedef struct StepKind StepKind;

/* A connection with what its calls share. */
typedef struct Target {
        const ConnectionConfig *config;
        Limit *limit;
        Breaker *breaker;
        HttpHeader *headers; /* of the configuration, and the credentials that never change */
        size_t n_headers;
} Target;

/* 'crm:/contacts/{.contact.id}': a connection and a template of path and query. */
typedef struct Address {
        const Target *target;
        Template path; /* after the connection's URL; holes are one encoded segment each */
} Address;

struct Step {
        const StepKind *kind;
        Span name;
        Place place;
        Program *when;        /* NULL: always */
        void *options;        /* of the kind */
        const Target *target; /* that it asks; NULL for a step that asks none */
        bool reads;           /* it changes nothing anywhere: may go on beside others */
        uint32_t after;       /* bits of the steps of its list that have to end before it begins */
        const struct StepList *undo; /* NULL: nothing undoes it */
};

typedef struct StepList {
        Step *steps;
        size_t n;
} StepList;

typedef struct Flow {
        const FlowConfig *config;
        Plan plan;
        Program *subject; /* NULL: none */
        StepList steps;
        StepList answer; /* one, or none: what makes the data of a success */
        bool may_undo;   /* one of them says how it is undone */
        RetryRule retry;
        char target[JOB_TARGET_MAX_BYTES]; /* "flow:user-to-contact" */
} Flow;

/* What a source's option reads from a delivery: an expression on the body, or a header. Both NULL:
 * it was not given. */
typedef struct Pick {
        Program *program;
        const char *header; /* its name, in lower case */
} Pick;

typedef struct Source {
        const SourceConfig *config;
        const Dialect *dialect;
        const Envelope *envelope;
        const Handshake *handshake; /* NULL: none */
        Pick once, prefer, type, time;
        bool is_always_new;       /* once: never */
        const JsonSchema *schema; /* NULL: any body */
} Source;

typedef struct Snapshot {
        _Atomic unsigned refs;
        Arena *arena;
        Config *config;
        ProgramSet *programs;
        NetworkList allow;
        struct Lookups *lookups; /* what steps keep for a time */
        Target *targets;         /* as Config.connections */
        Source *sources;         /* as Config.sources */
        Flow *flows;             /* as Config.flows */
} Snapshot;

/* Takes over `config` (also on failure). NULL when there is any error; `problems` says them,
 * sorted. Where it holds errors already, `config` may be partial: then this looks for more of them.
 */
Snapshot *snapshot_build(Config *config, Problems *problems);
Snapshot *snapshot_ref(Snapshot *s);
Snapshot *snapshot_unref(Snapshot *s); /* any thread; NULL is fine */

const Source *snapshot_source(const Snapshot *s, Span name);
/* By a job's target; NULL when the configuration no longer has it. */
const Flow *snapshot_flow(const Snapshot *s, Span target);
