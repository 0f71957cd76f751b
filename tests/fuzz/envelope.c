/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole request, head and body, through every handshake and envelope: what comes out lies within
 * what came in, and what is told of it is text of JSON. */
#include "source/envelope.h"
#include "source/handshake.h"
#include "json/check.h"

static void try_handshakes(const HttpHead *head, Span body, bool is_json) {
        for (size_t i = 0; handshakes[i]; i++) {
                HandshakeAnswer ret = {.body = BUF(HANDSHAKE_BODY_MAX_BYTES)};

                if (!handshakes[i]->is_verified || is_json) {
                        int r = handshakes[i]->answer(head, body, &ret);

                        must(r <= HANDSHAKE_ANSWERED);
                        must(ret.n_headers <= HANDSHAKE_HEADERS_MAX);
                        must(r != HANDSHAKE_ANSWERED || ret.status == 200);
                }
                buf_done(&ret.body);
        }
}

static void check_event(const EnvelopeEvent *e, Span body) {
        AUTO(buf_done)
        Buf meta = BUF(4 * ENVELOPE_META_MAX_BYTES);
        JsonFault fault;

        if (e->body.n) {
                must(e->body.p >= body.p && e->body.p + e->body.n <= body.p + body.n);
                must(json_check(e->body, SIZE_MAX, &fault) == 0);
        }
        must(buf_addf(&meta, "{" SPAN_FMT "}", SPAN_ARG(e->meta)) == 0);
        must(json_check(buf_span(&meta), SIZE_MAX, &fault) == 0);
}

static void try_envelopes(const HttpHead *head, Span body) {
        for (size_t i = 0; envelopes[i]; i++) {
                AUTO(arena_freep)
                Arena *arena = arena_new(4 << 20);
                EnvelopeCall call = {head, body, arena};
                EnvelopeFault fault = {0};
                EnvelopeEvent *events =
                        arena_alloc(arena, envelopes[i]->events_max * sizeof *events);

                if (body.n == 0 && !envelopes[i]->may_be_empty)
                        continue;
                int n = envelopes[i]->open(&call, events, &fault);
                must(n <= (int)envelopes[i]->events_max);
                must(n >= 0 || (fault.status >= 400 && fault.code && fault.why[0]));
                for (int k = 0; k < n; k++)
                        check_event(&events[k], body);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Span in = {(const char *)data, size};
        HttpHead head;
        HttpRefusal refusal;
        JsonFault fault;
        int n = http_head_parse(in, &head, &refusal);

        if (n <= 0)
                return 0;
        Span body = span_from(in, (size_t)n);
        bool is_json = body.n > 0 && json_check(body, JSON_KEYS_MAX, &fault) == 0;
        try_handshakes(&head, body, is_json);
        if (body.n == 0 || is_json)
                try_envelopes(&head, body);
        return 0;
}
