/* SPDX-License-Identifier: Apache-2.0 */
#include "reply/body.h"

#include "http/head.h"
#include "json/check.h"
#include "json/value.h"

int body_is_data(const Outcome *o, Reply *ret, const char *content_type) {
        ret->content_type = content_type;
        return buf_add(&ret->body, o->data);
}

int body_add_name(Buf *b, const char *name) {
        bool is_first = b->n == 0 || b->p[b->n - 1] == '{';

        return buf_addf(b, "%s\"%s\":", is_first ? "" : ",", name);
}

int body_add_text(Buf *b, const char *name, Span text) {
        if (text.n == 0)
                return 0;
        int r = body_add_name(b, name);
        return r < 0 ? r : buf_add_json(b, text);
}

static int add_error(Buf *b, const OutcomeError *e, const char *detail, bool is_first) {
        int r = buf_add(b, is_first ? SPAN("{") : SPAN(",{"));

        r = r < 0 ? r : body_add_text(b, "pointer", e->pointer);
        r = r < 0 ? r : body_add_text(b, detail, e->detail);
        r = r < 0 ? r : body_add_text(b, "field", e->field);
        return r < 0 ? r : buf_add_char(b, '}');
}

int body_add_errors(Buf *b, const Outcome *o, const char *detail) {
        if (o->n_errors == 0)
                return 0;
        int r = body_add_name(b, "errors");

        r = r < 0 ? r : buf_add_char(b, '[');
        for (size_t i = 0; r == 0 && i < o->n_errors; i++)
                r = add_error(b, &o->errors[i], detail, i == 0);
        return r < 0 ? r : buf_add_char(b, ']');
}

int body_add_line(Buf *b, Span text) {
        /* The JSON form has told good bytes from bad already; undo its escapes. */
        AUTO(buf_done)
        Buf json = BUF(text.n * 6 + 2);
        int r = buf_add_json(&json, text);

        for (size_t i = 1; r == 0 && i + 1 < json.n; i++) {
                char c = json.p[i];

                if (c == '\\') {
                        c = json.p[++i];
                        if (c == 'u')
                                i += 4;
                        if (c != '"' && c != '\\')
                                c = ' ';
                }
                r = buf_add_char(b, c);
        }
        return r;
}

Span body_message(const Outcome *o) {
        return o->message.n > 0   ? o->message
               : o->status == 204 ? SPAN("Done.")
                                  : span_of(http_status_phrase(o->status));
}

int body_add_placed(Buf *out, const Outcome *o, const OutcomeError *e) {
        Span place = e->pointer.n ? e->pointer : e->field;
        int r = body_add_line(out, place);

        if (place.n)
                r = r < 0 ? r : buf_add(out, SPAN(": "));
        return r < 0 ? r : body_add_line(out, body_detail(o, e));
}

bool body_says_message(const Outcome *o) {
        for (size_t i = 0; i < o->n_errors; i++)
                if (span_eq(body_detail(o, &o->errors[i]), body_message(o)))
                        return true;
        return false;
}

/* One complaint of a sentence; nothing for one that says the message once more, of no place. */
static int add_clause(Buf *out, const Outcome *o, const OutcomeError *e, bool is_first,
                      int (*place)(Span pointer, Buf *out)) {
        AUTO(buf_done)
        Buf at = BUF(BODY_TEXT_MAX_BYTES);
        Span detail = span_eq(body_detail(o, e), body_message(o)) ? SPAN("") : e->detail;
        int r = place && e->pointer.n ? place(e->pointer, &at) : buf_add(&at, e->pointer);

        if (r == 0 && at.n == 0)
                r = buf_add(&at, e->field);
        if (r < 0 || (at.n == 0 && detail.n == 0))
                return r;
        r = buf_add(out, is_first ? SPAN(" (") : SPAN("; "));
        r = r < 0 ? r : body_add_line(out, buf_span(&at));
        if (at.n && detail.n)
                r = r < 0 ? r : buf_add(out, SPAN(": "));
        return r < 0 ? r : body_add_line(out, detail);
}

int body_add_sentence(Buf *out, const Outcome *o, int (*place)(Span pointer, Buf *out)) {
        int r = body_add_line(out, body_message(o));
        size_t bare = out->n;

        for (size_t i = 0; r == 0 && i < o->n_errors; i++)
                r = add_clause(out, o, &o->errors[i], out->n == bare, place);
        return r == 0 && out->n > bare ? buf_add_char(out, ')') : r;
}

bool body_request_text(const Outcome *o, Span pointer, Buf *ret) {
        JsonFault fault;

        if (o->request.n == 0 || json_check(o->request, JSON_KEYS_MAX, &fault) < 0)
                return false;
        Span value = json_at(o->request, pointer);
        return value.p && json_kind(value) == JSON_STRING && json_text(value, ret) == 0;
}

bool pointer_next(Span *pointer, Buf *ret) {
        if (pointer->n == 0 || pointer->p[0] != '/')
                return false;
        Span rest = span_from(*pointer, 1);
        size_t n = span_find(rest, '/');
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++) {
                bool escape = rest.p[i] == '~' && i + 1 < n;

                r = buf_add_char(ret, !escape ? rest.p[i] : rest.p[++i] == '1' ? '/' : '~');
        }
        *pointer = span_from(rest, n);
        return r == 0;
}

bool pointer_is_index(Span segment) {
        uint64_t i;

        return span_to_u64(segment, UINT32_MAX, &i);
}
