/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/delivery.h"

#include "base/clock.h"
#include "base/id.h"
#include "flow/cloudevent.h"
#include "flow/verdict.h"
#include "json/check.h"
#include "json/value.h"

enum {
        ARENA_MAX_BYTES = 24 * 1024 * 1024, /* a structured body is the payload once more */
        DETAIL_MAX_BYTES = 128 * 1024,
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
        Job *job;
        Arena *arena;
        BreakerAnswer leave;
        int64_t started_ms, started_us;
        char id[ID_TEXT]; /* of the message */
        Span body, content_type;
        HttpHeader headers[HEADERS_MAX];
        size_t n_headers;
        ClientCall call;
        MapRoot roots[2];
        MapperRun mapping;
        Bearer *bearer;
        TokenWait token_wait;
        Span token; /* that was used */
        bool second_try, has_consent, is_wrapped;
} Delivery;

static void get_token(Delivery *d);
static void dial(Delivery *d);

/* ---- the end ---- */

static int add_headers(const Endpoint *p, Buf *b, const HttpHeader *headers, size_t n) {
        int r = buf_add_char(b, '{');

        for (size_t i = 0; i < n && r == 0; i++) {
                r = i ? buf_add_char(b, ',') : 0;
                if (r == 0)
                        r = buf_add_json(b, headers[i].name);
                if (r == 0)
                        r = buf_add_char(b, ':');
                /* What opens doors is not for the log. */
                if (r == 0)
                        r = endpoint_hides(p, headers[i].name) ? buf_add(b, SPAN("\"***\""))
                                                               : buf_add_json(b, headers[i].value);
        }
        return r == 0 ? buf_add_char(b, '}') : r;
}

static int add_times(Buf *b, const ClientAnswer *a) {
        return buf_addf(b,
                        ",\"us\":{\"total\":%" PRId64 ",\"name\":%" PRId64 ",\"connect\":%" PRId64
                        ",\"tls\":%" PRId64 ",\"firstByte\":%" PRId64 "}",
                        a->total_us, a->name_us, a->connect_us, a->tls_us, a->first_byte_us);
}

static int add_response(const Endpoint *p, Buf *b, const ClientAnswer *a, size_t kept) {
        bool is_cut = a->body.n > kept || a->end == CLIENT_TOO_BIG;
        int r = buf_add(b, SPAN(",\"response\":{\"headers\":"));

        if (r == 0)
                r = add_headers(p, b, a->headers, a->n_headers);
        if (r == 0)
                r = buf_add(b, SPAN(",\"body\":"));
        if (r == 0)
                r = buf_add_json(b, (Span){a->body.p, a->body.n > kept ? kept : a->body.n});
        return r == 0 ? buf_addf(b, ",\"truncated\":%s}", is_cut ? "true" : "false") : r;
}

/* The log of the attempt, as the API shows it. */
static int write_what_happened(const Delivery *d, const ClientAnswer *a, size_t kept, Buf *b) {
        int r = buf_add(b, SPAN("{\"url\":"));

        if (r == 0)
                r = buf_add_json(b, span_of(d->endpoint->shown_url));
        if (r == 0)
                r = buf_add(b, SPAN(",\"request\":{\"headers\":"));
        if (r == 0)
                r = add_headers(d->endpoint, b, d->headers, d->n_headers);
        if (r == 0)
                r = buf_addf(b, "},\"status\":%d,\"end\":\"%s\",\"address\":\"%s\"", a->status,
                             client_end_name(a->end), a->address);
        if (r == 0)
                r = add_times(b, a);
        if (r == 0 && a->status)
                r = add_response(d->endpoint, b, a, kept);
        if (r == 0 && a->why[0]) {
                r = buf_add(b, SPAN(",\"why\":"));
                if (r == 0)
                        r = buf_add_json(b, span_of(a->why));
        }
        return r == 0 ? buf_add_char(b, '}') : r;
}

/* Where it is too much, in JSON, the body gives way: control bytes take six times their room. */
static void write_detail(const Delivery *d, const ClientAnswer *a, Buf *b) {
        static const size_t kept[] = {DELIVERY_KEPT_BYTES, DELIVERY_KEPT_BYTES / 8, 0};

        for (size_t i = 0; i < COUNT_OF(kept); i++) {
                if (write_what_happened(d, a, kept[i], b) == 0)
                        return;
                buf_clear(b);
        }
}

