/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin listener of one loop: the API, its document, health, metrics. What it answers stands
 * in one table of routes (api/route.h). Several loops may each have one; what they share is the
 * registry and the memory of repeats. */
#pragma once

#include "api/idempotency.h"
#include "base/secret.h"
#include "flow/registry.h"
#include "flow/shelf.h"
#include "trigger/backfiller.h"
#include "trigger/replayer.h"
#include "watch/watch.h"

typedef struct AdminParts {
        Ledger *ledger;
        Registry *registry;       /* shared by all loops */
        Shelf *shelf;             /* shared by all loops: jq programs */
        Idempotency *idempotency; /* shared by all loops */
        Inlet *inlets;            /* of all loops, by their index */
        Replayer *replayers;      /* so too */
        Watches *watches;         /* of the daemon; NULL: there are none */
        Backfiller *backfillers;  /* so too */
        unsigned n, index;
        const Secret *token;    /* of the administrator; empty: this machine is trusted */
        const char *public_url; /* where the console can be reached; NULL: not said */
} AdminParts;

typedef struct Admin {
        AdminParts parts;
        Loop *loop;
        Inlet *inlet; /* of this loop */
} Admin;

void admin_init(Admin *a, const AdminParts *parts);
ServerHandler admin_handler(Admin *a);

/* The configuration was read again. */
void admin_reload(Admin *a, const Secret *token, const char *public_url);

/* A replayed job lies in the ledger, held by nobody: the loop that is home to its shard is told. */
void api_wake_job(Admin *a, unsigned shard, Span target, int64_t job_id);
