/* SPDX-License-Identifier: Apache-2.0
 *
 * Text for sources that show the body of an answer as it stands: the message, then one line for
 * each complaint, headed by the place in the source's entity, or by the target's name for it
 * where the source's is unknown. */
#include "reply/body.h"

static int add_complaint(Buf *b, const Outcome *o, const OutcomeError *e) {
        int r = buf_add_char(b, '\n');

        return r < 0 ? r : body_add_placed(b, o, e);
}

static int plain_write(const Outcome *o, Reply *ret) {
        if (outcome_has_data(o))
                return body_is_data(o, ret, "application/json");
        ret->content_type = "text/plain; charset=utf-8";
        int r = body_add_line(&ret->body, body_message(o));
        for (size_t i = 0; r == 0 && i < o->n_errors; i++)
                r = add_complaint(&ret->body, o, &o->errors[i]);
        return r < 0 ? r : buf_add_char(&ret->body, '\n');
}

const Dialect dialect_plain = {
        .name = "plain",
        .help = "Text: the message, then a line for each field that is complained about",
        .has_hints = true,
        .write = plain_write,
};
