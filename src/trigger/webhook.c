/* SPDX-License-Identifier: Apache-2.0
 *
 * One webhook, from its whole request to its answer: greet, verify, read, then unpack.c, record.
 * Nothing is stored before all of it is well. */
#include "trigger/intake.h"

#include "base/clock.h"
#include "flow/view.h"
#include "trigger/jwks.h"
#include "json/check.h"

#define INTAKE_ARENA_MAX_BYTES (64 * 1024 * 1024)
#define BACKGROUND_RUN_MS      60000 /* a run that no source waits for */

_Static_assert((int)ENVELOPE_EVENTS_MAX <= (int)EVENTS_TOGETHER_MAX,
               "what one call may hold goes into one commit");

Intake *intake_new(Inlet *in) {
        Intake *k = must_alloc(sizeof *k);

        k->in = in;
        k->snapshot = snapshot_ref(in->runner->snapshot);
        k->arena = arena_new(INTAKE_ARENA_MAX_BYTES);
        k->received_ms = clock_wall_ms();
        k->received_mono_ms = clock_mono_ms();
        return k;
}

void intake_free(Intake *k) {
        snapshot_unref(k->snapshot);
        waiter_unref(k->waiter);
        jwk_set_unref(k->keys);
        arena_free(k->arena);
        free(k);
}

void intake_refuse_with(Intake *k, const Outcome *o) {
        k->in->counts.refused++;
        if (k->x)
                answer_source(k->in, k->x, k->source, o, 0);
        else
                arrival_refused(k, o);
        intake_free(k);
}

void intake_refuse(Intake *k, int status, const char *code, const char *message) {
        intake_refuse_with(k, &(Outcome){.status = status,
                                         .code = code,
                                         .message = span_of(message),
                                         .retryable = status == 503 || status == 429,
                                         .retry_after_s = -1});
}

/* ---- the head ---- */

bool webhook_head(Inlet *in, Exchange *x, Span name) {
        const Source *s = snapshot_source(in->runner->snapshot, name);

        if (!s) {
                answer_problem(x, 404, "unknown-source", "there is no source of this name");
                return false;
        }
        if (atomic_load(&in->draining)) {
                Outcome o = {.status = 503,
                             .code = "stopping",
                             .message = SPAN("Grapnel is stopping; try again soon"),
                             .retryable = true,
                             .retry_after_s = 1};

                answer_source(in, x, s, &o, 0);
                return false;
        }
        x->body_max = (size_t)s->config->body_max_bytes;
        x->arg = in; /* it is a webhook */
        return true;
}

/* ---- handshakes ---- */

bool webhook_greets(Inlet *in, Span name, HttpMethod method) {
        const Source *s = snapshot_source(in->runner->snapshot, name);

        return s && s->handshake && s->handshake->method == method;
}

/* Is it a handshake? Then it is answered, and the intake is gone. */
static bool greet(Intake *k, bool is_verified) {
        HandshakeAnswer ret = {.body = BUF(HANDSHAKE_BODY_MAX_BYTES)};
        const Handshake *h = k->source->handshake;
        int r;

        if (!h || h->is_verified != is_verified || h->method != k->x->head->method)
                return false;
        r = h->answer(k->x->head, is_verified ? k->view : k->x->body, &ret);
        if (r == HANDSHAKE_ANSWERED) {
                exchange_answer(k->x, &(HttpAnswer){.status = ret.status,
                                                    .content_type = ret.content_type,
                                                    .body = buf_span(&ret.body),
                                                    .headers = ret.headers,
                                                    .n_headers = ret.n_headers});
                intake_free(k);
        } else if (r < 0) {
                intake_refuse(k, 400, "bad-handshake", "this handshake cannot be read");
        } else if (k->x->head->method != HTTP_POST) {
                intake_refuse(k, 400, "no-handshake",
                              "webhooks are POSTed; this is not the handshake either");
                r = HANDSHAKE_ANSWERED;
        }
        buf_done(&ret.body);
        return r != HANDSHAKE_NONE;
}

/* ---- verify and read ---- */

static Span header_of(const void *arg, const char *name, size_t *count) {
        const HttpHead *h = arg;

        *count = http_head_count(h, name);
        return http_head_get(h, name);
}

static void take_in(Intake *k);

