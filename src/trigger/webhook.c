/* SPDX-License-Identifier: Apache-2.0
 *
 * One webhook, from its whole request to its place in the ledger: verify, read, plan, evaluate
 * what the source's configuration asks for, record. Nothing is stored before all of it is well. */
#include "trigger/inlet.h"

#include "base/clock.h"
#include "base/table.h"
#include "http/prefer.h"
#include "trigger/recording.h"
#include "json/check.h"
#include "json/value.h"

#include <openssl/evp.h>

#define INTAKE_ARENA_MAX_BYTES (32 * 1024 * 1024)
#define BACKGROUND_RUN_MS      60000 /* a run that no source waits for */

enum { VALUE_ONCE, VALUE_PREFER, VALUE_TYPE, VALUE_TIME, VALUE_SUBJECTS };

struct Intake {
        Inlet *in;
        Exchange *x;
        Snapshot *snapshot;
        const Source *source;
        Arena *arena;
        int64_t received_ms, received_mono_ms;
        Prefer prefer;
        const Flow *flows[FLOWS_PER_EVENT_MAX];
        size_t n_flows;
        /* Expressions to evaluate before recording. */
        const Program *programs[VALUE_SUBJECTS + FLOWS_PER_EVENT_MAX];
        Span values[VALUE_SUBJECTS + FLOWS_PER_EVENT_MAX];
        size_t at;
        MapCall call;
        MapRoot root[2];
        Span message_id;
        JwkSet *keys; /* that were asked for, of rules whose keys are fetched */
        uint64_t keys_number, keys_seen;
        unsigned key_asks;
        Event *event;
        Waiter *waiter;
        bool is_recorded, is_told; /* what was heard of it, in any order */
        int64_t event_id;
};

static void record(Intake *k);

static void intake_free(Intake *k) {
        event_unref(k->event);
        snapshot_unref(k->snapshot);
        waiter_unref(k->waiter);
        jwk_set_unref(k->keys);
        arena_free(k->arena);
        free(k);
}

static void refuse(Intake *k, int status, const char *code, const char *message) {
        Outcome o = {.status = status,
                     .code = code,
                     .message = span_of(message),
                     .retryable = status == 503 || status == 429,
                     .retry_after_s = -1};

        k->in->counts.refused++;
        answer_source(k->in, k->x, k->source, &o, 0);
        intake_free(k);
}

/* ---- the head ---- */

