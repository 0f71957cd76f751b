/* SPDX-License-Identifier: Apache-2.0
 *
 * One loop's share of the daemon, wired: listener, client, runner, engine. The engine's ports end
 * here. */
#pragma once

#include "api/admin.h"
#include "engine/latest.h"
#include "flow/outlet.h"
#include "trigger/backfiller.h"
#include "trigger/replayer.h"
#include "watch/watch.h"

#include <pthread.h>

typedef struct Part {
        Loop loop;
        pthread_t thread;
        Ledger *ledger;
        Idempotency *idempotency;
        Client *client;
        Hub *hub;
        Engine *engine;
        Inlet *inlet;
        Replayer *replayer;
        Watches *watches;
        Backfiller *backfiller;
        Runner *runner;
        Outlet outlet;
        Latest *latest; /* of the flows whose subjects live here */
        Server *server, *admin_server;
        Admin admin;
        Snapshot *snapshot;
        uv_timer_t engine_timer;
        uv_prepare_t turn; /* after the callbacks of a turn: the engine steps */
        int64_t engine_due_ms;
        unsigned index, n;
        bool stopping, drained, stopped;
        bool has_leftovers;          /* jobs from before the start may run now */
        _Atomic unsigned *undrained; /* parts that have work left: shared by all */
        int64_t stop_by_ms;
        uv_timer_t stop_timer;
} Part;

/* All parts first, so that they know each other; then each opens its doors. */
typedef struct PartShares {
        Ledger *ledger;
        Registry *registry;
        Shelf *shelf;
        struct Writes *writes;
        Idempotency *idempotency;
        Hub *hubs;
        Inlet *inlets;
        Replayer *replayers;
        Watches *watches; /* NULL: there are none */
        Backfiller *backfillers;
        unsigned n;
        _Atomic unsigned *undrained; /* parts that have work left */
} PartShares;

MUST_CHECK int part_init(Part *p, unsigned index, const PartShares *all, Snapshot *s, Err *e);
/* Jobs of the target lie in the ledger from before the start: queued ones (STORE_NOW), or waiting
 * ones, the first of them until then. */
void part_backlog(Part *p, Span target, int64_t due_ms);
/* A change that was applied before the start, if its subject lives here. */
void part_change(Part *p, const Change *c);
/* `admin_port`: where the admin listeners of the parts before it are; 0 for the first. */
MUST_CHECK int part_listen(Part *p, uint16_t port, uint16_t admin_port, Err *e);
/* Forgets all that came in and goes on with another ledger, an empty one. Nothing may be under way.
 */
void part_renew(Part *p, Ledger *l);
void part_start(Part *p); /* its thread */
/* From another thread: */
void part_reload(Part *p, Snapshot *s); /* takes over a reference */
void part_stop(Part *p); /* it ends when all have finished their work, or the time for that is up */
void part_join(Part *p); /* its thread */
/* All of them, after the threads of all have ended: they send each other notes. */
void parts_done(Part *parts, unsigned n);
