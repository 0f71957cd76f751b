/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/call.h"

#include "base/clock.h"
#include "flow/run.h"
#include "flow/runner.h"

/* How long this loop trusts its copy of a token before it asks the owner again; the owner knows
 * the real expiry. */
#define TOKEN_COPY_MS 5000

static void dial(Call *c);

static CallQueue *queue_of(const Call *c) {
        return &c->act->run->runner->queues[c->target->config->index];
}

static void give_permit(Call *c) {
        Runner *r = c->act->run->runner;
        uint64_t loops;

        if (!c->permit)
                return;
        c->permit = false;
        loops = limit_give(c->target->limit);
        if (loops)
                hub_wake(r->hub, loops);
}

static void finish(Call *c, const ClientAnswer *a) {
        c->phase = CALL_IDLE;
        give_permit(c);
        c->then(c->act, a);
}

static void not_made(Call *c, ClientEnd end, const char *why) {
        ClientAnswer a = {.end = end};

        (void)snprintf(a.why, sizeof a.why, "%.*s", (int)sizeof a.why - 1, why);
        finish(c, &a);
}

static void fault(Call *c, const char *why) {
        not_made(c, CLIENT_FAULT, why);
}

/* ---- credentials ---- */

static void on_token(TokenAsk *a) {
        Call *c = a->arg;

        if (c) {
                Run *r = c->act->run;
                Span token = secret_reveal(&a->token);

                c->token = NULL;
                if (token.n == 0) {
                        fault(c, a->why);
                } else {
                        CallQueue *q = queue_of(c);

                        secret_done(&q->token);
                        q->token = secret_copy(token);
                        q->token_until_ms = clock_mono_ms() + TOKEN_COPY_MS;
                        c->token_used = arena_span(r->arena, token);
                        dial(c);
                }
        }
        token_ask_free(a);
}

static void get_token(Call *c, Span rejected) {
        CallQueue *q = queue_of(c);

        if (!rejected.n && q->token.n && clock_mono_ms() < q->token_until_ms) {
                c->token_used = arena_span(c->act->run->arena, secret_reveal(&q->token));
                dial(c);
                return;
        }
        c->phase = CALL_TOKEN;
        hub_ask_token(c->act->run->runner->hub, c->act->run->runner->snapshot,
                      c->target->config->index, rejected, on_token, c, &c->token);
}

/* ---- the call ---- */

/* Does the end say that the target is there? Also when the fault is not the target's. */
static bool reached(ClientEnd end) {
        switch (end) {
        case CLIENT_NAME:
        case CLIENT_CONNECT:
        case CLIENT_TLS:
        case CLIENT_TIMEOUT:
        case CLIENT_BROKEN:
        case CLIENT_CANCELLED: /* its time was over */
                return false;
        default:
                return true;
        }
}

/* That there was no answer in the little time that a source allows, or before the call was let go,
 * says nothing of the target: an impatient source may not close it to all others. A probe must be
 * told of all the same. */
static void tell_breaker(Call *c, ClientEnd end) {
        /* A connection may need more than the milliseconds that were left; a refusal is quick. */
        bool ran_out = end == CLIENT_TIMEOUT || end == CLIENT_CANCELLED ||
                       (end == CLIENT_CONNECT && clock_mono_ms() + 1 >= c->act->run->deadline.due);

        if (c->is_hurried && c->leave == BREAKER_GO && ran_out)
                return;
        breaker_tell(c->target->breaker, c->leave, reached(end), clock_mono_ms());
}

/* False when the target is known to be away: the call has ended. */
static bool ask_breaker(Call *c) {
        ClientAnswer a = {.end = CLIENT_CONNECT};

        c->leave = breaker_ask(c->target->breaker, clock_mono_ms(), &c->away_ms);
        if (c->leave != BREAKER_REFUSE)
                return true;
        (void)snprintf(a.why, sizeof a.why,
                       "not dialled: it could not be reached lately; tried again in %" PRId64 " s",
                       (c->away_ms + 999) / 1000);
        run_tell(c->act, c->method, span_of(c->url), &a);
        finish(c, &a);
        return false;
}

static void on_answer(ClientCall *client, const ClientAnswer *a) {
        Call *c = client->arg;

        tell_breaker(c, a->end);
        run_tell(c->act, c->method, span_of(c->url), a);
        if (a->end == CLIENT_ANSWERED && a->status == 401 &&
            c->target->config->auth == AUTH_OAUTH2 && !c->second_try) {
                c->second_try = true;
                secret_done(&queue_of(c)->token);
                get_token(c, c->token_used);
                return;
        }
        finish(c, a);
}

static void add_header(Call *c, size_t *n, Span name, Span value) {
        if (*n < COUNT_OF(c->headers))
                c->headers[(*n)++] = (HttpHeader){name, value};
}

