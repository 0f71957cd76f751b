/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/delivery.h"

#include "base/clock.h"
#include "flow/attempt_log.h"
#include "flow/cloudevent.h"
#include "flow/packet.h"
#include "flow/verdict.h"
#include "json/value.h"

enum {
        ARENA_MAX_BYTES = 24 * 1024 * 1024, /* a structured body is the payload once more */
        HEADERS_MAX = ENDPOINT_HEADERS_MAX + PROFILE_HEADERS_MAX + CLOUDEVENT_HEADERS + 8,
};

/* What it waits for. */
typedef enum DeliveryStage { STAGE_MAPPING, STAGE_TOKEN, STAGE_DIALLING } DeliveryStage;

typedef struct Delivery {
        Link link; /* of the outlet */
        DeliveryStage stage;
        Outlet *outlet;
        Endpoint *endpoint;
        Snapshot *snapshot;
        Arena *arena;
        Letter *letters; /* one per job */
        size_t n, at;    /* ... and the one that is being written */
        size_t written;  /* bytes, of those before it */
        bool is_writing, is_paused, is_cut;
        Packet packet;
        BreakerAnswer leave;
        int64_t started_ms, started_us;
        HttpHeader headers[HEADERS_MAX];
        size_t n_headers;
        ClientCall call;
        Bearer *bearer;
        TokenWait token_wait;
        Span token; /* that was used */
        bool second_try, has_consent;
} Delivery;

static void get_token(Delivery *d);
static void dial(Delivery *d);

/* ---- the end ---- */

/* What was sent and heard is on record with each job of a batch, but at length with one alone. */
static void write_logs(const Delivery *d, const ClientAnswer *a, Buf *whole, Buf *brief) {
        const Packet *v = &d->packet;
        bool is_batch = v->ids.n > 0;
        AttemptLog log = {.endpoint = d->endpoint,
                          .headers = d->headers,
                          .n_headers = d->n_headers,
                          .answer = a,
                          .batch = is_batch ? span_of(v->id) : SPAN(""),
                          .n_batch = v->n,
                          .kept = ATTEMPT_KEPT_BYTES};

        attempt_log_write(&log, whole);
        if (v->n < 2)
                return;
        log.kept = ATTEMPT_KEPT_BRIEF_BYTES;
        log.left_out = PACKET_IDS_HEADER;
        attempt_log_write(&log, brief);
}

/* Of one letter: as all, or as it ended by itself. */
static JobResult result_of(const Delivery *d, const Letter *l, const Verdict *v, Span detail) {
        JobResult r = {.verdict = v->job,
                       .wait_hint_ms = v->wait_ms,
                       .attempt = {.started_ms = d->started_ms,
                                   .took_us = clock_mono_us() - d->started_us,
                                   .status = v->status,
                                   .code = span_of(delivery_codes[v->code].name),
                                   .message = span_of(v->message),
                                   .detail = detail}};

        if (!l->is_over)
                return r;
        r.verdict = l->verdict;
        r.wait_hint_ms = -1;
        r.attempt.status = 0;
        r.attempt.code = span_of(delivery_codes[l->code].name);
        r.attempt.message = l->message;
        r.attempt.detail = (Span){NULL, 0};
        return r;
}

static Outcome outcome_of(const JobResult *r, const char *code) {
        return (Outcome){.status = r->verdict == JOB_SUCCEEDED ? 200 : 424,
                         .code = code,
                         .message = r->attempt.message,
                         .retryable = r->verdict != JOB_SUCCEEDED && r->verdict != JOB_FAILED,
                         .retry_after_s = -1};
}

