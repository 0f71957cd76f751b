/* SPDX-License-Identifier: Apache-2.0
 *
 * Replays: which deliveries are to be made once more. What people asked for is an object whose
 * text says it, so that it survives a restart:
 *
 *   {"kind": "recover" | "missing" | "filter", "application": id, "endpoint": id (0: all),
 *    "types": [...], "state": "failed" | "delivered" | "any" (of a filter), "since": ms,
 *    "until": ms, "rate": per second (0: as fast as it goes), "cursor": id of the last event that
 *    was looked at, "total": n (-1: not counted), "done": n, "progress": "running" | "done" |
 *    "cancelled", "createdAt": ms, "updatedAt": ms}
 *
 * recover: deliveries that failed; missing: messages that the endpoint wants and that never went
 * to it; filter: deliveries that ended, as they ended. Oldest first. */
#pragma once

#include "flow/registry.h"
#include "ledger/view.h"

enum { REPLAY_TYPES_MAX = 100 };

typedef enum ReplayKind { REPLAY_RECOVER, REPLAY_MISSING, REPLAY_FILTER } ReplayKind;
typedef enum ReplayEnd { REPLAY_FAILED, REPLAY_DELIVERED, REPLAY_ANY } ReplayEnd;

typedef struct Replay {
        ReplayKind kind;
        ReplayEnd end; /* of a filter */
        int64_t application, endpoint;
        const Span *types;
        size_t n_types;
        int64_t since_ms, until_ms, cursor, rate, total, done;
        bool is_running;
} Replay;

extern const char *const replay_kinds[];
extern const char *const replay_ends[];

/* Reads an object's text; what it holds lives in `a`. False: it is none. */
MUST_CHECK bool replay_read(Span text, Arena *a, Replay *ret);
/* Appends the text that it has further on: its cursor, deliveries and progress are these. */
MUST_CHECK int replay_progress(Span text, int64_t cursor, int64_t done, const char *progress,
                               int64_t now_ms, Buf *out);
/* The page of events after its cursor; spans live in `a`. */
MUST_CHECK bool replay_query(const Replay *r, size_t max, Arena *a, EventQuery *ret);
/* The deliveries of this event that it is about: how many, and of the first `max` their endpoints
 * (references, the caller's). */
size_t replay_targets(const Replay *r, Registry *registry, const EventView *v, size_t max,
                      Endpoint **ret);
