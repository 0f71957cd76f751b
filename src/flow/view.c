/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/view.h"

#include "http/form.h"
#include "json/check.h"
#include "json/value.h"

#define VIEW_MAX_BYTES (16 * 1024 * 1024)

static const char *const names[] = {
        [FORMS_FIELDS] = "fields",
        [FORMS_PAYLOAD] = "payload",
};

const char *view_name(FormRule rule) {
        return names[rule];
}

static size_t count_of(const FormPair *pairs, size_t n, Span name) {
        size_t count = 0;

        for (size_t i = 0; i < n; i++)
                count += span_eq(pairs[i].name, name);
        return count;
}

static bool came_before(const FormPair *pairs, size_t i) {
        return count_of(pairs, i, pairs[i].name) > 0;
}

static int add_list(const FormPair *pairs, size_t n, Span name, Buf *out) {
        int r = 0;
        char before = '[';

        for (size_t i = 0; r == 0 && i < n; i++) {
                if (!span_eq(pairs[i].name, name))
                        continue;
                r = buf_add_char(out, before);
                if (r == 0)
                        r = buf_add_json(out, pairs[i].value);
                before = ',';
        }
        return r < 0 ? r : buf_add_char(out, ']');
}

static int add_fields(const FormPair *pairs, size_t n, Buf *out) {
        int r = buf_add_char(out, '{');

        for (size_t i = 0; r == 0 && i < n; i++) {
                if (came_before(pairs, i))
                        continue;
                if (i)
                        r = buf_add_char(out, ',');
                if (r == 0)
                        r = buf_add_json(out, pairs[i].name);
                if (r == 0)
                        r = buf_add_char(out, ':');
                if (r == 0 && count_of(pairs, n, pairs[i].name) > 1)
                        r = add_list(pairs, n, pairs[i].name, out);
                else if (r == 0)
                        r = buf_add_json(out, pairs[i].value);
        }
        return r < 0 ? r : buf_add_char(out, '}');
}

static const FormPair *find_payload(const FormPair *pairs, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (span_eq(pairs[i].name, SPAN("payload")))
                        return count_of(pairs, n, pairs[i].name) == 1 ? &pairs[i] : NULL;
        return NULL;
}

int view_of_form(Span body, FormRule rule, Arena *a, Span *ret, char why[160]) {
        enum { WHY_BYTES = 160 };
        AUTO(buf_done)
        Buf b = BUF(VIEW_MAX_BYTES);
        FormPair *pairs = NULL;
        FormFault bad = {0};
        JsonFault fault;
        size_t n = 0;
        int r = form_parse(body, a, &pairs, &n, &bad);

        if (r == -EBADMSG)
                (void)snprintf(why, WHY_BYTES, "the body is no form: %s at byte %zu", bad.why,
                               bad.offset);
        if (r < 0)
                return r;
        const FormPair *payload = rule == FORMS_PAYLOAD ? find_payload(pairs, n) : NULL;
        if (payload) {
                *ret = payload->value;
        } else {
                r = add_fields(pairs, n, &b);
                *ret = r == 0 ? arena_span(a, buf_span(&b)) : (Span){NULL, 0};
                if (!ret->p)
                        return -ENOMEM;
        }
        if (json_check(*ret, JSON_KEYS_MAX, &fault) == 0)
                return 0;
        (void)snprintf(why, WHY_BYTES, "the form's field payload is no JSON: %s at byte %zu of it",
                       fault.why, fault.offset);
        return -EBADMSG;
}

static FormRule rule_of(const Event *e) {
        Span view = e->meta.n ? json_member(e->meta, SPAN("view")) : (Span){NULL, 0};

        if (view.p && json_equal(view, SPAN("\"fields\"")))
                return FORMS_FIELDS;
        if (view.p && json_equal(view, SPAN("\"payload\"")))
                return FORMS_PAYLOAD;
        return FORMS_REFUSE;
}

Span view_of_event(const Event *e, Arena *a) {
        FormRule rule = rule_of(e);
        char why[160];
        Span view;

        if (e->body.n == 0)
                return SPAN("null");
        if (rule == FORMS_REFUSE)
                return e->body;
        return view_of_form(e->body, rule, a, &view, why) == 0 ? view : SPAN("null");
}
