/* SPDX-License-Identifier: Apache-2.0
 *
 * An event is rehearsed: what its flows would do now, without doing it. */
#include "api/nouns.h"
#include "trigger/rehearsal.h"

static void on_done(void *arg, Span json) {
        Op *op = arg;

        if (json.p)
                op_body(op, 200, "application/json", json);
        else
                op_error(op, 500, "too_large", "what the flows would do is too large to show");
}

static void on_event(Op *op) {
        EventView *v = op->request.event.ret;
        int r;

        if (!v) {
                op_error(op, 404, "not_found", "there is no such event");
                return;
        }
        if (v->event.body.n == 0)
                r = -ENODATA;
        else
                r = rehearsal_start(op->admin->inlet->runner, &v->event, on_done, op);
        event_view_free(v);
        if (r == -ENODATA)
                op_error(op, 409, "no_body", "the body of this event is no longer kept");
        else if (r < 0)
                op_error(op, 409, "no_source",
                         "its source is not in the configuration: messages of applications are "
                         "sent once more by a resend or a replay");
}

void event_rehearse(Op *op) {
        int64_t id;

        if (id_parse("evt", op_param(op, "event_id"), &id))
                op_ask(op, &(LedgerRequest){.ask = ASK_EVENT, .event = {.id = id}}, on_event);
        else
                op_error(op, 404, "not_found", "an event's id looks like evt_0123456789abc");
}
