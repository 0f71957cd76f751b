/* SPDX-License-Identifier: Apache-2.0
 *
 * Where events come in on one loop: the public listener's handler.
 *
 *   POST /in/{source}        a webhook; GET or OPTIONS too where the product's handshake comes so
 *   GET  /events/{id}-{tag}  what became of one; the tag makes the address unguessable
 *
 * An event is recorded with its jobs in one write (trigger/recording.h). */
#pragma once

#include "base/id.h"
#include "engine/engine.h"
#include "flow/registry.h"
#include "flow/runner.h"
#include "ledger/ledger.h"
#include "net/server.h"
#include "trigger/jwks.h"
#include "trigger/waiter.h"

enum { FLOWS_PER_EVENT_MAX = 16 };

struct Inlet {
        Loop *loop;
        Ledger *ledger;
        Engine *engine;
        Runner *runner; /* of the current snapshot */
        Registry *registry;
        IdMaker ids;
        Heap patience; /* waiters, monotonic ms */
        uv_timer_t timer;
        struct Inlet *all; /* by loop index */
        unsigned n;
        uint64_t lane_key[2], url_key[2];
        _Atomic bool full; /* the engine has no room: read by other loops */
        /* Jobs on their way to the engine, from all loops: one record may have thousands. */
        _Atomic unsigned coming;
        /* Read by the admin listener too: what the ledger had left over has been asked for; no new
         * work is taken. */
        _Atomic bool recovered, draining;
        Jwks jwks;
        size_t polls;   /* pages that are read for watches */
        size_t keeping; /* answers on their way to the ledger, for repeats */
        struct InletCounts {
                _Atomic uint64_t webhooks, refused, repeats, accepted, answered;
                _Atomic uint64_t messages, delivered, undelivered; /* attempts of the last two */
        } counts;
};

void inlet_init(Inlet *in, Loop *loop, Ledger *ledger, Engine *engine, Registry *registry,
                Inlet *all, unsigned n);
void inlet_close(Inlet *in); /* closes its timer */
ServerHandler inlet_handler(Inlet *in);

/* ---- between the files of this folder ---- */

/* A webhook on its way in. */
typedef struct Intake Intake;
/* POST /in/{source}: called with the head, then with the whole request. */
bool webhook_head(Inlet *in, Exchange *x, Span source);
/* Does a handshake of this source come by the method? */
bool webhook_greets(Inlet *in, Span source, HttpMethod method);
void webhook_request(Inlet *in, Exchange *x);
/* GET /events/... */
void status_request(Inlet *in, Exchange *x, Span address);
/* "evt_...-tag" of an event. */
enum { EVENT_ADDRESS_TEXT = ID_TEXT + 16 };
void event_address(const Inlet *in, int64_t id, char ret[EVENT_ADDRESS_TEXT]);
bool event_address_parse(const Inlet *in, Span text, int64_t *ret_id);

/* Answers in the dialect of a source; `store`: for repeats of the event. */
void answer_source(Inlet *in, Exchange *x, const Source *s, const Outcome *o, int64_t store_event);
/* The same without a source: problem+json. */
void answer_problem(Exchange *x, int status, const char *code, const char *message);
void inlet_set_timer(Inlet *in);
/* Tells the job's home, on whatever loop, that it lies in the ledger, queued and held by nobody:
 * it was replayed. Any loop's thread. */
void inlet_wake(Inlet *in, unsigned shard, Span target, int64_t job_id);
