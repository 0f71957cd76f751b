/* SPDX-License-Identifier: Apache-2.0
 *
 * Okta, before an event hook is active: a GET whose header holds a word that is to come back. */
#include "source/handshake.h"

static int answer(const HttpHead *head, Span body, HandshakeAnswer *ret) {
        Span word = http_head_get(head, "x-okta-verification-challenge");

        (void)body;
        if (!word.p)
                return HANDSHAKE_NONE;
        if (word.n == 0 || word.n > 1024 ||
            http_head_count(head, "x-okta-verification-challenge") > 1)
                return -EBADMSG;
        int r = buf_add(&ret->body, SPAN("{\"verification\":"));
        if (r == 0)
                r = buf_add_json(&ret->body, word);
        if (r == 0)
                r = buf_add_char(&ret->body, '}');
        ret->status = 200;
        ret->content_type = "application/json";
        return r < 0 ? r : HANDSHAKE_ANSWERED;
}

const Handshake handshake_okta = {
        .name = "okta",
        .help = "a GET with `x-okta-verification-challenge`: its value is sent back as JSON",
        .method = HTTP_GET,
        .answer = answer,
};
