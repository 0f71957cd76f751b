/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/complaint.h"

#include "flow/run.h"
#include "flow/step.h"
#include "map/field.h"
#include "map/mention.h"
#include "map/path.h"
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

static Span text_of(Act *a, Span value) {
        AUTO(buf_done)
        Buf b = BUF(64 * 1024);

        if (!value.p || json_kind(value) != JSON_STRING || json_text(value, &b) < 0 || b.n == 0)
                return (Span){NULL, 0};
        if (b.n > TEXT_MAX_BYTES)
                b.n = TEXT_MAX_BYTES;
        return arena_span(a->run->arena, buf_span(&b));
}

static Span first_text(Act *a, Span object, const char *const *names, size_t n) {
        for (size_t i = 0; i < n; i++) {
                Span t = text_of(a, json_member(object, span_of(names[i])));

                if (t.p)
                        return t;
        }
        return (Span){NULL, 0};
}

/* ["body", "emails", 0, "address"]: /emails/0/address. */
static Span pointer_of_list(Act *a, Span list) {
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
        return e < 0 || b.n == 0 ? (Span){NULL, 0} : arena_span(a->run->arena, buf_span(&b));
}

/* The field that a complaint names: a text, a list of steps, {"pointer": "/data/..."}. */
static Span field_of(Act *a, Span object, size_t n_names) {
        for (size_t i = 0; i < n_names; i++) {
                Span v = json_member(object, span_of(field_names[i])), found = {NULL, 0};

                if (!v.p)
                        continue;
                if (json_kind(v) == JSON_ARRAY)
                        found = pointer_of_list(a, v);
                else if (json_kind(v) == JSON_OBJECT)
                        found = text_of(a, json_member(v, SPAN("pointer")));
                else
                        found = text_of(a, v);
                if (found.p)
                        return found;
        }
        return (Span){NULL, 0};
}

/* ---- from the target's field to the source's ---- */

/* Did the step of that name ask this very target? Then its values are not the source's own. */
static bool from_target(const Act *a, Span root, const Target *target) {
        const Step *s = act_step_named(a, root);

        return s && s->target == target;
}

/* Where the items of the walk around `w` lie, and which one this is: "/groups/3" of the root
 * `user`. False where the expression does not tell. */
static bool place_of_item(Act *a, const Walk *w, TraceOrigin *ret) {
        AUTO(buf_done)
        Buf pointer = BUF(JSON_POINTER_MAX_BYTES);
        Path path;
        int e = 0;

        if (!w->items || !path_parse(program_text(w->items), &path) || !path.part[0].key.p)
                return false;
        for (size_t i = 1; i < path.n && e == 0; i++) {
                const PathPart *part = &path.part[i];

                if (part->key.p && (memchr(part->key.p, '~', part->key.n) ||
                                    memchr(part->key.p, '/', part->key.n)))
                        return false;
                e = part->key.p ? buf_addf(&pointer, "/" SPAN_FMT, SPAN_ARG(part->key))
                                : buf_addf(&pointer, "/%zu", part->index);
        }
        if (e < 0 || buf_addf(&pointer, "/%zu" SPAN_FMT, w->item - 1, SPAN_ARG(ret->pointer)) < 0)
                return false;
        *ret = (TraceOrigin){path.part[0].key, act_keep(a, buf_span(&pointer))};
        return ret->pointer.p;
}

/* What came from an item came from its place in the list. False when that is not known. */
static bool look_through_items(Act *a, TraceOrigin *origin) {
        for (const Walk *w = a->walk; span_eq(origin->root, SPAN("item")); w = w->outer) {
                while (w && !w->item)
                        w = w->outer;
                if (!w)
                        return true; /* a step of that name */
                if (!place_of_item(a, w, origin))
                        return false;
        }
        return true;
}

