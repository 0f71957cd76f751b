/* SPDX-License-Identifier: Apache-2.0
 *
 * Okta event hooks: {"data": {"events": [log event, ...]}}, at least once and in any order. */
#include "source/envelope.h"

#include "json/value.h"

static int fill(const EnvelopeCall *call, EnvelopeEvent *event, EnvelopeFault *fault) {
        Arena *a = call->arena;

        (void)fault;
        event->type = envelope_text(a, json_member(event->body, SPAN("eventType")));
        event->time = envelope_text(a, json_member(event->body, SPAN("published")));
        event->key = envelope_text(a, json_member(event->body, SPAN("uuid")));
        event->subject = envelope_text(a, json_at(event->body, SPAN("/target/0/id")));
        return 0;
}

static int open_okta_event(const EnvelopeCall *call, EnvelopeEvent *ret, EnvelopeFault *fault) {
        return envelope_each(call, json_at(call->body, SPAN("/data/events")), "data.events", ret,
                             fault, fill);
}

const Envelope envelope_okta_event = {
        .name = "okta-event",
        .help = "the log events in `data.events`, each an event",
        .events_max = ENVELOPE_EVENTS_MAX,
        .open = open_okta_event,
};
