/* SPDX-License-Identifier: Apache-2.0
 *
 * Where deliveries leave one loop. All work of an endpoint lives on one loop, so what is known of
 * it (its breaker, since when it fails) is here alone: its *station*. One delivery is one attempt
 * of one job, or of a batch of them: signed, POSTed, judged (flow/delivery.c). */
#pragma once

#include "base/list.h"
#include "engine/breaker.h"
#include "flow/bearer.h"
#include "flow/mapper.h"
#include "flow/registry.h"
#include "flow/runner.h"
#include "ledger/ledger.h"

enum {
        OUTLET_FAILING_MAX_MS =
                5 * 24 * 3600 * 1000, /* of nothing but failure: then it is disabled */
};

enum { OUTLET_ORIGIN_BYTES = 256 };

typedef struct Outlet Outlet;

typedef struct OutletHost {
        void *self;
        /* A delivery has ended, with a result and an outcome for each of its jobs. All is lent. */
        void (*ended)(void *self, Job *const *jobs, const JobResult *results, const Outcome *o,
                      size_t n);
        /* Something that the owner of the endpoint should hear of: `type` such as
         * "endpoint.disabled"; `data` is JSON, lent. */
        void (*tell)(void *self, const Endpoint *p, const char *type, Span data);
} OutletHost;

typedef struct Station {
        Link link;          /* while it is cleared away */
        Endpoint *endpoint; /* as the registry had it at `changes` */
        uint64_t changes;
        Throttle *throttle; /* of its application */
        Breaker breaker;
        bool has_consent;         /* of a handshake */
        Bearer *bearer;           /* of its OAuth2; NULL: not asked for yet */
        int64_t failing_since_ms; /* 0: its last answer was a success, or it never had one */
        int64_t written_ms;       /* when its health was last sent to the ledger */
        bool is_writing;
        const char *owed; /* why it is to be disabled, found out while a write is on its way */
} Station;

struct Outlet {
        Loop *loop;
        Client *client;
        Ledger *ledger;
        Registry *registry;
        Snapshot *snapshot; /* for the networks that may be dialled */
        OutletHost host;
        Mapper mapper;
        char origin[OUTLET_ORIGIN_BYTES]; /* who we are to receivers that give their consent */
        Table *stations;                  /* target -> Station */
        size_t sweep_at;                  /* stations: then those of removed endpoints go */
        List deliveries;                  /* on their way */
        List writes;                      /* of health, on their way to the ledger */
};

void outlet_init(Outlet *o, Loop *loop, Client *client, Ledger *ledger, Registry *registry,
                 Shelf *shelf, Snapshot *s, const OutletHost *host);
/* Before the loop ends: closes what needs turns of it. */
void outlet_close(Outlet *o);
void outlet_done(Outlet *o);
void outlet_reload(Outlet *o, Snapshot *s);

/* The endpoint of a job's target, as it is now; NULL when it is gone. Lent until the next call. */
const Endpoint *outlet_endpoint(Outlet *o, Span target);
/* How it may be sent to; all zero when it is gone. Lent as well. */
TargetLimits outlet_limits(Outlet *o, Span target);
/* Begins an attempt of the jobs, all of one endpoint. It may end inside this call, also since the
 * endpoint is gone: another loop may have removed it this very moment. */
void outlet_start(Outlet *o, Job *const *jobs, size_t n);

/* Every delivery on its way ends now, as one that was broken off. */
void outlet_cut(Outlet *o);

/* ---- between the files of this folder ---- */

Station *outlet_station(Outlet *o, Span target); /* NULL when the endpoint is gone */
/* flow/health.c: what an attempt says of the endpoint's health. */
void health_good(Outlet *o, Station *s);
void health_bad(Outlet *o, Station *s, int64_t now_ms);
/* It said that it is gone (410): it is disabled. */
void health_gone(Outlet *o, Station *s);