/* What was sent as this field; .p NULL when its name does not say where it stands. */
static Span sent_as(const Act *a, Span field) {
        AUTO(buf_done)
        Buf pointer = BUF(TEXT_MAX_BYTES * 2);
        Field path;
        JsonFault fault;
        int e = 0;

        if (a->call.body.n == 0 || json_check(a->call.body, JSON_KEYS_MAX, &fault) < 0 ||
            !field_read(field, a->run->arena, &path))
                return (Span){NULL, 0};
        Span whole = json_member(a->call.body, field);
        if (whole.p)
                return whole;
        for (size_t i = 0; i < path.n && e == 0; i++) {
                const FieldStep *s = &path.step[i];

                if (s->equals.p || s->is_any || memchr(s->name.p, '/', s->name.n) ||
                    memchr(s->name.p, '~', s->name.n))
                        return (Span){NULL, 0};
                e = buf_addf(&pointer, "/" SPAN_FMT, SPAN_ARG(s->name));
        }
        return e < 0 ? (Span){NULL, 0} : json_at(a->call.body, buf_span(&pointer));
}

/* The element of a list that it came from: the only one, or the only one that holds what was sent.
 * Otherwise the list itself is named. */
static Span pointer_of_element(Act *a, const TraceOrigin *o, Span field) {
        Span list = json_at(act_root(a, o->root), o->pointer), sent = sent_as(a, field);
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
        char *text = arena_printf(a->run->arena, SPAN_FMT "/%zu" SPAN_FMT, SPAN_ARG(o->pointer),
                                  found, SPAN_ARG(o->rest));
        return text ? span_of(text) : o->pointer;
}

/* Is something there? Of `.work // .mail` the one that was taken. */
static bool holds(const Act *a, const TraceOrigin *o) {
        Span v = json_at(act_root(a, o->root), o->pointer);

        return v.p && json_kind(v) != JSON_NULL && json_kind(v) != JSON_FALSE;
}