/* What the client is asked. Returns how much time is left for it. */
static int64_t fill_in(Call *c) {
        Run *r = c->act->run;
        const ConnectionConfig *config = c->target->config;
        int64_t left = r->deadline.due - clock_mono_ms();
        size_t n = 0;

        c->is_hurried = left < config->timeout_ms / 2;
        add_header(c, &n, SPAN("Accept"), SPAN("application/json"));
        if (c->content_type)
                add_header(c, &n, SPAN("Content-Type"), span_of(c->content_type));
        for (size_t i = 0; i < c->target->n_headers; i++)
                add_header(c, &n, c->target->headers[i].name, c->target->headers[i].value);
        for (size_t i = 0; i < c->n_more; i++)
                add_header(c, &n, c->more[i].name, c->more[i].value);
        if (r->job->event->trace.n)
                add_header(c, &n, SPAN("traceparent"), r->job->event->trace);
        if (c->token_used.p) {
                char *value = arena_printf(r->arena, "Bearer " SPAN_FMT, SPAN_ARG(c->token_used));

                add_header(c, &n, SPAN("Authorization"), span_of(value));
        }
        c->client =
                (ClientCall){.method = c->method,
                             .url = c->url,
                             .headers = c->headers,
                             .n_headers = n,
                             .body = c->body,
                             .connect_ms = config->connect_timeout_ms,
                             .timeout_ms = left < config->timeout_ms ? left : config->timeout_ms,
                             .answer_max = (size_t)config->answer_max_bytes,
                             .allow = &r->runner->snapshot->allow,
                             .done = on_answer,
                             .arg = c};
        return left;
}

static void dial(Call *c) {
        Run *r = c->act->run;
        int64_t left = fill_in(c);
        Err e = {0};

        c->phase = CALL_DIALLING;
        if (left <= 0)
                not_made(c, CLIENT_TIMEOUT, "no time was left for the call");
        else if (ask_breaker(c) && client_start(r->runner->hub->client, &c->client, &e) < 0) {
                tell_breaker(c, CLIENT_FAULT);
                fault(c, e.text);
        }
}

static void with_permit(Call *c) {
        c->permit = true;
        if (c->target->config->auth == AUTH_OAUTH2)
                get_token(c, (Span){NULL, 0});
        else
                dial(c);
}

/* Tries for a permit; otherwise the call waits in the right queue. */
static bool try_permit(Call *c) {
        CallQueue *q = queue_of(c);
        int64_t now = clock_mono_us();
        int64_t wait = limit_take(c->target->limit, now, c->act->run->runner->hub->loop->index);

        if (wait == 0)
                return true;
        c->phase = CALL_PERMIT;
        if (wait > 0) {
                heap_push(&q->paced, &c->due, now + wait);
                runner_set_timer(c->act->run->runner);
        } else
                list_push(&q->waiting, &c->link);
        return false;
}

void call_answer(Call *c, const ClientAnswer *a) {
        run_tell(c->act, c->method, span_of(c->url), a);
        finish(c, a);
}

static bool is_taken(Call *c) {
        const Dialler *d = c->act->run->dialler;

        if (!d)
                return false;
        (void)fill_in(c);
        c->phase = CALL_TAKEN;
        return d->take(d->self, c);
}

void call_start(Act *a) {
        Call *c = &a->call;

        c->act = a;
        c->second_try = false;
        c->permit = false;
        c->away_ms = 0;
        c->token_used = (Span){NULL, 0};
        link_init(&c->link);
        if (is_taken(c))
                return;
        /* Who came earlier goes first. */
        if (queue_of(c)->waiting.n) {
                c->phase = CALL_PERMIT;
                list_push(&queue_of(c)->waiting, &c->link);
                return;
        }
        if (try_permit(c))
                with_permit(c);
}

void call_poke_queue(CallQueue *q, int64_t now_us) {
        HeapNode *node;

        while ((node = heap_pop_due(&q->paced, now_us))) {
                Call *c = CONTAINER_OF(node, Call, due);

                if (try_permit(c))
                        with_permit(c);
        }
        while (q->waiting.n) {
                Call *c = CONTAINER_OF(list_pop(&q->waiting), Call, link);

                if (try_permit(c)) {
                        with_permit(c);
                        continue;
                }
                if (!link_on(&c->link))
                        continue; /* it went to the paced ones */
                list_remove(&q->waiting, &c->link);
                list_push_front(&q->waiting, &c->link);
                break;
        }
}

static void on_cancelled(ClientCall *client, const ClientAnswer *a) {
        Call *c = client->arg;

        tell_breaker(c, a->end);
        run_tell(c->act, c->method, span_of(c->url), a);
}

void call_cancel(Call *c) {
        CallQueue *q;

        if (c->phase == CALL_IDLE)
                return;
        q = queue_of(c);
        if (c->phase == CALL_PERMIT) {
                if (link_on(&c->link))
                        list_remove(&q->waiting, &c->link);
                heap_remove(&q->paced, &c->due);
        } else if (c->phase == CALL_TAKEN) {
                const Dialler *d = c->act->run->dialler;

                d->drop(d->self, c);
        } else if (c->phase == CALL_TOKEN) {
                c->token->arg = NULL;
                c->token = NULL;
        } else {
                /* Let go by a step that failed, not by the clock. */
                if (clock_mono_ms() < c->act->run->deadline.due)
                        c->is_hurried = true;
                c->client.done = on_cancelled;
                client_cancel(c->act->run->runner->hub->client, &c->client);
        }
        c->phase = CALL_IDLE;
        give_permit(c);
}
