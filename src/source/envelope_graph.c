/* SPDX-License-Identifier: Apache-2.0
 *
 * Microsoft Graph: {"value": [notification, ...]}, of many subscriptions in one call; lifecycle
 * notifications have the same form. Two changes of one thing may be the same bytes, so without an
 * `id` none is taken for a repeat. */
#include "source/envelope.h"

#include "json/value.h"

static int fill(const EnvelopeCall *call, EnvelopeEvent *event, EnvelopeFault *fault) {
        Span lifecycle = json_member(event->body, SPAN("lifecycleEvent"));

        (void)fault;
        event->type = envelope_text(call->arena,
                                    lifecycle.p ? lifecycle
                                                : json_member(event->body, SPAN("changeType")));
        event->subject = envelope_text(call->arena, json_member(event->body, SPAN("resource")));
        event->key = envelope_text(call->arena, json_member(event->body, SPAN("id")));
        event->is_always_new = event->key.n == 0;
        return 0;
}

static int open_graph(const EnvelopeCall *call, EnvelopeEvent *ret, EnvelopeFault *fault) {
        return envelope_each(call, json_member(call->body, SPAN("value")), "value", ret, fault,
                             fill);
}

const Envelope envelope_graph = {
        .name = "graph",
        .help = "the notifications in `value`, each an event",
        .events_max = ENVELOPE_EVENTS_MAX,
        .open = open_graph,
};