bool webhook_head(Inlet *in, Exchange *x, Span name) {
        const Source *s = snapshot_source(in->runner->snapshot, name);

        if (!s) {
                answer_problem(x, 404, "unknown-source", "there is no source of this name");
                return false;
        }
        if (atomic_load(&in->draining)) {
                answer_problem(x, 503, "stopping", "Grapnel is stopping; try again soon");
                return false;
        }
        x->body_max = (size_t)s->config->body_max_bytes;
        x->arg = in; /* it is a webhook */
        return true;
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
                refuse(k, 503, "no-keys", "the issuer's keys cannot be had; try again soon");
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
                refuse(k, 401, "not-verified", why);
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

static bool media_allowed(const HttpHead *h) {
        Span type = http_head_get(h, "content-type");

        /* Forms are read in another way by everyone else: one body, one meaning. */
        return !begins(type, SPAN("application/x-www-form-urlencoded")) &&
               !begins(type, SPAN("multipart/"));
}

static bool read_body(Intake *k) {
        const HttpHead *h = k->x->head;
        JsonFault fault;
        char why[160];

        if (http_head_get(h, "content-encoding").p) {
                refuse(k, 415, "encoded", "send the body without Content-Encoding");
                return false;
        }
        if (http_head_count(h, "content-type") > 1) {
                refuse(k, 400, "ambiguous", "Content-Type is given twice");
                return false;
        }
        if (!media_allowed(h)) {
                refuse(k, 415, "not-json",
                       "the body must be JSON: send Content-Type: application/json");
                return false;
        }
        if (k->x->body.n == 0) {
                refuse(k, 400, "empty-body", "the body is empty");
                return false;
        }
        if (json_check(k->x->body, JSON_KEYS_MAX, &fault) < 0) {
                (void)snprintf(why, sizeof why, "the body is no JSON: %s at byte %zu", fault.why,
                               fault.offset);
                refuse(k, 400, "bad-json", why);
                return false;
        }
        return true;
}

/* ---- plan ---- */

static bool comes_from(const FlowConfig *f, const char *source) {
        for (size_t i = 0; i < f->n_on; i++)
                if (strcmp(f->on[i], source) == 0)
                        return true;
        return false;
}

static bool plan(Intake *k) {
        const Snapshot *s = k->snapshot;
        char why[160];

        for (size_t i = 0; i < s->config->n_flows; i++) {
                const Flow *f = &s->flows[i];
                Span twice;

                if (!comes_from(f->config, k->source->config->name))
                        continue;
                twice = plan_ambiguous(&f->plan, k->x->body);
                if (twice.p) {
                        (void)snprintf(why, sizeof why,
                                       "\"%.*s\" is given twice, and flows depend on it",
                                       twice.n > 64 ? 64 : (int)twice.n, twice.p);
                        refuse(k, 400, "ambiguous", why);
                        return false;
                }
                if (plan_matches(&f->plan, k->x->body) && k->n_flows < FLOWS_PER_EVENT_MAX)
                        k->flows[k->n_flows++] = f;
        }
        if (k->n_flows == 0 && k->source->config->unmatched == UNMATCHED_REFUSE) {
                refuse(k, 404, "unmatched", "no flow wants this event");
                return false;
        }
        return true;
}

/* ---- expressions ---- */

static void evaluate(Intake *k);

static void on_value(MapCall *c) {
        Intake *k = c->arg;
        Span text = program_text(c->program);
        char why[800];

        if (c->end == MAP_OK)
                k->values[k->at] = arena_span(k->arena, c->output);
        if (c->end == MAP_OK || c->end == MAP_EMPTY) {
                k->at++;
                evaluate(k);
                return;
        }
        (void)snprintf(why, sizeof why, "the expression %.*s failed: %s%s",
                       text.n > 200 ? 200 : (int)text.n, text.p,
                       c->end == MAP_UNSAFE ? "jq would round the number at " : "", c->why);
        refuse(k, 422, "mapping-failed", why);
}

static void evaluate(Intake *k) {
        Err e = {0};

        for (; k->at < COUNT_OF(k->programs); k->at++) {
                const Program *p = k->programs[k->at];

                if (!p)
                        continue;
                if (program_is_path(p)) {
                        k->values[k->at] = program_path_get(p, k->root, 1);
                        continue;
                }
                k->call = (MapCall){
                        .program = p, .roots = k->root, .n_roots = 1, .done = on_value, .arg = k};
                if (map_run(k->in->runner->map, &k->call, &e) < 0)
                        refuse(k, 503, "busy", e.text);
                return;
        }
        record(k);
}

/* The expressions of a source and a flow's subject look at the body itself: `.id`. They are run
 * as if the body were the root. */
static void ask(Intake *k) {
        const Source *s = k->source;

        k->programs[VALUE_ONCE] = k->message_id.p ? NULL : s->once;
        k->programs[VALUE_PREFER] = s->prefer;
        k->programs[VALUE_TYPE] = s->type;
        k->programs[VALUE_TIME] = s->time;
        for (size_t i = 0; i < k->n_flows; i++)
                k->programs[VALUE_SUBJECTS + i] = k->flows[i]->subject;
        k->root[0] = (MapRoot){SPAN(""), k->x->body};
        evaluate(k);
}

/* ---- from values to an event ---- */

static Span text_or_nothing(Intake *k, Span value, size_t max) {
        AUTO(buf_done)
        Buf b = BUF(max);

        if (!value.p || json_text(value, &b) < 0)
                return (Span){NULL, 0};
        return arena_span(k->arena, buf_span(&b));
}

static Span first_member(Span body, const char *a, const char *b) {
        Span v = {NULL, 0};

        if (json_kind(body) != JSON_OBJECT)
                return v;
        v = json_member(body, span_of(a));
        return v.p ? v : json_member(body, span_of(b));
}

/* A list or a map, which has no text but its JSON: [.id, .timestamp]. */
static bool is_composed(Span value) {
        return value.p && (json_kind(value) == JSON_ARRAY || json_kind(value) == JSON_OBJECT);
}

/* The key of this delivery: the message's id, what `once` says, else the hash of the body. */
static Span delivery_key(Intake *k) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned n = 0;
        Span key = k->message_id;

        if (!key.p)
                key = text_or_nothing(k, k->values[VALUE_ONCE], 64 * 1024);
        if (!key.p && is_composed(k->values[VALUE_ONCE]))
                key = k->values[VALUE_ONCE];
        if (key.n && key.n <= EVENT_KEY_MAX_BYTES)
                return key;
        Span bytes = key.n ? key : k->x->body;
        if (EVP_Digest(bytes.p, bytes.n, digest, &n, EVP_sha256(), NULL) != 1)
                return (Span){NULL, 0};
        return arena_span(k->arena, (Span){(char *)digest, n});
}

