/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/send.h"

#include "json/value.h"

#define FIELDS_MAX_BYTES 300

/* "email, name": the members of what was sent. */
static Span fields_of(Act *a, Span body) {
        AUTO(buf_done)
        Buf b = BUF(FIELDS_MAX_BYTES);
        Span key, value;

        if (!body.p || json_kind(body) != JSON_OBJECT)
                return (Span){NULL, 0};
        for (size_t pos = 0; json_next(body, &pos, &key, &value);) {
                size_t before = b.n;

                if ((b.n && buf_add(&b, SPAN(", ")) < 0) || buf_add(&b, key) < 0) {
                        b.n = before;
                        break;
                }
        }
        return arena_span(a->run->arena, buf_span(&b));
}

struct Sending {
        bool writes;
        Span body;
};

static void on_answer(Act *a, const ClientAnswer *answer) {
        const struct Sending *s = a->sending;
        Span value;

        if (answer->status == 404) {
                act_fail(a, 404, "missing", false, "%s knows no such entity (step " SPAN_FMT ").",
                         a->to->target->config->name, SPAN_ARG(a->step->name));
                return;
        }
        if (s->writes) {
                a->run->writes++;
                a->run->told_target = span_of(a->to->target->config->name);
                a->run->told_fields = fields_of(a, s->body);
        }
        if (exchange_json(a, answer, true, &value))
                act_done(a, value);
}

void send_start(Act *a, const char *method, const Address *to, Span body, const Program *mapping,
                const char *content_type, bool writes) {
        struct Sending *s = arena_alloc(a->run->arena, sizeof *s);

        must(s);
        *s = (struct Sending){writes, body};
        a->sending = s;
        a->call = (Call){
                .method = method, .body = body, .content_type = body.p ? content_type : NULL};
        exchange_mapping(a, mapping);
        exchange_start(a, to, on_answer);
}
