/* SPDX-License-Identifier: Apache-2.0
 *
 * A message goes to an endpoint once more, by hand. One that waits for its next attempt does not
 * wait any longer: it is the same job, so it is not sent twice. */
#include "api/nouns.h"

typedef struct Resending {
        Job *job;
        uint8_t shard;
        char target[ENDPOINT_TARGET_TEXT];
} Resending;

static void on_replayed(Op *op) {
        Resending *r = op->mine;

        if (!op->request.write.replay.done) {
                op_error(op, 409, "conflict",
                         op->request.write.replay.found == JOB_BLOCKED
                                 ? "the delivery of this message waits for an earlier one: the "
                                   "endpoint is sent to in order"
                                 : "a delivery of this message to this endpoint is under way");
                return;
        }
        api_wake_job(op->admin, r->shard, span_of(r->target), op->request.write.replay.done_id);
        op_body(op, 202, "application/json", SPAN("{}"));
}

static void free_job(void *job) {
        job_free(job);
}

static void resend(Op *op, EventView *v) {
        const Endpoint *endpoint = op->endpoint->endpoint;
        Resending *r = arena_alloc(op->arena, sizeof *r);
        Event *event;

        must(r);
        if (endpoint->is_disabled) {
                event_view_free(v);
                op_error(op, 409, "endpoint_disabled", "the endpoint is disabled: enable it first");
                return;
        }
        event = event_new(&(Event){.id = v->event.id, .subject = v->event.subject});
        event_view_free(v);
        r->job = message_job(op->admin->inlet, event, endpoint);
        r->shard = r->job->shard;
        event_unref(event);
        must(arena_defer(op->arena, free_job, r->job) == 0);
        memcpy(r->target, endpoint->target, sizeof r->target);
        op->mine = r;
        op_ask(op,
               &(LedgerRequest){.ask = ASK_WRITE,
                                .write = {.kind = WRITE_REPLAY,
                                          .replay = {.job = r->job, .even_waiting = true}}},
               on_replayed);
}

void message_resend(Op *op) {
        op_message(op, resend);
}