static void delivery_end(Delivery *d, const Verdict *v, const ClientAnswer *a) {
        Outlet *o = d->outlet;
        AUTO(buf_done)
        Buf whole = BUF(ATTEMPT_LOG_MAX_BYTES), brief = BUF(ATTEMPT_LOG_MAX_BYTES);
        AUTO(freep)
        Job **jobs = must_alloc(d->n * sizeof(Job *));
        AUTO(freep)
        JobResult *results = must_alloc(d->n * sizeof *results);
        AUTO(freep)
        Outcome *outcomes = must_alloc(d->n * sizeof *outcomes);

        if (a)
                write_logs(d, a, &whole, &brief);
        for (size_t i = 0; i < d->n; i++) {
                const Letter *l = &d->letters[i];
                bool is_first = !d->packet.first || l == d->packet.first;

                jobs[i] = l->job;
                results[i] = result_of(d, l, v, buf_span(is_first ? &whole : &brief));
                outcomes[i] = outcome_of(&results[i],
                                         delivery_codes[l->is_over ? l->code : v->code].name);
        }
        list_remove(&o->deliveries, &d->link);
        o->host.ended(o->host.self, jobs, results, outcomes, d->n);
        packet_done(&d->packet);
        bearer_unref(d->bearer);
        endpoint_unref(d->endpoint);
        snapshot_unref(d->snapshot);
        arena_free(d->arena);
        free(d->letters);
        free(d);
}

static void end_at_once(Delivery *d, JobVerdict job, DeliveryCode code, int64_t wait_ms,
                        const char *message) {
        Verdict v = {.job = job, .code = code, .wait_ms = wait_ms};

        (void)snprintf(v.message, sizeof v.message, "%s", message);
        delivery_end(d, &v, NULL);
}

/* ---- what an answer means for the endpoint ---- */

/* NULL when the endpoint is gone, or has another address by now: what this one says is no word
 * about that. */
static Station *station_of(const Delivery *d) {
        Station *s = outlet_station(d->outlet, d->letters[0].job->target);

        return s && strcmp(s->endpoint->url, d->endpoint->url) == 0 ? s : NULL;
}

/* Whoever answers is there; the breaker is for those who do not. What we broke off, or could not do
 * ourselves, tells nothing: a probe is then given up by itself. */
static void tell_breaker(const Delivery *d, Station *s, const ClientAnswer *a) {
        if (s && a->end != CLIENT_CANCELLED && a->end != CLIENT_FAULT)
                breaker_tell(&s->breaker, d->leave, a->status != 0 || a->end == CLIENT_GATE,
                             clock_mono_ms());
}

static void on_answer(ClientCall *call, const ClientAnswer *a) {
        Delivery *d = call->arg;
        Outlet *o = d->outlet;
        Station *s = station_of(d);
        Verdict v = verdict_of(a);

        tell_breaker(d, s, a);
        if (a->end == CLIENT_ANSWERED && a->status == 401 && d->bearer && !d->second_try) {
                d->second_try = true;
                token_reject(d->bearer->source, d->token);
                get_token(d);
                return;
        }

        if (s && v.job == JOB_SUCCEEDED)
                health_good(o, s);
        else if (s && v.job == JOB_FAILED)
                health_gone(o, s);
        else if (s && a->end != CLIENT_CANCELLED && a->end != CLIENT_FAULT)
                health_bad(o, s, clock_wall_ms());
        delivery_end(d, &v, a);
}

/* ---- the request ---- */

static int add_header(Delivery *d, Span name, Span value) {
        must(d->n_headers < HEADERS_MAX);
        d->headers[d->n_headers++] = (HttpHeader){name, value};
        return 0;
}

static int add_attributes(Delivery *d, Err *e) {
        int n = 0;

        if (d->endpoint->format == FORMAT_CLOUDEVENTS)
                n = cloudevent_headers(d->packet.first->job->event, span_of(d->packet.id), d->arena,
                                       d->headers + d->n_headers);
        if (n < 0)
                return FAIL(e, n, "the event's attributes are too long for headers");
        d->n_headers += (size_t)n;
        return 0;
}