/* {"async": true, "wait": 3, "return": "representation"}: what the header says goes first. */
static void read_preferences(Intake *k) {
        Span v = k->values[VALUE_PREFER], member;
        const HttpHead *h = k->x->head;

        k->prefer = PREFER_NONE;
        for (size_t i = 0; i < h->n_headers; i++)
                if (span_eq_nocase(h->headers[i].name, SPAN("prefer")))
                        prefer_read(&k->prefer, h->headers[i].value);
        if (!v.p || json_kind(v) != JSON_OBJECT)
                return;
        member = json_member(v, SPAN("async"));
        if (member.p && json_kind(member) == JSON_TRUE)
                k->prefer.respond_async = true;
        member = json_member(v, SPAN("wait"));
        uint64_t seconds;
        if (member.p && k->prefer.wait_ms < 0 && span_to_u64(json_trim(member), 3600, &seconds))
                k->prefer.wait_ms = (int64_t)seconds * 1000;
        member = text_or_nothing(k, json_member(v, SPAN("return")), 64);
        if (k->prefer.give == RETURN_UNSAID && member.p)
                k->prefer.give = span_eq(member, SPAN("representation")) ? RETURN_REPRESENTATION
                                 : span_eq(member, SPAN("minimal"))      ? RETURN_MINIMAL
                                                                         : RETURN_UNSAID;
}

static Event *make_event(Intake *k) {
        Span body = k->x->body, type = k->values[VALUE_TYPE], time = k->values[VALUE_TIME];
        Event parts = {.id = id_make(&k->in->ids, k->received_ms),
                       .received_ms = k->received_ms,
                       .source = span_of(k->source->config->name),
                       .key = delivery_key(k),
                       .content_type = http_head_get(k->x->head, "content-type"),
                       .trace = http_head_get(k->x->head, "traceparent"),
                       .body = body};

        if (!type.p)
                type = first_member(body, "eventType", "type");
        if (!time.p)
                time = first_member(body, "timestamp", "time");
        parts.type = text_or_nothing(k, type, EVENT_WORD_MAX_BYTES);
        parts.subject =
                k->n_flows ? text_or_nothing(k, k->values[VALUE_SUBJECTS], EVENT_SUBJECT_MAX_BYTES)
                           : (Span){NULL, 0};
        if (!clock_parse(text_or_nothing(k, time, 64), &parts.time_ms))
                parts.time_ms = 0;
        if (parts.content_type.n > 128)
                parts.content_type.n = 128;
        if (parts.trace.n > 128)
                parts.trace = (Span){NULL, 0};
        return event_new(&parts);
}

/* Where work for one subject lives, whichever flow it is for. */
static uint64_t subject_hash(const Intake *k, Span subject) {
        return hash_keyed(subject, k->in->lane_key[0], k->in->lane_key[1]);
}

static Job *make_job(Intake *k, size_t i) {
        AUTO(buf_done)
        Buf name = BUF(8192);
        const Flow *f = k->flows[i];
        Span subject = text_or_nothing(k, k->values[VALUE_SUBJECTS + i], EVENT_SUBJECT_MAX_BYTES);
        uint64_t lane = 0;

        if (f->config->ordered && subject.n &&
            buf_addf(&name, "%s%c" SPAN_FMT, f->target, 1, SPAN_ARG(subject)) == 0)
                lane = subject_hash(k, buf_span(&name)) | 1;
        Job *j = job_new(id_make(&k->in->ids, k->received_ms), k->event, span_of(f->target), lane);
        j->shard = (uint8_t)(subject.n ? subject_hash(k, subject) : k->in->loop->index);
        return j;
}

