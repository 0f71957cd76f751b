/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/complaint.h"

#include "flow/step.h"
#include "map/field.h"
#include "map/trace.h"
#include "json/check.h"
#include "json/value.h"

enum {
        TEXT_MAX_BYTES = 500,
        ELEMENTS_MAX = 1000, /* of a list that are looked at */
};

static const char *const message_names[] = {
        "message", "detail", "error_description", "msg", "description", "title", "error", "reason"};
/* The first SURE_NAMES mean a field wherever they stand; the others only in a list of complaints:
 * {"name": "ValidationError", "path": "/contacts"} around it is about no field. */
static const char *const field_names[] = {
        "field", "fieldName", "pointer",      "param",        "property", "attribute", "target",
        "path",  "loc",       "propertyPath", "instancePath", "location", "source",    "name"};
enum { SURE_NAMES = 7 };
static const char *const list_names[] = {"errors",         "error",         "details",
                                         "violations",     "issues",        "invalid-params",
                                         "invalid_params", "invalidParams", "detail"};

static Span text_of(Run *r, Span value) {
        AUTO(buf_done)
        Buf b = BUF(64 * 1024);

        if (!value.p || json_kind(value) != JSON_STRING || json_text(value, &b) < 0 || b.n == 0)
                return (Span){NULL, 0};
        if (b.n > TEXT_MAX_BYTES)
                b.n = TEXT_MAX_BYTES;
        return arena_span(r->arena, buf_span(&b));
}

static Span first_text(Run *r, Span object, const char *const *names, size_t n) {
        for (size_t i = 0; i < n; i++) {
                Span t = text_of(r, json_member(object, span_of(names[i])));

                if (t.p)
                        return t;
        }
        return (Span){NULL, 0};
}

/* ["body", "emails", 0, "address"]: /emails/0/address. */
static Span pointer_of_list(Run *r, Span list) {
        AUTO(buf_done)
        Buf b = BUF(TEXT_MAX_BYTES);
        Span key, value;
        bool is_first = true;
        int e = 0;

        for (size_t pos = 0; e == 0 && json_next(list, &pos, &key, &value); is_first = false) {
                AUTO(buf_done)
                Buf name = BUF(TEXT_MAX_BYTES);

                e = json_text(value, &name);
                if (is_first && span_eq(buf_span(&name), SPAN("body")))
                        continue;
                e = e < 0 ? e : buf_add_char(&b, '/');
                for (size_t i = 0; i < name.n && e == 0; i++)
                        e = name.p[i] == '~'   ? buf_add(&b, SPAN("~0"))
                            : name.p[i] == '/' ? buf_add(&b, SPAN("~1"))
                                               : buf_add_char(&b, name.p[i]);
        }
        return e < 0 || b.n == 0 ? (Span){NULL, 0} : arena_span(r->arena, buf_span(&b));
}

/* The field that a complaint names: a text, a list of steps, {"pointer": "/data/..."}. */
static Span field_of(Run *r, Span object, size_t n_names) {
        for (size_t i = 0; i < n_names; i++) {
                Span v = json_member(object, span_of(field_names[i])), found = {NULL, 0};

                if (!v.p)
                        continue;
                if (json_kind(v) == JSON_ARRAY)
                        found = pointer_of_list(r, v);
                else if (json_kind(v) == JSON_OBJECT)
                        found = text_of(r, json_member(v, SPAN("pointer")));
                else
                        found = text_of(r, v);
                if (found.p)
                        return found;
        }
        return (Span){NULL, 0};
}

/* ---- from the target's field to the source's ---- */

/* Did the step of that name ask this very target? Then its values are not the source's own. */
static bool from_target(const Run *r, Span root, const Target *target) {
        for (size_t i = 0; i < r->n_asked; i++)
                if (span_eq(r->asked[i].step, root))
                        return r->asked[i].target == target;
        return false;
}

/* What was sent as this field; .p NULL when its name does not say where it stands. */
static Span sent_as(const Run *r, Span field) {
        AUTO(buf_done)
        Buf pointer = BUF(TEXT_MAX_BYTES * 2);
        Field path;
        JsonFault fault;
        int e = 0;

        if (r->call.body.n == 0 || json_check(r->call.body, JSON_KEYS_MAX, &fault) < 0 ||
            !field_read(field, r->arena, &path))
                return (Span){NULL, 0};
        Span whole = json_member(r->call.body, field);
        if (whole.p)
                return whole;
        for (size_t i = 0; i < path.n && e == 0; i++) {
                const FieldStep *s = &path.step[i];

                if (s->equals.p || s->is_any || memchr(s->name.p, '/', s->name.n) ||
                    memchr(s->name.p, '~', s->name.n))
                        return (Span){NULL, 0};
                e = buf_addf(&pointer, "/" SPAN_FMT, SPAN_ARG(s->name));
        }
        return e < 0 ? (Span){NULL, 0} : json_at(r->call.body, buf_span(&pointer));
}

/* The element of a list that it came from: the only one, or the only one that holds what was sent.
 * Otherwise the list itself is named. */
static Span pointer_of_element(Run *r, const TraceOrigin *o, Span field) {
        Span list = json_at(run_root(r, o->root), o->pointer), sent = sent_as(r, field);
        size_t n = list.p && json_kind(list) == JSON_ARRAY ? json_length(list) : 0, found = n;

        if (n == 1)
                found = 0;
        else if (sent.p && n <= ELEMENTS_MAX)
                for (size_t i = 0; i < n; i++) {
                        Span v = json_at(json_element(list, i), o->rest);

                        if (!v.p || !json_equal(v, sent))
                                continue;
                        if (found < n)
                                return o->pointer; /* two of them do */
                        found = i;
                }
        if (found == n)
                return o->pointer;
        char *text = arena_printf(r->arena, SPAN_FMT "/%zu" SPAN_FMT, SPAN_ARG(o->pointer), found,
                                  SPAN_ARG(o->rest));
        return text ? span_of(text) : o->pointer;
}