static int sign(Delivery *d, Err *e) {
        const Endpoint *p = d->endpoint;
        const Packet *v = &d->packet;
        const Event *event = v->first->job->event;
        Signer signer = {.profile = p->profile};
        SignMessage m = {.id = span_of(v->id),
                         .time_ms = d->started_ms,
                         .event_ms = event->time_ms ? event->time_ms : event->received_ms,
                         .type = v->ids.n ? SPAN("") : event->type,
                         .method = SPAN("POST"),
                         .authority = p->authority,
                         .path = p->path,
                         .query = p->query,
                         .content_type = v->content_type,
                         .body = v->body};
        SignHeaders made = {.n = 0};
        int r;

        for (size_t i = 0; i < p->n_keys; i++)
                if (p->keys[i].until_ms == 0 || p->keys[i].until_ms > d->started_ms)
                        signer.keys[signer.n_keys++] = p->keys[i].key;
        r = profile_sign(&signer, &m, d->arena, &made, e);
        for (size_t i = 0; i < made.n && r == 0; i++)
                r = add_header(d, span_of(made.at[i].name), made.at[i].value);
        return r;
}

static Span depth_of(const Event *event) {
        Span depth = event->meta.n ? json_trim(json_member(event->meta, SPAN("depth")))
                                   : (Span){NULL, 0};

        return depth.n ? depth : SPAN("0");
}

/* How many messages led to this one, at most: who sends messages because of it passes the header
 * on, so that a loop of applications comes to an end (trigger/message.h). */
static int add_depth(Delivery *d) {
        Span most = depth_of(d->packet.first->job->event);
        uint64_t n, most_n = 0;

        (void)span_to_u64(most, UINT32_MAX, &most_n);
        for (size_t i = 0; i < d->n && d->packet.n > 1; i++) {
                Span depth = depth_of(d->letters[i].job->event);

                if (d->letters[i].is_over || !span_to_u64(depth, UINT32_MAX, &n) || n <= most_n)
                        continue;
                most = depth;
                most_n = n;
        }
        return add_header(d, SPAN("Grapnel-Depth"), most);
}

static int prepare(Delivery *d, Err *e) {
        const Endpoint *p = d->endpoint;
        int r;

        d->n_headers = 0;
        r = add_attributes(d, e);
        if (r == 0)
                r = add_header(d, SPAN("Content-Type"), d->packet.content_type);
        if (r == 0 && d->packet.ids.n)
                r = add_header(d, SPAN(PACKET_IDS_HEADER), d->packet.ids);
        if (r == 0)
                r = add_depth(d);
        if (r == 0 && p->wants_handshake)
                r = add_header(d, SPAN("WebHook-Request-Origin"), span_of(d->outlet->origin));
        for (size_t i = 0; i < p->n_headers && r == 0; i++)
                r = add_header(d, p->headers[i].name, p->headers[i].value);
        if (r == 0 && d->packet.n == 1 && d->packet.first->job->event->trace.n)
                r = add_header(d, SPAN("traceparent"), d->packet.first->job->event->trace);
        if (r == 0 && d->token.n) {
                char *value = arena_printf(d->arena, "Bearer " SPAN_FMT, SPAN_ARG(d->token));

                r = value ? add_header(d, SPAN("Authorization"), span_of(value))
                          : FAIL(e, -EMSGSIZE, "the token is too long");
        }
        return r < 0 ? r : sign(d, e);
}

static void start_call(Delivery *d, const ClientCall *call) {
        Err e = {0};

        d->stage = STAGE_DIALLING;
        d->call = *call;
        d->call.url = d->endpoint->url;
        d->call.headers = d->headers;
        d->call.n_headers = d->n_headers;
        d->call.timeout_ms = d->endpoint->timeout_ms;
        d->call.answer_max = DELIVERY_READ_BYTES;
        d->call.allow = &d->snapshot->allow;
        d->call.tls = d->endpoint->has_tls ? &d->endpoint->tls : NULL;
        d->call.arg = d;
        if (client_start(d->outlet->client, &d->call, &e) < 0)
                end_at_once(d, JOB_RETRY, DELIVERY_NOT_SENT, -1, e.text);
}

/* ---- consent ---- */

