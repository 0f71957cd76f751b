/* SPDX-License-Identifier: Apache-2.0
 *
 * SCIM clients (RFC 7644): resources and Errors as application/scim+json. A client knows few
 * statuses; what a target refused is to it a value that is not valid. An Error has no member for
 * the place, so the path stands in its text. */
#include "reply/body.h"

#define SCIM_TYPE  "application/scim+json"
#define SCIM_ERROR "urn:ietf:params:scim:api:messages:2.0:Error"

static int status_of(const Outcome *o) {
        static const int known[] = {401, 403, 404, 409, 412, 413};

        for (size_t i = 0; i < COUNT_OF(known); i++)
                if (o->status == known[i])
                        return o->status;
        return 400;
}

/* RFC 7644 section 3.12: one of these words, where one fits. */
static Span type_of(const Outcome *o, int status) {
        if (status == 409)
                return SPAN("uniqueness");
        if (status == 400)
                return span_eq(span_of(o->code), SPAN("bad-json")) ? SPAN("invalidSyntax")
                                                                   : SPAN("invalidValue");
        return SPAN("");
}

/* RFC 7644 section 3.10: names with dots between, a URN with a colon behind it. A path has no
 * index, so that emails/0/value is emails.value. */
static int add_path(Span pointer, Buf *out) {
        AUTO(buf_done)
        Buf segment = BUF(BODY_TEXT_MAX_BYTES);
        char between = 0;
        int r = 0;

        for (Span rest = pointer; r == 0 && pointer_next(&rest, &segment); buf_clear(&segment)) {
                if (pointer_is_index(buf_span(&segment)))
                        continue;
                r = between ? buf_add_char(out, between) : 0;
                r = r < 0 ? r : buf_add(out, buf_span(&segment));
                between = span_starts(buf_span(&segment), SPAN("urn:")) ? ':' : '.';
        }
        return r;
}

static int scim_write(const Outcome *o, Reply *ret) {
        AUTO(buf_done)
        Buf text = BUF(BODY_TEXT_MAX_BYTES);
        Buf *b = &ret->body;

        if (outcome_has_data(o))
                return body_is_data(o, ret, SCIM_TYPE);
        if (outcome_is_success(o)) {
                ret->status = outcome_kind(o) == OUTCOME_DONE ? 204 : ret->status;
                return 0;
        }
        if (outcome_kind(o) != OUTCOME_LATER)
                ret->status = status_of(o);
        ret->content_type = SCIM_TYPE;
        int r = buf_addf(b, "{\"schemas\":[\"" SCIM_ERROR "\"],\"status\":\"%d\"", ret->status);
        r = r < 0 ? r : body_add_text(b, "scimType", type_of(o, ret->status));
        r = r < 0 ? r : body_add_sentence(&text, o, add_path);
        r = r < 0 ? r : body_add_text(b, "detail", buf_span(&text));
        return r < 0 ? r : buf_add_char(b, '}');
}

const Dialect dialect_scim = {
        .name = "scim",
        .help = "SCIM clients (RFC 7644): resources and Errors as application/scim+json. Data is "
                "the resource",
        .status = {.later = 503},
        .has_hints = true,
        .write = scim_write,
};