static bool is_other_side(const Act *a, const TraceOrigin *origin, size_t n, size_t i) {
        if (!origin[i].is_alternative)
                return false;
        /* jq takes the first that holds something. */
        for (size_t k = 0; k < i; k++)
                if (origin[k].is_alternative && holds(a, &origin[k]))
                        return true;
        for (size_t k = i + 1; k < n && !holds(a, &origin[i]); k++)
                if (origin[k].is_alternative && holds(a, &origin[k]))
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

static void add(Act *a, Outcome *o, Span field, Span detail, const Program *mapping,
                const Target *target) {
        TraceOrigin origin[TRACE_MAX];
        size_t n = mapping ? trace_field(program_text(mapping), field, a->run->arena, origin) : 0;
        size_t before = o->n_errors;

        for (size_t i = 0; i < n && o->n_errors < OUTCOME_ERRORS_MAX; i++) {
                if (!look_through_items(a, &origin[i]) || from_target(a, origin[i].root, target) ||
                    !act_root(a, origin[i].root).p || span_eq(origin[i].root, SPAN("meta")) ||
                    is_other_side(a, origin, n, i))
                        continue;
                Span pointer = origin[i].is_each ? pointer_of_element(a, &origin[i], field)
                                                 : origin[i].pointer;
                if (pointer.n && !is_told(o, before, pointer))
                        o->errors[o->n_errors++] = (OutcomeError){pointer, detail, field};
        }
        if (o->n_errors == before && o->n_errors < OUTCOME_ERRORS_MAX)
                o->errors[o->n_errors++] = (OutcomeError){SPAN(""), detail, field};
}

/* ---- a field that only the sentence names ---- */

/* A name that the program does not spell out, and that no field has. */
#define NO_FIELD "\x7f"

/* Does the mapping take members whatever their names are? */
static bool takes_any(Act *a, const Program *mapping) {
        TraceOrigin origin[TRACE_MAX];

        return trace_field(program_text(mapping), SPAN(NO_FIELD), a->run->arena, origin) > 0;
}

/* Is that a field of what was sent, not a value or just a word? What is missing was not sent, so
 * the mapping's own text has to name it, or the source to have it. */
static bool is_field(Act *a, Span name, const Program *mapping) {
        TraceOrigin origin[TRACE_MAX];
        size_t n = trace_field(program_text(mapping), name, a->run->arena, origin);
        bool is_named = n > 0 && !takes_any(a, mapping);

        for (size_t i = 0; i < n && !is_named; i++)
                is_named = json_at(act_root(a, origin[i].root), origin[i].pointer).p;
        return is_named;
}

static bool is_scim_error(Span body) {
        Span schemas = json_member(body, SPAN("schemas"));

        return schemas.p && json_kind(schemas) == JSON_ARRAY &&
               json_equal(json_element(schemas, 0),
                          SPAN("\"urn:ietf:params:scim:api:messages:2.0:Error\""));
}

/* RFC 7644, section 3.12: {"schemas": [...], "detail": "Attribute 'id' is readOnly"}. The first
 * field of the sentence is the one that it is about. */
static void read_scim_error(Act *a, Span body, Outcome *o, const Program *mapping,
                            const Target *target) {
        Span detail = text_of(a, json_member(body, SPAN("detail"))), name;

        if (!mapping || !detail.p)
                return;
        for (size_t pos = 0; mention_next(detail, &pos, &name);)
                if (is_field(a, name, mapping)) {
                        add(a, o, name, detail, mapping, target);
                        return;
                }
}

/* ---- the shapes ---- */

static void read_one(Act *a, Span object, size_t n_names, Outcome *o, const Program *mapping,
                     const Target *target) {
        Span field, message;

        if (json_kind(object) != JSON_OBJECT)
                return;
        field = field_of(a, object, n_names);
        message = first_text(a, object, message_names, COUNT_OF(message_names));
        if (message.p && !o->message.p)
                o->message = message;
        if (field.p)
                add(a, o, field, message.p ? message : SPAN(""), mapping, target);
}

/* {"email": ["is not valid", ...], ...} */
static void read_by_field(Act *a, Span object, Outcome *o, const Program *mapping,
                          const Target *target) {
        Span key, value;

        for (size_t pos = 0; json_next(object, &pos, &key, &value);) {
                AUTO(buf_done)
                Buf name = BUF(4096);
                Span text = json_kind(value) == JSON_ARRAY ? json_element(value, 0) : value;

                text = text_of(a, text);
                if (!text.p || json_key_text(key, &name) < 0)
                        continue;
                Span field = arena_span(a->run->arena, buf_span(&name));
                if (!field.p)
                        return;
                if (!o->message.p)
                        o->message = text;
                add(a, o, field, text, mapping, target);
        }
}

static void read_list(Act *a, Span list, Outcome *o, const Program *mapping, const Target *target) {
        Span key, value;

        for (size_t pos = 0; json_next(list, &pos, &key, &value);)
                read_one(a, value, COUNT_OF(field_names), o, mapping, target);
}

/* The complaints of an object that holds them under one of the usual names. */
static void read_object(Act *a, Span object, Outcome *o, const Program *mapping,
                        const Target *target) {
        for (size_t i = 0; i < COUNT_OF(list_names) && o->n_errors == 0; i++) {
                Span v = json_member(object, span_of(list_names[i]));

                if (v.p && json_kind(v) == JSON_ARRAY)
                        read_list(a, v, o, mapping, target);
                else if (v.p && json_kind(v) == JSON_OBJECT && i == 0)
                        read_by_field(a, v, o, mapping, target);
        }
        if (o->n_errors == 0)
                read_one(a, object, SURE_NAMES, o, mapping, target);
}

void complaint_read(Act *a, Span body, const Program *mapping, const Target *target, Outcome *o) {
        JsonFault fault;

        if (body.n == 0 || json_check(body, JSON_KEYS_MAX, &fault) < 0 ||
            json_kind(body) != JSON_OBJECT)
                return;
        o->message = first_text(a, body, message_names, COUNT_OF(message_names));
        Span error = json_member(body, SPAN("error"));
        bool is_wrapped = error.p && json_kind(error) == JSON_OBJECT;
        if (is_wrapped && !o->message.p)
                o->message = first_text(a, error, message_names, COUNT_OF(message_names));
        /* {"error": {"message": "...", "details": [...]}}, or {"error": {"email": ["..."]}} */
        if (is_wrapped)
                read_object(a, error, o, mapping, target);
        if (o->n_errors == 0)
                read_object(a, body, o, mapping, target);
        if (is_wrapped && o->n_errors == 0 && !o->message.p)
                read_by_field(a, error, o, mapping, target);
        if (o->n_errors == 0 && is_scim_error(body))
                read_scim_error(a, body, o, mapping, target);
}