static void on_keys(JwksAsk *a) {
        Intake *k = a->arg;
        bool has_keys = a->set;

        jwk_set_unref(k->keys);
        k->keys = TAKE(a->set);
        k->keys_number = a->number;
        jwks_ask_free(a);
        /* Strangers are not told which address could not be reached. */
        if (has_keys)
                take_in(k);
        else
                intake_refuse(k, 503, "no-keys", "the issuer's keys cannot be had; try again soon");
}

/* Once for keys that this loop does not have, and once more for others than those. */
static bool may_ask_for_keys(const Intake *k) {
        return k->key_asks == 0 || (k->key_asks == 1 && k->keys_number != k->keys_seen);
}

/* False when it was refused, or when it waits for keys: then on_keys takes it up again. */
static bool verify(Intake *k) {
        const HttpHead *h = k->x->head;
        const SignRule *rule = &k->source->config->verify;
        bool discover;
        const char *keys_at = sign_rule_keys_at(rule, &discover);
        SignInput in = {.get = header_of,
                        .arg = h,
                        .body = k->x->body,
                        .now_ms = k->received_ms,
                        .method = http_method_name(h->method),
                        .path = h->path,
                        .query = h->query,
                        .keys = k->keys};
        const char *why = "the webhook could not be verified";

        if (keys_at && !in.keys)
                in.keys = jwks_get(k->in, keys_at, &k->keys_number);
        SignVerdict v = sign_check(rule, &in, &why);
        if (v == SIGN_NO_KEY && keys_at && may_ask_for_keys(k)) {
                k->key_asks++;
                k->keys_seen = k->keys_number;
                jwks_ask(k->in, k->snapshot, keys_at, discover, k->keys_seen, on_keys, k);
                return false;
        }
        if (v != SIGN_OK) {
                intake_refuse(k, 401, "not-verified", why);
                return false;
        }
        if (rule->scheme->message_id)
                k->message_id = rule->scheme->message_id(rule, &in);
        return true;
}

/* Case does not count in types (RFC 9110 section 8.3.1), and what is malformed behind them neither:
 * who reads it as a form reads it as one then too. */
static bool begins(Span type, Span with) {
        return type.n >= with.n && span_eq_nocase((Span){type.p, with.n}, with);
}

static bool read_form(Intake *k) {
        FormRule rule = k->source->config->forms;
        char why[160];
        int r;

        if (rule == FORMS_REFUSE) {
                intake_refuse(k, 415, "not-json",
                              "the body must be JSON: send Content-Type: application/json");
                return false;
        }
        k->is_form = true;
        r = view_of_form(k->x->body, rule, k->arena, &k->view, why);
        if (r == -EBADMSG)
                intake_refuse(k, 400, "bad-form", why);
        else if (r < 0)
                intake_refuse(k, 413, "too-large", "the form is too large to be read");
        return r == 0;
}

static bool read_json(Intake *k) {
        JsonFault fault;
        char why[160];

        if (json_check(k->x->body, JSON_KEYS_MAX, &fault) < 0) {
                (void)snprintf(why, sizeof why, "the body is no JSON: %s at byte %zu", fault.why,
                               fault.offset);
                intake_refuse(k, 400, "bad-json", why);
                return false;
        }
        k->view = k->x->body;
        return true;
}

/* Forms are read in another way by everyone else, and parts too: one body, one meaning. So they are
 * taken only where the source says so. */
static bool read_body(Intake *k) {
        const HttpHead *h = k->x->head;
        Span type = http_head_get(h, "content-type");

        if (http_head_get(h, "content-encoding").p) {
                intake_refuse(k, 415, "encoded", "send the body without Content-Encoding");
                return false;
        }
        if (http_head_count(h, "content-type") > 1) {
                intake_refuse(k, 400, "ambiguous", "Content-Type is given twice");
                return false;
        }
        if (begins(type, SPAN("multipart/"))) {
                intake_refuse(k, 415, "not-json",
                              "the body must be JSON: send Content-Type: application/json");
                return false;
        }
        if (k->x->body.n == 0 && !k->source->envelope->may_be_empty) {
                intake_refuse(k, 400, "empty-body", "the body is empty");
                return false;
        }
        if (begins(type, SPAN("application/x-www-form-urlencoded")))
                return read_form(k);
        return k->x->body.n == 0 || read_json(k);
}

