/* SPDX-License-Identifier: Apache-2.0
 *
 * Zitadel Actions v2, targets of the type Call with `interruptOnError`: 200 in any case, and in it
 * the status and the message that Zitadel passes on to whoever called. Only 400 to 499 pass; for
 * anything else it shows a general error of its own, and it never tries again. A success is an
 * object: an empty one leaves the call as it was, an empty body would be no JSON. */
#include "reply/body.h"
#include "json/value.h"

static int zitadel_write(const Outcome *o, Reply *ret) {
        AUTO(buf_done)
        Buf text = BUF(BODY_TEXT_MAX_BYTES);
        bool passes = o->status >= 400 && o->status <= 499;

        if (outcome_has_data(o))
                return json_kind(o->data) == JSON_OBJECT ? body_is_data(o, ret, "application/json")
                                                         : DIALECT_MISFIT;
        ret->content_type = "application/json";
        if (outcome_is_success(o))
                return buf_add(&ret->body, SPAN("{}"));
        int r = body_add_sentence(&text, o, NULL);
        r = r < 0 ? r
                  : buf_addf(&ret->body, "{\"forwardedStatusCode\":%d", passes ? o->status : 424);
        r = r < 0 ? r : body_add_text(&ret->body, "forwardedErrorMessage", buf_span(&text));
        return r < 0 ? r : buf_add_char(&ret->body, '}');
}

const Dialect dialect_zitadel = {
        .name = "zitadel",
        .help = "Zitadel Actions v2 (a Call target with interruptOnError): 200 with the status and "
                "message to pass on. Data is the object that replaces the call's own",
        .status = {.done = 200, .accepted = 200, .refused = 200, .later = 200},
        .write = zitadel_write,
};
