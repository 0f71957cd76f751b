/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations, by the noun that they are about: each row of the table names one. Their schemas
 * stand beside them. */
#pragma once

#include "api/list.h"
#include "source/envelope.h"
#include "trigger/message.h"

/* ---- application.c ---- */
extern const Schema schema_application_in, schema_application_patch, schema_application_out,
        schema_application_list, query_application_list, query_application_create;
void application_list(Op *op);
void application_create(Op *op);
void application_get(Op *op);
void application_put(Op *op);
void application_patch(Op *op);
void application_delete(Op *op);
/* Makes the application that a request carries along as `field`, when that of the path is not
 * there; then goes on with `then`, the application in its place. Answers with 404 when the request
 * carries none. */
void application_along(Op *op, const char *field, void (*then)(Op *op));

/* ---- event_type.c ---- */
extern const Schema schema_event_type_in, schema_event_type_update, schema_event_type_patch,
        schema_event_type_out, schema_event_type_list, query_event_type_list,
        query_event_type_delete;
void event_type_list(Op *op);
void event_type_create(Op *op);
void event_type_get(Op *op);
void event_type_put(Op *op);
void event_type_patch(Op *op);
void event_type_delete(Op *op);
/* Does it lie in the archive? One that nobody made does not. */
bool event_type_rests(const Op *op, Span name);

/* ---- endpoint.c ---- */
extern const Schema schema_endpoint_in, schema_endpoint_update, schema_endpoint_patch,
        schema_endpoint_out, schema_endpoint_list, schema_endpoint_shown, query_endpoint_list;
void endpoint_list(Op *op);
void endpoint_create(Op *op);
void endpoint_get(Op *op);
void endpoint_put(Op *op);
void endpoint_patch(Op *op);
void endpoint_delete(Op *op);
/* The members of EndpointOut, into an open object. */
void endpoint_show(Put *p, const Entry *e);
/* Writes a changed text of op->endpoint, judged first; goes on with `then`. */
void endpoint_write(Op *op, Span text, void (*then)(Op *op, Entry *written));
/* The same for an object that was judged (NULL: its text is too large), once its programs compile
 * and are not too many. */
void endpoint_write_tried(Op *op, const ObjectWrite *w, const Endpoint *judged,
                          void (*then)(Op *op, Entry *written));

/* ---- endpoint_secret.c ---- */
extern const Schema schema_secret_out, schema_secret_rotate_in;
void endpoint_secret_get(Op *op);
void endpoint_secret_rotate(Op *op);

/* ---- endpoint_headers.c ---- */
extern const Schema schema_headers_in, schema_headers_patch_in, schema_headers_out;
void endpoint_headers_get(Op *op);
void endpoint_headers_put(Op *op);
void endpoint_headers_patch(Op *op);

/* ---- message.c ---- */
extern const Schema schema_message_in, schema_message_out, schema_message_list,
        query_message_create, query_message_get, query_message_list;
void message_create(Op *op);
void message_list(Op *op);
void message_get(Op *op);
void message_expunge(Op *op);
/* The members of MessageOut, into an open object. */
void message_show(Put *p, const EventView *v, bool with_content);
/* Does it bear the tag? `tag` .p NULL: true. */
bool message_has_tag(const EventView *v, Span tag);
/* The query of a page of an application's messages, as the request's own query filters it; its
 * spans live with the op. False when it has answered. */
bool message_query(Op *op, const ListAsk *l, EventQuery *ret);
/* Answers with the page's events in the list's order; `each` writes one, or leaves it out. */
void message_page(Op *op, const ListAsk *l, EventPage *page,
                  void (*each)(Op *op, Put *p, const EventView *v));

/* ---- message_in.c ---- */
/* A message as the API takes it, from its judged values: what is wrong beyond the schema goes to
 * `c`. Lives with the op; `idem` is its idempotency key, or empty. */
bool message_read(Op *op, const Values *v, Span idem, const Where *at, MessageIn *ret,
                  Complaints *c);

/* ---- batch.c ---- */
extern const Schema schema_batch_out, query_batch;
void message_batch(Op *op);

