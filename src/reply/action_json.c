/* SPDX-License-Identifier: Apache-2.0
 *
 * For code that calls and decides by itself: Auth0 Actions, n8n and their like. 200 whatever
 * happened, since most of their clients throw away the body of anything else; `allow` says whether
 * to go on, `userMessage` what to show. */
#include "reply/body.h"

static int add_success(Buf *b, const Outcome *o) {
        bool is_accepted = outcome_kind(o) == OUTCOME_ACCEPTED;
        int r = body_add_text(b, "code", span_of(o->code));

        r = r < 0 ? r : body_add_text(b, "message", o->message);
        if (is_accepted && r == 0)
                r = buf_add(b, SPAN(",\"pending\":true"));
        if (is_accepted)
                r = r < 0 ? r : body_add_text(b, "url", o->event_url);
        if (r < 0 || !outcome_has_data(o))
                return r;
        r = body_add_name(b, "data");
        return r < 0 ? r : buf_add(b, o->data);
}

static int add_failure(Buf *b, const Outcome *o) {
        int r = body_add_text(b, "code", span_of(o->code));

        r = r < 0 ? r : body_add_text(b, "userMessage", body_message(o));
        r = r < 0 ? r
                  : buf_addf(b, ",\"retryable\":%s",
                             outcome_kind(o) == OUTCOME_LATER ? "true" : "false");
        return r < 0 ? r : body_add_errors(b, o, "detail");
}

static int action_json_write(const Outcome *o, Reply *ret) {
        bool allow = outcome_is_success(o);
        Buf *b = &ret->body;

        ret->content_type = "application/json";
        int r = buf_addf(b, "{\"allow\":%s", allow ? "true" : "false");
        r = r < 0 ? r : allow ? add_success(b, o) : add_failure(b, o);
        r = r < 0 ? r : body_add_text(b, "event", o->event);
        return r < 0 ? r : buf_add_char(b, '}');
}

const Dialect dialect_action_json = {
        .name = "action-json",
        .help = "Auth0 Actions, n8n and other code that decides by itself: 200 with `allow`, a "
                "code and a message. Data is the member `data`",
        .status = {.done = 200, .accepted = 200, .refused = 200, .later = 200},
        .write = action_json_write,
};
