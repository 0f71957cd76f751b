/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/delivery.h"

#include "base/clock.h"
#include "base/id.h"
#include "flow/cloudevent.h"
#include "http/retry_after.h"

enum {
        ARENA_MAX_BYTES = 24 * 1024 * 1024, /* a structured body is the payload once more */
        DETAIL_MAX_BYTES = 128 * 1024,
        HEADERS_MAX = ENDPOINT_HEADERS_MAX + PROFILE_HEADERS_MAX + CLOUDEVENT_HEADERS + 8,
        RETRY_AFTER_MAX_MS = 24 * 3600 * 1000,
};

typedef struct Delivery {
        Link link; /* of the outlet */
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
} Delivery;

/* ---- the end ---- */

/* How it ended, in the words of the attempt. */
typedef struct Verdict {
        JobVerdict job;
        int status;
        const char *code;
        int64_t wait_ms; /* -1 none */
        char message[512];
} Verdict;

static int add_headers(Buf *b, const HttpHeader *headers, size_t n) {
        int r = buf_add_char(b, '{');

        for (size_t i = 0; i < n && r == 0; i++) {
                r = i ? buf_add_char(b, ',') : 0;
                if (r == 0)
                        r = buf_add_json(b, headers[i].name);
                if (r == 0)
                        r = buf_add_char(b, ':');
                /* What opens doors is not for the log. */
                if (r == 0)
                        r = span_eq_nocase(headers[i].name, SPAN("authorization"))
                                    ? buf_add(b, SPAN("\"***\""))
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

static int add_response(Buf *b, const ClientAnswer *a) {
        bool is_cut = a->body.n > DELIVERY_KEPT_BYTES || a->end == CLIENT_TOO_BIG;
        int r = buf_add(b, SPAN(",\"response\":{\"headers\":"));

        if (r == 0)
                r = add_headers(b, a->headers, a->n_headers);
        if (r == 0)
                r = buf_add(b, SPAN(",\"body\":"));
        if (r == 0)
                r = buf_add_json(b, (Span){a->body.p, a->body.n > DELIVERY_KEPT_BYTES
                                                              ? DELIVERY_KEPT_BYTES
                                                              : a->body.n});
        return r == 0 ? buf_addf(b, ",\"truncated\":%s}", is_cut ? "true" : "false") : r;
}

/* The log of the attempt, as the API shows it. */
static int write_detail(const Delivery *d, const ClientAnswer *a, Buf *b) {
        int r = buf_add(b, SPAN("{\"url\":"));

        if (r == 0)
                r = buf_add_json(b, span_of(d->endpoint->url));
        if (r == 0)
                r = buf_add(b, SPAN(",\"request\":{\"headers\":"));
        if (r == 0)
                r = add_headers(b, d->headers, d->n_headers);
        if (r == 0)
                r = buf_addf(b, "},\"status\":%d,\"end\":\"%s\",\"address\":\"%s\"", a->status,
                             client_end_name(a->end), a->address);
        if (r == 0)
                r = add_times(b, a);
        if (r == 0 && a->status)
                r = add_response(b, a);
        if (r == 0 && a->why[0]) {
                r = buf_add(b, SPAN(",\"why\":"));
                if (r == 0)
                        r = buf_add_json(b, span_of(a->why));
        }
        return r == 0 ? buf_add_char(b, '}') : r;
}

static void delivery_end(Delivery *d, const Verdict *v, const ClientAnswer *a) {
        Outlet *o = d->outlet;
        AUTO(buf_done)
        Buf detail = BUF(DETAIL_MAX_BYTES);
        Outcome outcome = {.status = v->job == JOB_SUCCEEDED ? 200 : 424,
                           .code = v->code,
                           .message = span_of(v->message),
                           .retryable = v->job == JOB_RETRY || v->job == JOB_NOT_TRIED,
                           .retry_after_s = -1};
        JobResult result = {.verdict = v->job,
                            .wait_hint_ms = v->wait_ms,
                            .attempt = {.started_ms = d->started_ms,
                                        .took_us = clock_mono_us() - d->started_us,
                                        .status = v->status,
                                        .code = span_of(v->code),
                                        .message = span_of(v->message)}};

        if (a && write_detail(d, a, &detail) == 0)
                result.attempt.detail = buf_span(&detail);
        list_remove(&o->deliveries, &d->link);
        o->host.ended(o->host.self, d->job, &result, &outcome);
        endpoint_unref(d->endpoint);
        snapshot_unref(d->snapshot);
        arena_free(d->arena);
        free(d);
}

/* ---- what an answer means ---- */

static Verdict judge_status(const ClientAnswer *a) {
        Verdict v = {.job = JOB_RETRY, .status = a->status, .code = "refused", .wait_ms = -1};
        Span after = client_answer_get(a, "retry-after");
        int64_t wait_ms;

        if (a->status >= 200 && a->status < 300) {
                v.job = JOB_SUCCEEDED;
                v.code = "delivered";
                (void)snprintf(v.message, sizeof v.message, "Delivered (%d).", a->status);
                return v;
        }
        if (a->status == 410) {
                v.job = JOB_FAILED;
                v.code = "gone";
                (void)snprintf(v.message, sizeof v.message,
                               "The endpoint says that it is gone (410); it is disabled.");
                return v;
        }
        if (after.p && http_retry_after(after, clock_wall_ms(), RETRY_AFTER_MAX_MS, &wait_ms))
                v.wait_ms = wait_ms;
        (void)snprintf(v.message, sizeof v.message, "The endpoint %s (%d).",
                       a->status >= 300 && a->status < 400
                               ? "answered with a redirect, which is not followed"
                               : "did not take it",
                       a->status);
        return v;
}

static const char *code_of(ClientEnd end) {
        switch (end) {
        case CLIENT_GATE:
                return "address-refused";
        case CLIENT_NAME:
                return "name-unknown";
        case CLIENT_CONNECT:
                return "unreachable";
        case CLIENT_TLS:
                return "tls";
        case CLIENT_TIMEOUT:
                return "timeout";
        case CLIENT_BROKEN:
                return "broken";
        case CLIENT_BAD_ANSWER:
                return "bad-answer";
        case CLIENT_CANCELLED:
                return "cancelled";
        default:
                return "not-sent";
        }
}

static Verdict judge(const ClientAnswer *a) {
        Verdict v = {.job = JOB_RETRY, .code = code_of(a->end), .wait_ms = -1};

        /* A whole head says it, even when the body behind it was cut or is too long. */
        if (a->status && (a->end == CLIENT_ANSWERED || a->end == CLIENT_TOO_BIG ||
                          (a->status >= 200 && a->status < 300 && a->end != CLIENT_BAD_ANSWER)))
                return judge_status(a);
        (void)snprintf(v.message, sizeof v.message, "%s", a->why);
        return v;
}

static void on_answer(ClientCall *call, const ClientAnswer *a) {
        Delivery *d = call->arg;
        Outlet *o = d->outlet;
        Station *s = outlet_station(o, d->job->target);
        Verdict v = judge(a);

        /* Whoever answers is there; the breaker is for those who do not. */
        if (s)
                breaker_tell(&s->breaker, d->leave,
                             a->status != 0 || a->end == CLIENT_GATE || a->end == CLIENT_CANCELLED,
                             clock_mono_ms());
        if (s && v.job == JOB_SUCCEEDED)
                health_good(o, s);
        else if (s && v.job == JOB_FAILED)
                health_gone(o, s);
        else if (s && a->end != CLIENT_CANCELLED)
                health_bad(o, s, clock_wall_ms());
        delivery_end(d, &v, a);
}

/* ---- the request ---- */

static int add_header(Delivery *d, Span name, Span value) {
        must(d->n_headers < HEADERS_MAX);
        d->headers[d->n_headers++] = (HttpHeader){name, value};
        return 0;
}

/* Which bytes are sent, and as what. */
static int prepare_body(Delivery *d, Err *e) {
        const Event *event = d->job->event;
        AUTO(buf_done)
        Buf b = BUF(ARENA_MAX_BYTES / 2);
        int n;

        d->body = event->body;
        d->content_type = event->content_type.n ? event->content_type : SPAN("application/json");
        if (d->endpoint->format == FORMAT_CLOUDEVENTS) {
                n = cloudevent_headers(event, span_of(d->id), d->arena, d->headers + d->n_headers);
                if (n < 0)
                        return FAIL(e, n, "the event's attributes are too long for headers");
                d->n_headers += (size_t)n;
        } else if (d->endpoint->format == FORMAT_CLOUDEVENTS_STRUCTURED) {
                if (cloudevent_print(event, span_of(d->id), &b) < 0 ||
                    !(d->body = arena_span(d->arena, buf_span(&b))).p)
                        return FAIL(e, -EMSGSIZE, "the event is too large to wrap");
                d->content_type = SPAN(CLOUDEVENT_JSON);
        }
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

static int prepare(Delivery *d, Err *e) {
        const Endpoint *p = d->endpoint;
        int r = prepare_body(d, e);

        if (r == 0)
                r = add_header(d, SPAN("Content-Type"), d->content_type);
        for (size_t i = 0; i < p->n_headers && r == 0; i++)
                r = add_header(d, p->headers[i].name, p->headers[i].value);
        if (r == 0 && d->job->event->trace.n)
                r = add_header(d, SPAN("traceparent"), d->job->event->trace);
        return r < 0 ? r : sign(d, e);
}

/* ---- the beginning ---- */

static void end_at_once(Delivery *d, JobVerdict job, const char *code, int64_t wait_ms,
                        const char *message) {
        Verdict v = {.job = job, .code = code, .wait_ms = wait_ms};

        (void)snprintf(v.message, sizeof v.message, "%s", message);
        delivery_end(d, &v, NULL);
}

static void dial(Delivery *d, Station *s) {
        Err e = {0};

        d->call = (ClientCall){.method = "POST",
                               .url = d->endpoint->url,
                               .headers = d->headers,
                               .n_headers = d->n_headers,
                               .body = d->body.p ? d->body : SPAN(""),
                               .timeout_ms = d->endpoint->timeout_ms,
                               .answer_max = DELIVERY_READ_BYTES,
                               .allow = &d->snapshot->allow,
                               .repeatable = true, /* the receiver knows it by its id */
                               .done = on_answer,
                               .arg = d};
        if (client_start(d->outlet->client, &d->call, &e) == 0)
                return;
        breaker_tell(&s->breaker, d->leave, true, clock_mono_ms());
        end_at_once(d, JOB_RETRY, "not-sent", -1, e.text);
}

void delivery_start(Outlet *o, Station *s, Job *job) {
        Delivery *d = must_alloc(sizeof *d);
        int64_t wait_ms = 0;
        Err e = {0};

        d->outlet = o;
        d->job = job;
        d->endpoint = endpoint_ref(s->endpoint);
        d->snapshot = snapshot_ref(o->snapshot);
        d->arena = arena_new(ARENA_MAX_BYTES);
        d->started_ms = clock_wall_ms();
        d->started_us = clock_mono_us();
        id_print("msg", job->event->id, d->id);
        list_push(&o->deliveries, &d->link);
        if (d->endpoint->is_disabled) {
                end_at_once(d, JOB_FAILED, "endpoint-disabled", -1, "The endpoint is disabled.");
                return;
        }
        if (prepare(d, &e) < 0) {
                end_at_once(d, JOB_FAILED, "not-signable", -1, e.text);
                return;
        }
        d->leave = breaker_ask(&s->breaker, clock_mono_ms(), &wait_ms);
        if (d->leave == BREAKER_REFUSE)
                end_at_once(d, JOB_NOT_TRIED, "unreachable", wait_ms,
                            "Not sent: the endpoint could not be reached lately.");
        else
                dial(d, s);
}

void delivery_cut(Link *link) {
        Delivery *d = CONTAINER_OF(link, Delivery, link);

        client_cancel(d->outlet->client, &d->call);
}
