/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/emission.h"

#include "trigger/arrival.h"
#include "trigger/message.h"

static void on_arrived(void *arg, const ArrivalOut *out) {
        Emission *e = arg;

        e->done(e, out->fault, out->why, out->first);
}

static void on_sent(void *arg, const MessageOut *out, size_t n, bool all_delivered) {
        Emission *e = arg;

        (void)n;
        (void)all_delivered;
        e->done(e, out->fault, out->why, out->id);
}

/* Copies what it is lent only while it is asked: the run's arena holds it until `done`. */
static void send_message(Inlet *in, Emission *e) {
        Entry *to = registry_find(in->registry, OBJECT_APPLICATION, 0, "app", e->application);
        char meta[48];

        if (!to) {
                e->done(e, -EINVAL, "there is no such application", 0);
                return;
        }
        (void)snprintf(meta, sizeof meta, "{\"depth\":%" PRId64 "}", e->depth);
        message_send(in,
                     &(MessageIn){.application = to->object.id,
                                  .type = e->type,
                                  .key = e->key,
                                  .subject = e->subject,
                                  .payload = e->body,
                                  .meta = span_of(meta),
                                  .trace = e->trace},
                     1, 0, on_sent, e);
        entry_unref(to);
}

void emission_send(Inlet *in, Emission *e) {
        char meta[48];

        if (e->application.n) {
                send_message(in, e);
                return;
        }
        (void)snprintf(meta, sizeof meta, "\"depth\":%" PRId64, e->depth);
        arrival_send(in, e->source,
                     &(EnvelopeEvent){.body = e->body,
                                      .type = e->type,
                                      .subject = e->subject,
                                      .key = e->key,
                                      .meta = span_of(meta)},
                     1, e->trace, on_arrived, e);
}
