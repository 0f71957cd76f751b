/* SPDX-License-Identifier: Apache-2.0
 *
 * Text for sources that show the body of an answer as it stands: the message, then one line for
 * each complaint, headed by the place in the source's entity, or by the target's name for it
 * where the source's is unknown. */
#include "http/head.h"
#include "reply/body.h"

static int add_complaint(Buf *b, const OutcomeError *e) {
        Span place = e->pointer.n > 0 ? e->pointer : e->field;
        int r = buf_add_char(b, '\n');

        if (place.n > 0) {
                r = r < 0 ? r : body_add_line(b, place);
                r = r < 0 ? r : buf_add(b, SPAN(": "));
        }
        return r < 0 ? r : body_add_line(b, e->detail);
}

static int plain_write(const Outcome *o, Reply *ret) {
        Span message = o->message.n > 0 ? o->message : span_of(http_status_phrase(o->status));
        int r = body_begin(o, ret);

        if (r != 0)
                return r < 0 ? r : 0;
        ret->content_type = "text/plain; charset=utf-8";
        r = body_add_line(&ret->body, message);
        for (size_t i = 0; r == 0 && i < o->n_errors; i++)
                r = add_complaint(&ret->body, &o->errors[i]);
        return r < 0 ? r : buf_add_char(&ret->body, '\n');
}

const Dialect dialect_plain = {
        .name = "plain",
        .help = "Text: the message, then a line for each field that is complained about",
        .write = plain_write,
};