/* Consent is a header of the answer; its status means nothing. */
static bool consents(const Delivery *d, const ClientAnswer *a) {
        Span allowed = client_answer_get(a, "webhook-allowed-origin");

        return a->end == CLIENT_ANSWERED &&
               (span_eq(allowed, SPAN("*")) || span_eq_nocase(allowed, span_of(d->outlet->origin)));
}

static void on_consent(ClientCall *call, const ClientAnswer *a) {
        Delivery *d = call->arg;
        Station *s = station_of(d);
        Verdict v = {
                .job = JOB_RETRY, .status = a->status, .code = DELIVERY_NO_CONSENT, .wait_ms = -1};

        tell_breaker(d, s, a);
        if (consents(d, a)) {
                d->has_consent = true;
                if (s)
                        s->has_consent = true;
                dial(d);
                return;
        }
        (void)snprintf(v.message, sizeof v.message,
                       "The endpoint has not given its consent: it answered OPTIONS without "
                       "WebHook-Allowed-Origin for %.100s.%s%.200s",
                       d->outlet->origin, a->why[0] ? " " : "", a->why);
        if (s && a->end != CLIENT_CANCELLED && a->end != CLIENT_FAULT)
                health_bad(d->outlet, s, clock_wall_ms());
        delivery_end(d, &v, a);
}

/* The receiver is asked before the first delivery (CloudEvents HTTP webhook, section 4). */
static void ask_consent(Delivery *d) {
        d->n_headers = 0;
        (void)add_header(d, SPAN("WebHook-Request-Origin"), span_of(d->outlet->origin));
        start_call(d, &(ClientCall){.method = "OPTIONS", .done = on_consent});
}

/* The last steps: what could have changed while it waited is asked now. */
static void dial(Delivery *d) {
        Station *s = station_of(d);
        int64_t wait_ms = 0;
        Err e = {0};

        if (!outlet_station(d->outlet, d->letters[0].job->target)) {
                end_at_once(d, JOB_FAILED, DELIVERY_NO_TARGET, -1, "The endpoint was removed.");
                return;
        }
        if (prepare(d, &e) < 0) {
                end_at_once(d, JOB_FAILED, DELIVERY_NOT_SIGNABLE, -1, e.text);
                return;
        }
        d->leave = s ? breaker_ask(&s->breaker, clock_mono_ms(), &wait_ms) : BREAKER_GO;
        if (d->leave == BREAKER_REFUSE) {
                end_at_once(d, JOB_NOT_TRIED, DELIVERY_UNREACHABLE, wait_ms,
                            "Not sent: the endpoint could not be reached lately.");
                return;
        }
        if (d->endpoint->wants_handshake && !d->has_consent && !(s && s->has_consent))
                ask_consent(d);
        else
                start_call(d, &(ClientCall){.method = "POST",
                                            .body = d->packet.body.p ? d->packet.body : SPAN(""),
                                            /* the receiver knows it by its id */
                                            .repeatable = true,
                                            .done = on_answer});
}

/* ---- credentials ---- */

static void on_token(TokenWait *w, const Secret *token, const char *why) {
        Delivery *d = w->arg;

        if (!token) {
                end_at_once(d, JOB_RETRY, DELIVERY_NO_TOKEN, -1, why);
                return;
        }
        d->token = arena_span(d->arena, secret_reveal(token));
        dial(d);
}

static void get_token(Delivery *d) {
        int64_t now_ms = clock_mono_ms();
        const Secret *cached = token_cached(d->bearer->source, now_ms);

        d->stage = STAGE_TOKEN;
        d->token_wait = (TokenWait){.done = on_token, .arg = d};
        if (cached)
                on_token(&d->token_wait, cached, NULL);
        else if (token_wait(d->bearer->source, &d->token_wait, now_ms) < 0)
                end_at_once(d, JOB_RETRY, DELIVERY_NO_TOKEN, -1,
                            "too many deliveries wait for a token");
}

