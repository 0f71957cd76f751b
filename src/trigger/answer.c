/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/inlet.h"

#include "base/clock.h"
#include "base/table.h"

#define ANSWER_MAX_BYTES (16 * 1024 * 1024)

/* The answer goes into a coming batch; nobody waits for that. */
typedef struct Kept {
        LedgerRequest request;
        Inlet *in;
        Arena *arena;
} Kept;

static void on_kept(LedgerRequest *q) {
        Kept *k = q->arg;

        k->in->keeping--;
        arena_free(k->arena);
        free(k);
}

static void keep(Inlet *in, int64_t event, const Reply *reply) {
        Kept *k = must_alloc(sizeof *k);
        Span body;

        in->keeping++;
        k->in = in;
        k->arena = arena_new(ANSWER_MAX_BYTES + 4096);
        body = arena_span(k->arena, buf_span(&reply->body));
        k->request = (LedgerRequest){
                .ask = ASK_WRITE,
                .home = &in->loop->inbox,
                .done = on_kept,
                .arg = k,
                .can_wait = true,
                .write = {.kind = WRITE_ANSWER,
                          .answer = {.event = event,
                                     .answer = {.status = reply->status,
                                                .content_type = span_of(reply->content_type),
                                                .body = body}}}};
        if (!body.p || ledger_send(in->ledger, &k->request) < 0)
                on_kept(&k->request);
}

static bool is_told_when(const Outcome *o) {
        return o->retry_after_s >= 0 || o->status == 503 || (o->retryable && o->status == 424);
}

void answer_source(Inlet *in, Exchange *x, const Source *s, const Outcome *o, int64_t store_event) {
        Reply reply = {.body = BUF(ANSWER_MAX_BYTES)};
        Outcome said = *o;
        char seconds[24];
        HttpHeader more[2];
        size_t n = 0;

        said.request = x->body;
        if (dialect_write(s->dialect, &said, &reply) < 0) {
                buf_done(&reply.body);
                answer_problem(x, 500, "answer-too-large", "the answer is too large");
                return;
        }
        if (s->dialect->has_hints && is_told_when(o)) {
                (void)snprintf(seconds, sizeof seconds, "%" PRId64,
                               o->retry_after_s > 0 ? o->retry_after_s : 5);
                more[n++] = (HttpHeader){SPAN("Retry-After"), span_of(seconds)};
        }
        if (s->dialect->has_hints && o->event_url.n && reply.status == 202)
                more[n++] = (HttpHeader){SPAN("Location"), o->event_url};
        exchange_answer(x, &(HttpAnswer){.status = reply.status,
                                         .content_type = reply.content_type,
                                         .body = buf_span(&reply.body),
                                         .headers = more,
                                         .n_headers = n});
        if (store_event)
                keep(in, store_event, &reply);
        buf_done(&reply.body);
}

void answer_problem(Exchange *x, int status, const char *code, const char *message) {
        Reply reply = {.body = BUF(8192)};
        Outcome o = {.status = status,
                     .code = code,
                     .message = span_of(message),
                     .retryable = status == 503,
                     .retry_after_s = -1};
        HttpHeader more = {SPAN("Retry-After"), SPAN("1")};

        if (dialect_write(dialects[0], &o, &reply) < 0)
                reply.status = 500;
        exchange_answer(x, &(HttpAnswer){.status = reply.status,
                                         .content_type = reply.content_type,
                                         .body = buf_span(&reply.body),
                                         .headers = &more,
                                         .n_headers = status == 503 ? 1 : 0});
        buf_done(&reply.body);
}

/* ---- addresses of events ---- */

void event_address(const Inlet *in, int64_t id, char ret[EVENT_ADDRESS_TEXT]) {
        char tag[ID_TEXT];
        uint64_t key = (uint64_t)id;
        uint64_t mac = hash_keyed(key_u64(&key), in->url_key[0], in->url_key[1]);

        id_print("evt", id, ret);
        id_print("tag", (int64_t)(mac >> 1), tag);
        (void)snprintf(ret + strlen(ret), EVENT_ADDRESS_TEXT - strlen(ret), "-%s", tag + 4);
}

bool event_address_parse(const Inlet *in, Span text, int64_t *ret_id) {
        char expected[EVENT_ADDRESS_TEXT];

        if (!id_parse("evt", (Span){text.p, span_find(text, '-')}, ret_id))
                return false;
        event_address(in, *ret_id, expected);
        return span_eq_secret(text, span_of(expected));
}
