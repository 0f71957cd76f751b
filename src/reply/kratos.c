/* SPDX-License-Identifier: Apache-2.0
 *
 * Ory Kratos web hooks with `response.parse`: each complaint stands next to the form's field that
 * its pointer names. Always 400, because Kratos sends what was answered with 429 or 5xx again and
 * loses the body; always with a message, because without one Kratos shows a fault of its own; and
 * each of type `error`, because it takes any other for information and goes on. A success is 204,
 * or 200 with the identity whose parts replace Kratos's own. */
#include "reply/body.h"
#include "json/value.h"

/* Kratos's own number for "not valid, as the text says". */
#define GENERIC_ID 4000001

/* A `fail` may give the number that the form's texts know: code: 4210001. */
static uint64_t id_of(const Outcome *o) {
        uint64_t id;

        return span_to_u64(span_of(o->code), INT64_MAX, &id) ? id : GENERIC_ID;
}

/* From where the pointer names the traits; empty when it does not. */
static Span trait_of(Span pointer) {
        const char *traits = pointer.n ? memmem(pointer.p, pointer.n, "/traits/", 8) : NULL;

        return traits ? span_from(pointer, (size_t)(traits - pointer.p)) : SPAN("");
}

/* `#/traits/email`, or `#/`, the whole form. Kratos undoes percent encoding in it. */
static int add_instance(Buf *b, Span trait) {
        AUTO(buf_done)
        Buf at = BUF(BODY_TEXT_MAX_BYTES);
        Span from = trait.n ? trait : SPAN("/");
        int r = buf_add_char(&at, '#');

        for (size_t i = 0; i < from.n && r == 0; i++)
                r = from.p[i] == '%' ? buf_add(&at, SPAN("%25")) : buf_add_char(&at, from.p[i]);
        return r < 0 ? r : body_add_text(b, "instance_ptr", buf_span(&at));
}

static int add_message(Buf *b, const Outcome *o, Span trait, Span text, Span field, bool is_first) {
        int r = buf_add(b, is_first ? SPAN("{") : SPAN(",{"));

        r = r < 0 ? r : add_instance(b, trait);
        r = r < 0 ? r : buf_addf(b, ",\"messages\":[{\"id\":%" PRIu64, id_of(o));
        r = r < 0 ? r : body_add_text(b, "text", text);
        r = r < 0 ? r : buf_add(b, SPAN(",\"type\":\"error\",\"context\":{"));
        r = r < 0 ? r : body_add_text(b, "code", span_of(o->code));
        r = r < 0 ? r : body_add_text(b, "field", field);
        r = r < 0 ? r : body_add_text(b, "event", o->event);
        return r < 0 ? r : buf_add(b, SPAN("}}]}"));
}

static int add_complaint(Buf *b, const Outcome *o, const OutcomeError *e, bool is_first) {
        AUTO(buf_done)
        Buf placed = BUF(BODY_TEXT_MAX_BYTES);
        Span trait = trait_of(e->pointer);
        int r = trait.n ? buf_add(&placed, body_detail(o, e)) : body_add_placed(&placed, o, e);

        return r < 0 ? r : add_message(b, o, trait, buf_span(&placed), e->field, is_first);
}

static int write_failure(const Outcome *o, Buf *b) {
        bool says_all = o->n_errors > 0 && (body_says_message(o) || o->message.n == 0);
        int r = buf_add(b, SPAN("{\"messages\":["));

        if (r == 0 && !says_all)
                r = add_message(b, o, SPAN(""), body_message(o), SPAN(""), true);
        for (size_t i = 0; i < o->n_errors && r == 0; i++)
                r = add_complaint(b, o, &o->errors[i], says_all && i == 0);
        return r < 0 ? r : buf_add(b, SPAN("]}"));
}

static int write_identity(const Outcome *o, Reply *ret) {
        if (json_kind(o->data) != JSON_OBJECT)
                return DIALECT_MISFIT;
        if (json_member(o->data, SPAN("identity")).p)
                return body_is_data(o, ret, "application/json");
        ret->content_type = "application/json";
        int r = buf_add(&ret->body, SPAN("{\"identity\":"));
        r = r < 0 ? r : buf_add(&ret->body, o->data);
        return r < 0 ? r : buf_add_char(&ret->body, '}');
}

static int kratos_write(const Outcome *o, Reply *ret) {
        if (outcome_has_data(o))
                return write_identity(o, ret);
        if (outcome_is_success(o)) {
                ret->status = 204;
                return 0;
        }
        ret->content_type = "application/json";
        return write_failure(o, &ret->body);
}

const Dialect dialect_kratos = {
        .name = "kratos",
        .help = "Ory Kratos web hooks: messages next to the fields of the form. Data is the "
                "`identity` that replaces Kratos's own",
        .status = {.accepted = 204, .refused = 400, .later = 400},
        .max_bytes = 5 << 20,
        .write = kratos_write,
};
