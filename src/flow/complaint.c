/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/complaint.h"

#include "flow/step.h"
#include "map/path.h"
#include "map/trace.h"
#include "json/check.h"
#include "json/value.h"

#define TEXT_MAX_BYTES 500

static const char *const message_names[] = {
        "message", "detail", "error_description", "description", "title", "error", "reason"};
static const char *const field_names[] = {"field",    "pointer", "path",      "param",
                                          "property", "name",    "attribute", "source"};

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

static void add(Act *a, Outcome *o, Span field, Span detail, const Program *mapping,
                const Target *target) {
        TraceOrigin origin[TRACE_MAX];
        size_t n = mapping ? trace_field(program_text(mapping), field, a->run->arena, origin) : 0;
        size_t before = o->n_errors;

        for (size_t i = 0; i < n && o->n_errors < OUTCOME_ERRORS_MAX; i++)
                if (look_through_items(a, &origin[i]) && !from_target(a, origin[i].root, target) &&
                    origin[i].pointer.n)
                        o->errors[o->n_errors++] = (OutcomeError){origin[i].pointer, detail, field};
        if (o->n_errors == before && o->n_errors < OUTCOME_ERRORS_MAX)
                o->errors[o->n_errors++] = (OutcomeError){SPAN(""), detail, field};
}

static void read_one(Act *a, Span object, Outcome *o, const Program *mapping,
                     const Target *target) {
        Span field, message;

        if (json_kind(object) != JSON_OBJECT)
                return;
        field = first_text(a, object, field_names, COUNT_OF(field_names));
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

void complaint_read(Act *a, Span body, const Program *mapping, const Target *target, Outcome *o) {
        JsonFault fault;
        Span errors, value, key;

        if (body.n == 0 || json_check(body, JSON_KEYS_MAX, &fault) < 0 ||
            json_kind(body) != JSON_OBJECT)
                return;
        o->message = first_text(a, body, message_names, COUNT_OF(message_names));
        errors = json_member(body, SPAN("errors"));
        if (!errors.p)
                errors = json_member(body, SPAN("error"));
        if (errors.p && json_kind(errors) == JSON_ARRAY) {
                for (size_t pos = 0; json_next(errors, &pos, &key, &value);)
                        read_one(a, value, o, mapping, target);
        } else if (errors.p && json_kind(errors) == JSON_OBJECT) {
                read_by_field(a, errors, o, mapping, target);
        }
        if (o->n_errors == 0)
                read_one(a, body, o, mapping, target);
}