/* ---- attempt.c ---- */
extern const Schema schema_attempt_out, schema_attempt_list, schema_destination_list,
        schema_attempted_list, query_attempts_by_endpoint, query_attempts_by_message,
        query_destinations, query_attempted, schema_nothing;
void attempt_list_by_endpoint(Op *op);
void attempt_list_by_message(Op *op);
void attempt_get(Op *op);
void attempt_expunge(Op *op);
void attempt_destinations(Op *op);
void attempt_messages(Op *op);

/* ---- resend.c ---- */
void message_resend(Op *op);

/* ---- stats.c ---- */
extern const Schema schema_stats, query_stats;
void endpoint_stats(Op *op);

/* ---- example.c ---- */
extern const Schema schema_example_in;
void endpoint_send_example(Op *op);

/* ---- task.c ---- */
extern const Schema schema_task_shown, schema_task_list, query_task_list;
void task_list(Op *op);
void task_get(Op *op);
const char *task_of(Span text); /* what Svix calls a replay of that text */
/* ---- trigger.c ---- */
extern const Schema schema_trigger_list;
void trigger_list(Op *op);
/* Is one of them in trouble? Then what /healthz says of it. */
bool trigger_trouble(const Op *op, Put *p);
/* Appends their metrics. */
MUST_CHECK int trigger_metrics(Watches *ws, Buf *out);

/* ---- rehearse.c ---- */
void event_rehearse(Op *op);

/* ---- replay.c ---- */
extern const Schema schema_recover_in, schema_task_out, schema_replay_in, schema_replay_out,
        schema_replay_list, query_replay_list;
void endpoint_recover(Op *op);
void endpoint_replay_missing(Op *op);
void replay_create(Op *op);
void replay_list(Op *op);
void replay_get(Op *op);
void replay_cancel(Op *op);

/* ---- backfill.c ---- */
extern const Schema schema_backfill_in, schema_backfill_report_in, schema_backfill_report_out,
        schema_backfill_out, schema_backfill_list, query_backfill_list;
void backfill_create(Op *op);
void backfill_report(Op *op);
void backfill_list(Op *op);
void backfill_get(Op *op);
void backfill_cancel(Op *op);
void backfill_resume(Op *op);
/* What the body asks for, checked against the configuration, its expression compiled; then `then`,
 * with its text as an object has it. */
void backfill_wish(Op *op, void (*then)(Op *op, Span text));

/* ---- auth.c ---- */
extern const Schema schema_portal_in, schema_portal_out;
void auth_portal(Op *op);
void auth_logout(Op *op);

/* ---- key.c ---- */
extern const Schema schema_key_in, schema_key_out, schema_key_made, schema_key_list, query_key_list;
void key_create(Op *op);
void key_list(Op *op);
void key_revoke(Op *op);

/* ---- event_in.c ---- */
typedef struct EventsIn {
        EnvelopeEvent *at; /* room for ENVELOPE_EVENTS_MAX; lives with the op */
        size_t n;
        bool are_many; /* it was a list or lines, if only of one */
} EventsIn;
typedef struct EventPlace {
        Where body, one;
        char word[24];
} EventPlace;
extern const RouteMedia media_event_in[];
/* The events of the body, each fit for the source. 0; -EBADMSG with complaints; -ENOTSUP: it is of
 * a kind that is not read; -EAGAIN: there was no memory to judge them. */
int event_read(Op *op, const Source *s, EventsIn *ret, Complaints *c);
/* Where the event `i` stands in the request; lives as long as `room`. */
const Where *event_place(const EventsIn *in, size_t i, EventPlace *room);

/* ---- event.c ---- */
extern const Schema schema_events_out;
void event_create(Op *op);

/* ---- daemon.c: what the admin listener told before there was an API ---- */
extern const Schema query_events;
void daemon_health(Op *op);
void daemon_ready(Op *op);
void daemon_alive(Op *op);
void daemon_metrics(Op *op);
void daemon_events(Op *op);
void daemon_event(Op *op);
void daemon_openapi(Op *op);