static void delivery_end(Delivery *d, const Verdict *v, const ClientAnswer *a) {
        Outlet *o = d->outlet;
        AUTO(buf_done)
        Buf detail = BUF(DETAIL_MAX_BYTES);
        Outcome outcome = {.status = v->job == JOB_SUCCEEDED ? 200 : 424,
                           .code = delivery_codes[v->code].name,
                           .message = span_of(v->message),
                           .retryable = v->job == JOB_RETRY || v->job == JOB_NOT_TRIED,
                           .retry_after_s = -1};
        JobResult result = {.verdict = v->job,
                            .wait_hint_ms = v->wait_ms,
                            .attempt = {.started_ms = d->started_ms,
                                        .took_us = clock_mono_us() - d->started_us,
                                        .status = v->status,
                                        .code = span_of(delivery_codes[v->code].name),
                                        .message = span_of(v->message)}};

        if (a)
                write_detail(d, a, &detail);
        result.attempt.detail = detail.n ? buf_span(&detail) : (Span){NULL, 0};
        list_remove(&o->deliveries, &d->link);
        o->host.ended(o->host.self, d->job, &result, &outcome);
        bearer_unref(d->bearer);
        endpoint_unref(d->endpoint);
        snapshot_unref(d->snapshot);
        arena_free(d->arena);
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
        Station *s = outlet_station(d->outlet, d->job->target);

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

/* Wraps what is sent, where the endpoint wants it so. */
static int prepare_body(Delivery *d, Err *e) {
        const Event *of = d->job->event;
        AUTO(buf_done)
        Buf b = BUF(ARENA_MAX_BYTES / 2);
        /* Its parts, with the body as it is sent; not its count, which others write. */
        Event event = {.id = of->id,
                       .received_ms = of->received_ms,
                       .time_ms = of->time_ms,
                       .source = of->source,
                       .type = of->type,
                       .subject = of->subject,
                       .content_type = d->content_type,
                       .trace = of->trace,
                       .meta = of->meta,
                       .body = d->body};

        /* Once: it may be prepared again, after a consent or with another token. */
        if (d->endpoint->format == FORMAT_CLOUDEVENTS_STRUCTURED && !d->is_wrapped) {
                if (cloudevent_print(&event, span_of(d->id), &b) < 0 ||
                    !(d->body = arena_span(d->arena, buf_span(&b))).p)
                        return FAIL(e, -EMSGSIZE, "the event is too large to wrap");
                d->content_type = SPAN(CLOUDEVENT_JSON);
                d->is_wrapped = true;
        }
        return 0;
}

static int add_attributes(Delivery *d, Err *e) {
        int n = 0;

        if (d->endpoint->format == FORMAT_CLOUDEVENTS)
                n = cloudevent_headers(d->job->event, span_of(d->id), d->arena,
                                       d->headers + d->n_headers);
        if (n < 0)
                return FAIL(e, n, "the event's attributes are too long for headers");
        d->n_headers += (size_t)n;
        return 0;
}

static int sign(Delivery *d, Err *e) {
        const Endpoint *p = d->endpoint;
        const Event *event = d->job->event;
        Signer signer = {.profile = p->profile};
        SignMessage m = {.id = span_of(d->id),
                         .time_ms = d->started_ms,
                         .event_ms = event->time_ms ? event->time_ms : event->received_ms,
                         .type = event->type,
                         .method = SPAN("POST"),
                         .authority = p->authority,
                         .path = p->path,
                         .query = p->query,
                         .content_type = d->content_type,
                         .body = d->body};
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

/* How many messages led to this one: who sends messages because of it passes the header on, so that
 * a loop of applications comes to an end (trigger/message.h). */
static int add_depth(Delivery *d) {
        Span meta = d->job->event->meta;
        Span depth = meta.n ? json_trim(json_member(meta, SPAN("depth"))) : (Span){NULL, 0};

        return add_header(d, SPAN("Grapnel-Depth"), depth.n ? depth : SPAN("0"));
}

static int prepare(Delivery *d, Err *e) {
        const Endpoint *p = d->endpoint;
        int r;

        d->n_headers = 0;
        r = prepare_body(d, e);
        if (r == 0)
                r = add_attributes(d, e);
        if (r == 0)
                r = add_header(d, SPAN("Content-Type"), d->content_type);
        if (r == 0)
                r = add_depth(d);
        if (r == 0 && p->wants_handshake)
                r = add_header(d, SPAN("WebHook-Request-Origin"), span_of(d->outlet->origin));
        for (size_t i = 0; i < p->n_headers && r == 0; i++)
                r = add_header(d, p->headers[i].name, p->headers[i].value);
        if (r == 0 && d->job->event->trace.n)
                r = add_header(d, SPAN("traceparent"), d->job->event->trace);
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

        if (!outlet_station(d->outlet, d->job->target)) {
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
                                            .body = d->body.p ? d->body : SPAN(""),
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
        Station *s = outlet_station(d->outlet, d->job->target);

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

/* ---- filter and transformation ---- */

/* What its programs see: {"event": the payload, "meta": {...}}. */
static bool make_roots(Delivery *d) {
        const Event *event = d->job->event;
        AUTO(buf_done)
        Buf b = BUF(8192);
        char time[CLOCK_TEXT];
        JsonFault fault;
        int r;

        clock_print(event->time_ms ? event->time_ms : event->received_ms, time);
        r = buf_addf(&b, "{\"id\":\"%s\",\"time\":\"%s\",\"attempt\":%u,\"type\":", d->id, time,
                     d->job->attempts);
        if (r == 0)
                r = buf_add_json(&b, event->type);
        if (r == 0)
                r = buf_add(&b, SPAN(",\"subject\":"));
        if (r == 0)
                r = buf_add_json(&b, event->subject);
        if (r == 0)
                r = buf_add_char(&b, '}');
        d->roots[0] = (MapRoot){SPAN("event"), event->body};
        d->roots[1] = (MapRoot){SPAN("meta"), arena_span(d->arena, buf_span(&b))};
        return r == 0 && d->roots[1].value.p && json_check(event->body, JSON_KEYS_MAX, &fault) == 0;
}

static void map(Delivery *d, Span text, void (*done)(MapperRun *run)) {
        d->stage = STAGE_MAPPING;
        d->mapping =
                (MapperRun){.text = text, .roots = d->roots, .n_roots = 2, .done = done, .arg = d};
        mapper_run(&d->outlet->mapper, &d->mapping);
}

static void fail_mapping(Delivery *d, const char *what, const MapperRun *run) {
        char text[512];

        (void)snprintf(text, sizeof text, "%s: %.400s", what,
                       run->end == MAP_EMPTY ? "it gave nothing" : run->why);
        /* The same bytes would fail again; what was too busy may not be so. */
        end_at_once(d, run->end == MAP_LIMIT ? JOB_RETRY : JOB_FAILED, DELIVERY_MAPPING_FAILED, -1,
                    text);
}

static void on_transformed(MapperRun *run) {
        Delivery *d = run->arg;

        if (run->end != MAP_OK) {
                fail_mapping(d, "the transformation failed", run);
                return;
        }
        d->body = arena_span(d->arena, run->output);
        d->content_type = SPAN("application/json");
        if (d->body.p)
                authorize(d);
        else
                end_at_once(d, JOB_FAILED, DELIVERY_MAPPING_FAILED, -1,
                            "the transformation's result is too large");
}

static void transform(Delivery *d) {
        if (d->endpoint->transform.p)
                map(d, d->endpoint->transform, on_transformed);
        else
                authorize(d);
}

static void on_filtered(MapperRun *run) {
        Delivery *d = run->arg;

        if (run->end != MAP_OK && run->end != MAP_EMPTY)
                fail_mapping(d, "the filter failed", run);
        else if (run->end == MAP_EMPTY || span_eq(run->output, SPAN("false")) ||
                 span_eq(run->output, SPAN("null")))
                end_at_once(d, JOB_SUCCEEDED, DELIVERY_FILTERED, -1,
                            "The endpoint's filter left it out.");
        else
                transform(d);
}

/* ---- the beginning ---- */

void delivery_start(Outlet *o, Station *s, Job *job) {
        Delivery *d = must_alloc(sizeof *d);
        const Event *event = job->event;

        d->outlet = o;
        d->job = job;
        d->endpoint = endpoint_ref(s->endpoint);
        d->snapshot = snapshot_ref(o->snapshot);
        d->arena = arena_new(ARENA_MAX_BYTES);
        d->started_ms = clock_wall_ms();
        d->started_us = clock_mono_us();
        d->body = event->body;
        d->content_type = event->content_type.n ? event->content_type : SPAN("application/json");
        id_print("msg", event->id, d->id);
        list_push(&o->deliveries, &d->link);
        if (d->endpoint->is_disabled)
                end_at_once(d, JOB_FAILED, DELIVERY_ENDPOINT_DISABLED, -1,
                            "The endpoint is disabled.");
        else if ((d->endpoint->filter.p || d->endpoint->transform.p) && !make_roots(d))
                end_at_once(d, JOB_FAILED, DELIVERY_MAPPING_FAILED, -1,
                            "the payload is no JSON, and the endpoint maps it");
        else if (d->endpoint->filter.p)
                map(d, d->endpoint->filter, on_filtered);
        else
                transform(d);
}

void delivery_cut(Link *link) {
        Delivery *d = CONTAINER_OF(link, Delivery, link);

        if (d->stage == STAGE_DIALLING) {
                client_cancel(d->outlet->client, &d->call);
        } else if (d->stage == STAGE_TOKEN) {
                token_forget(d->bearer->source, &d->token_wait);
                end_at_once(d, JOB_RETRY, DELIVERY_CANCELLED, -1,
                            "Broken off: Grapnel is stopping.");
        } /* a mapping ends soon by itself */
}
