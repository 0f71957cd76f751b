/* SPDX-License-Identifier: Apache-2.0
 *
 * Slack, when a request URL is entered: a signed POST of type url_verification, whose challenge is
 * to come back. */
#include "source/handshake.h"

#include "json/value.h"

static int answer(const HttpHead *head, Span body, HandshakeAnswer *ret) {
        AUTO(buf_done)
        Buf text = BUF(1024);
        Span type = json_member(body, SPAN("type"));

        (void)head;
        if (!type.p || !json_equal(type, SPAN("\"url_verification\"")))
                return HANDSHAKE_NONE;
        Span challenge = json_member(body, SPAN("challenge"));
        int r = challenge.p && json_kind(challenge) == JSON_STRING ? json_text(challenge, &text)
                                                                   : -EBADMSG;
        if (r == 0)
                r = buf_add(&ret->body, SPAN("{\"challenge\":"));
        if (r == 0)
                r = buf_add_json(&ret->body, buf_span(&text));
        if (r == 0)
                r = buf_add_char(&ret->body, '}');
        ret->status = 200;
        ret->content_type = "application/json";
        return r < 0 ? r : HANDSHAKE_ANSWERED;
}

const Handshake handshake_slack = {
        .name = "slack",
        .help = "a signed POST of type `url_verification`: its challenge is sent back",
        .method = HTTP_POST,
        .is_verified = true,
        .answer = answer,
};
