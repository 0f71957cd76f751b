/* SPDX-License-Identifier: Apache-2.0
 *
 * Microsoft Entra custom authentication extensions: always 200 and exactly one action, whose names
 * depend on the event that the delivery's `type` tells. A refusal with a field is a validation
 * error next to it; everything else that failed is the page that ends the sign-up, which beats the
 * technical code that Entra shows for a timeout. An event that has no action for "no" (a token is
 * issued) and one that nobody here knows are refused by the status: then the sign-in fails. */
#include "reply/body.h"
#include "json/value.h"

#define TYPES "microsoft.graph."

typedef struct EntraEvent {
        Span type;                   /* behind microsoft.graph.authenticationEvent. */
        const char *data;            /* @odata.type of the answer */
        const char *prefix;          /* of its actions */
        const char *go_on;           /* the action that changes nothing */
        const char *change, *values; /* the action that takes data, and its member */
        bool has_block, has_validation;
} EntraEvent;

static const EntraEvent events[] = {
        {SPAN("attributeCollectionStart"), TYPES "onAttributeCollectionStartResponseData",
         TYPES "attributeCollectionStart.", "continueWithDefaultBehavior", "setPrefillValues",
         "inputs", true, false},
        {SPAN("attributeCollectionSubmit"), TYPES "onAttributeCollectionSubmitResponseData",
         TYPES "attributeCollectionSubmit.", "continueWithDefaultBehavior", "modifyAttributeValues",
         "attributes", true, true},
        {SPAN("tokenIssuanceStart"), TYPES "onTokenIssuanceStartResponseData",
         TYPES "tokenIssuanceStart.", NULL, "provideClaimsForToken", "claims", false, false},
};

static const EntraEvent *event_of(const Outcome *o) {
        AUTO(buf_done)
        Buf type = BUF(256);
        Span prefix = SPAN(TYPES "authenticationEvent.");

        if (!body_request_text(o, SPAN("/type"), &type) || !span_starts(buf_span(&type), prefix))
                return NULL;
        for (size_t i = 0; i < COUNT_OF(events); i++)
                if (span_eq(events[i].type, span_from(buf_span(&type), prefix.n)))
                        return &events[i];
        return NULL;
}

/* The attribute that a pointer of the delivery names: .../attributes/NAME/value. */
static bool attribute_of(Span pointer, Buf *ret) {
        AUTO(buf_done)
        Buf segment = BUF(1024);
        bool is_next = false;

        for (Span rest = pointer; !is_next; buf_clear(&segment)) {
                if (!pointer_next(&rest, &segment))
                        return false;
                is_next = span_eq(buf_span(&segment), SPAN("attributes"));
                if (is_next)
                        return pointer_next(&rest, ret) && ret->n > 0;
        }
        return false;
}

/* One action from its braces on: `{"@odata.type":"...NAME"`. */
static int begin_action(Buf *b, const EntraEvent *e, const char *name) {
        return buf_addf(b, "{\"@odata.type\":\"%s%s\"", e->prefix, name);
}

static bool same_attribute(Span a, Span b) {
        AUTO(buf_done)
        Buf one = BUF(1024);
        AUTO(buf_done)
        Buf other = BUF(1024);

        return attribute_of(a, &one) && attribute_of(b, &other) &&
               span_eq(buf_span(&one), buf_span(&other));
}

/* All that is said of the attribute of errors[i], as one text; nothing when an earlier one had the
 * same and has said it already: a name may stand in an object once. */
static int add_attribute(Buf *b, const Outcome *o, size_t i) {
        AUTO(buf_done)
        Buf name = BUF(1024);
        AUTO(buf_done)
        Buf text = BUF(BODY_TEXT_MAX_BYTES);
        int r = 0;

        if (!attribute_of(o->errors[i].pointer, &name))
                return 0;
        for (size_t k = 0; k < o->n_errors && r == 0; k++) {
                if (k != i && !same_attribute(o->errors[k].pointer, o->errors[i].pointer))
                        continue;
                if (k < i)
                        return 0;
                r = text.n ? buf_add_char(&text, ' ') : 0;
                r = r < 0 ? r : buf_add(&text, body_detail(o, &o->errors[k]));
        }
        r = r == 0 && b->p[b->n - 1] != '{' ? buf_add_char(b, ',') : r;
        r = r < 0 ? r : buf_add_json(b, buf_span(&name));
        r = r < 0 ? r : buf_add_char(b, ':');
        return r < 0 ? r : buf_add_json(b, buf_span(&text));
}

static bool names_attribute(const OutcomeError *e) {
        AUTO(buf_done)
        Buf name = BUF(1024);

        return attribute_of(e->pointer, &name);
}

static bool has_attribute(const Outcome *o) {
        for (size_t i = 0; i < o->n_errors; i++)
                if (names_attribute(&o->errors[i]))
                        return true;
        return false;
}