static void authorize(Delivery *d) {
        Station *s = outlet_station(d->outlet, d->letters[0].job->target);

        if (!s || !d->endpoint->oauth2.token_url) {
                dial(d);
                return;
        }
        /* One that began before the endpoint was changed ends with the credentials of then, and
         * leaves those of now alone. */
        if (s->endpoint->version != d->endpoint->version) {
                d->bearer = bearer_new(d->outlet->client, d->endpoint, d->snapshot);
        } else {
                if (!s->bearer)
                        s->bearer = bearer_new(d->outlet->client, d->endpoint, d->snapshot);
                d->bearer = bearer_ref(s->bearer);
        }
        get_token(d);
}

/* ---- what is sent ---- */

static void seal(Delivery *d) {
        packet_fill(&d->packet, d->endpoint, d->letters, d->n, d->arena);
        if (d->packet.n > 0)
                authorize(d);
        else
                delivery_end(d, &(Verdict){.job = JOB_LEFT_OUT}, NULL); /* each has its own end */
}

/* What is beyond the size of a batch is not even mapped: the memory for it is bounded. */
static bool has_room(const Delivery *d) {
        return d->written == 0 || d->written < d->endpoint->batch.bytes;
}

static void on_written(Letter *l);

/* One loop for all letters: one that is written at once does not deepen the stack. */
static void write_letters(Delivery *d) {
        if (d->is_writing)
                return;
        d->is_writing = true;
        while (d->at < d->n && has_room(d) && !d->is_paused && !d->is_cut) {
                d->is_paused = true;
                letter_write(&d->letters[d->at], d->endpoint, &d->outlet->mapper, d->arena,
                             on_written, d);
        }
        d->is_writing = false;
        if (d->is_paused)
                return;
        for (; d->at < d->n && !d->is_cut; d->at++)
                letter_over(&d->letters[d->at], d->arena, JOB_LEFT_OUT, DELIVERY_LEFT_OUT,
                            "The batch had no room for it.");
        if (d->is_cut)
                end_at_once(d, JOB_RETRY, DELIVERY_CANCELLED, -1,
                            "Broken off: Grapnel is stopping.");
        else
                seal(d);
}

static void on_written(Letter *l) {
        Delivery *d = l->arg;

        d->written += l->is_over ? 0 : l->body.n + 1;
        d->at++;
        d->is_paused = false;
        write_letters(d);
}

/* ---- the beginning ---- */

static int by_id(const void *a, const void *b) {
        const Letter *x = a, *y = b;

        return x->job->id < y->job->id ? -1 : x->job->id > y->job->id;
}

void delivery_start(Outlet *o, Station *s, Job *const *jobs, size_t n) {
        Delivery *d = must_alloc(sizeof *d);

        d->outlet = o;
        d->endpoint = endpoint_ref(s->endpoint);
        d->snapshot = snapshot_ref(o->snapshot);
        d->arena = arena_new(ARENA_MAX_BYTES);
        d->started_ms = clock_wall_ms();
        d->started_us = clock_mono_us();
        d->letters = must_alloc(n * sizeof *d->letters);
        d->n = n;
        for (size_t i = 0; i < n; i++)
                letter_init(&d->letters[i], jobs[i]);
        /* So that the same ones have the same body and id once more. */
        qsort(d->letters, n, sizeof *d->letters, by_id);
        list_push(&o->deliveries, &d->link);
        d->stage = STAGE_MAPPING;
        if (d->endpoint->is_disabled)
                end_at_once(d, JOB_FAILED, DELIVERY_ENDPOINT_DISABLED, -1,
                            "The endpoint is disabled.");
        else
                write_letters(d);
}

void delivery_cut(Link *link) {
        Delivery *d = CONTAINER_OF(link, Delivery, link);

        if (d->stage == STAGE_DIALLING) {
                client_cancel(d->outlet->client, &d->call);
        } else if (d->stage == STAGE_TOKEN) {
                token_forget(d->bearer->source, &d->token_wait);
                end_at_once(d, JOB_RETRY, DELIVERY_CANCELLED, -1,
                            "Broken off: Grapnel is stopping.");
        } else {
                d->is_cut = true; /* a mapping ends soon by itself */
        }
}