/* ---- who waits ---- */

static bool any_waits(const Intake *k) {
        for (size_t i = 0; i < k->items[0].n_flows; i++)
                if (k->items[0].flows[i]->config->reply == REPLY_WAIT)
                        return true;
        return false;
}

static int64_t flow_patience(const Intake *k) {
        int64_t least = 0;

        for (size_t i = 0; i < k->items[0].n_flows; i++) {
                int64_t w = k->items[0].flows[i]->config->wait_ms;

                if (k->items[0].flows[i]->config->reply == REPLY_WAIT && w && (!least || w < least))
                        least = w;
        }
        return least;
}

static void on_told(Waiter *w);

/* How long the source waits before it hears 202; 0: until its deadline, for the result. */
static int64_t patience_of(const Intake *k) {
        int64_t p = k->prefer.wait_ms >= 0 ? k->prefer.wait_ms : flow_patience(k);

        return p > k->source->config->deadline_ms ? k->source->config->deadline_ms : p;
}

/* For flows, which come first: what endpoints say is none of the source's business. */
static void start_waiting(Intake *k, Recording *r) {
        int64_t patience = patience_of(k);
        unsigned held = 0;

        /* Of several events no single result is the answer: the call is answered when they are
         * stored. */
        if (k->n_items != 1)
                return;
        for (size_t i = 0; i < k->items[0].n_flows; i++)
                held += !r->jobs[i]->spilled;
        if (held == 0 || k->prefer.respond_async || (!any_waits(k) && patience <= 0))
                return;
        k->waiter = waiter_new(&k->in->loop->inbox, held);
        k->waiter->on_told = on_told;
        k->waiter->arg = k;
        k->waiter->until_ms = k->received_mono_ms +
                              (patience ? BACKGROUND_RUN_MS : k->source->config->deadline_ms);
        for (size_t i = 0; i < k->items[0].n_flows; i++)
                if (!r->jobs[i]->spilled)
                        r->jobs[i]->waiter = waiter_ref(k->waiter);
}

/* ---- answers ---- */

static void answer(Intake *k, Outcome *o, bool store) {
        char address[EVENT_ADDRESS_TEXT], id[ID_TEXT], url[512];
        const char *base = k->snapshot->config->public_url;

        event_address(k->in, k->event_id, address);
        id_print("evt", k->event_id, id);
        (void)snprintf(url, sizeof url, "%s/events/%s", base ? base : "", address);
        o->event = span_of(id);
        o->event_url = span_of(url);
        if (o->status < 300 && o->status != 202 && k->prefer.give != RETURN_REPRESENTATION &&
            !o->is_answer)
                o->data = (Span){NULL, 0};
        if (o->status < 300 && o->status != 202 && k->prefer.give == RETURN_MINIMAL)
                o->status = 204;
        answer_source(k->in, k->x, k->source, o, store ? k->event_id : 0);
        k->in->counts.answered++;
}

static void answer_accepted(Intake *k, bool store) {
        char several[96];
        Outcome o = {.status = 202,
                     .code = "accepted",
                     .message = SPAN("Accepted; it is being worked on."),
                     .retry_after_s = -1};

        if (k->n_items > 1) {
                (void)snprintf(several, sizeof several,
                               "Accepted: %zu events; they are being worked on.", k->n_items);
                o.message = span_of(several);
        }

        answer(k, &o, store);
}

static void answer_told(Intake *k) {
        const Waiter *w = k->waiter;

        if (w->outcome) {
                Outcome o = *w->outcome;

                /* "Try again" is no answer to keep: who does is heard anew, or the work goes on. */
                answer(k, &o, !o.retryable);
        } else
                answer_accepted(k, true);
        intake_free(k);
}

/* On the source's loop: a job decided, or patience ended, or a job left memory (no outcome). */
static void on_told(Waiter *w) {
        Intake *k = w->arg;

        heap_remove(&k->in->patience, &w->patience);
        k->is_told = true;
        if (k->is_recorded)
                answer_told(k);
}