/* The message, with what is said of no attribute. */
static int add_rest(Buf *b, const Outcome *o) {
        AUTO(buf_done)
        Buf text = BUF(BODY_TEXT_MAX_BYTES);
        Outcome rest = *o;

        rest.n_errors = 0;
        for (size_t i = 0; i < o->n_errors; i++)
                if (!names_attribute(&o->errors[i]))
                        rest.errors[rest.n_errors++] = o->errors[i];
        int r = body_add_sentence(&text, &rest, NULL);
        return r < 0 ? r : body_add_text(b, "message", buf_span(&text));
}

static int add_validation(Buf *b, const Outcome *o, const EntraEvent *e) {
        int r = begin_action(b, e, "showValidationError");

        r = r < 0 ? r : add_rest(b, o);
        r = r < 0 ? r : buf_add(b, SPAN(",\"attributeErrors\":{"));
        for (size_t i = 0; i < o->n_errors && r == 0; i++)
                r = add_attribute(b, o, i);
        return r < 0 ? r : buf_add(b, SPAN("}}"));
}

static int add_block(Buf *b, const Outcome *o, const EntraEvent *e) {
        AUTO(buf_done)
        Buf text = BUF(BODY_TEXT_MAX_BYTES);
        bool is_later = outcome_kind(o) == OUTCOME_LATER;
        int r = begin_action(b, e, "showBlockPage");

        r = r < 0 ? r : body_add_sentence(&text, o, NULL);
        r = r < 0 ? r
                  : body_add_text(b, "title",
                                  is_later ? SPAN("Try again later") : SPAN("This did not work"));
        r = r < 0 ? r : body_add_text(b, "message", buf_span(&text));
        return r < 0 ? r : buf_add_char(b, '}');
}

/* An action as it stands, or the values for the one that takes some. */
static int add_data(Buf *b, const Outcome *o, const EntraEvent *e) {
        if (json_member(o->data, SPAN("@odata.type")).p)
                return buf_add(b, json_trim(o->data));
        int r = begin_action(b, e, e->change);
        r = r < 0 ? r : body_add_name(b, e->values);
        r = r < 0 ? r : buf_add(b, o->data);
        return r < 0 ? r : buf_add_char(b, '}');
}

static int add_nothing(Buf *b, const EntraEvent *e) {
        if (e->go_on) {
                int r = begin_action(b, e, e->go_on);
                return r < 0 ? r : buf_add_char(b, '}');
        }
        int r = begin_action(b, e, e->change);
        return r < 0 ? r : buf_addf(b, ",\"%s\":{}}", e->values);
}

static int add_action(Buf *b, const Outcome *o, const EntraEvent *e) {
        if (outcome_has_data(o))
                return add_data(b, o, e);
        if (outcome_is_success(o))
                return add_nothing(b, e);
        return e->has_validation && outcome_kind(o) == OUTCOME_REFUSED && has_attribute(o)
                       ? add_validation(b, o, e)
                       : add_block(b, o, e);
}

/* By the status alone. */
static int refuse(const Outcome *o, Reply *ret) {
        OutcomeKind kind = outcome_kind(o);

        ret->status = outcome_is_success(o) ? 500 : kind == OUTCOME_LATER ? 503 : o->status;
        ret->content_type = "application/json";
        int r = buf_add_char(&ret->body, '{');
        r = r < 0 ? r
                  : body_add_text(&ret->body, "message",
                                  outcome_is_success(o) ? SPAN("This is no event of a custom "
                                                               "authentication extension.")
                                                        : body_message(o));
        return r < 0 ? r : buf_add_char(&ret->body, '}');
}

static int entra_extension_write(const Outcome *o, Reply *ret) {
        const EntraEvent *e = event_of(o);
        Buf *b = &ret->body;

        if (outcome_kind(o) == OUTCOME_STRANGER || !e || (!outcome_is_success(o) && !e->has_block))
                return refuse(o, ret);
        if (outcome_has_data(o) && json_kind(o->data) != JSON_OBJECT)
                return DIALECT_MISFIT;
        if (outcome_has_data(o) && json_member(o->data, SPAN("data")).p)
                return body_is_data(o, ret, "application/json");
        ret->content_type = "application/json";
        int r = buf_addf(b, "{\"data\":{\"@odata.type\":\"%s\",\"actions\":[", e->data);
        r = r < 0 ? r : add_action(b, o, e);
        return r < 0 ? r : buf_add(b, SPAN("]}}"));
}

const Dialect dialect_entra_extension = {
        .name = "entra-extension",
        .help = "Microsoft Entra custom authentication extensions: 200 with the one action that "
                "the event wants. Data is the values of its action, an action, or the whole answer",
        .status = {.done = 200, .accepted = 200, .refused = 200, .later = 200},
        .write = entra_extension_write,
};
