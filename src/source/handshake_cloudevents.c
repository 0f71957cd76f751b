/* SPDX-License-Identifier: Apache-2.0
 *
 * The abuse protection of "HTTP 1.1 Web Hooks for Event Delivery" (CloudEvents): OPTIONS with
 * WebHook-Request-Origin asks whether that sender may deliver here. The consent binds nobody to
 * believe what comes: each delivery is verified like any other. */
#include "source/handshake.h"

static int answer(const HttpHead *head, Span body, HandshakeAnswer *ret) {
        Span origin = http_head_get(head, "webhook-request-origin");
        Span rate = http_head_get(head, "webhook-request-rate");
        uint64_t per_minute;

        (void)body;
        if (!origin.p)
                return HANDSHAKE_NONE;
        if (origin.n == 0 || origin.n > 255 || http_head_count(head, "webhook-request-origin") > 1)
                return -EBADMSG;
        ret->status = 200;
        ret->headers[ret->n_headers++] = (HttpHeader){SPAN("Allow"), SPAN("POST, OPTIONS")};
        ret->headers[ret->n_headers++] = (HttpHeader){SPAN("WebHook-Allowed-Origin"), origin};
        /* "Required when a rate was asked for": what was asked for is granted. */
        if (rate.p && span_to_u64(rate, UINT32_MAX, &per_minute) && per_minute > 0)
                ret->headers[ret->n_headers++] = (HttpHeader){SPAN("WebHook-Allowed-Rate"), rate};
        else if (rate.p)
                return -EBADMSG;
        return HANDSHAKE_ANSWERED;
}

const Handshake handshake_cloudevents = {
        .name = "cloudevents",
        .help = "OPTIONS with `WebHook-Request-Origin`: the sender and its rate are allowed",
        .method = HTTP_OPTIONS,
        .answer = answer,
};