/* Is something there? Of `.work // .mail` the one that was taken. */
static bool holds(const Run *r, const TraceOrigin *o) {
        Span v = json_at(run_root(r, o->root), o->pointer);

        return v.p && json_kind(v) != JSON_NULL && json_kind(v) != JSON_FALSE;
}

static bool is_other_side(const Run *r, const TraceOrigin *origin, size_t n, size_t i) {
        if (!origin[i].is_alternative)
                return false;
        /* jq takes the first that holds something. */
        for (size_t k = 0; k < i; k++)
                if (origin[k].is_alternative && holds(r, &origin[k]))
                        return true;
        for (size_t k = i + 1; k < n && !holds(r, &origin[i]); k++)
                if (origin[k].is_alternative && holds(r, &origin[k]))
                        return true;
        return false;
}

/* Two roots may hold the same entity. */
static bool is_told(const Outcome *o, size_t from, Span pointer) {
        for (size_t i = from; i < o->n_errors; i++)
                if (span_eq(o->errors[i].pointer, pointer))
                        return true;
        return false;
}

static void add(Run *r, Outcome *o, Span field, Span detail, const Program *mapping,
                const Target *target) {
        TraceOrigin origin[TRACE_MAX];
        size_t n = mapping ? trace_field(program_text(mapping), field, r->arena, origin) : 0;
        size_t before = o->n_errors;

        for (size_t i = 0; i < n && o->n_errors < OUTCOME_ERRORS_MAX; i++) {
                if (from_target(r, origin[i].root, target) || !run_root(r, origin[i].root).p ||
                    span_eq(origin[i].root, SPAN("meta")) || is_other_side(r, origin, n, i))
                        continue;
                Span pointer = origin[i].is_each ? pointer_of_element(r, &origin[i], field)
                                                 : origin[i].pointer;
                if (pointer.n && !is_told(o, before, pointer))
                        o->errors[o->n_errors++] = (OutcomeError){pointer, detail, field};
        }
        if (o->n_errors == before && o->n_errors < OUTCOME_ERRORS_MAX)
                o->errors[o->n_errors++] = (OutcomeError){SPAN(""), detail, field};
}

/* ---- the shapes ---- */

static void read_one(Run *r, Span object, size_t n_names, Outcome *o, const Program *mapping,
                     const Target *target) {
        Span field, message;

        if (json_kind(object) != JSON_OBJECT)
                return;
        field = field_of(r, object, n_names);
        message = first_text(r, object, message_names, COUNT_OF(message_names));
        if (message.p && !o->message.p)
                o->message = message;
        if (field.p)
                add(r, o, field, message.p ? message : SPAN(""), mapping, target);
}

/* {"email": ["is not valid", ...], ...} */
static void read_by_field(Run *r, Span object, Outcome *o, const Program *mapping,
                          const Target *target) {
        Span key, value;

        for (size_t pos = 0; json_next(object, &pos, &key, &value);) {
                AUTO(buf_done)
                Buf name = BUF(4096);
                Span text = json_kind(value) == JSON_ARRAY ? json_element(value, 0) : value;

                text = text_of(r, text);
                if (!text.p || json_key_text(key, &name) < 0)
                        continue;
                Span field = arena_span(r->arena, buf_span(&name));
                if (!field.p)
                        return;
                if (!o->message.p)
                        o->message = text;
                add(r, o, field, text, mapping, target);
        }
}

static void read_list(Run *r, Span list, Outcome *o, const Program *mapping, const Target *target) {
        Span key, value;

        for (size_t pos = 0; json_next(list, &pos, &key, &value);)
                read_one(r, value, COUNT_OF(field_names), o, mapping, target);
}

/* The complaints of an object that holds them under one of the usual names. */
static void read_object(Run *r, Span object, Outcome *o, const Program *mapping,
                        const Target *target) {
        for (size_t i = 0; i < COUNT_OF(list_names) && o->n_errors == 0; i++) {
                Span v = json_member(object, span_of(list_names[i]));

                if (v.p && json_kind(v) == JSON_ARRAY)
                        read_list(r, v, o, mapping, target);
                else if (v.p && json_kind(v) == JSON_OBJECT && i == 0)
                        read_by_field(r, v, o, mapping, target);
        }
        if (o->n_errors == 0)
                read_one(r, object, SURE_NAMES, o, mapping, target);
}

void complaint_read(Run *r, Span body, const Program *mapping, const Target *target, Outcome *o) {
        JsonFault fault;

        if (body.n == 0 || json_check(body, JSON_KEYS_MAX, &fault) < 0 ||
            json_kind(body) != JSON_OBJECT)
                return;
        o->message = first_text(r, body, message_names, COUNT_OF(message_names));
        Span error = json_member(body, SPAN("error"));
        bool is_wrapped = error.p && json_kind(error) == JSON_OBJECT;
        if (is_wrapped && !o->message.p)
                o->message = first_text(r, error, message_names, COUNT_OF(message_names));
        /* {"error": {"message": "...", "details": [...]}}, or {"error": {"email": ["..."]}} */
        if (is_wrapped)
                read_object(r, error, o, mapping, target);
        if (o->n_errors == 0)
                read_object(r, body, o, mapping, target);
        if (is_wrapped && o->n_errors == 0 && !o->message.p)
                read_by_field(r, error, o, mapping, target);
}
