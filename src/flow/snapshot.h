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

enum { STEPS_MAX = 32, STEP_EXPRS_MAX = 16 };

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
};

typedef struct Flow {
        const FlowConfig *config;
        Plan plan;
        Program *subject; /* NULL: none */
        Step *steps;
        size_t n_steps;
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
        bool is_always_new; /* once: never */
} Source;

typedef struct Snapshot {
        _Atomic unsigned refs;
        Arena *arena;
        Config *config;
        ProgramSet *programs;
        NetworkList allow;
        Target *targets; /* as Config.connections */
        Source *sources; /* as Config.sources */
        Flow *flows;     /* as Config.flows */
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

/* ---- for the kinds of steps, while they prepare ---- */

typedef struct StepBuild {
        Snapshot *snapshot;
        Problems *problems;
        const Flow *flow;
        Step *step; /* being built; flow->steps before it are ready */
} StepBuild;

/* Compile one expression; every error goes to the problems. 0 or -EINVAL; *ret is NULL for an
 * expression that was not given. */
MUST_CHECK int build_program(StepBuild *b, const Expr *e, Program **ret);
MUST_CHECK int build_template(StepBuild *b, const Expr *e, Template *ret);
MUST_CHECK int build_address(StepBuild *b, const Expr *e, Address *ret);