/* ---- who waits ---- */

static bool any_waits(const Intake *k) {
        for (size_t i = 0; i < k->n_flows; i++)
                if (k->flows[i]->config->reply == REPLY_WAIT)
                        return true;
        return false;
}

static int64_t flow_patience(const Intake *k) {
        int64_t least = 0;

        for (size_t i = 0; i < k->n_flows; i++) {
                int64_t w = k->flows[i]->config->wait_ms;

                if (k->flows[i]->config->reply == REPLY_WAIT && w && (!least || w < least))
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

static void start_waiting(Intake *k, Recording *r) {
        int64_t patience = patience_of(k);
        unsigned held = 0;

        for (size_t i = 0; i < r->n_jobs; i++)
                held += !r->jobs[i]->spilled;
        if (held == 0 || k->prefer.respond_async || (!any_waits(k) && patience <= 0))
                return;
        k->waiter = waiter_new(&k->in->loop->inbox, held);
        k->waiter->on_told = on_told;
        k->waiter->arg = k;
        k->waiter->until_ms = k->received_mono_ms +
                              (patience ? BACKGROUND_RUN_MS : k->source->config->deadline_ms);
        for (size_t i = 0; i < r->n_jobs; i++)
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
        if (o->status < 300 && o->status != 202 && k->prefer.give != RETURN_REPRESENTATION)
                o->data = (Span){NULL, 0};
        if (o->status < 300 && o->status != 202 && k->prefer.give == RETURN_MINIMAL)
                o->status = 204;
        answer_source(k->in, k->x, k->source, o, store ? k->event_id : 0);
        k->in->counts.answered++;
}

static void answer_accepted(Intake *k, bool store) {
        Outcome o = {.status = 202,
                     .code = "accepted",
                     .message = SPAN("Accepted; it is being worked on."),
                     .retry_after_s = -1};

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
        if (r->result == RECORD_CONFLICT) {
                refuse(k, 422, "conflict", "this message id was used before with another body");
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

/* ---- the record ---- */

static void on_recorded(Recording *r, void *arg) {
        Intake *k = arg;
        int64_t patience;

        k->is_recorded = true;
        if (r->fault < 0) {
                refuse(k, 503, "ledger", "the event could not be stored; try again");
        } else if (r->result != RECORD_NEW) {
                answer_repeat(k, r);
        } else if (k->in->counts.accepted++, !k->waiter) {
                answer_accepted(k, false);
                intake_free(k);
        } else if (k->is_told) {
                answer_told(k);
        } else if ((patience = patience_of(k)) && !atomic_load(&k->waiter->told)) {
                heap_push(&k->in->patience, &k->waiter->patience, k->received_mono_ms + patience);
                inlet_set_timer(k->in);
        }
}

static void record(Intake *k) {
        Recording *r;

        read_preferences(k);
        k->event = make_event(k);
        k->event_id = k->event->id;
        r = recording_new(k->in, k->event, k->n_flows);
        for (size_t i = 0; i < k->n_flows; i++)
                r->jobs[i] = make_job(k, i);
        recording_place(r);
        start_waiting(k, r);
        if (recording_send(r, on_recorded, k) < 0) {
                recording_drop(r);
                refuse(k, 503, "busy", "too much is waiting to be stored; try again soon");
        }
}

static void take_in(Intake *k) {
        if (verify(k) && read_body(k) && plan(k))
                ask(k);
}

void webhook_request(Inlet *in, Exchange *x) {
        Intake *k = must_alloc(sizeof *k);

        in->counts.webhooks++;
        k->in = in;
        k->x = x;
        k->snapshot = snapshot_ref(in->runner->snapshot);
        k->source = snapshot_source(k->snapshot, span_from(x->head->path, 4));
        k->arena = arena_new(INTAKE_ARENA_MAX_BYTES);
        k->received_ms = clock_wall_ms();
        k->received_mono_ms = clock_mono_ms();
        if (!k->source) { /* a reload took it away between head and body */
                answer_problem(x, 404, "unknown-source", "there is no source of this name");
                intake_free(k);
                return;
        }
        take_in(k);
}
