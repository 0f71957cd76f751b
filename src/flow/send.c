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

static void on_answer(Act *a, const ClientAnswer *answer) {
        const Send *s = a->sending;
        Run *r = a->run;
        Span value;

        if (answer->status == 404) {
                if (s->refused && s->refused(a, answer))
                        return;
                act_fail(a, 404, "missing", false, "%s knows no such entity (step " SPAN_FMT ").",
                         a->to->target->config->name, SPAN_ARG(a->step->name));
                return;
        }
        if (s->verb) {
                r->writes++;
                r->told_verb = s->verb;
                r->told_target = span_of(a->to->target->config->name);
                r->told_fields = fields_of(a, s->told);
        }
        if (!exchange_json(a, answer, true, &value))
                return;
        if (s->then)
                s->then(a, answer, answer->body.n ? value : (Span){NULL, 0});
        else
                act_done(a, value);
}

void send_start(Act *a, const Send *send) {
        Send *s = arena_alloc(a->run->arena, sizeof *s);

        if (!s) {
                act_fail(a, 422, "too-large", false, "the results of the steps are too large");
                return;
        }
        *s = *send;
        a->sending = s;
        a->call = (Call){.method = s->method,
                         .body = s->body,
                         .content_type = s->body.p ? s->content_type : NULL};
        exchange_mapping(a, s->mapping);
        exchange_catch(a, s->refused);
        if (s->url)
                exchange_at(a, s->to, s->url, on_answer);
        else
                exchange_start(a, s->to, on_answer);
}

void send_unchanged(Act *a, const Target *target) {
        Run *r = a->run;

        r->unchanged++;
        if (!r->told_target.p)
                r->told_target = span_of(target->config->name);
}
