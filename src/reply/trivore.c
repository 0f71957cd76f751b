/* SPDX-License-Identifier: Apache-2.0
 *
 * Trivore ID and onePortal: 200, or the whole entity where it was asked for; anything else with a
 * message, which stands in the form of the person who pressed Save. */
#include "reply/body.h"

static int trivore_write(const Outcome *o, Reply *ret) {
        Buf *b = &ret->body;

        if (outcome_has_data(o))
                return body_is_data(o, ret, "application/json");
        ret->content_type = "application/json";
        int r = buf_add_char(b, '{');
        r = r < 0 ? r : body_add_text(b, "message", body_message(o));
        r = r < 0 ? r : body_add_errors(b, o, "message");
        return r < 0 ? r : buf_add_char(b, '}');
}

const Dialect dialect_trivore = {
        .name = "trivore",
        .help = "Trivore ID and onePortal: a message for the form, or the whole entity. Data is "
                "that entity",
        .status = {.later = 503},
        .has_hints = true,
        .write = trivore_write,
};