static void answer_repeat(Intake *k, const Recording *r) {
        k->event_id = r->known_event;
        k->in->counts.repeats++;
        if (r->result == RECORD_CONFLICT && k->source->config->changed == CHANGED_REFUSE) {
                intake_refuse(k, 422, "conflict",
                              "this message id was used before with another body");
                return;
        }
        if (r->has_answer) {
                exchange_answer(k->x, &(HttpAnswer){.status = r->answer_status,
                                                    .content_type = r->answer_type.p,
                                                    .body = r->answer_body});
        } else
                answer_accepted(k, false);
        intake_free(k);
}

/* A call of several: those that are new run, repeats do not. One whose key was used for something
 * else is refused, and the sender hears which; sent again, the others are repeats. */
static void answer_several(Intake *k, const Recording *r) {
        size_t n_new = 0;
        char why[160];

        for (size_t i = 0; i < r->n_events; i++) {
                int64_t known;
                RecordResult result = recording_result(r, i, &known);

                if (result == RECORD_CONFLICT && k->source->config->changed == CHANGED_REFUSE) {
                        (void)snprintf(
                                why, sizeof why,
                                "event %zu of this call: its id was used before with another "
                                "body; the other events are stored",
                                i + 1);
                        intake_refuse(k, 422, "conflict", why);
                        return;
                }
                n_new += result == RECORD_NEW;
                if (i == 0 && result != RECORD_NEW)
                        k->event_id = known;
        }
        k->in->counts.accepted += n_new;
        k->in->counts.repeats += r->n_events - n_new;
        answer_accepted(k, false);
        intake_free(k);
}

/* ---- the record ---- */

/* Then the source hears 202: its patience is over, or its deadline, and no run has told anything,
 * as it could not begin (an earlier job of its subject is still at work, or there is no place). */
static void set_patience(Intake *k) {
        Waiter *w = k->waiter;
        int64_t patience = patience_of(k);

        if (atomic_load(&w->told))
                return;
        heap_push(&k->in->patience, &w->patience,
                  patience ? k->received_mono_ms + patience : w->until_ms);
        if (heap_first(&k->in->patience) == &w->patience)
                inlet_set_timer(k->in);
}

static void on_recorded(Recording *r, void *arg) {
        Intake *k = arg;

        k->is_recorded = true;
        if (r->fault == 0 && r->n_events == 1 && r->result == RECORD_NEW)
                k->in->counts.accepted++;
        if (r->fault < 0) {
                intake_refuse(k, 503, "ledger", "the event could not be stored; try again");
        } else if (r->n_events > 1) {
                answer_several(k, r);
        } else if (r->result != RECORD_NEW) {
                answer_repeat(k, r);
        } else if (!k->waiter) {
                answer_accepted(k, false);
                intake_free(k);
        } else if (k->is_told) {
                answer_told(k);
        } else {
                set_patience(k);
        }
}

static void answer_nothing(Intake *k) {
        Outcome o = {.status = 200,
                     .code = "nothing",
                     .message = SPAN("The call holds no event."),
                     .retry_after_s = -1};

        answer_source(k->in, k->x, k->source, &o, 0);
        intake_free(k);
}

void intake_record(Intake *k) {
        Recording *r;

        if (!k->x) {
                arrival_record(k);
                return;
        }
        if (k->n_items == 0) {
                answer_nothing(k);
                return;
        }
        k->prefer = intake_preferences(k);
        r = intake_recording(k);
        if (!r) {
                intake_refuse(k, 404, "unmatched", "no flow or endpoint wants this event");
                return;
        }
        start_waiting(k, r);
        if (recording_send(r, on_recorded, k) < 0) {
                recording_drop(r);
                intake_refuse(k, 503, "busy", "too much is waiting to be stored; try again soon");
        }
}

static void take_in(Intake *k) {
        if (verify(k) && read_body(k) && !greet(k, true))
                intake_unpack(k);
}

void webhook_request(Inlet *in, Exchange *x) {
        Intake *k = intake_new(in);

        in->counts.webhooks++;
        k->x = x;
        k->head = x->head;
        k->body = x->body;
        k->source = snapshot_source(k->snapshot, span_from(x->head->path, 4));
        if (!k->source) { /* a reload took it away between head and body */
                answer_problem(x, 404, "unknown-source", "there is no source of this name");
                intake_free(k);
                return;
        }
        if (!greet(k, false))
                take_in(k);
}
