/* SPDX-License-Identifier: Apache-2.0
 *
 * Okta inline hooks: 200 whatever happened, with commands or an error. Where a hook fails with
 * another status, some of Okta's processes go on as if it had not been there, so that even "try
 * again later" is an error that Okta can read. What it does about an error is the matter of the
 * hook's type, which the delivery names: a registration and a password want a command beside it. */
#include "reply/body.h"
#include "json/value.h"

/* Okta reads less than 256 KB, and does not say which KB. */
#define OKTA_MAX_BYTES 255000

static const struct {
        Span event_type, value;
} denials[] = {
        {SPAN("com.okta.user.pre-registration"), SPAN("{\"registration\":\"DENY\"}")},
        {SPAN("com.okta.user.credential.password.import"), SPAN("{\"credential\":\"UNVERIFIED\"}")},
};

static int add_denial(Buf *b, const Outcome *o) {
        AUTO(buf_done)
        Buf type = BUF(256);

        if (!body_request_text(o, SPAN("/eventType"), &type))
                return 0;
        for (size_t i = 0; i < COUNT_OF(denials); i++)
                if (span_eq(denials[i].event_type, buf_span(&type)))
                        return buf_addf(b,
                                        "\"commands\":[{\"type\":\"com.okta.action.update\","
                                        "\"value\":" SPAN_FMT "}]",
                                        SPAN_ARG(denials[i].value));
        return 0;
}

/* `data.userProfile.email`: only what the pointer names inside the hook's own `data`. */
static bool location_of(Span pointer, Buf *ret) {
        bool is_good = span_starts(pointer, SPAN("/data/"));

        for (Span rest = pointer; is_good && rest.n;)
                is_good = (ret->n == 0 || buf_add_char(ret, '.') == 0) && pointer_next(&rest, ret);
        return is_good;
}

/* UNIQUE_CONSTRAINT, TARGET_REFUSED. */
static int add_reason(Buf *b, const Outcome *o) {
        AUTO(buf_done)
        Buf word = BUF(256);
        Span code = span_of(o->code);
        int r = 0;

        if (o->status == 409 && span_eq(code, SPAN("conflict")))
                code = SPAN("UNIQUE_CONSTRAINT");
        for (size_t i = 0; i < code.n && r == 0; i++) {
                char c = code.p[i];

                r = buf_add_char(&word, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A')
                                        : c == '-'           ? '_'
                                                             : c);
        }
        return r < 0 ? r : body_add_text(b, "reason", buf_span(&word));
}

static int add_cause(Buf *b, const Outcome *o, const OutcomeError *e, bool is_first) {
        AUTO(buf_done)
        Buf at = BUF(BODY_TEXT_MAX_BYTES);
        AUTO(buf_done)
        Buf text = BUF(BODY_TEXT_MAX_BYTES);
        bool has_place = location_of(e->pointer, &at);
        int r = has_place ? buf_add(&text, body_detail(o, e)) : body_add_placed(&text, o, e);

        r = r < 0 ? r : buf_add(b, is_first ? SPAN("{") : SPAN(",{"));
        r = r < 0 ? r : body_add_text(b, "errorSummary", buf_span(&text));
        r = r < 0 ? r : add_reason(b, o);
        if (has_place) {
                r = r < 0 ? r : body_add_text(b, "locationType", SPAN("body"));
                r = r < 0 ? r : body_add_text(b, "location", buf_span(&at));
        }
        return r < 0 ? r : buf_add(b, SPAN(",\"domain\":\"end-user\"}"));
}

static int add_debug(Buf *b, const Outcome *o) {
        if (o->event.n == 0)
                return 0;
        int r = buf_add(b, SPAN(",\"debugContext\":{"));
        r = r < 0 ? r : body_add_text(b, "event", o->event);
        r = r < 0 ? r : body_add_text(b, "code", span_of(o->code));
        return r < 0 ? r : buf_add_char(b, '}');
}

static int write_failure(const Outcome *o, Buf *b) {
        int r = buf_add_char(b, '{');

        r = r < 0 ? r : add_denial(b, o);
        r = r < 0 ? r : body_add_name(b, "error");
        r = r < 0 ? r : buf_add_char(b, '{');
        r = r < 0 ? r : body_add_text(b, "errorSummary", body_message(o));
        r = r < 0 ? r : buf_add(b, SPAN(",\"errorCauses\":["));
        if (r == 0 && o->n_errors == 0)
                r = add_cause(b, o, &(OutcomeError){0}, true);
        for (size_t i = 0; i < o->n_errors && r == 0; i++)
                r = add_cause(b, o, &o->errors[i], i == 0);
        r = r < 0 ? r : buf_add(b, SPAN("]}"));
        r = r < 0 ? r : add_debug(b, o);
        return r < 0 ? r : buf_add_char(b, '}');
}

/* A list of commands, one command, or the whole answer. */
static int write_commands(const Outcome *o, Reply *ret) {
        bool is_list = json_kind(o->data) == JSON_ARRAY;
        bool is_object = json_kind(o->data) == JSON_OBJECT;

        if (is_object &&
            (json_member(o->data, SPAN("commands")).p || json_member(o->data, SPAN("error")).p))
                return body_is_data(o, ret, "application/json");
        if (!is_list && !(is_object && json_member(o->data, SPAN("type")).p))
                return DIALECT_MISFIT;
        ret->content_type = "application/json";
        int r = buf_addf(&ret->body, "{\"commands\":%s", is_list ? "" : "[");
        r = r < 0 ? r : buf_add(&ret->body, o->data);
        return r < 0 ? r : buf_addf(&ret->body, "%s}", is_list ? "" : "]");
}

static int okta_inline_write(const Outcome *o, Reply *ret) {
        if (outcome_has_data(o))
                return write_commands(o, ret);
        if (outcome_is_success(o)) {
                ret->status = 204;
                return 0;
        }
        ret->content_type = "application/json";
        return write_failure(o, &ret->body);
}

const Dialect dialect_okta_inline = {
        .name = "okta-inline",
        .help = "Okta inline hooks: 200 with commands or an error. Data is the list of commands, "
                "or the whole answer",
        .status = {.accepted = 204, .refused = 200, .later = 200},
        .max_bytes = OKTA_MAX_BYTES,
        .write = okta_inline_write,
};
