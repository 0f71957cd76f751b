/* SPDX-License-Identifier: Apache-2.0
 *
 * Slack commands and what imitates them: 200 with a text, because that is all that is shown;
 * another status shows a fault of Slack's own. The text says what went wrong. Three signs are
 * escaped in it, so that nothing from outside can mention a channel or make a link. */
#include "reply/body.h"
#include "json/value.h"

static int add_escaped(Buf *out, Span text) {
        int r = 0;

        for (size_t i = 0; i < text.n && r == 0; i++) {
                char c = text.p[i];

                r = c == '&'   ? buf_add(out, SPAN("&amp;"))
                    : c == '<' ? buf_add(out, SPAN("&lt;"))
                    : c == '>' ? buf_add(out, SPAN("&gt;"))
                               : buf_add_char(out, c);
        }
        return r;
}

/* A whole message as the flow made it, or its text. */
static int write_data(const Outcome *o, Reply *ret) {
        JsonKind kind = json_kind(o->data);

        if (kind == JSON_OBJECT)
                return body_is_data(o, ret, "application/json");
        if (kind != JSON_STRING)
                return DIALECT_MISFIT;
        ret->content_type = "application/json";
        int r = buf_add(&ret->body, SPAN("{\"text\":"));
        r = r < 0 ? r : buf_add(&ret->body, o->data);
        return r < 0 ? r : buf_add_char(&ret->body, '}');
}

static int slack_write(const Outcome *o, Reply *ret) {
        AUTO(buf_done)
        Buf text = BUF(BODY_TEXT_MAX_BYTES);
        AUTO(buf_done)
        Buf escaped = BUF(BODY_TEXT_MAX_BYTES * 2);

        if (outcome_has_data(o))
                return write_data(o, ret);
        ret->content_type = "application/json";
        int r = body_add_sentence(&text, o, NULL);
        r = r < 0 ? r : add_escaped(&escaped, buf_span(&text));
        r = r < 0 ? r : buf_add_char(&ret->body, '{');
        r = r < 0 ? r : body_add_text(&ret->body, "text", buf_span(&escaped));
        return r < 0 ? r : buf_add_char(&ret->body, '}');
}

const Dialect dialect_slack = {
        .name = "slack",
        .help = "Slack commands and their like: 200 with the text to show, also of a failure. Data "
                "is a whole message, or its text",
        .status = {.done = 200, .accepted = 200, .refused = 200, .later = 200},
        .write = slack_write,
};
