/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/send.h"

#include "json/value.h"

#define FIELDS_MAX_BYTES 300

/* "email, name": the members of what was sent. */
static Span fields_of(Run *r, Span body) {
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
        return arena_span(r->arena, buf_span(&b));
}

struct Sending {
        bool writes;
        Span told; /* the object whose members are told as changed */
};

static void on_answer(Run *r, const ClientAnswer *a) {
        const struct Sending *s = r->sending;
        Span value;

        if (a->status == 404) {
                run_fail(r, 404, "missing", false, "%s knows no such entity (step " SPAN_FMT ").",
                         r->to->target->config->name, SPAN_ARG(r->current->name));
                return;
        }
        if (s->writes) {
                r->writes++;
                r->told_target = span_of(r->to->target->config->name);
                r->told_fields = fields_of(r, s->told);
        }
        if (exchange_json(r, a, true, &value))
                run_next(r, value);
}

static void start(Run *r, const Call *call, const Address *to, const Program *mapping,
                  struct Sending sending) {
        struct Sending *s = arena_alloc(r->arena, sizeof *s);

        must(s);
        *s = sending;
        r->sending = s;
        r->call = *call;
        exchange_mapping(r, mapping);
        exchange_start(r, to, on_answer);
}

void send_start(Run *r, const char *method, const Address *to, Span body, const Program *mapping,
                const char *content_type, bool writes) {
        const Call call = {
                .method = method, .body = body, .content_type = body.p ? content_type : NULL};

        start(r, &call, to, mapping, (struct Sending){writes, body});
}

void send_patch(Run *r, const Address *to, Span body, Span told, const Program *mapping,
                const char *content_type) {
        const Call call = {.method = "PATCH", .body = body, .content_type = content_type};

        start(r, &call, to, mapping, (struct Sending){true, told});
}
